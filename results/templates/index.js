"use strict";
// Hides the rows that do not fit; without scripts all rows stand there.
document.documentElement.classList.add("js");
const words = document.getElementById("words");
const notGood = document.getElementById("notgood");
const rows = [...document.querySelectorAll("tr[data-name]")];
const inMap = rows.filter((row) => row.closest(".map"));
function fits(row) {
  const named = row.dataset.name.toLowerCase().includes(words.value.trim().toLowerCase());
  if (!named || !notGood.checked) return named;
  return row.closest(".map")
    ? row.querySelector(".t-bad, .t-warn, .t-none") !== null
    : !row.cells[3].textContent.startsWith("✔");
}
function filter() {
  for (const row of rows) row.hidden = !fits(row);
  const left = inMap.filter((row) => !row.hidden).length;
  document.getElementById("shown").textContent =
    left === inMap.length ? "" : `${left} of ${inMap.length} cases`;
}
words.addEventListener("input", filter);
notGood.addEventListener("change", filter);
words.form.addEventListener("submit", (event) => event.preventDefault());
