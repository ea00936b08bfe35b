"""What the reads of lists tell: the order of each list's elements, who saw how much of it, and
whose appends nobody saw.

The order is the longest one read. Elements that failed transactions appended, or that nobody did,
are passed over in it. Where reads contradict each other it is trusted as far as they all agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...harness.columns import FAIL, INFO, OK
from ...harness.transactions import READ, Transactions
from .graph import ANTI, DEPENDS, RW, WR, WW, Builder
from .writes import Writes

Rows = npt.NDArray[Any]


class Lists:
    """The lists of a history, element by element.

    `key`, `at`, `write`, `writer` describe the elements of all orders, one after another: the key,
    the place within the order, the append (a row of micro-operations, -1 if nobody did it) and its
    transaction. `odd_*` are the same for the elements of reads that are no prefix of the order.
    `reads` are the reads whose answer is known. `taking_part` says which transactions count: those
    that are ok, and those without an answer of which something was seen.
    """

    def __init__(self, txns: Transactions) -> None:
        self.txns = txns
        self.writes = Writes(txns)
        self.owner = self.writes.owner
        sizes = np.diff(txns.order_offset)
        self.key = np.repeat(np.arange(len(sizes)), sizes)
        self.at = np.arange(len(self.key)) - txns.order_offset[self.key]
        self.write = self.writes.find(self.key, txns.order_value)
        self.writer = self._owners(self.write)
        self.reads = np.flatnonzero((txns.kind == READ) & (txns.length >= 0))
        self.even = self.reads[txns.odd[self.reads] < 0]
        self._look_at_odd()
        self.seen = np.zeros(len(txns.kind), dtype=np.bool_)
        self.seen[self.write[self.write >= 0]] = True
        self.seen[self.odd_write[self.odd_write >= 0]] = True
        observed = np.zeros(len(txns), dtype=np.bool_)
        observed[self.owner[self.seen]] = True
        self.taking_part = (txns.type == OK) | ((txns.type == INFO) & observed)
        self._weigh()

    def _owners(self, write: Rows) -> Rows:
        return np.where(write >= 0, self.owner[write] if len(self.owner) else -1, -1)

    def _look_at_odd(self) -> None:
        """Tell reads that show an element twice from reads that contradict the order."""
        txns = self.txns
        odd = self.reads[txns.odd[self.reads] >= 0]
        self.odd = odd[np.argsort(txns.odd[odd])]
        sizes = np.diff(txns.odd_offset)
        self.odd_read = np.repeat(self.odd, sizes)
        self.odd_write = self.writes.find(txns.key[self.odd_read], txns.odd_value)
        self.odd_writer = self._owners(self.odd_write)
        self.trusted = np.diff(txns.order_offset)
        self.repeats = np.zeros(len(self.odd), dtype=np.bool_)
        self.contradicts = np.zeros(len(self.odd), dtype=np.bool_)
        for i, row in enumerate(self.odd.tolist()):
            seen = self.elements(row)
            _, first = np.unique(seen, return_index=True)
            self.repeats[i] = len(first) < len(seen)
            once = seen[np.sort(first)]
            key = txns.key[row]
            order = txns.order_value[txns.order_offset[key] : txns.order_offset[key + 1]]
            both = min(len(once), len(order))
            differ = np.flatnonzero(once[:both] != order[:both])
            if len(differ) or len(once) > len(order):
                self.contradicts[i] = True
                agreed = differ[0] if len(differ) else len(order)
                self.trusted[key] = min(self.trusted[key], agreed)

    def elements(self, read: int) -> Rows:
        """The values that a read saw."""
        txns = self.txns
        odd = txns.odd[read]
        if odd >= 0:
            return txns.odd_value[txns.odd_offset[odd] : txns.odd_offset[odd + 1]]
        begin = txns.order_offset[txns.key[read]]
        return txns.order_value[begin : begin + txns.length[read]]

    def _weigh(self) -> None:
        """Find the elements that count as versions, and how many stand before each place."""
        txns = self.txns
        self.real = self.write >= 0
        self.real[self.real] = txns.type[self.writer[self.real]] != FAIL
        kept = self.real & (self.at < self.trusted[self.key])
        self.versions = np.flatnonzero(kept)
        self._before = np.concatenate(([0], np.cumsum(kept)))
        here = np.where(self.real, np.arange(len(self.real)), -1)
        self._latest = np.maximum.accumulate(here) if len(here) else here

    def latest(self, read: Rows) -> Rows:
        """The last element of each even read that is a version: its place among all, or -1."""
        txns = self.txns
        begin = txns.order_offset[txns.key[read]]
        some = txns.length[read] > 0
        found = np.full(len(read), -1, dtype=np.int64)
        found[some] = self._latest[(begin + txns.length[read] - 1)[some]]
        return np.where(found >= begin, found, -1)

    def unread(self, lost: Rows) -> Rows:
        """The appends that nobody saw, of transactions that took part; `lost` ones left out."""
        rows = self.writes.rows
        keep = ~self.seen[rows] & self.taking_part[self.owner[rows]]
        return np.setdiff1d(rows[keep], lost, assume_unique=True)

    def successions(self) -> tuple[Rows, Rows]:
        """(before, after): whose append another one's just followed, read or not."""
        version = self.versions
        same = self.key[version][1:] == self.key[version][:-1]
        one, two = self.writer[version[:-1][same]], self.writer[version[1:][same]]
        whole = self.trusted == np.diff(self.txns.order_offset)
        unread = self.unread(np.zeros(0, dtype=np.int64))
        key = self.txns.key[unread]
        begin, end = (self._before[self.txns.order_offset[key + i]] for i in (0, 1))
        some = whole[key] & (end > begin)
        newest = self.writer[version[end[some] - 1]] if len(version) else end[some]
        before = np.concatenate([one, newest])
        after = np.concatenate([two, self.owner[unread[some]]])
        return before[before != after], after[before != after]

    def add_dependencies(self, builder: Builder, lost: Rows) -> None:
        """Add what follows from who appended what and who saw how much of it."""
        self._add_wr(builder)
        self._add_known(builder)
        self._add_unread(builder, self.unread(lost))

    def _add_wr(self, builder: Builder) -> None:
        read, last = self.even, self.latest(self.even)
        read, last = read[last >= 0], last[last >= 0]
        builder.add(self.writer[last], self.owner[read], count=DEPENDS, why=WR, grade=1, step=read)
        real = np.flatnonzero(self.odd_write >= 0)
        real = real[self.txns.type[self.odd_writer[real]] != FAIL]
        builder.add(
            self.odd_writer[real],
            self.owner[self.odd_read[real]],
            count=DEPENDS,
            why=WR,
            grade=1,
            step=self.odd_read[real],
        )

    def _add_known(self, builder: Builder) -> None:
        version = self.versions
        same = self.key[version][1:] == self.key[version][:-1]
        before, after = version[:-1][same], version[1:][same]
        builder.add(
            self.writer[before], self.writer[after], count=DEPENDS, why=WW, step=self.write[after]
        )
        read = self._comparable()
        passed, end = self._passed(read)
        more = passed < end
        # Half of a transaction's appends: that is G1b, and not one more cycle.
        begin = self._before[self.txns.order_offset[self.txns.key[read]]]
        half = more & (passed > begin)
        half[half] = self.writer[version[passed[half]]] == self.writer[version[passed[half] - 1]]
        more &= ~half
        after = version[passed[more]]
        builder.add(
            self.owner[read[more]],
            self.writer[after],
            count=ANTI,
            why=RW,
            grade=2,
            step=self.write[after],
        )

    def _comparable(self) -> Rows:
        """The reads of which it is known what they did not see."""
        read = self.even
        return read[self.txns.length[read] <= self.trusted[self.txns.key[read]]]

    def _passed(self, read: Rows) -> tuple[Rows, Rows]:
        """Among all versions, the first that each read did not see, and the end of its key's."""
        offset, key = self.txns.order_offset, self.txns.key[read]
        return self._before[offset[key] + self.txns.length[read]], self._before[offset[key + 1]]

    def _add_unread(self, builder: Builder, unread: Rows) -> None:
        """Appends that nobody saw come after all that was seen, in no order of their own.

        Of a transaction without an answer such an append may never have come about: it serves where
        the transaction must have committed, from read committed on, not for G0.
        """
        txns = self.txns
        whole = self.trusted == np.diff(txns.order_offset)
        unread = unread[whole[txns.key[unread]]]
        begin, last = (self._before[txns.order_offset[txns.key[unread] + i]] for i in (0, 1))
        some = last > begin
        target = self.owner[unread[some]]
        builder.add(
            self.writer[self.versions[last[some] - 1]],
            target,
            count=DEPENDS,
            why=WW,
            grade=(txns.type[target] == INFO).astype(np.int8),
            step=unread[some],
        )
        read = self._comparable()
        read = read[whole[txns.key[read]]]
        passed, end = self._passed(read)
        read = read[passed == end]
        # Whose earlier append is the last one seen was seen by halves: that is G1b.
        half = last > begin
        half[half] = self.writer[self.versions[last[half] - 1]] == self.owner[unread[half]]
        unread = unread[~half]
        builder.add_through(
            txns.key[read],
            self.owner[read],
            txns.key[unread],
            self.owner[unread],
            step=unread,
            writes=np.isin(
                _both(txns.key[read], self.owner[read]), _both(txns.key[unread], self.owner[unread])
            ),
            grade=2,
        )


def _both(key: Rows, owner: Rows) -> Rows:
    return key.astype(np.int64) << 32 | owner.astype(np.int64)
