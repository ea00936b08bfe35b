"""Runs the checkers over a history and joins what they say; one that raises hides no other.

A checker that raises or returns no verdict makes the whole `unknown`, never `holds`. Findings of
liveness alone make it `unknown`, or `violated` where progress was demanded.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import msgspec

from ..harness.collecting import undisturbed
from ..harness.errors import UsageError
from ..harness.history import History
from ..harness.protocols import Checker
from ..harness.result import CheckerResult
from ..harness.verdict import Outcome, Verdict, join, unknown


def judge(
    history: History, checkers: Iterable[Checker], *, require_progress: bool = False
) -> tuple[Verdict, dict[str, CheckerResult]]:
    """Check the history with each checker; return the joined verdict and each one's own.

    Raises `UsageError` where a checker finds the input itself bad: that is no verdict.
    """
    results: dict[str, CheckerResult] = {}
    for checker in checkers:
        started = time.perf_counter()
        verdict = weigh_liveness(_checked(checker, history), require_progress=require_progress)
        seconds = time.perf_counter() - started
        results[_free_name(checker.name, results)] = CheckerResult(verdict=verdict, seconds=seconds)
    return join(result.verdict for result in results.values()), results


def weigh_liveness(verdict: Verdict, *, require_progress: bool) -> Verdict:
    """Give a verdict with nothing but liveness findings the outcome that they deserve."""
    kinds = {anomaly.kind for anomaly in verdict.anomalies}
    if kinds != {"liveness"}:
        return verdict
    outcome: Outcome = "violated" if require_progress else "unknown"
    return msgspec.structs.replace(verdict, verdict=outcome)


def _checked(checker: Checker, history: History) -> Verdict:
    try:
        with undisturbed():
            return checker.check(history)
    except UsageError:
        raise
    except Exception as error:
        return unknown(f"checker {checker.name} raised {type(error).__name__}: {error}")


def _free_name(name: str, taken: dict[str, CheckerResult]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
