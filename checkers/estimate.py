"""Approximate counts: the number of different visitors, within the error that is declared.

How many there were is known within bounds: those acknowledged before the estimate was asked for
must be in it, those tried before it answered may be. Coming again changes nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import numpy.typing as npt

from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.verdict import Anomaly, Verdict, unknown
from .wording import freeze, show

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
        surely: dict[Hashable, int] = {}
        maybe: dict[Hashable, int] = {}
        estimates: list[Operation] = []
        for op in history.operations("visit", "estimate"):
            if op.f == "estimate":
                estimates += [op] if op.type == "ok" else []
                continue
            user = freeze(op.asked)
            if op.type != "fail":
                maybe[user] = min(op.call, maybe.get(user, op.call))
            if op.type == "ok":
                surely[user] = min(op.ret, surely.get(user, op.ret))
        came, tried = _sorted(surely.values()), _sorted(maybe.values())
        wrong: list[tuple[float, Operation, int, int]] = []
        for op in estimates:
            if not isinstance(op.value, int | float) or isinstance(op.value, bool):
                raise UsageError(
                    f"operation {op.index}: a number was expected, not {show(op.value)}"
                )
            least = int(np.searchsorted(came, op.call, side="left"))
            most = int(np.searchsorted(tried, op.ret, side="right"))
            low = least - max(self._error * least, SLACK)
            high = most + max(self._error * most, SLACK)
            if not low <= op.value <= high:
                off = low - op.value if op.value < low else op.value - high
                wrong.append((off, op, least, most))
        if wrong:
            return Verdict(
                verdict="violated", anomalies=(self._tell(wrong),), judged=len(estimates)
            )
        if not estimates:
            return unknown("nothing was estimated")
        return Verdict(verdict="holds", judged=len(estimates))

    def _tell(self, wrong: list[tuple[float, Operation, int, int]]) -> Anomaly:
        _, op, least, most = max(wrong, key=lambda each: each[0])
        real = f"{least}" if least == most else f"{least} to {most}"
        return Anomaly(
            type="bad-estimate",
            sentence=f"Process {op.process} was told {show(op.value)} where {real} different "
            f"users had come; {100 * self._error:g} % are allowed.",
            ops=(op.index,),
            count=len(wrong),
            evidence={
                "kind": "ladder",
                "estimate": op.value,
                "least": least,
                "most": most,
                "read": op.index,
            },
        )


def _sorted(times: Iterable[int]) -> npt.NDArray[np.int64]:
    return np.sort(np.fromiter(times, dtype=np.int64))
