"""Approximate counts: the number of different visitors, within the error that is declared.

How many there were is known within bounds: those acknowledged before the estimate was asked for
must be in it, those tried before it answered may be. Coming again changes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..harness.columns import FAIL, OK
from ..harness.errors import UsageError
from ..harness.history import FOREVER, History
from ..harness.interning import I64, interned
from ..harness.verdict import Anomaly, Verdict, unknown
from .rows import Rows, asked, rows, told
from .wording import show

SLACK = 2.0
"""Small counts are off by whole visitors, whatever the relative error."""


class EstimateChecker:
    """Judges `visit user` and `estimate nil` -> number of different users."""

    name = "estimate"

    def __init__(self, *, error: float = 0.0405) -> None:
        """`error` is relative; the default is five standard errors of a HyperLogLog of 2^14."""
        if not 0 <= error < 1:
            raise UsageError(f"the error is a share between 0 and 1, not {error}")
        self._error = error

    def check(self, history: History) -> Verdict:
        """Judge every estimate; count them."""
        visits, estimates = rows(history, "visit"), rows(history, "estimate")
        estimates = estimates.of(estimates.type == OK)
        values = told(history, estimates)
        came, tried = _first(visits, interned(asked(history, visits)).of)
        _check_numbers(estimates, values)
        least = np.searchsorted(came, estimates.call, side="left")
        most = np.searchsorted(tried, estimates.ret, side="right")
        low = least - np.maximum(self._error * least, SLACK)
        high = most + np.maximum(self._error * most, SLACK)
        wrong = [
            (lowest - value if value < lowest else value - highest, row)
            for row, (lowest, value, highest) in enumerate(
                zip(low.tolist(), values, high.tolist(), strict=True)
            )
            if not lowest <= value <= highest
        ]
        if wrong:
            row = max(wrong, key=lambda each: each[0])[1]
            worst = self._tell(
                history, int(estimates.index[row]), int(least[row]), int(most[row]), len(wrong)
            )
            return Verdict(verdict="violated", anomalies=(worst,), judged=len(values))
        if not values:
            return unknown("nothing was estimated")
        return Verdict(verdict="holds", judged=len(values))

    def _tell(self, history: History, index: int, least: int, most: int, count: int) -> Anomaly:
        op = history.operation(index)
        real = f"{least}" if least == most else f"{least} to {most}"
        return Anomaly(
            type="bad-estimate",
            sentence=f"Process {op.process} was told {show(op.value)} where {real} different "
            f"users had come; {100 * self._error:g} % are allowed.",
            ops=(op.index,),
            count=count,
            evidence={
                "kind": "ladder",
                "estimate": op.value,
                "least": least,
                "most": most,
                "read": op.index,
            },
        )


def _first(visits: Rows, user: I64) -> tuple[I64, I64]:
    """When each user first came for certain, and when each may have come, in order of time."""
    users = int(user.max(initial=-1)) + 1
    came, tried = np.full((2, users), FOREVER, dtype=np.int64)
    for first, chosen, times in (
        (came, visits.type == OK, visits.ret),
        (tried, visits.type != FAIL, visits.call),
    ):
        np.minimum.at(first, user[chosen], times[chosen])
        first.sort()
    return came[: np.searchsorted(came, FOREVER)], tried[: np.searchsorted(tried, FOREVER)]


def _check_numbers(estimates: Rows, values: list[Any]) -> None:
    if set(map(type, values)) <= {int, float}:
        return
    for index, value in zip(estimates.index.tolist(), values, strict=True):
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise UsageError(f"operation {index}: a number was expected, not {show(value)}")
