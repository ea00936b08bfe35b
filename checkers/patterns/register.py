"""A register whose values are written once: zones.

Gibbons & Korach 1997. All operations on one value are a cluster; f is its first return, s its last
call. Two clusters cannot be put in an order if each has an operation that returned before one of
the other was called: f(A) < s(B), f(B) < s(A). A chain of compare-and-sets (a to b, b to c) is
contiguous in any order, so it counts as one cluster.
"""

from __future__ import annotations

import numpy as np

from ..compiled import kernel, run
from .decision import FOREVER, LOWEST, Column, Decision, Mask, first, illegal, undecided
from .placing import dense, side_by_side

READ, WRITE, CAS, REFUSED = 0, 1, 2, 3
"""Kinds of operations; `REFUSED` is a cas that was refused because it found another value."""


def register(
    call: Column,
    ret: Column,
    kind: Column,
    value: Column,
    *,
    old: Column | None = None,
    key: Column | None = None,
    initial: int = 0,
) -> Decision:
    """Decide registers, one for each key, all starting as `initial`.

    `value` (interned, not negative) is what was read or written, `old` what a cas expected. Leave
    out failed operations; `ret` is `FOREVER` for crashed ones. Not decided, so left in `rest`: keys
    with a value written twice or equal to the initial one, and keys with refused cas.
    """
    key = np.zeros(len(call), dtype=np.int64) if key is None else key
    old = np.zeros(len(call), dtype=np.int64) if old is None else old
    clusters = _Clusters(call, ret, kind, value, old, key, initial)
    found = clusters.garbage() or clusters.too_early() or clusters.chained() or clusters.conflict()
    return found or undecided(clusters.rest)


class _Clusters:
    """The operations that count, by the value that they are about."""

    def __init__(
        self,
        call: Column,
        ret: Column,
        kind: Column,
        value: Column,
        old: Column,
        key: Column,
        initial: int,
    ) -> None:
        self.call, self.ret = call, ret
        keys = int(key.max(initial=-1)) + 1
        every = np.arange(keys, dtype=np.int64)
        swaps = kind == CAS
        before = np.where(swaps, old, initial) if swaps.any() else np.full(1, initial)
        codes, self.size = dense(
            (key, value),
            (key if swaps.any() else every[:1], before),
            (every, np.full(keys, initial)),
        )
        self.of, self.old, self.born = codes
        crashed = ret == FOREVER
        reads = (kind == READ) & ~crashed
        self.writes = ((kind == WRITE) | swaps) & self._effective(reads, swaps, crashed)
        left = self._not_ours(kind, key, keys)
        self.rest = np.flatnonzero(left[key]) if left.any() else np.empty(0, dtype=np.int64)
        ours = ~left[key] if len(self.rest) else np.ones(len(call), dtype=np.bool_)
        self.reads = np.flatnonzero(reads & ours)
        self.writes &= ours
        self.swaps = np.flatnonzero(self.writes & swaps)
        self.writer = np.full(self.size, -1, dtype=np.int64)
        rows = np.flatnonzero(self.writes)
        self.writer[self.of[rows]] = rows
        self.members = np.concatenate((self.reads, rows))
        self.key = np.zeros(self.size, dtype=np.int64)
        self.key[self.of] = key
        self.key[self.born] = every
        self._measure()

    def _effective(self, reads: Mask, swaps: Mask, crashed: Mask) -> Mask:
        """All but crashed writes that left no trace: leaving those out changes nothing."""
        if not crashed.any():
            return ~crashed
        seen = np.zeros(self.size, dtype=np.bool_)
        seen[self.of[reads]] = True
        seen[self.old[np.flatnonzero(swaps & ~crashed)]] = True
        doubtful = np.flatnonzero(swaps & crashed)
        if len(doubtful):
            sources: dict[int, list[int]] = {}
            for row in doubtful.tolist():
                sources.setdefault(int(self.of[row]), []).append(int(self.old[row]))
            # What a seen crashed cas replaced was there as well, and so on back.
            todo = [c for c in sources if seen[c]]
            while todo:
                for earlier in sources.pop(todo.pop(), ()):
                    seen[earlier] = True
                    if earlier in sources:
                        todo.append(earlier)
        return ~crashed | seen[self.of]

    def _not_ours(self, kind: Column, key: Column, keys: int) -> Mask:
        """The keys with a value written twice, with the initial value written, or with refusals."""
        left = np.zeros(keys, dtype=np.bool_)
        left[key[kind == REFUSED]] = True
        rows = np.flatnonzero(self.writes)
        times = np.bincount(self.of[rows], minlength=self.size)
        times[self.born] += 1
        left[key[rows[times[self.of[rows]] > 1]]] = True
        return left

    def _measure(self) -> None:
        self.first = np.full(self.size, FOREVER, dtype=np.int64)
        self.last = np.full(self.size, LOWEST, dtype=np.int64)
        self.used = np.zeros(self.size, dtype=np.bool_)
        at = self.of[self.members]
        np.minimum.at(self.first, at, self.ret[self.members])
        np.maximum.at(self.last, at, self.call[self.members])
        self.used[at] = True
        self.used[self.old[self.swaps]] = True
        # The initial value is as if written before everything.
        self.first[self.born] = LOWEST
        self.block = np.arange(self.size, dtype=np.int64)

    def garbage(self) -> Decision | None:
        """A value that was seen but neither written nor there at the start."""
        known = self.writer >= 0
        known[self.born] = True
        for rows, seen in ((self.reads, self.of), (self.swaps, self.old)):
            bad = ~known[seen[rows]]
            if bad.any():
                return illegal("never-written", rows[first(bad)])
        return None

    def too_early(self) -> Decision | None:
        """A read that returned before the write of its value was called."""
        writer = self.writer[self.of[self.reads]]
        bad = (writer >= 0) & (self.ret[self.reads] < self.call[writer])
        if not bad.any():
            return None
        at = first(bad)
        return illegal("read-before-write", self.reads[at], writer[at])

    def chained(self) -> Decision | None:
        """Join what compare-and-sets tie together, and see whether each chain fits its times."""
        if not len(self.swaps):
            return None
        follower = np.full(self.size, -1, dtype=np.int64)
        follower[self.old[self.swaps]] = self.of[self.swaps]
        lost = self.swaps[follower[self.old[self.swaps]] != self.of[self.swaps]]
        if len(lost):
            other = self.writer[follower[self.old[lost[0]]]]
            return illegal("replaced-twice", lost[0], other)
        root = self.used.copy()
        root[self.of[self.swaps]] = False
        wrong, before = run(
            len(self.call), _walk, np.flatnonzero(root), follower, self.first, self.last, self.block
        )
        if wrong >= 0:
            return illegal(
                "chain-out-of-order", self._row(before, last=True), self._row(wrong, last=False),
                self.writer[before], self.writer[wrong],
            )  # fmt: skip
        inner = np.flatnonzero(follower >= 0)
        circle = inner[self.block[inner] == inner]
        circle = circle[~root[circle]]
        if len(circle):
            return illegal("circular", self.writer[circle[0]], self.writer[follower[circle[0]]])
        return None

    def _row(self, cluster: int, *, last: bool) -> int:
        rows = self.members[self.of[self.members] == cluster]
        if not len(rows):
            return -1
        return int(rows[np.argmax(self.call[rows]) if last else np.argmin(self.ret[rows])])

    def conflict(self) -> Decision | None:
        """Two clusters, each with an operation that must come before one of the other."""
        heads = np.flatnonzero(self.used & (self.block == np.arange(self.size)))
        if not len(heads):
            return None
        f, s = side_by_side(self.key[heads], self.first[heads], self.last[heads])
        forward = f < s
        ahead = np.flatnonzero(forward)
        ahead = ahead[np.argsort(f[ahead], kind="stable")]
        lo, hi = f[ahead], s[ahead]
        bad = lo[1:] < hi[:-1]
        if bad.any():
            at = first(bad)
            pair = heads[ahead[at]], heads[ahead[at + 1]]
            return self._clash("forward-forward", *pair)
        back = np.flatnonzero(~forward)
        at_lo = np.searchsorted(lo, s[back]) - 1
        bad = (at_lo >= 0) & (hi[at_lo] > f[back]) if len(lo) else np.zeros(0, dtype=np.bool_)
        if bad.any():
            at = first(bad)
            return self._clash("backward-in-forward", heads[ahead[at_lo[at]]], heads[back[at]])
        return None

    def _clash(self, pattern: str, one: int, other: int) -> Decision:
        rows: list[int] = []
        for block in (one, other):
            members = self.members[self.block[self.of[self.members]] == block]
            early = members[np.argmin(self.ret[members])]
            late = members[np.argmax(self.call[members])]
            rows += [self.writer[block], early, late, self.writer[self.of[early]]]
            rows.append(self.writer[self.of[late]])
        return illegal(pattern, *rows)


@kernel
def _walk(
    roots: Column, follower: Column, first: Column, last: Column, block: Column
) -> tuple[int, int]:
    """Follow each chain from its first value: (value out of place, an earlier one that shows it).

    The head's `first` and `last` become the whole chain's.
    """
    for i in range(len(roots)):
        head = roots[i]
        at = follower[head]
        latest, who = last[head], head
        while at >= 0:
            block[at] = head
            if first[at] < latest:
                return at, who
            if first[at] < first[head]:
                first[head] = first[at]
            if last[at] > latest:
                latest, who = last[at], at
            at = follower[at]
        last[head] = latest
    return -1, -1
