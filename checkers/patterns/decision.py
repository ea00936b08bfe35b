"""What a pattern check answers, and what each pattern means."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[np.int64]
"""One number per operation (or per value, or per hold)."""

Mask = npt.NDArray[np.bool_]

FOREVER = np.iinfo(np.int64).max
"""The return of an operation that never returned; harness.history has the same number."""

LOWEST = np.iinfo(np.int64).min
"""Before every operation."""

PATTERNS: dict[str, str] = {
    "never-written": "a value was seen that nothing ever wrote",
    "read-before-write": "a value was seen by an operation that returned before its write was called",
    "replaced-twice": "two compare-and-sets both replaced the one occurrence of a value",
    "circular": "compare-and-sets need each other's values first",
    "chain-out-of-order": "a value was seen after a compare-and-set had replaced it for good",
    "forward-forward": "of two values each was surely current between two moments of the other",
    "backward-in-forward": "a value was written and seen while another one was surely current",
    "removed-twice": "a value that was inserted once was taken out twice",
    "absent-while-present": "a value was missed while it was surely there",
    "gone-before-seen": "a value was seen after it had surely been taken out",
    "element-twice": "one read shows an element twice",
    "reads-disagree": "of two reads each shows an element that the other one lacks",
    "read-out-of-order": "an operation returned before another one was called that it must follow",
    "VFresh": "a value was taken before it was put in, or was never put in",
    "VRepeat": "a value that was put in once was taken twice",
    "VOrd": "two values were taken in the reverse of the order in which they were put in",
    "VWit": "the object was found empty while it surely held something at every moment",
    "overtaken": "a value was taken while a greater one surely waited at every moment",
    "crossing": "no order of pushes and pops nests these values",
    "release-without-hold": "a process released what it did not hold",
    "acquired-twice": "a process acquired what it held already",
    "held-at-once": "more was surely held at one moment than may be",
    "token-repeated": "one token was granted twice",
    "hold-order": "holds in the order of their tokens do not fit one after the other",
}
"""Every pattern by name, as the end of "These operations cannot all be right: ..."."""


def no_rows() -> Column:
    """An empty column."""
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a history is legal; None: not decided here, search the operations in `rest`.

    If not, `pattern` names why (see `PATTERNS`) and `rows` are operations that cannot all be
    right, whatever else happened. `rest` may hold rows beside a True or False answer for others;
    then `legal` is None, or False.
    """

    legal: bool | None
    pattern: str = ""
    rows: tuple[int, ...] = ()
    rest: Column = field(default_factory=no_rows, compare=False, repr=False)


LEGAL = Decision(True)


def illegal(pattern: str, *rows: int | np.integer[npt.NBitBase]) -> Decision:
    """Not legal; `rows` in any order, -1 for none, repeated ones kept once."""
    return Decision(False, pattern, tuple(dict.fromkeys(int(row) for row in rows if row >= 0)))


def undecided(rest: Column) -> Decision:
    """Legal as far as it was judged; `rest` needs the general search."""
    return Decision(None if len(rest) else True, rest=rest)


def first(mask: Mask) -> int:
    """The first place where a mask is true."""
    return int(np.argmax(mask))
