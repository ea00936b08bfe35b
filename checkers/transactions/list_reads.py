"""What is wrong with reads of lists by themselves: everything in list-append that needs no cycle.

The anomalies are Adya's G1a and G1b and Elle's; each function looks for one, over all reads at
once, and gives its smallest witness.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ...harness.columns import FAIL, OK
from ...harness.transactions import APPEND, READ
from .findings import Finding
from .lists import Lists

Rows = npt.NDArray[Any]


def findings(lists: Lists) -> Iterator[Finding]:
    """All anomalies of reads, the gravest first."""
    for find in (_garbage, _duplicates, _aborted, _intermediate, _dirty_update, _incompatible):
        yield from find(lists)
    own = _Own(lists)
    yield from own.internal()
    yield from _reordered(lists)
    yield from own.future()
    yield from own.lost_updates()


# --- what others wrote ---------------------------------------------------------------------------


def _showing(lists: Lists, bad: Rows, odd_bad: Rows) -> tuple[Rows, Rows, Rows]:
    """The reads that show a bad element: the reads, their first such values, and its append."""
    txns = lists.txns
    first = np.full(len(txns.keys) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, lists.key[bad], lists.at[bad])
    read = lists.even
    read = read[txns.length[read] > first[txns.key[read]]]
    place = txns.order_offset[txns.key[read]] + first[txns.key[read]]
    rows, at = np.unique(lists.odd_read[odd_bad], return_index=True)
    odd = np.flatnonzero(odd_bad)[at]
    return (
        np.concatenate((read, rows)),
        np.concatenate((txns.order_value[place], txns.odd_value[odd])),
        np.concatenate((lists.write[place], lists.odd_write[odd])),
    )


def _garbage(lists: Lists) -> Iterator[Finding]:
    read, value, _ = _showing(lists, lists.write < 0, lists.odd_write < 0)
    if len(read):
        yield Finding("garbage-read", len(read), (int(read[0]),), int(value[0]))


def _failed(lists: Lists, write: Rows, writer: Rows) -> Rows:
    failed = write >= 0
    failed[failed] = lists.txns.type[writer[failed]] == FAIL
    return failed


def _aborted(lists: Lists) -> Iterator[Finding]:
    read, value, write = _showing(
        lists,
        _failed(lists, lists.write, lists.writer),
        _failed(lists, lists.odd_write, lists.odd_writer),
    )
    if len(read):
        yield Finding("G1a", len(read), (int(read[0]), int(write[0])), int(value[0]))


def _intermediate(lists: Lists) -> Iterator[Finding]:
    txns = lists.txns
    read = lists.even[txns.length[lists.even] > 0]
    end = txns.order_offset[txns.key[read]] + txns.length[read] - 1
    odd = lists.odd[txns.length[lists.odd] > 0]
    odd_end = txns.odd_offset[txns.odd[odd] + 1] - 1
    write = np.concatenate((lists.write[end], lists.odd_write[odd_end]))
    read = np.concatenate((read, odd))
    bad = write >= 0
    write, read = write[bad], read[bad]
    found = np.flatnonzero(
        ~lists.writes.last()[write]
        & (lists.owner[write] != lists.owner[read])
        & (txns.type[lists.owner[write]] != FAIL)
    )
    if len(found):
        at = int(found[0])
        value = int(txns.value[write[at]])
        yield Finding("G1b", len(found), (int(read[at]), int(write[at])), value)


def _dirty_update(lists: Lists) -> Iterator[Finding]:
    """An acknowledged append stands after that of a failed transaction."""
    failed = np.flatnonzero(_failed(lists, lists.write, lists.writer))
    good = lists.real.copy()
    good[good] = lists.txns.type[lists.writer[good]] == OK
    sound = np.flatnonzero(good)
    after = np.searchsorted(sound, failed)
    fits = after < len(sound)
    fits[fits] = lists.key[sound[after[fits]]] == lists.key[failed[fits]]
    if np.any(fits):
        one = int(failed[fits][0])
        two = int(sound[after[fits][0]])
        steps = (int(lists.write[one]), int(lists.write[two]))
        yield Finding("dirty-update", int(fits.sum()), steps)


def _duplicates(lists: Lists) -> Iterator[Finding]:
    read = lists.odd[lists.repeats]
    if len(read):
        values, counts = np.unique(lists.elements(int(read[0])), return_counts=True)
        value = int(values[counts > 1][0])
        yield Finding("duplicate-elements", len(read), (int(read[0]),), value)


def _incompatible(lists: Lists) -> Iterator[Finding]:
    read = lists.odd[lists.contradicts]
    if not len(read):
        return
    txns = lists.txns
    same = lists.even[txns.key[lists.even] == txns.key[read[0]]]
    other = same[np.argmax(txns.length[same])] if len(same) else None
    if other is None or txns.length[other] <= lists.trusted[txns.key[read[0]]]:
        # The longest order was seen with an element twice.
        others = [r for r in lists.odd if txns.key[r] == txns.key[read[0]] and r != read[0]]
        other = max(others, key=lambda r: int(txns.length[r]), default=other)
    steps = (int(read[0]),) if other is None else (int(read[0]), int(other))
    yield Finding("incompatible-order", len(read), steps)


def _reordered(lists: Lists) -> Iterator[Finding]:
    """Appends of one transaction to one key that are not seen in the order it made them."""
    txns = lists.txns
    rows = lists.writes.rows
    rows = rows[lists.taking_part[lists.owner[rows]]]
    group = lists.owner[rows].astype(np.int64) * (len(txns.keys) + 1) + txns.key[rows]
    order = np.argsort(group, kind="stable")
    rows, group = rows[order], group[order]
    place = np.full(len(txns.kind), -1, dtype=np.int64)
    known = lists.write >= 0
    place[lists.write[known]] = lists.at[known]
    one, two = rows[:-1], rows[1:]
    bad = (group[:-1] == group[1:]) & (place[two] >= 0)
    # A later one is seen and the one before it is not, or stands behind it.
    bad &= ((place[one] < 0) & ~lists.seen[one]) | (place[one] > place[two])
    found = np.flatnonzero(bad)
    if len(found):
        yield Finding("internal", len(found), (int(one[found[0]]), int(two[found[0]])))


# --- what a transaction's own steps say ----------------------------------------------------------


class _Own:
    """The micro-operations of ok transactions, those of one transaction on one key together."""

    def __init__(self, lists: Lists) -> None:
        self.lists = lists
        txns = self.txns = lists.txns
        rows = np.flatnonzero(txns.type[lists.owner] == OK) if len(lists.owner) else lists.owner
        place = lists.owner[rows].astype(np.int64) * (len(txns.keys) + 1) + txns.key[rows]
        order = np.argsort(place, kind="stable")
        self.row, place = rows[order], place[order]
        begins = np.ones(len(place), dtype=np.bool_)
        begins[1:] = place[1:] != place[:-1]
        self.begin = np.flatnonzero(begins)
        self.group = np.cumsum(begins) - 1
        self.append = txns.kind[self.row] == APPEND
        self.read = txns.kind[self.row] == READ
        self.appends = np.cumsum(self.append)
        self.length = txns.length[self.row].astype(np.int64)
        self.even = self.read & (txns.odd[self.row] < 0)

    def _previous_read(self) -> Rows:
        """For each step the read before it on the same key, -1 without one."""
        here: Rows = np.where(self.read, np.arange(len(self.row)), -1)
        if not len(here):
            return here
        before = np.concatenate(([-1], np.maximum.accumulate(here)[:-1]))
        found: Rows = np.where(before >= self.begin[self.group], before, -1)
        return found

    def _next_read(self) -> Rows:
        """For each step the read after it on the same key, -1 without one."""
        size = len(self.row)
        here = np.where(self.read, np.arange(size), size)[::-1]
        after: Rows = np.minimum.accumulate(here)[::-1] if size else here
        found = after < size
        found[found] = self.group[after[found]] == self.group[found]
        known: Rows = np.where(found, after, -1)
        return known

    def internal(self) -> Iterator[Finding]:
        """Reads that do not show what the transaction itself had read and appended before."""
        bad = self._wrong_lengths() | self._own_missing() | self._changed()
        found = np.flatnonzero(bad)
        if len(found):
            at = int(found[0])
            before = at - 1
            steps = (int(self.row[before]), int(self.row[at]))
            yield Finding("internal", len(found), steps)

    def _wrong_lengths(self) -> Rows:
        if not len(self.row):
            return np.zeros(0, dtype=np.bool_)
        before = self._previous_read()
        own = (
            self.appends
            - self.appends[self.begin[self.group]]
            + self.append[self.begin[self.group]]
        )
        known = before >= 0
        since = np.where(known, self.appends - self.appends[before], own)
        expected = np.where(known, self.length[before] + since, since)
        wrong: Rows = np.where(known, self.length != expected, self.length < expected)
        wrong &= self.read
        return wrong

    def _own_missing(self) -> Rows:
        """Reads in which an own append does not stand where it should."""
        bad = np.zeros(len(self.row), dtype=np.bool_)
        after = self._next_read()
        mine = np.flatnonzero(self.append & (after >= 0))
        read = after[mine]
        at = self.length[read] - (self.appends[read] - self.appends[mine] + 1)
        fits = at >= 0
        bad[read[~fits]] = True
        mine, read, at = mine[fits], read[fits], at[fits]
        txns = self.txns
        odd = txns.odd[self.row[read]]
        value = np.full(len(read), -1, dtype=np.int64)
        even = odd < 0
        value[even] = txns.order_value[txns.order_offset[txns.key[self.row[read[even]]]] + at[even]]
        value[~even] = txns.odd_value[txns.odd_offset[odd[~even]] + at[~even]]
        bad[read[value != txns.value[self.row[mine]]]] = True
        return bad

    def _changed(self) -> Rows:
        """Second reads that do not begin as the first one was; even ones always do."""
        bad = np.zeros(len(self.row), dtype=np.bool_)
        before = self._previous_read()
        again = self.read & (before >= 0)
        again[again] = ~(self.even[again] & self.even[before[again]])
        for at in np.flatnonzero(again).tolist():
            one = self.lists.elements(int(self.row[before[at]]))
            two = self.lists.elements(int(self.row[at]))
            bad[at] = len(two) < len(one) or bool(np.any(two[: len(one)] != one))
        return bad

    def future(self) -> Iterator[Finding]:
        """Reads that show what the transaction appended only later."""
        lists = self.lists
        place = np.full(len(self.txns.kind), np.iinfo(np.int64).max)
        known = lists.write >= 0
        place[lists.write[known]] = lists.at[known]
        # The longest read so far within the group: groups are numbered upwards.
        step = np.int64(2) ** 32
        most = np.where(self.even, self.length + self.group * step, self.group * step)
        most = np.maximum.accumulate(most) if len(most) else most
        bad = np.flatnonzero(self.append & (most - self.group * step > place[self.row]))
        own = (lists.odd_write > lists.odd_read) & (
            lists.odd_writer == lists.owner[lists.odd_read]
            if len(lists.owner)
            else lists.odd_writer >= 0
        )
        odd = np.flatnonzero(own)
        count = len(bad) + len(odd)
        if len(bad):
            at = int(bad[0])
            reads = np.flatnonzero(self.even & (self.group == self.group[at]))
            first = int(reads[self.length[reads] > place[self.row[at]]][0])
            yield Finding("future-read", count, (int(self.row[first]), int(self.row[at])))
        elif len(odd):
            steps = (int(lists.odd_read[odd[0]]), int(lists.odd_write[odd[0]]))
            yield Finding("future-read", count, steps)

    def lost_updates(self) -> Iterator[Finding]:
        """Transactions that read the same version of a key and then both appended to it."""
        if not len(self.row):
            return
        first = self.begin
        ends = np.append(self.begin[1:], len(self.row))
        writes = self.appends[ends - 1] > self.appends[first] - self.append[first]
        built = first[self.even[first] & writes]
        key = self.txns.key[self.row[built]].astype(np.int64)
        version = key << 32 | self.length[built]
        order = np.argsort(version, kind="stable")
        same = np.flatnonzero(version[order][1:] == version[order][:-1])
        if len(same):
            one, two = (int(self.row[built[order[same[0] + i]]]) for i in (0, 1))
            yield Finding("lost-update", len(same), (one, two))


def lost_writes(lists: Lists) -> tuple[Rows, list[Finding]]:
    """The acknowledged appends that no final read shows, though one began after them."""
    txns = lists.txns
    nothing = np.zeros(0, dtype=np.int64)
    final = lists.reads[txns.final[lists.owner[lists.reads]]] if len(lists.reads) else nothing
    if not len(final):
        return nothing, []
    size = len(txns.keys) + 1
    shown = np.zeros(size, dtype=np.int64)
    even = final[txns.odd[final] < 0]
    np.maximum.at(shown, txns.key[even], txns.length[even])
    latest = np.full(size, np.iinfo(np.int64).min)
    np.maximum.at(latest, txns.key[final], txns.call[lists.owner[final]])
    there = np.zeros(len(txns.kind), dtype=np.bool_)
    inside = (lists.at < shown[lists.key]) & (lists.write >= 0)
    there[lists.write[inside]] = True
    odd = np.isin(lists.odd_read, final) & (lists.odd_write >= 0)
    there[lists.odd_write[odd]] = True
    rows = lists.writes.rows
    owner = lists.owner[rows]
    due = (txns.type[owner] == OK) & ~txns.final[owner]
    due &= txns.ret[owner] < latest[txns.key[rows]]
    lost = rows[due & ~there[rows]]
    if not len(lost):
        return nothing, []
    mine = final[txns.key[final] == txns.key[lost[0]]]
    read = mine[np.argmax(txns.call[lists.owner[mine]])]
    return lost, [Finding("lost-write", len(lost), (int(lost[0]), int(read)))]
