"""What the reads of registers tell: who read whose write, and what is known of the order of versions.

A version is the last write of a transaction to a key. Every piece of its order has a source, and
serves only for what that source proves. That nil comes first, and that a transaction which read a
version and wrote the key put its own after it, holds at every level from read committed on. That
versions follow the order of processes, or real time, is so only where the level promises it: at
such a level the contrary would be a G-single of that variant by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ...harness.columns import FAIL, INFO, OK
from ...harness.history import FOREVER
from ...harness.transactions import NIL, READ, WRITE, Transactions
from .components import components
from .findings import Finding
from .graph import (
    ANTI,
    DEPENDS,
    PASSES,
    PROCESS,
    REALTIME,
    RW,
    UNSEEN,
    WR,
    WW,
    Builder,
    spans,
)
from .writes import Writes

Rows = npt.NDArray[Any]

MOST_BETWEEN = 20
"""Versions beside a transaction's own that may be looked at, for each transaction on average."""


class Registers:
    """The registers of a history.

    `write` is, for every micro-operation, the write that a read saw (-1: nil, unknown or garbage)
    and of a write itself. `version` numbers the last write of each transaction that takes part, and
    beyond `size` the nil of each key: for every micro-operation the version it read or is, -1
    without one. `uses` are the versions that transactions read first or leave, key by key.
    """

    def __init__(self, txns: Transactions) -> None:
        self.txns = txns
        self.writes = Writes(txns)
        self.owner = self.writes.owner
        self.reads = np.flatnonzero((txns.kind == READ) & (txns.value >= NIL))
        self.write = np.full(len(txns.kind), -1, dtype=np.int64)
        self.write[self.writes.rows] = self.writes.rows
        self.write[self.reads] = self.writes.find(txns.key[self.reads], txns.value[self.reads])
        found = self.reads[self.write[self.reads] >= 0]
        observed = np.zeros(len(txns), dtype=np.bool_)
        observed[self.owner[self.write[found]]] = True
        self.taking_part = (txns.type == OK) | ((txns.type == INFO) & observed)
        self._number()
        self._group()

    def _number(self) -> None:
        txns = self.txns
        self.last = self.writes.last()
        self.versions = np.flatnonzero(self.last & self.taking_part[self.owner])
        self.size = len(self.versions)
        number = np.full(len(txns.kind) + 1, -1, dtype=np.int64)
        number[self.versions] = np.arange(self.size)
        self.version = number[self.write]
        nil = self.reads[txns.value[self.reads] == NIL]
        self.version[nil] = self.size + txns.key[nil]
        self.key = txns.key[self.versions]
        self.writer = self.owner[self.versions] if self.size else self.versions

    def _group(self) -> None:
        """Put the steps of each transaction that counts together, key by key."""
        txns = self.txns
        keep = self.taking_part[self.owner]
        rows = np.flatnonzero(keep & ~((txns.kind == READ) & (txns.value < NIL)))
        place = self.owner[rows].astype(np.int64) * (len(txns.keys) + 1) + txns.key[rows]
        order = np.argsort(place, kind="stable")
        self.row, place = rows[order], place[order]
        begins = np.ones(len(place), dtype=np.bool_)
        begins[1:] = place[1:] != place[:-1]
        self.group = np.cumsum(begins) - 1
        self.first = np.flatnonzero(begins)
        self.end = np.append(self.first[1:], len(place))[: len(self.first)]
        wrote = np.where(txns.kind[self.row] == WRITE, np.arange(len(place)), -1)
        latest = np.maximum.accumulate(wrote) if len(place) else wrote
        own = latest[self.end - 1] if len(place) else latest
        known = own >= self.first
        # What each transaction found at a key, and what it left there.
        self.found = np.where(
            txns.kind[self.row[self.first]] == READ, self.version[self.row[self.first]], -1
        )
        self.left = np.where(known, self.version[self.row[own]] if len(place) else -1, -1)
        self.user = self.owner[self.row[self.first]]
        self.used_key = txns.key[self.row[self.first]]

    # --- dependencies ----------------------------------------------------------------------------

    def dependencies(self, builder: Builder) -> list[Finding]:
        """Add what follows from the reads; return what is wrong with the versions themselves."""
        self._add_wr(builder)
        self._add_changes(builder)
        read = self.reads[self.version[self.reads] >= 0]
        self._seen, self._reader = self.version[read], self.owner[read]
        where = np.zeros(len(self.txns.kind), dtype=np.int64)
        where[self.row] = self.group
        # What each reader leaves at the key that it read.
        self._leaves = self.left[where[read]]
        self._writes_too = self._leaves >= 0
        wrong: list[Finding] = []
        known = self._follows(wrong)
        self._add_known(builder, *known)
        by_process = self._in_processes(known, wrong)
        self._add_more(builder, *by_process, PROCESS)
        before = tuple(np.concatenate(each) for each in zip(known, by_process, strict=True))
        _Zones(self).add(builder, before, wrong)
        return wrong

    def _add_wr(self, builder: Builder) -> None:
        read = self.reads[self.write[self.reads] >= 0]
        writer = self.owner[self.write[read]]
        real = self.txns.type[writer] != FAIL
        builder.add(
            writer[real], self.owner[read[real]], count=DEPENDS, why=WR, grade=1, step=read[real]
        )

    def _changes(self) -> Rows:
        """Where a transaction reads something else than it had just read or written there."""
        txns = self.txns
        again = (txns.kind[self.row[1:]] == READ) & (self.group[1:] == self.group[:-1])
        return np.flatnonzero(again & (txns.value[self.row[1:]] != txns.value[self.row[:-1]])) + 1

    def _add_changes(self, builder: Builder) -> None:
        """A second read of another version: whichever is older, its reader missed the other one."""
        again = self._changes()
        again = again[self.txns.kind[self.row[again - 1]] == READ]
        read = self.row[again]
        read = read[self.version[read] >= 0]
        read = read[self.version[read] < self.size]
        builder.add(
            self.owner[read],
            self.owner[self.write[read]],
            count=ANTI,
            why=RW,
            grade=2,
            step=self.write[read],
        )

    def _follows(self, wrong: list[Finding]) -> tuple[Rows, Rows]:
        """Pairs of versions of which a transaction read one and then wrote the other."""
        both = (self.found >= 0) & (self.found < self.size) & (self.left >= 0)
        one, two = self.found[both], self.left[both]
        group = components(self.size, one.astype(np.int32), two.astype(np.int32))
        inside = (group[one] == group[two]) & (one != two)
        if np.any(inside):
            wrong.append(self._cyclic("cyclic-versions", group, one[inside], two[inside]))
        return one[~inside & (one != two)], two[~inside & (one != two)]

    def _cyclic(self, name: str, group: Rows, one: Rows, two: Rows) -> Finding:
        """Versions that go round: a few of the writes, in the order of the history."""
        size = np.bincount(group[one])
        where = int(np.argmin(np.where(size > 0, size, len(one) + 1)))
        members = np.unique(
            np.concatenate((one, two))[np.concatenate((group[one], group[two])) == where]
        )
        steps = tuple(int(step) for step in np.sort(self.versions[members])[:4])
        return Finding(name, int(np.count_nonzero(size)), steps)

    def _add_known(self, builder: Builder, one: Rows, two: Rows) -> None:
        """Whoever read a version, or nil, came before whoever is known to have replaced it.

        That its writer did so, too, follows from what the replacer read.
        """
        nil = self.size + self.key
        builder.add_through(
            self._seen,
            self._reader,
            np.concatenate((one, nil)),
            np.concatenate((self.writer[two], self.writer)),
            step=np.concatenate((self.versions[two], self.versions)),
            writes=self._writes_too,
            grade=2,
        )

    def _in_processes(self, known: tuple[Rows, Rows], wrong: list[Finding]) -> tuple[Rows, Rows]:
        """Pairs of versions that one process left and then found."""
        txns = self.txns
        lane = _pairs(txns.process[self.user], self.used_key)
        order = np.argsort(lane, kind="stable")
        lane = lane[order]
        answered = np.where(txns.type[self.user[order]] == OK, np.arange(len(order)), -1)
        before = np.maximum.accumulate(answered)[:-1] if len(order) else answered
        fits = (before >= 0) & (lane[1:] == lane[before]) if len(order) else before >= 0
        earlier, later = order[before[fits]], order[1:][fits]
        one = np.where(self.left[earlier] >= 0, self.left[earlier], self.found[earlier])
        two = np.where(self.found[later] >= 0, self.found[later], self.left[later])
        real = (one >= 0) & (one < self.size) & (two >= 0) & (two < self.size) & (one != two)
        one, two = one[real], two[real]
        ends = [
            np.concatenate(each).astype(np.int32) for each in zip(known, (one, two), strict=True)
        ]
        group = components(self.size, *ends)
        inside = group[one] == group[two]
        if np.any(inside):
            wrong.append(self._cyclic("cyclic-versions-process", group, one[inside], two[inside]))
        return one[~inside], two[~inside]

    def _add_more(self, builder: Builder, one: Rows, two: Rows, rests: int) -> None:
        """Versions in an order that only stronger levels promise."""
        step = self.versions[two]
        builder.add(
            self.writer[one],
            self.writer[two],
            count=DEPENDS,
            why=WW,
            rests=rests,
            grade=2,
            step=step,
        )
        builder.add_through(
            self._seen,
            self._reader,
            one,
            self.writer[two],
            step=step,
            writes=self._writes_too,
            rests=rests,
            grade=2,
        )

    # --- reads by themselves ---------------------------------------------------------------------

    def findings(self) -> Iterator[Finding]:
        """All anomalies of reads, the gravest first."""
        txns, read = self.txns, self.reads
        write = self.write[read]
        yield from self._told("garbage-read", read[(write < 0) & (txns.value[read] >= 0)], False)
        seen = read[write >= 0]
        source = self.write[seen]
        failed = txns.type[self.owner[source]] == FAIL
        other = self.owner[source] != self.owner[seen]
        yield from self._told("G1a", seen[failed], True)
        yield from self._told("G1b", seen[~failed & other & ~self.last[source]], True)
        yield from self._dirty_updates()
        yield from self._internal()
        yield from self._told("future-read", seen[~other & (source > seen)], True)
        yield from self._lost_updates()

    def _told(self, name: str, read: Rows, with_write: bool) -> Iterator[Finding]:
        if len(read):
            first = int(read[0])
            steps = (first, int(self.write[first])) if with_write else (first,)
            yield Finding(name, len(read), steps, int(self.txns.value[first]))

    def _dirty_updates(self) -> Iterator[Finding]:
        """An acknowledged transaction read what a failed one wrote, and wrote the key itself."""
        if not len(self.first):
            return
        read = self.row[self.first]
        source = self.write[read]
        bad = (self.txns.kind[read] == READ) & (source >= 0) & (self.left >= 0)
        bad[bad] = self.txns.type[self.owner[source[bad]]] == FAIL
        found = np.flatnonzero(bad)
        if len(found):
            at = found[0]
            steps = (int(source[at]), int(self.versions[self.left[at]]))
            yield Finding("dirty-update", len(found), steps)

    def _internal(self) -> Iterator[Finding]:
        """Reads that differ from what the transaction itself had just read or written there."""
        again = self._changes()
        if len(again):
            at = int(again[0])
            yield Finding("internal", len(again), (int(self.row[at - 1]), int(self.row[at])))

    def _lost_updates(self) -> Iterator[Finding]:
        """Transactions that read the same version of a key and then both wrote it."""
        if not len(self.first):
            return
        built = np.flatnonzero(
            (self.found >= 0) & (self.left >= 0) & (self.txns.type[self.user] == OK)
        )
        order = built[np.argsort(self.found[built], kind="stable")]
        same = np.flatnonzero(self.found[order][1:] == self.found[order][:-1])
        if len(same):
            one, two = (int(self.row[self.first[order[same[0] + i]]]) for i in (0, 1))
            yield Finding("lost-update", len(same), (one, two))


class _Zones:
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
        r._add_more(builder, one, two, REALTIME)
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
        real = r._seen < r.size
        plain = real & ~r._writes_too
        seen, reader = r._seen[plain], r._reader[plain]
        fits = keep[seen]
        builder.add(reader[fits], first + self.place[seen[fits]], count=ANTI, why=RW, **ways)
        self._add_beside(builder, keep, real & r._writes_too)

    def _add_beside(self, builder: Builder, keep: Rows, mask: Rows) -> None:
        """Readers that wrote the key themselves, against the versions that are not after their own.

        Through the chain they would come back to their own version.
        """
        r = self.r
        seen, reader, own = r._seen[mask], r._reader[mask], r._leaves[mask]
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


def _pairs(one: Rows, two: Rows) -> Rows:
    return one.astype(np.int64) << 32 | two.astype(np.int64)
