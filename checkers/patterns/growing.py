"""A set that only grows and is read whole: the order of adds and reads, and what became of each.

The reads, smallest first, cut the adds into blocks: those first shown by the smallest read, the
reads that show just these, those first shown by the next larger read, and so on; acknowledged adds
that no read shows come last. That order is forced, so the history is legal exactly if it can be
followed: no operation returned before one of an earlier block was called.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..compiled import kernel, run
from .decision import FOREVER, LOWEST, Column, Decision, Mask, first, illegal, undecided

UNSEEN, STABLE, LOST = 0, 1, 2
"""What became of an element: no read tells, it stayed to the end, or it was known and then gone."""


def growing_set(
    add_call: Column,
    add_ret: Column,
    element: Column,
    read_call: Column,
    read_ret: Column,
    offset: Column,
    shown: Column,
) -> Decision:
    """Decide a set that starts empty; rows count the adds first, then the reads.

    Read i showed `shown[offset[i]:offset[i + 1]]`. Elements are interned from 0. Leave out failed
    operations; `FOREVER` marks crashed ones. Not decided: an element that was added twice.
    """
    adds, reads = len(add_call), len(read_call)
    call = np.concatenate((add_call, read_call))
    ret = np.concatenate((add_ret, read_ret))
    size = int(max(element.max(initial=-1), shown.max(initial=-1))) + 1
    if (np.bincount(element, minlength=size) > 1).any():
        return undecided(np.arange(adds + reads, dtype=np.int64))
    reader, shown = _answered(read_ret, offset, shown)
    count = np.bincount(reader, minlength=reads)
    live = np.flatnonzero(read_ret != FOREVER)
    bad = (
        _twice(adds, reader, shown)
        or _garbage(adds, element, reader, shown, size)
        or _disagree(adds, live, reader, shown, count, size)
    )
    if bad:
        return bad
    rank = np.zeros(reads, dtype=np.int64)
    rank[live] = np.unique(count[live], return_inverse=True)[1]
    seen_at = np.full(size, reads, dtype=np.int64)
    np.minimum.at(seen_at, shown, rank[reader])
    block = np.concatenate((2 * seen_at[element], 2 * rank + 1))
    # Crashed reads say nothing; crashed adds that no read shows hinder nobody at the end.
    counts = np.concatenate((np.arange(adds), adds + live))
    return _in_order(call, ret, block, counts) or Decision(True)


def _answered(read_ret: Column, offset: Column, shown: Column) -> tuple[Column, Column]:
    """(read, element) of everything that reads showed."""
    reader = np.repeat(np.arange(len(read_ret), dtype=np.int64), np.diff(offset))
    keep = read_ret[reader] != FOREVER
    return (reader, shown) if keep.all() else (reader[keep], shown[keep])


def _twice(adds: int, reader: Column, shown: Column) -> Decision | None:
    again = _repeated(reader, shown)
    return illegal("element-twice", adds + reader[first(again)]) if again.any() else None


def _repeated(reader: Column, shown: Column) -> Mask:
    """Which (read, element) pairs stand a second time; the pairs of a read stand together."""
    return run(len(shown), _seen_again, reader, shown, int(shown.max(initial=-1)) + 1)


@kernel
def _seen_again(reader: Column, shown: Column, size: int) -> Mask:
    again = np.zeros(len(shown), dtype=np.bool_)
    latest = np.full(size, -1, dtype=np.int64)
    for i in range(len(shown)):
        again[i] = latest[shown[i]] == reader[i]
        latest[shown[i]] = reader[i]
    return again


def _garbage(
    adds: int, element: Column, reader: Column, shown: Column, size: int
) -> Decision | None:
    added = np.zeros(size, dtype=np.bool_)
    added[element] = True
    bad = ~added[shown]
    return illegal("never-written", adds + reader[first(bad)]) if bad.any() else None


def _disagree(
    adds: int, live: Column, reader: Column, shown: Column, count: Column, size: int
) -> Decision | None:
    """Two reads of which neither shows all that the other one shows."""
    order = live[np.argsort(count[live], kind="stable")]
    place = np.full(len(count), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    earliest = np.full(size, len(order), dtype=np.int64)
    np.minimum.at(earliest, shown, place[reader])
    known = np.cumsum(np.bincount(earliest, minlength=len(order) + 1)[: len(order)])
    bad = known != count[order]
    if not bad.any():
        return None
    # All before agree, so the one before misses nothing of theirs.
    at = first(bad)
    return illegal("reads-disagree", adds + order[at], adds + order[at - 1])


def _in_order(call: Column, ret: Column, block: Column, rows: Column) -> Decision | None:
    """The first operation that returned before one of an earlier block was called."""
    rows = rows[np.argsort(block[rows], kind="stable")]
    latest = np.maximum.accumulate(call[rows])
    start = np.searchsorted(block[rows], block[rows], side="left") - 1
    before = np.where(start >= 0, latest[start], LOWEST)
    bad = ret[rows] < before
    if not bad.any():
        return None
    at = first(bad)
    cause = rows[first(call[rows] == before[at])]
    # Both may be adds; then a read that shows the one and not the other tells their order.
    between = rows[block[rows] == block[cause] | 1]
    return illegal("read-out-of-order", rows[at], cause, *between[:1])


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of every element that was added (by its place in `element`).

    `outcome` is `UNSEEN`, `STABLE` or `LOST`; `acknowledged` says that its add returned; `known` is
    when it was first certain (`FOREVER`: never); `stale` is for how long after that (ns) a read
    still began that lacked it, though later ones show it; `missed` is the last read that lacked
    it, -1 for none. `garbage` are elements that reads show and nobody added, `repeated` those that
    one read shows twice.
    """

    outcome: Column
    acknowledged: Mask
    known: Column
    stale: Column
    missed: Column
    garbage: Column
    repeated: Column


def fates(
    add_ret: Column,
    element: Column,
    read_call: Column,
    read_ret: Column,
    offset: Column,
    shown: Column,
) -> Fates:
    """Classify the elements as Jepsen's set-full does; the columns are those of `growing_set`.

    An element is known from its add's return or from the return of the first read that shows it.
    It is lost if a read began after that lacked it, and no later read shows it again.
    """
    size = int(max(element.max(initial=-1), shown.max(initial=-1))) + 1
    whole = shown
    reader, shown = _answered(read_ret, offset, shown)
    again = _repeated(reader, shown)
    added = np.zeros(size, dtype=np.bool_)
    added[element] = True
    garbage, repeated = np.unique(shown[~added[shown]]), np.unique(shown[again])
    known = np.full(size, FOREVER, dtype=np.int64)
    known[element] = add_ret
    np.minimum.at(known, shown, read_ret[reader])
    live = np.flatnonzero(read_ret != FOREVER)
    order = live[np.argsort(read_call[live], kind="stable")]
    place = np.full(len(read_call), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    last = np.full(size, -1, dtype=np.int64)
    np.maximum.at(last, shown, place[reader])
    absent = run(len(whole), _last_absent, order, offset, whole, size)
    call = np.append(read_call[order], LOWEST)
    # Where the two began at the same moment the element is given the benefit of the doubt.
    lacking = (absent >= 0) & (call[absent] > known)
    lost = lacking & ((last < 0) | (call[last] < call[absent]))
    stable = (last >= 0) & ~lost
    outcome = np.where(lost, LOST, np.where(stable, STABLE, UNSEEN))
    stale = np.where(stable & lacking, call[absent] - np.where(known == FOREVER, 0, known), 0)
    missed = np.where(lacking, np.append(order, -1)[absent], -1)
    return Fates(
        outcome=outcome[element],
        acknowledged=add_ret != FOREVER,
        known=known[element],
        stale=stale[element],
        missed=missed[element],
        garbage=garbage,
        repeated=repeated,
    )


@kernel
def _last_absent(order: Column, offset: Column, shown: Column, size: int) -> Column:
    """The last in `order` of the reads that lacks each element, as its place; -1 if all show it."""
    absent = np.full(size, len(order) - 1, dtype=np.int64)
    there = np.full(size, -1, dtype=np.int64)
    # Elements that all reads so far show, going back from the last.
    always = np.arange(size)
    left = size
    for place in range(len(order) - 1, -1, -1):
        read = order[place]
        for i in range(offset[read], offset[read + 1]):
            there[shown[i]] = place
        kept = 0
        for i in range(left):
            element = always[i]
            if there[element] == place:
                always[kept] = element
                kept += 1
            else:
                absent[element] = place
        left = kept
        if left == 0:
            break
    for i in range(left):
        absent[always[i]] = -1
    return absent
