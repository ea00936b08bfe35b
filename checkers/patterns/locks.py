"""Locks by their definite holds: mutexes with and without owners, semaphores.

A hold lasts from its acquire's return to its release's call (the release may have taken effect at
once, even if it crashed); one never released lasts for ever; a crashed acquire is none. What must
hold is that no moment has more than allowed; then acquires at their returns and releases at their
calls are a legal order. This is the model's own meaning: for leases and holders that die, and for
what a dead process still holds, see `checkers/holds.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .decision import FOREVER, LOWEST, Column, Decision, Mask, first, illegal, undecided
from .placing import dense, side_by_side

ACQUIRE, RELEASE = 0, 1
"""Kinds of operations."""


@dataclass(frozen=True, slots=True)
class Holds:
    """Definite holds, one place each; `release` is -1 where there was none."""

    key: Column
    start: Column
    end: Column
    acquire: Column
    release: Column


def mutex(
    call: Column,
    ret: Column,
    kind: Column,
    process: Column,
    *,
    key: Column | None = None,
    owned: bool = True,
    reentrant: bool = False,
) -> Decision:
    """Decide locks, one for each key: at most one hold at a time.

    Leave out failed operations; a refusal proves nothing. `owned`: only the holder may release,
    and an acquire by the holder is an error (unless `reentrant`: then it is counted). Without
    owners processes that do not alternate are not decided, nor are ever processes that did anything
    before their last operation was over.
    """
    key = np.zeros(len(call), dtype=np.int64) if key is None else key
    turns = Turns(call, ret, kind == ACQUIRE, process, key)
    if turns.confused:
        return undecided(np.arange(len(call), dtype=np.int64))
    bad = turns.without_hold(owned=owned) or (None if reentrant else turns.nested())
    if bad is not None:
        return bad if owned else undecided(np.arange(len(call), dtype=np.int64))
    holds = turns.outermost()
    return within(holds, 1) or Decision(True)


def semaphore(
    call: Column,
    ret: Column,
    kind: Column,
    process: Column,
    limit: int,
    *,
    key: Column | None = None,
) -> Decision:
    """Decide semaphores of `limit` permits; a process may hold several.

    Not decided: processes that released more than they had acquired, or that did anything before
    their last operation was over.
    """
    key = np.zeros(len(call), dtype=np.int64) if key is None else key
    turns = Turns(call, ret, kind == ACQUIRE, process, key)
    if turns.confused or turns.without_hold():
        return undecided(np.arange(len(call), dtype=np.int64))
    holds = turns.each()
    return within(holds, limit) or Decision(True)


def within(holds: Holds, limit: int) -> Decision | None:
    """The first moment of a key at which there are more holds than `limit`, if any.

    Intervals are closed, so one hold may begin at the moment at which another one ends; a hold
    that begins and ends at one moment needs room beside those that go on through it.
    """
    start, end = side_by_side(holds.key, holds.start, holds.end)
    size = len(start)
    instant = start == end
    # At one moment: first what ends, then each instant hold in and out, then what begins.
    when = np.concatenate((end, start))
    rank = np.concatenate((np.where(instant, 1, 0), np.where(instant, 1, 2)))
    which = np.concatenate((2 * np.arange(size) + 1, 2 * np.arange(size)))
    order = np.lexsort((which, rank, when))
    change = np.repeat((-1, 1), size)[order]
    over = np.cumsum(change) > limit
    if not over.any():
        return None
    at = first(over)
    last = int(which[order[at]]) // 2
    around = np.flatnonzero((start <= start[last]) & (end >= start[last]))
    through = (start[around] < end[last]) & (end[around] > start[last])
    through &= (holds.key[around] == holds.key[last]) & (around != last)
    chosen = [last, *around[through][:limit].tolist()]
    return illegal("held-at-once", *holds.acquire[chosen], *holds.release[chosen])


class Turns:
    """Every process's acquires and releases of each key, in its order, and how deep it stands."""

    def __init__(
        self, call: Column, ret: Column, acquires: Mask, process: Column, key: Column
    ) -> None:
        order = np.lexsort((call, process))
        same = process[order][1:] == process[order][:-1]
        self.confused = bool((same & (ret[order][:-1] >= call[order][1:])).any())
        (group,), _ = dense((process - process.min(initial=0), key))
        self.order = np.lexsort((call, group))
        self.call, self.ret, self.key = call, ret, key
        group = group[self.order]
        self.fresh = np.ones(len(group), dtype=np.bool_)
        self.fresh[1:] = group[1:] != group[:-1]
        self.up = acquires[self.order]
        # A crashed acquire is its process's last operation, and no hold.
        self.counts = ~(self.up & (ret[self.order] == FOREVER))
        step = np.where(self.up, 1, -1) * self.counts
        total = np.cumsum(step)
        base = np.where(self.fresh, total - step, LOWEST)
        place = np.maximum.accumulate(np.where(self.fresh, np.arange(len(group)), 0))
        self.depth = total - base[place] if len(group) else total
        self.start = place

    def without_hold(self, *, owned: bool = False) -> Decision | None:
        """A release by a process that held nothing."""
        bad = self.depth < 0
        if owned:
            # One that crashed had no effect; without owners it may have freed what others held.
            bad &= self.ret[self.order] != FOREVER
        if not bad.any():
            return None
        at = first(bad)
        return illegal("release-without-hold", *self.order[self.start[at] : at + 1])

    def nested(self) -> Decision | None:
        """An acquire by a process that held the lock."""
        bad = self.depth > 1
        if not bad.any():
            return None
        at = first(bad)
        return illegal("acquired-twice", self.order[at - 1], self.order[at])

    def outermost(self) -> Holds:
        """Each stretch in which a process held the lock at all."""
        begins = np.flatnonzero(self.up & self.counts & (self.depth == 1))
        ends = np.flatnonzero(~self.up & (self.depth == 0))
        return self._pair(begins, ends)

    def each(self) -> Holds:
        """Every acquire with the release that ends it, the last one first."""
        places, height = np.flatnonzero(self.counts), int(self.depth.max(initial=0))
        level = np.where(self.up, self.depth, self.depth + 1)[places]
        order = places[np.lexsort((places, level, self.start[places]))]
        begins = order[self.up[order]]
        after = np.append(order[1:], -1)[self.up[order]]
        paired = (after >= 0) & ~self.up[after] & (self.start[after] == self.start[begins])
        paired &= height > 0
        return self._holds(begins, np.where(paired, after, -1))

    def _pair(self, begins: Column, ends: Column) -> Holds:
        at = np.searchsorted(ends, begins)
        after = np.append(ends, -1)[at]
        paired = (after >= 0) & (self.start[after] == self.start[begins])
        return self._holds(begins, np.where(paired, after, -1))

    def _holds(self, begins: Column, ends: Column) -> Holds:
        acquire = self.order[begins]
        release = np.where(ends >= 0, self.order[ends], -1) if len(ends) else ends
        end = np.where(release >= 0, self.call[release], FOREVER) if len(ends) else ends
        return Holds(self.key[acquire], self.ret[acquire], end, acquire, release)
