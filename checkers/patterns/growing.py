"""A set that only grows and is read whole: the order of adds and reads.

The reads, smallest first, cut the adds into blocks: those first shown by the smallest read, the
reads that show just these, those first shown by the next larger read, and so on; acknowledged adds
that no read shows come last. That order is forced, so the history is legal exactly if it can be
followed: no operation returned before one of an earlier block was called.
"""

from __future__ import annotations

import numpy as np

from ..compiled import kernel, run
from .decision import FOREVER, LOWEST, Column, Decision, Mask, first, illegal, undecided


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
