"""What came first must be first: pairs whose second part happened in the other order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]


def inversions(
    put_call: Times, put_ret: Times, got_call: Times, got_ret: Times
) -> tuple[int, tuple[int, int] | None]:
    """How many things came out certainly too early, and one pair (first in, but later out).

    `b` is too early if some `a` was in before `b` was asked in (`put_ret[a] < put_call[b]`), and
    `b` was out before `a` was asked out (`got_ret[b] < got_call[a]`). Closed intervals, O(n log n)
    (Henzinger, Sezgin & Vafeiadis 2013; VOrd).
    """
    if not len(put_call):
        return 0, None
    order = np.argsort(put_ret, kind="stable")
    latest = np.maximum.accumulate(got_call[order])
    before = np.searchsorted(put_ret[order], put_call, side="left") - 1
    wrong = np.flatnonzero((before >= 0) & (latest[before] > got_ret))
    if not len(wrong):
        return 0, None
    b = int(wrong[0])
    candidates = order[: int(before[b]) + 1]
    return len(wrong), (int(candidates[np.argmax(got_call[candidates])]), b)


def out_of_order(put_call: Sequence[int], put_ret: Sequence[int]) -> tuple[int, int] | None:
    """In a sequence of things that came out one after another: (first in, but later out)."""
    latest = -1
    for i, ret in enumerate(put_ret):
        if latest >= 0 and ret < put_call[latest]:
            return i, latest
        if latest < 0 or put_call[i] > put_call[latest]:
            latest = i
    return None
