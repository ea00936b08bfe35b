"""Who wrote what: the one write of each value to each key, and which is a transaction's last."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...harness.errors import UsageError
from ...harness.transactions import READ, Transactions
from ..wording import show

Rows = npt.NDArray[Any]


class Writes:
    """The writes and appends of a history, looked up by key and value.

    Everything is a row of micro-operations, -1 where there is none. Raises `UsageError` where one
    value was written to one key twice: what a read of it saw could not be told.
    """

    def __init__(self, txns: Transactions) -> None:
        self.txns = txns
        self.owner = txns.owners()
        self.rows = np.flatnonzero(txns.kind != READ)
        self._base = np.int64(len(txns.values) + 1)
        pairs = self._pairs(txns.key[self.rows], txns.value[self.rows])
        order = np.argsort(pairs, kind="stable")
        self._sorted, self._by_pair = pairs[order], self.rows[order]
        twice = np.flatnonzero(self._sorted[1:] == self._sorted[:-1])
        if len(twice):
            self._refuse(self._by_pair[twice[0]], self._by_pair[twice[0] + 1])

    def find(self, key: Rows, value: Rows) -> npt.NDArray[np.int64]:
        """The write of each value to each key."""
        found = np.full(len(key), -1, dtype=np.int64)
        if not len(self.rows):
            return found
        wanted = self._pairs(key, value)
        at = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        hit = (self._sorted[at] == wanted) & (value >= 0)
        found[hit] = self._by_pair[at[hit]]
        return found

    def last(self) -> npt.NDArray[np.bool_]:
        """For each micro-operation whether it is its transaction's last write of its key."""
        txns, rows = self.txns, self.rows
        last = np.zeros(len(txns.kind), dtype=np.bool_)
        place = self.owner[rows].astype(np.int64) * (len(txns.keys) + 1) + txns.key[rows]
        order = np.argsort(place, kind="stable")
        ends = np.ones(len(rows), dtype=np.bool_)
        ends[:-1] = place[order][1:] != place[order][:-1]
        last[rows[order[ends]]] = True
        return last

    def _pairs(self, key: Rows, value: Rows) -> npt.NDArray[np.int64]:
        return key.astype(np.int64) * self._base + value

    def _refuse(self, first: int, second: int) -> None:
        txns = self.txns
        value, key = txns.values[txns.value[first]], txns.keys[txns.key[first]]
        one, two = (int(txns.index[self.owner[row]]) for row in (first, second))
        where = f"operations {one} and {two}" if one != two else f"operation {one} twice"
        raise UsageError(
            f"every value is written to a key once; {where} wrote {show(value)} to key {show(key)}"
        )
