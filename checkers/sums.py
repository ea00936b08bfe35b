"""Sums of somebody's integers that never wrap, and which sums a subset of indeterminate amounts can
make: exact where that is cheap, else bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_WORK = 50_000_000
"""Bits shifted over all amounts before the answer is given by bounds alone."""

_SAFE = 2**60
"""What the values of a column add up to at the most, so that sums of a few such sums still fit."""

Integers = npt.NDArray[Any]
"""Integers, int64 or Python's own."""


def integers(values: Sequence[int]) -> Integers:
    """Integers as a column: int64 where sums and differences of such columns' sums cannot wrap.

    Else as Python's own (dtype object), on which numpy does the same, slowly and exactly.
    """
    if set(map(type, values)) <= {int}:
        try:
            column = np.array(values, dtype=np.int64)
        except OverflowError:
            return np.array(values, dtype=object)
        greatest = max(column.max(initial=0).item(), -column.min(initial=0).item())
        if greatest * len(column) < _SAFE:
            return column
    return np.array(values, dtype=object)


def bounds(amounts: Sequence[int]) -> tuple[int, int]:
    """The least and the greatest sum of a subset (the empty one counts)."""
    return sum(a for a in amounts if a < 0), sum(a for a in amounts if a > 0)


def reachable(target: int, amounts: Sequence[int]) -> bool:
    """Whether some subset of the amounts sums to `target`.

    Leaving a negative amount out is like adding its absolute value to the least sum, so only
    positive amounts remain, and a bit set of sums decides. Where that set would be too large the
    answer is whether the target lies within the bounds: it may then say yes wrongly, never no.
    """
    least, greatest = bounds(amounts)
    if not least <= target <= greatest:
        return False
    if (greatest - least) * len(amounts) > MOST_WORK:
        return True
    sums = 1
    for amount in amounts:
        sums |= sums << abs(amount)
    return bool(sums >> (target - least) & 1)
