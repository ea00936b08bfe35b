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
from ...harness.transactions import NIL, READ, WRITE, Transactions
from .components import components
from .findings import Finding
from .graph import (
    ANTI,
    DEPENDS,
    PROCESS,
    RW,
    WR,
    WW,
    Builder,
)
from .writes import Writes
from .zones import Zones

Rows = npt.NDArray[Any]


class Registers:
    """The registers of a history.

    `write` is, for every micro-operation, the write that a read saw (-1: nil, unknown or garbage)
    and of a write itself. `version` numbers the last write of each transaction that takes part, and
    beyond `size` the nil of each key: for every micro-operation the version it read or is, -1
    without one. Of every pair of a transaction and a key (`user`, `used_key`) `found` is the version
    that it read first and `left` the one that it wrote. `seen` and `reader` are the versions that
    reads saw, and by whom; `leaves` is what the reader itself left there, `writes_too` if anything.
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
        self.seen, self.reader = self.version[read], self.owner[read]
        where = np.zeros(len(self.txns.kind), dtype=np.int64)
        where[self.row] = self.group
        # What each reader leaves at the key that it read.
        self.leaves = self.left[where[read]]
        self.writes_too = self.leaves >= 0
        wrong: list[Finding] = []
        known = self._follows(wrong)
        self._add_known(builder, *known)
        by_process = self._in_processes(known, wrong)
        self.add_ordered(builder, *by_process, PROCESS)
        before = tuple(np.concatenate(each) for each in zip(known, by_process, strict=True))
        Zones(self).add(builder, before, wrong)
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
            self.seen,
            self.reader,
            np.concatenate((one, nil)),
            np.concatenate((self.writer[two], self.writer)),
            step=np.concatenate((self.versions[two], self.versions)),
            writes=self.writes_too,
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

    def add_ordered(self, builder: Builder, one: Rows, two: Rows, rests: int) -> None:
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
            self.seen,
            self.reader,
            one,
            self.writer[two],
            step=step,
            writes=self.writes_too,
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
        yield from self._lost_writes()

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

    def _lost_writes(self) -> Iterator[Finding]:
        """Acknowledged writes to keys where final reads, begun after them, found nothing but nil."""
        txns = self.txns
        read = self.reads[txns.final[self.owner[self.reads]]]
        if not len(read):
            return
        begun = np.full(len(txns.keys), -1, dtype=np.int64)
        np.maximum.at(begun, txns.key[read], txns.call[self.owner[read]])
        begun[txns.key[read[txns.value[read] != NIL]]] = -1
        rows = self.writes.rows
        owner = self.owner[rows]
        due = (txns.type[owner] == OK) & ~txns.final[owner]
        lost = rows[due & (txns.ret[owner] < begun[txns.key[rows]])]
        if len(lost):
            mine = read[txns.key[read] == txns.key[lost[0]]]
            last = mine[np.argmax(txns.call[self.owner[mine]])]
            yield Finding("lost-write", len(lost), (int(lost[0]), int(last)))


def _pairs(one: Rows, two: Rows) -> Rows:
    return one.astype(np.int64) << 32 | two.astype(np.int64)
