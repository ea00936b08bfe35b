"""A priority queue whose values are inserted once: the greatest comes out first.

A take is right if there is a moment of it at which no greater value was surely inside (inserted and
returned, its own take not yet called); it can take effect at the first such moment. To see that
these moments fit together: a greater value whose take has begun has its own first moment no later.
"""

from __future__ import annotations

import numpy as np

from ..compiled import kernel, run
from .decision import Column, Decision, illegal, undecided
from .lifetimes import Lifetimes, found_empty, lifetimes
from .placing import covering, places


def priority_queue(call: Column, ret: Column, kind: Column, value: Column) -> Decision:
    """Decide a queue that starts empty, from `PUT`, `TAKE` and `EMPTY` (see lifetimes.py).

    `value` is interned from 0 in the order of priority: the greatest number comes out first. Leave
    out failed operations. Not decided: values inserted twice, and what depends on which values
    crashed takes took.
    """
    got = lifetimes(call, ret, kind, value)
    if isinstance(got, Decision):
        return got
    bad = _overtaken(got, value) or found_empty(got)
    if bad is None:
        return Decision(True)
    if not len(got.crashed):
        return bad
    surely = _overtaken(got.relaxed(), value) or found_empty(got.relaxed())
    return surely or undecided(np.arange(len(call), dtype=np.int64))


def _overtaken(got: Lifetimes, value: Column) -> Decision | None:
    """A take under a covering of greater values."""
    (put_ret, take_call, take_ret), points = places(got.put_ret, got.take_call, got.take_ret)
    order = np.argsort(-value[got.put], kind="stable")
    v = run(len(order), _sweep, order, put_ret, take_call, take_ret, points)
    if v < 0:
        return None
    low, high = int(got.take_call[v]), int(got.take_ret[v])
    greater = (value[got.put] > value[got.put[v]]) & (got.put_ret < got.take_call)
    held = np.flatnonzero(greater)
    chain = held[covering(got.put_ret[held], got.take_call[held], low, high)]
    return illegal("overtaken", got.take[v], got.put[v], *got.put[chain], *got.take[chain])


@kernel
def _sweep(order: Column, start: Column, end: Column, last: Column, points: int) -> int:
    """The first value, greatest first, whose take has no free point; -1 if all have.

    `start` and `end` are between which a value is surely inside; its take runs from `end` to
    `last`. `free` leads from a point to the next one that no greater value covers.
    """
    free = np.arange(points + 2)
    for i in range(len(order)):
        v = order[i]
        point = end[v]
        while free[point] != point:
            free[point] = free[free[point]]
            point = free[point]
        if point > last[v]:
            return int(v)
        point = start[v] + 1
        while point < end[v]:
            if free[point] == point:
                free[point] = point + 1
            else:
                free[point] = free[free[point]]
            point = free[point]
    return -1
