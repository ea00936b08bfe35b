"""How large the report of a long run is, and how long it takes to write and to open.

    python bench/report_size.py [OPERATIONS ...]      (default 100000 1000000)

Two runs of each length: adds and reads of counters, and transactions that read long lists. Opening
and zooming are measured in headless Chromium, where it is found.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from dokkaebi.bench.histories import history as events_of
from dokkaebi.bench.sample_runs import SECOND, Recorder, adding, remedy, result
from dokkaebi.harness.history import History, Op
from dokkaebi.harness.result import Result
from dokkaebi.harness.spec import Spec
from dokkaebi.harness.verdict import Anomaly, Verdict
from dokkaebi.results import store
from dokkaebi.results.report import write_report

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run"]


def counters(folder: Path, n: int) -> tuple[Result, History]:
    """Counters under faults for half a minute, with a lost update in the middle."""
    recorder, rng = Recorder(), random.Random("long")
    faults = [(8 * SECOND, 9 * SECOND), (20 * SECOND, 21 * SECOND)]
    adding(rng, recorder, n, 30.0, faults)
    recorder.fault(1, "kill", "postgres", *faults[0])
    recorder.fault(2, "pause", "postgres", *faults[1])
    return violated(folder, recorder.history(), "counter", "lost-update")


def lists(folder: Path, n: int) -> tuple[Result, History]:
    """Transactions that append to lists and read them, with a write skew in the middle."""
    events = [
        Op(time=i * 15_000, process=process, type=kind, f=f, value=value, result=told)
        for i, (process, kind, f, value, told) in enumerate(events_of("append", n))
    ]
    return violated(folder, History(events), "append", "G2-item")


def violated(folder: Path, history: History, workload: str, anomaly: str) -> tuple[Result, History]:
    """The result of a run whose two operations in the middle are at odds."""
    invocations = history.invocations()
    middle = [int(i) for i in invocations[len(invocations) // 2 :][:2]]
    found = Anomaly(type=anomaly, sentence="two operations are at odds", ops=tuple(middle), count=3)
    verdict = Verdict(verdict="violated", anomalies=(found,), judged=len(invocations))
    spec = Spec(workload=workload, strategy="c.py:C", label="c.py:C", time=30 * SECOND)
    return result(folder, history, verdict, spec), history


RUNS: dict[str, Callable[[Path, int], tuple[Result, History]]] = {
    "counters": counters,
    "lists": lists,
}


def open_in_browser(page: Path) -> tuple[list[float], list[float]]:
    """Milliseconds to the report's own mark, five times; and those of each redraw while zooming."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        took: list[float] = []
        zoomed: list[float] = []
        for _ in range(5):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(page.as_uri())
            took.append(ready_ms(tab))
            zoomed += zoom_ms(tab)
            tab.close()
        browser.close()
    return took, zoomed


def zoom_ms(tab: Any) -> list[float]:
    """Zoom out from the anomaly to the whole run and in again; how long each redraw took."""
    tab.evaluate("performance.clearMeasures('report-redraw')")
    for action in [*["out"] * 12, "all", *["in"] * 12]:
        tab.locator(f"button[data-do={action}]").click()
        tab.evaluate("new Promise(requestAnimationFrame)")
    every = "performance.getEntriesByName('report-redraw').map(e => e.duration)"
    return [float(ms) for ms in tab.evaluate(every)]


def ready_ms(tab: Any) -> float:
    """Wait for the report's own mark and say when it came; the page's policy forbids eval in it."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        times = tab.evaluate("performance.getEntriesByName('report-ready').map(e => e.startTime)")
        if times:
            return float(times[0])
        time.sleep(0.01)
    raise TimeoutError("the report was not ready within 30 s")


def main(sizes: list[int]) -> None:
    """Measure each run at each size and print a line."""
    for n, (name, make) in product(sizes, RUNS.items()):
        with tempfile.TemporaryDirectory() as out:
            folder = store.new_run(Path(out), "long")
            made, history = make(folder, n)
            begun = time.perf_counter()
            page = write_report(made, history, folder, remedy=remedy)
            wrote = time.perf_counter() - begun
            size = page.stat().st_size / 1e6
            print(f"{name}, {len(history) // 2:,} operations: {size:.2f} MB, written in {wrote:.1f} s",
                  end="", flush=True)  # fmt: skip
            if shutil.which("chromium"):
                opened, zoomed = open_in_browser(page)
                print(f", ready after {median(opened):.0f} ms, a zoom redraws within "
                      f"{max(zoomed):.0f} ms", end="")  # fmt: skip
            print()


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [100_000, 1_000_000])
