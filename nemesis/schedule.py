"""When which fault strikes: a function of the spec alone."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..harness.faults import SHORTEST_GAP


class Moment(msgspec.Struct, frozen=True):
    """One planned fault; `at` and `lasts` are ns, `at` counts from the start of the main phase."""

    at: int
    name: str
    lasts: int


def plan(names: Sequence[str], *, time: int, lasts: int, every: int) -> list[Moment]:
    """Kinds in turn, one at a time, the first at a quarter of the time.

    Where a kind's first turn would not end within `time`, the gaps shrink; `choose` refuses a time
    in which that is not enough. All times are in ns.
    """
    if not names:
        return []
    first = time // 4
    gap = every
    gaps = len(names) - 1
    room = time - first - len(names) * lasts
    if room < gaps * gap:
        gap = room // gaps if gaps else 0
    moments: list[Moment] = []
    at = first
    while at + lasts <= time:
        moments.append(Moment(at, names[len(moments) % len(names)], lasts))
        at += lasts + gap if len(moments) < len(names) else lasts + max(gap, SHORTEST_GAP)
    return moments
