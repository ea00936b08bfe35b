"""A first-in-first-out queue whose values are enqueued once: four patterns.

Henzinger, Sezgin & Vafeiadis 2013; Bouajjani, Emmi, Enea & Hamza 2015: a history is illegal exactly
if a value is taken before it is put in, taken twice, taken in the reverse order of another, or the
queue is found empty under a covering of values.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .decision import FOREVER, LOWEST, Column, Decision, first, illegal, undecided
from .lifetimes import Lifetimes, found_empty, lifetimes


def fifo_queue(
    call: Column,
    ret: Column,
    kind: Column,
    value: Column,
    *,
    drain: Column | None = None,
) -> Decision:
    """Decide a queue that starts empty, from `PUT`, `TAKE` and `EMPTY` (see lifetimes.py).

    Leave out failed operations. `drain` numbers the dequeues that came from one answer (-1: a
    dequeue of its own), which share call and return and follow one another in the order of rows.
    Not decided: values enqueued twice, and what depends on which values crashed dequeues took when
    the queue was also found empty, or drained.
    """
    got = lifetimes(call, ret, kind, value)
    if isinstance(got, Decision):
        return got
    if not len(got.crashed):
        return (
            _order(got, got.take_call) or _drained(got, drain) or found_empty(got) or Decision(True)
        )
    bare = _order(got, got.take_call) or _drained(got, drain) or found_empty(got)
    if bare is None:
        return Decision(True)
    taken = np.where(got.take < 0, LOWEST, got.take_call)
    relaxed = (
        _order(got, taken) or _drained(got, drain) or found_empty(got.relaxed()) or _deadlines(got)
    )
    if relaxed is not None:
        return relaxed
    if len(got.empty) or (drain is not None and (drain >= 0).any()):
        return undecided(np.arange(len(call), dtype=np.int64))
    return Decision(True)


def _order(got: Lifetimes, take_call: Column) -> Decision | None:
    """VOrd: a was in before b was called, and b was out before a's dequeue was called."""
    order = np.argsort(got.put_ret, kind="stable")
    ready = got.put_ret[order]
    latest = np.maximum.accumulate(take_call[order])
    before = np.searchsorted(ready, got.put_call, side="left") - 1
    bad = (before >= 0) & (latest[before] > got.take_ret)
    if not bad.any():
        return None
    b = first(bad)
    a = order[first(take_call[order] == latest[before[b]])]
    return illegal("VOrd", got.put[a], got.take[a], got.put[b], got.take[b])


def _deadlines(got: Lifetimes) -> Decision | None:
    """Values left over that must have gone before others need one crashed dequeue each, in time."""
    order = np.argsort(-got.put_call, kind="stable")
    called = -got.put_call[order]
    soonest = np.minimum.accumulate(got.take_ret[order])
    kept = got.kept
    after = np.searchsorted(called, -got.put_ret[kept], side="left") - 1
    deadline = np.where(after >= 0, soonest[after], FOREVER) if len(order) else got.put_ret[kept]
    due = kept[np.argsort(deadline, kind="stable")]
    deadline = np.sort(deadline)
    due, deadline = due[deadline < FOREVER], deadline[deadline < FOREVER]
    calls = np.sort(got.call[got.crashed])[: len(due)]
    short = len(calls) < len(due)
    late = calls > deadline[: len(calls)]
    if not short and not late.any():
        return None
    at = first(late) if late.any() else len(calls)
    rows: list[int] = []
    for a in due[: at + 1].tolist():
        later = np.flatnonzero(got.put_call > got.put_ret[a])
        b = later[np.argmin(got.take_ret[later])]
        rows += [got.put[a], got.put[b], got.take[b]]
    return illegal("VOrd", *rows, *got.crashed[got.call[got.crashed] <= deadline[at]])


def _drained(got: Lifetimes, drain: Column | None) -> Decision | None:
    """VOrd within one answer: a value stands before one that was surely in before it."""
    if drain is None:
        return None
    taken = np.flatnonzero(got.take >= 0)
    taken = taken[drain[got.take[taken]] >= 0]
    taken = taken[np.lexsort((got.take[taken], drain[got.take[taken]]))]
    group = drain[got.take[taken]]
    for start, end in _groups(group):
        part = taken[start:end]
        latest = np.maximum.accumulate(got.put_call[part])
        bad = got.put_ret[part[1:]] < latest[:-1]
        if bad.any():
            b = part[1 + first(bad)]
            a = part[first(got.put_call[part] == latest[first(bad)])]
            return illegal("VOrd", got.put[a], got.take[a], got.put[b], got.take[b])
    return None


def _groups(group: Column) -> list[tuple[int, int]]:
    """(start, end) of each run of equal numbers."""
    if not len(group):
        return []
    cuts = np.flatnonzero(group[1:] != group[:-1]) + 1
    edges = [0, *cuts.tolist(), len(group)]
    return list(pairwise(edges))
