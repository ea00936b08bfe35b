"""Values that are put in once and taken once: what queues, stacks and priority queues share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .decision import FOREVER, Column, Decision, Mask, first, illegal, undecided
from .placing import covering, inside, merged

PUT, TAKE, EMPTY = 0, 1, 2
"""Kinds of operations; `EMPTY` is a take that found nothing, a crashed `TAKE` has no value."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """The values that count, one place each, and the operations without a value.

    `take` is -1 and its times `FOREVER` where nothing took a value; then `put_ret` is its own,
    else not later than `take_ret`, since it was in by then. `empty` and `crashed` (takes) are rows.
    """

    put: Column
    take: Column
    put_call: Column
    put_ret: Column
    take_call: Column
    take_ret: Column
    empty: Column
    crashed: Column
    call: Column
    ret: Column

    @property
    def kept(self) -> Column:
        """The places of values that nothing is known to have taken."""
        return np.flatnonzero(self.take < 0)

    def relaxed(self) -> Lifetimes:
        """Each value left over may have gone as soon as the first crashed take was called.

        Whatever is illegal even then is illegal.
        """
        soonest = self.call[self.crashed].min(initial=FOREVER)
        return replace(self, take_call=np.where(self.take < 0, soonest, self.take_call))


def lifetimes(call: Column, ret: Column, kind: Column, value: Column) -> Lifetimes | Decision:
    """Pair puts and takes; a `Decision` where that fails already, or where values are put twice.

    `value` is interned from 0. Crashed puts whose value nobody took are left out.
    """
    crashed = ret == FOREVER
    puts, takes = np.flatnonzero(kind == PUT), np.flatnonzero((kind == TAKE) & ~crashed)
    size = int(max(value[puts].max(initial=-1), value[takes].max(initial=-1))) + 1
    take = np.full(size, -1, dtype=np.int64)
    take[value[takes]] = takes
    if crashed[puts].any():
        puts = puts[~crashed[puts] | (take[value[puts]] >= 0)]
    if (np.bincount(value[puts], minlength=size) > 1).any():
        return undecided(np.arange(len(call), dtype=np.int64))
    again = takes[take[value[takes]] != takes]
    if len(again):
        twice = value[again[0]]
        return illegal("VRepeat", again[0], take[twice], *puts[value[puts] == twice])
    put = np.full(size, -1, dtype=np.int64)
    put[value[puts]] = puts
    strange = takes[put[value[takes]] < 0]
    if len(strange):
        return illegal("VFresh", strange[0])
    take = take[value[puts]]
    taken = take >= 0
    take_call, take_ret = _times(call, take, taken), _times(ret, take, taken)
    early = taken & (take_ret < call[puts])
    if early.any():
        return illegal("VFresh", take[first(early)], puts[first(early)])
    return Lifetimes(
        put=puts,
        take=take,
        put_call=call[puts],
        put_ret=np.minimum(ret[puts], take_ret),
        take_call=np.where(taken, np.maximum(take_call, call[puts]), FOREVER),
        take_ret=take_ret,
        empty=np.flatnonzero((kind == EMPTY) & ~crashed),
        crashed=np.flatnonzero((kind == TAKE) & crashed),
        call=call,
        ret=ret,
    )


def _times(time: Column, rows: Column, there: Mask) -> Column:
    times = time[rows]
    times[~there] = FOREVER
    return times


def found_empty(got: Lifetimes) -> Decision | None:
    """VWit: found empty although at each moment of the operation some value was surely inside."""
    held = np.flatnonzero(got.put_ret < got.take_call)
    start, end = got.put_ret[held], got.take_call[held]
    rows = got.empty
    bad = inside(*merged(start, end), got.call[rows], got.ret[rows])
    if not bad.any():
        return None
    row = rows[first(bad)]
    chain = held[covering(start, end, int(got.call[row]), int(got.ret[row]))]
    return illegal("VWit", row, *got.put[chain], *got.take[chain])
