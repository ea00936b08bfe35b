"""The versions of registers in real time: which key's uses say that one came before another.

For the levels that promise real time, and for no other. A key whose versions contradict themselves
is reported and left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...harness.columns import OK
from ...harness.history import FOREVER
from .components import components
from .findings import Finding
from .graph import ANTI, DEPENDS, PASSES, REALTIME, RW, UNSEEN, WW, Builder, spans

if TYPE_CHECKING:
    from .registers import Registers

Rows = npt.NDArray[Any]

MOST_BETWEEN = 20
"""Versions beside a transaction's own that may be looked at, for each transaction on average."""


class Zones:
    """The versions of each key in real time (Gibbons & Korach 1997).

    Version a came before b when somebody who used a had returned before somebody who used b was
    called: when the least return of a, `least`, lies before the greatest call of b, `most`.
    """

    def __init__(self, registers: Registers) -> None:
        self.r = registers
        txns = registers.txns
        ret = np.where(txns.type == OK, txns.ret, FOREVER)
        self.least = np.full(registers.size, FOREVER, dtype=np.int64)
        self.most = np.full(registers.size, np.iinfo(np.int64).min, dtype=np.int64)
        for used in (registers.found, registers.left):
            real = (used >= 0) & (used < registers.size)
            np.minimum.at(self.least, used[real], ret[registers.user[real]])
            np.maximum.at(self.most, used[real], txns.call[registers.user[real]])
        self.order = np.lexsort((self.least, registers.key))
        self.place = np.empty(registers.size, dtype=np.int64)
        self.place[self.order] = np.arange(registers.size)
        key = registers.key[self.order]
        self.begin = np.searchsorted(key, key, side="left")[self.place]
        self.end = np.searchsorted(key, key, side="right")[self.place]
        self.before = _count_below(self.order, self.begin, self.end, self.least, self.most)

    def add(self, builder: Builder, known: tuple[Rows, ...], wrong: list[Finding]) -> None:
        """Add what real time says, for the keys where it does not contradict itself."""
        size = self.r.size
        if not size:
            return
        bad = self._contradictions()
        one, two = self._between(bad)
        keep = ~bad[self.r.key]
        fits = keep[one]
        one, two = one[fits], two[fits]
        linked, barrier = self._links()
        # The chain of moments, and who hangs from which: nodes from `size` on.
        s, t = known
        chain = np.flatnonzero(np.arange(size) + 1 < self.end[self.order])
        source = np.concatenate((np.arange(size), size + chain, size + barrier, one, s))
        target = np.concatenate((size + self.place, size + chain + 1, linked, two, t))
        valid = np.concatenate(
            (keep, keep[self.order[chain]], keep[linked], np.ones(len(one) + len(s), np.bool_))
        )
        group = components(2 * size, source[valid].astype(np.int32), target[valid].astype(np.int32))
        sizes = np.bincount(group)
        circle = np.flatnonzero(sizes[group[:size]] > 1)
        more = np.zeros(len(bad), dtype=np.bool_)
        more[self.r.key[circle]] = True
        if np.any(bad) or np.any(more):
            wrong.append(self._told(bad, more, group, circle))
        keep &= ~more[self.r.key]
        self._add(builder, keep, chain, linked, barrier, one[keep[one]], two[keep[one]])

    def _contradictions(self) -> Rows:
        """The keys of which two versions each came before the other.

        Two versions do so when both zones run forwards and overlap, or one runs backwards inside
        one that runs forwards.
        """
        r = self.r
        bad = np.zeros(len(r.txns.keys) + 1, dtype=np.bool_)
        forward = np.flatnonzero(self.least < self.most)
        forward = forward[np.lexsort((self.least[forward], r.key[forward]))]
        same = r.key[forward][1:] == r.key[forward][:-1]
        overlap = self.least[forward][1:] < self.most[forward][:-1]
        bad[r.key[forward][1:][same & overlap]] = True
        # Forward zones of the other keys are apart, so the last that begins before is the one.
        backward = np.flatnonzero(self.least >= self.most)
        at = _last_below(r.key[forward], self.least[forward], r.key[backward], self.most[backward])
        hit = at >= 0
        inside = self.least[backward[hit]] < self.most[forward[at[hit]]]
        bad[r.key[backward[hit]][inside]] = True
        return bad

    def _links(self) -> tuple[Rows, Rows]:
        """Each version with the moment it hangs from: the last before it that is not its own."""
        until = np.where(self.place < self.before, self.place, self.before)
        linked = np.flatnonzero(until > self.begin)
        return linked, until[linked] - 1

    def _between(self, bad: Rows) -> tuple[Rows, Rows]:
        """Pairs within a forward zone: the versions whose least return lies in it come before.

        In keys that do not contradict themselves there are no more of them than versions.
        """
        forward = np.flatnonzero((self.place + 1 < self.before) & ~bad[self.r.key])
        low, high = self.place[forward] + 1, self.before[forward]
        return self.order[spans(low, high)], np.repeat(forward, high - low)

    def _told(self, bad: Rows, more: Rows, group: Rows, circle: Rows) -> Finding:
        r = self.r
        keys = np.flatnonzero(bad | more)
        if np.any(bad):
            mine = np.flatnonzero(bad[r.key] & (r.key == np.flatnonzero(bad)[0]))
            one, two = self._pair(mine)
            steps = tuple(sorted((int(r.versions[one]), int(r.versions[two]))))
        else:
            mine = circle[group[circle] == group[circle[0]]]
            steps = tuple(int(step) for step in np.sort(r.versions[mine])[:4])
        return Finding("cyclic-versions-realtime", len(keys), steps)

    def _pair(self, versions: Rows) -> tuple[int, int]:
        """Two versions of one key that each came before the other."""
        by_least = versions[np.argsort(self.least[versions], kind="stable")]
        for one in by_least.tolist():
            both = (self.least[one] < self.most[by_least]) & (self.least[by_least] < self.most[one])
            both &= by_least != one
            if np.any(both):
                return one, int(by_least[np.argmax(both)])
        return int(versions[0]), int(versions[-1])

    def _add(
        self,
        builder: Builder,
        keep: Rows,
        chain: Rows,
        linked: Rows,
        barrier: Rows,
        one: Rows,
        two: Rows,
    ) -> None:
        r = self.r
        r.add_ordered(builder, one, two, REALTIME)
        ways: dict[str, Any] = {"rests": REALTIME, "grade": 2}
        first = builder.more(r.size)
        kept = np.flatnonzero(keep)
        builder.add(r.writer[kept], first + self.place[kept], count=DEPENDS, why=WW, **ways)
        mine = chain[keep[self.order[chain]]]
        builder.add(first + mine, first + mine + 1, count=PASSES, why=WW, **ways)
        hangs = keep[linked]
        builder.add(
            first + barrier[hangs],
            r.writer[linked[hangs]],
            count=PASSES,
            why=WW,
            step=r.versions[linked[hangs]],
            **ways,
        )
        real = r.seen < r.size
        plain = real & ~r.writes_too
        seen, reader = r.seen[plain], r.reader[plain]
        fits = keep[seen]
        builder.add(reader[fits], first + self.place[seen[fits]], count=ANTI, why=RW, **ways)
        self._add_beside(builder, keep, real & r.writes_too)

    def _add_beside(self, builder: Builder, keep: Rows, mask: Rows) -> None:
        """Readers that wrote the key themselves, against the versions that are not after their own.

        Through the chain they would come back to their own version.
        """
        r = self.r
        seen, reader, own = r.seen[mask], r.reader[mask], r.leaves[mask]
        fits = keep[seen]
        seen, reader, own = seen[fits], reader[fits], own[fits]
        by_most = np.lexsort((self.most, r.key))
        low = _count_below(
            by_most, self.begin[seen], self.end[seen], self.most, self.least[seen], 1
        )
        high = _count_below(
            by_most, self.begin[seen], self.end[seen], self.most, self.least[own], 1
        )
        high = np.maximum(low, high)
        room = MOST_BETWEEN * r.size + 1_000
        high = np.where(np.cumsum(high - low) <= room, high, low)
        other = by_most[spans(low, high)]
        left = np.repeat(np.arange(len(seen)), high - low)
        apart = (other != seen[left]) & (other != own[left])
        other, left = other[apart], left[apart]
        for count, why in ((ANTI, RW), (DEPENDS, UNSEEN)):
            builder.add(
                reader[left],
                r.writer[other],
                count=count,
                why=why,
                rests=REALTIME,
                grade=2,
                step=r.versions[other],
            )


def _count_below(
    order: Rows, begin: Rows, end: Rows, value: Rows, limit: Rows, inclusive: int = 0
) -> Rows:
    """Where in `order`, which is sorted by value from each begin to its end, the limit would stand.

    A binary search for all at once; equal values count as below if `inclusive`.
    """
    low, high = begin.astype(np.int64).copy(), end.astype(np.int64).copy()
    while True:
        open_ = low < high
        if not np.any(open_):
            return low
        middle = (low + high) >> 1
        at = value[order[np.minimum(middle, max(len(order) - 1, 0))]]
        below = (at <= limit) if inclusive else (at < limit)
        low = np.where(open_ & below, middle + 1, low)
        high = np.where(open_ & ~below, middle, high)


def _last_below(key: Rows, value: Rows, wanted: Rows, limit: Rows) -> Rows:
    """The last row, of rows sorted by key and value, of the wanted key and below the limit; or -1."""
    begin = np.searchsorted(key, wanted, side="left")
    end = np.searchsorted(key, wanted, side="right")
    if not len(key):
        return np.full(len(wanted), -1, dtype=np.int64)
    at = _count_below(np.arange(len(key)), begin, end, value, limit) - 1
    return np.where(at >= begin, at, -1)
