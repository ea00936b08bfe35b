"use strict";
// The timeline of the report: one canvas, drawn from columns that stand gzipped in the page.
// Everything from the run is put on the page as text, never as markup.
(async () => {
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;
  const canvas = byId("canvas"), card = byId("card"), where = byId("where");
  const TOP = 24, MAP = 46, AXIS = 24;

  async function unpack(text) {
    const packed = Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // Five planes of bytes, low ones first, of zigzag numbers.
  function column(bytes, n) {
    const out = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const v = bytes[i] + bytes[n + i] * 256 + bytes[2 * n + i] * 65536 +
        bytes[3 * n + i] * 16777216 + bytes[4 * n + i] * 4294967296;
      out[i] = v % 2 ? -(v + 1) / 2 : v / 2;
    }
    return out;
  }

  function summed(numbers) {
    for (let i = 1; i < numbers.length; i++) numbers[i] += numbers[i - 1];
    return numbers;
  }

  function read(bytes) {
    const text = new TextDecoder();
    const size = new DataView(bytes.buffer).getUint32(0, true);
    const head = JSON.parse(text.decode(bytes.subarray(4, 4 + size)));
    let at = 4 + size;
    for (const [name, length] of head.blocks) {
      const block = bytes.subarray(at, (at += length));
      if (name === "asked" || name === "answered") head[name] = text.decode(block).split("\n");
      else head[name] = column(block, head.n);
    }
    summed(head.index);
    summed(head.call);
    for (let i = 0; i < head.n; i++) head.took[i] -= 1;
    head.row = Uint16Array.from(head.process, (p) => head.rowOf[p]);
    return head;
  }

  let data;
  try {
    data = read(await unpack(byId("data").textContent));
  } catch (error) {
    byId("trouble").textContent = "The timeline could not be drawn here (" + error + "). " +
      "The picture below shows the same window.";
    performance.mark("report-ready");
    return;
  }
  root.classList.add("js");

  const { n, call, took, row, type, timed } = data;
  const UNKNOWN = data.types.indexOf("info"), FAILED = data.types.indexOf("fail");
  const height = data.rows.length > 16 ? 18 : 26;
  const bottom = TOP + height * data.rows.length + 6;
  const total = bottom + AXIS + MAP;
  const span = Math.max(data.end, 1);
  const numbers = new Map();
  let view = [0, span], chosen = -1, current = 0, width = 0, left = 92, colours = {}, hatches = {};

  const endOf = (i) => (took[i] < 0 ? span : call[i] + took[i]);
  const seconds = (us, digits = 3) => (timed ? (us / 1e6).toFixed(digits) + " s" : "event " + Math.round(us));
  const short = (us) => !timed ? Math.round(us) + " events" : us < 1000 ? us.toFixed(0) + " µs" :
    us < 1e6 ? (us / 1e3).toFixed(us < 1e4 ? 2 : 1) + " ms" : (us / 1e6).toFixed(2) + " s";

  // --- drawing ---------------------------------------------------------------------------------

  function theme() {
    const style = getComputedStyle(root);
    for (const name of ["ink", "muted", "paper", "panel", "line", "ok", "fail", "info", "bad",
      "fault", "faultbg"]) colours[name] = style.getPropertyValue("--" + name).trim();
    hatches = { info: hatch(colours.info, 5), fault: hatch(colours.fault, 7) };
  }

  function hatch(colour, size) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = size;
    const pen = tile.getContext("2d");
    pen.strokeStyle = colour;
    pen.lineWidth = 1.6;
    for (const shift of [-size, 0, size]) {
      pen.moveTo(shift, size);
      pen.lineTo(shift + size, 0);
    }
    pen.stroke();
    return canvas.getContext("2d").createPattern(tile, "repeat");
  }

  const x = (at) => left + ((at - view[0]) / (view[1] - view[0])) * (width - left - 8);
  const time = (px) => view[0] + ((px - left) / (width - left - 8)) * (view[1] - view[0]);
  const mapX = (at) => left + (at / span) * (width - left - 8);
  const top = (r) => TOP + 4 + r * height;

  let asked = false;
  function redraw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  }

  function draw() {
    const start = performance.now();
    const ratio = window.devicePixelRatio || 1;
    width = canvas.parentElement.clientWidth;
    left = width < 560 ? 68 : 92;
    canvas.width = width * ratio;
    canvas.height = total * ratio;
    canvas.style.height = total + "px";
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "12px system-ui, sans-serif";
    pen.fillStyle = colours.paper;
    pen.fillRect(0, 0, width, total);
    axis(pen);
    bands(pen, x, TOP, bottom, true);
    bars(pen);
    rowNames(pen);
    minimap(pen);
    const first = seconds(Math.max(view[0], 0)), last = seconds(Math.min(view[1], span));
    where.textContent = first + " to " + last + " of " + seconds(span, 1);
    performance.measure("report-redraw", { start });
  }

  function rowNames(pen) {
    pen.fillStyle = colours.paper;
    pen.fillRect(0, TOP, left - 1, bottom - TOP);
    pen.textAlign = "right";
    pen.fillStyle = colours.muted;
    data.rows.forEach((name, i) => {
      const label = width < 560 ? name.replace("process", "proc.") : name;
      pen.fillText(label, left - 8, top(i) + height / 2 + 3);
    });
  }

  function axis(pen) {
    const room = Math.max(Math.floor((width - left) / 110), 2);
    const rough = (view[1] - view[0]) / room;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((k) => k * power >= rough) * power;
    const digits = Math.min(Math.max(0, -Math.floor(Math.log10(step / 1e6))), 6);
    for (let at = Math.ceil(view[0] / step) * step; at <= view[1]; at += step) {
      pen.fillStyle = colours.line;
      pen.fillRect(x(at), TOP, 1, bottom - TOP + 4);
      pen.fillStyle = colours.muted;
      pen.textAlign = x(at) > width - 36 ? "right" : "center";
      pen.fillText(seconds(at, digits), Math.min(x(at), width - (x(at) > width - 36 ? 1 : 0)), bottom + 17);
    }
    pen.fillStyle = colours.muted;
    pen.fillRect(left, bottom, width - left - 8, 1);
  }

  function bands(pen, place, from, to, named) {
    let free = 0;
    pen.textAlign = "left";
    for (const fault of data.faults) {
      const x1 = Math.max(place(fault.from), left), x2 = Math.min(place(fault.to ?? span), width - 8);
      if (x2 < left || x1 > width - 8 || !timed) continue;
      const w = Math.max(x2 - x1, 2);
      pen.fillStyle = colours.faultbg;
      pen.fillRect(x1, from, w, to - from);
      pen.fillStyle = hatches.fault;
      pen.fillRect(x1, from, w, named ? 7 : to - from);
      if (!named || x1 < free) continue;
      const label = fault.name + (fault.took ? "" : " (no effect)");
      pen.fillStyle = colours.fault;
      pen.font = "bold 12px system-ui, sans-serif";
      pen.fillText(label, x1, TOP - 6);
      free = x1 + pen.measureText(label).width + 8;
      pen.font = "12px system-ui, sans-serif";
    }
  }

  // Operations narrower than a pixel are gathered; a pixel shows the worst of them.
  function bars(pen) {
    const pixels = new Uint8Array(data.rows.length * Math.ceil(width));
    const numbered = [], rank = [0, 1, 2, 3];
    for (let i = 0; i < n; i++) {
      if (call[i] > view[1]) break;
      if (endOf(i) < view[0]) continue;
      if (numbers.has(i) || i === chosen) {
        numbered.push(i);
        continue;
      }
      const x1 = x(call[i]), x2 = x(endOf(i));
      if (took[i] >= 0 && x2 - x1 < 1.5) {
        const at = row[i] * Math.ceil(width) + Math.max(Math.floor(x1), 0);
        pixels[at] = Math.max(pixels[at], rank[type[i]]);
      } else bar(pen, i, Math.max(x1, left - 4), Math.min(x2, width - 8));
    }
    pixels.forEach((kind, at) => {
      if (!kind) return;
      const r = Math.floor(at / Math.ceil(width)), px = at % Math.ceil(width);
      solid(pen, kind, px, 1.5, r);
    });
    for (const i of numbered) marked(pen, i);
  }

  function solid(pen, kind, px, w, r) {
    const low = kind === FAILED ? (height - 6) / 3 : 0;
    pen.fillStyle = kind === FAILED ? colours.fail : kind === UNKNOWN ? colours.info : colours.ok;
    pen.fillRect(px, top(r) + low, w, height - 6 - low);
  }

  function bar(pen, i, x1, x2) {
    const y = top(row[i]);
    if (took[i] >= 0) return solid(pen, type[i], x1, Math.max(x2 - x1 - 0.5, 1), row[i]);
    pen.fillStyle = hatches.info;
    pen.fillRect(x1, y + height - 11, x2 - x1, 5);
    pen.fillStyle = colours.info;
    pen.fillRect(x1, y, 2, height - 6);
  }

  function marked(pen, i) {
    const x1 = Math.max(x(call[i]), left), x2 = Math.max(Math.min(x(endOf(i)), width - 8), x1 + 2);
    const y = top(row[i]), label = numbers.get(i);
    if (x(endOf(i)) < left) return;
    bar(pen, i, x1, x2);
    pen.lineWidth = 2.5;
    pen.strokeStyle = label ? colours.bad : colours.ink;
    pen.strokeRect(x1 - 2, y - 2, x2 - x1 + 4, height - 2);
    if (!label) return;
    pen.font = "bold 12px system-ui, sans-serif";
    const w = pen.measureText(label).width + 8;
    pen.fillStyle = colours.bad;
    pen.fillRect(x1, y + height / 2 - 12, w, 18);
    pen.fillStyle = colours.paper;
    pen.textAlign = "left";
    pen.fillText(label, x1 + 4, y + height / 2 + 1);
    pen.font = "12px system-ui, sans-serif";
  }

  function minimap(pen) {
    const y = bottom + AXIS + 4, h = MAP - 10, bins = new Uint32Array(Math.ceil(width));
    pen.fillStyle = colours.panel;
    pen.fillRect(left, y, width - left - 8, h);
    bands(pen, mapX, y, y + h, false);
    let most = 1;
    for (let i = 0; i < n; i++) most = Math.max(most, ++bins[Math.floor(mapX(call[i]))]);
    pen.fillStyle = colours.ok;
    bins.forEach((count, px) => count && pen.fillRect(px, y + h - (count / most) * (h - 8), 1, (count / most) * (h - 8)));
    for (const anomaly of data.anomalies) {
      const px = mapX((anomaly.window[0] + anomaly.window[1]) / 2);
      pen.fillStyle = colours.bad;
      pen.beginPath();
      pen.moveTo(px - 6, y);
      pen.lineTo(px + 6, y);
      pen.lineTo(px, y + 10);
      pen.fill();
    }
    const x1 = mapX(Math.max(view[0], 0)), x2 = mapX(Math.min(view[1], span));
    pen.strokeStyle = colours.ink;
    pen.lineWidth = 2;
    pen.strokeRect(x1, y, Math.max(x2 - x1, 3), h);
    pen.fillStyle = colours.muted;
    pen.textAlign = "right";
    pen.fillText("whole run", left - 8, y + h / 2 + 4);
  }

  // --- moving ----------------------------------------------------------------------------------

  let timer = 0;
  function look(first, last, remember = true) {
    const size = Math.min(Math.max(last - first, timed ? 20 : 4), span * 1.04);
    const start = Math.min(Math.max(first, -0.02 * span), 1.02 * span - size);
    view = [start, start + size];
    redraw();
    clearTimeout(timer);
    if (remember) timer = setTimeout(() => link(windowLink()), 250);
  }

  const windowLink = () => "t=" + (view[0] / 1e6).toFixed(6) + "-" + (view[1] / 1e6).toFixed(6);
  function link(text) {
    try {
      history.replaceState(null, "", "#" + text);
    } catch { /* some viewers forbid it; nothing depends on it */ }
  }

  function zoom(factor, around = (view[0] + view[1]) / 2) {
    look(around - (around - view[0]) * factor, around + (view[1] - around) * factor);
  }

  const pan = (share) => look(view[0] + share * (view[1] - view[0]), view[1] + share * (view[1] - view[0]));

  function goAnomaly(number, scroll) {
    const count = data.anomalies.length;
    if (!count) return;
    current = ((number % count) + count) % count;
    const anomaly = data.anomalies[current];
    numbers.clear();
    for (const [index, label] of anomaly.ops) {
      const i = position(index);
      if (i >= 0) numbers.set(i, label);
    }
    byId("which").textContent = "anomaly " + (current + 1) + " of " + count + ": " + anomaly.name;
    look(anomaly.window[0], anomaly.window[1], false);
    if (scroll) link("anomaly-" + (current + 1));
  }

  function position(index) {
    let low = 0, high = n - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (data.index[middle] === index) return middle;
      if (data.index[middle] < index) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  // --- one operation ---------------------------------------------------------------------------

  function show(i, centre) {
    chosen = i;
    card.hidden = i < 0;
    if (i < 0) return redraw();
    const f = data.functions[data.f[i]];
    const words = ["", "ok", "failed: it did not happen", "unknown: it may have happened, or may happen yet"];
    const end = took[i] < 0 ? "open to the end" : seconds(call[i] + took[i], 6);
    const struck = data.faults.filter((d) => d.from <= endOf(i) && (d.to ?? span) >= call[i]);
    fill([
      ["operation", data.index[i] + (numbers.has(i) ? "  (" + numbers.get(i) + " in this anomaly)" : "")],
      ["process", String(data.process[i])],
      ["asked", f + " " + data.asked[i]],
      ["answered", data.answered[i]],
      ["outcome", words[type[i]]],
      ["from", seconds(call[i], 6)],
      ["to", end],
      ["took", took[i] < 0 ? "unknown" : short(took[i])],
      ...(struck.length && timed ? [["during", struck.map((d) => d.name + " of " + d.target).join(", ")]] : []),
    ]);
    if (centre) {
      const size = Math.max(Math.min(endOf(i) - call[i], span / 4) * 6, timed ? 2000 : 20);
      look(call[i] - size / 2, call[i] + size / 2, false);
    }
    redraw();
  }

  function fill(pairs) {
    const list = card.querySelector("dl");
    list.replaceChildren();
    for (const [name, value] of pairs) {
      const term = document.createElement("dt"), text = document.createElement("dd");
      term.textContent = name;
      text.textContent = value;
      list.append(term, text);
    }
  }

  function at(px, py) {
    const r = Math.floor((py - TOP - 1) / height);
    let best = -1, distance = 7;
    for (let i = 0; i < n && call[i] <= view[1]; i++) {
      if (row[i] !== r) continue;
      const x1 = x(call[i]), x2 = took[i] < 0 ? x1 + 3 : x(endOf(i));
      const away = px < x1 ? x1 - px : px > x2 ? px - x2 : 0;
      if (away - (numbers.has(i) ? 1 : 0) < distance) {
        best = i;
        distance = away - (numbers.has(i) ? 1 : 0);
      }
    }
    return best;
  }

  function select(i) {
    show(i, false);
    if (i >= 0) link("op-" + data.index[i]);
  }

  // Steps to the neighbour within the same row, or into the window when nothing is chosen.
  function neighbour(direction) {
    let i = chosen >= 0 ? chosen + direction : call.findIndex((c) => c >= view[0]);
    while (chosen >= 0 && i >= 0 && i < n && row[i] !== row[chosen]) i += direction;
    if (i < 0 || i >= n) return;
    if (call[i] < view[0] || call[i] > view[1]) look(call[i] - (view[1] - view[0]) / 2, call[i] + (view[1] - view[0]) / 2, false);
    select(i);
  }

  // --- what people do --------------------------------------------------------------------------

  let grip = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    const map = event.offsetY > bottom + AXIS;
    grip = { x: event.offsetX, view: [...view], moved: false, map };
    if (map) toMap(event.offsetX);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!grip) return;
    if (grip.map) return toMap(event.offsetX);
    const shift = ((event.offsetX - grip.x) / (width - left - 8)) * (grip.view[1] - grip.view[0]);
    grip.moved ||= Math.abs(event.offsetX - grip.x) > 4;
    if (grip.moved) look(grip.view[0] - shift, grip.view[1] - shift);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (grip && !grip.moved && !grip.map) select(at(event.offsetX, event.offsetY));
    grip = null;
  });
  canvas.addEventListener("dblclick", (event) => zoom(0.4, time(event.offsetX)));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey && !event.metaKey) return;
    event.preventDefault();
    if (event.shiftKey) pan((event.deltaX || event.deltaY) / 600);
    else zoom(event.deltaY > 0 ? 1.25 : 0.8, time(event.offsetX));
  }, { passive: false });

  function toMap(px) {
    const middle = ((px - left) / (width - left - 8)) * span, half = (view[1] - view[0]) / 2;
    look(middle - half, middle + half);
  }

  const actions = {
    previous: () => goAnomaly(current - 1, true),
    next: () => goAnomaly(current + 1, true),
    in: () => zoom(0.5),
    out: () => zoom(2),
    left: () => pan(-0.25),
    right: () => pan(0.25),
    all: () => look(0, span),
    back: () => neighbour(-1),
    forth: () => neighbour(1),
    close: () => select(-1),
  };
  const keys = {
    ArrowLeft: "left", ArrowRight: "right", ArrowUp: "back", ArrowDown: "forth", "+": "in",
    "=": "in", "-": "out", Home: "all", n: "next", p: "previous", Escape: "close",
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const action = keys[event.key];
    const anywhere = action === "next" || action === "previous" || action === "close";
    if (!action || (!anywhere && document.activeElement !== canvas)) return;
    event.preventDefault();
    actions[action]();
  });
  for (const button of document.querySelectorAll("button[data-do]")) {
    button.addEventListener("click", () => actions[button.dataset.do]());
  }
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", () => copy(button));
  }

  async function copy(button) {
    const source = byId(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      document.execCommand("copy");
    }
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = before), 1500);
  }

  function follow() {
    const hash = location.hash.slice(1);
    const anomaly = /^anomaly-(\d+)$/.exec(hash), op = /^op-(\d+)$/.exec(hash);
    const stretch = /^t=(-?[\d.]+)-([\d.]+)$/.exec(hash);
    if (anomaly) goAnomaly(Number(anomaly[1]) - 1, false);
    else if (op && position(Number(op[1])) >= 0) {
      show(position(Number(op[1])), true);
      byId("timeline").scrollIntoView();
    } else if (stretch) {
      look(stretch[1] * 1e6, stretch[2] * 1e6, false);
      byId("timeline").scrollIntoView();
    }
  }

  if (matchMedia("(max-width:700px)").matches) {
    for (const list of document.querySelectorAll("details.steps")) list.open = true;
  }
  theme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    theme();
    redraw();
  });
  window.addEventListener("hashchange", follow);
  new ResizeObserver(redraw).observe(canvas.parentElement);
  if (data.anomalies.length) goAnomaly(0, false);
  else look(0, span, false);
  follow();
  draw();
  performance.mark("report-ready");
})();
