"""How large the report of a long run is, and how long it takes to write and to open.

    python bench/report_size.py [OPERATIONS ...]      (default 100000)

Opening is measured in headless Chromium, where it is found.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dokkaebi.bench.sample_runs import SECOND, Recorder, adding, remedy, result
from dokkaebi.harness.history import History
from dokkaebi.harness.result import Result
from dokkaebi.harness.spec import Spec
from dokkaebi.harness.verdict import Anomaly, Verdict
from dokkaebi.results import store
from dokkaebi.results.report import write_report

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--no-first-run"]


def long_run(folder: Path, n: int) -> tuple[Result, History]:
    """A counter under faults for half a minute, with a lost update in the middle."""
    recorder, rng = Recorder(), random.Random("long")
    faults = [(8 * SECOND, 9 * SECOND), (20 * SECOND, 21 * SECOND)]
    adding(rng, recorder, n, 30.0, faults)
    recorder.fault(1, "kill", "postgres", *faults[0])
    recorder.fault(2, "pause", "postgres", *faults[1])
    history = recorder.history()
    middle = [int(i) for i in history.invocations()][n // 2 :]
    anomaly = Anomaly(
        type="lost-update", sentence="one of two updates is lost", ops=tuple(middle[:2]), count=3
    )
    verdict = Verdict(verdict="violated", anomalies=(anomaly,), judged=n)
    spec = Spec(workload="counter", strategy="c.py:C", label="c.py:C", time=30 * SECOND)
    return result(folder, history, verdict, spec), history


def open_in_browser(page: Path) -> list[float]:
    """Milliseconds from navigation to the report's own mark, three times."""
    from playwright.sync_api import sync_playwright

    took = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM
        )
        for _ in range(3):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(page.as_uri())
            took.append(ready_ms(tab))
            tab.close()
        browser.close()
    return took


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
    """Measure each size and print a line."""
    for n in sizes:
        with tempfile.TemporaryDirectory() as out:
            folder = store.new_run(Path(out), "long")
            made, history = long_run(folder, n)
            begun = time.perf_counter()
            page = write_report(made, history, folder, remedy=remedy)
            wrote = time.perf_counter() - begun
            size = page.stat().st_size / 1e6
            opened = open_in_browser(page) if shutil.which("chromium") else []
            ready = ", ".join(f"{ms:.0f}" for ms in opened) or "no Chromium"
            print(f"{len(history) // 2:,} operations: {size:.2f} MB, written in {wrote:.1f} s, "
                  f"ready after {ready} ms")  # fmt: skip


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [100_000])
