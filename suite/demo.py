"""`dokkaebi demo`: four short runs on the embedded servers, each with the verdict it must get."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import msgspec

from ..harness.choosing import Wish
from ..harness.spec import SECOND

if TYPE_CHECKING:
    from ..cli import Output
    from ..compose import Run, Servers


class Act(msgspec.Struct, frozen=True):
    """One run of the demo: what it is in words, what is asked for, and what must come out."""

    title: str
    wish: Wish
    expected: str


def acts(seed: int) -> list[Act]:
    """A counter and a lock, each unsafe and then made safe."""
    pause = ["pause-client"]
    return [
        Act(
            "a counter that is read, added to in Python, and written back",
            Wish(target="counter", strategy="select-then-update", time=2 * SECOND, seed=seed),
            "violated",
        ),
        Act(
            "the same counter, added to by the database",
            Wish(
                target="counter",
                strategy="update-in-place",
                faults=[],
                time=2 * SECOND,
                seed=seed,
            ),
            "holds",
        ),
        Act(
            "a lock whose holder is paused for longer than its lease",
            Wish(
                target="lock",
                strategy="guarded-without-fencing",
                faults=pause,
                time=4 * SECOND,
                seed=seed,
            ),
            "violated",
        ),
        Act(
            "the same lock, and a table that refuses old holders",
            Wish(
                target="lock",
                strategy="guarded-with-fencing",
                faults=pause,
                time=4 * SECOND,
                seed=seed,
            ),
            "holds",
        ),
    ]


def demo(
    seed: int, output: Output, *, servers: Callable[[], AbstractContextManager[Servers]]
) -> int:
    """Play the four acts; 0 when each gets the verdict that it must."""
    from ..compose import run
    from ..results.live import make_view

    began = time.monotonic()
    runs: list[tuple[Act, Run]] = []
    with servers() as started:
        for act in acts(seed):
            console: Any = output.console(stderr=True)
            with make_view(output.progress, act.title, console=console) as view:
                runs.append((act, run(act.wish, servers=started, out=output.out, view=view)))
            if not output.as_json:
                _line(act, runs[-1][1], output)
    _close(runs, time.monotonic() - began, output)
    return 0 if all(_met(act, finished) for act, finished in runs) else 1


def _met(act: Act, finished: Run) -> bool:
    return finished.result.verdict.verdict == act.expected


def _line(act: Act, finished: Run, output: Output) -> None:
    verdict = finished.result.verdict
    sign = {"holds": "✔ HOLDS   ", "violated": "✖ VIOLATED", "unknown": "? UNKNOWN "}[
        verdict.verdict
    ]
    found = ", ".join(dict.fromkeys(a.type.replace("-", " ") for a in verdict.anomalies))
    ok = finished.result.stats.ok
    what = found or verdict.reason or f"no violation found in {ok:,} operations"
    surprise = "" if _met(act, finished) else f"   (expected: {act.expected})"
    output.console().print(f"{sign}  {act.title}: {what}{surprise}", soft_wrap=True)


def _close(runs: list[tuple[Act, Run]], seconds: float, output: Output) -> None:
    from ..results.terminal import summary

    if output.as_json:
        documents = [msgspec.json.decode(finished.result.to_json()) for _, finished in runs]
        print(msgspec.json.encode(documents).decode())
        return
    console = output.console()
    first = next((run for _, run in runs if run.result.verdict.verdict == "violated"), None)
    if first is not None:
        console.print("\nThe first of them, step by step:\n")
        summary(first.result, first.history, console, remedy=first.remedy)
    console.print(f"\nFour runs in {seconds:.0f} s. Each has a report to open in a browser:")
    for _, finished in runs:
        if finished.result.folder is not None:
            console.print(f"  {finished.result.folder / 'report.html'}", soft_wrap=True)
