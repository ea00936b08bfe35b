"""What transactions that are visible to a reader force on the order of versions: weak levels.

Biswas & Enea 2019 define read committed, read atomic and causal consistency by one axiom each: if
t3 reads x from t1, and another writer t2 of x is visible to t3, then t2 comes before t1. They
differ in what is visible: what t3 read from before that read, what it read from or what its session
had done, or all that happened before. The level holds if and only if these orders, those of the
sessions and those of reading do not contradict each other, that is, form no cycle. Only the orders
that the others do not already imply are built (Moldrup & Pavlogiannis 2025, AWDIT, sections 3-5).

Values must be unique per key, so that every read names its writer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..compiled import kernel, run

Ints = npt.NDArray[np.int64]
WeakLevel = Literal["monotonic-read-committed", "read-atomic", "causal"]

INITIAL = -1
"""The writer of what was there in the beginning, as `Reading.read_from` has it."""

MOST_CLOCKS = 1 << 28
"""Entries of all vector clocks together that causal consistency may need."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Who read from whom, transactions numbered from 0 so that each session's are in its order.

    `session` (int64) per transaction, dense from 0. Transaction t's reads from others, in the order
    of its program, are `read_key` and `read_from[read_off[t]:read_off[t + 1]]`; the keys it wrote,
    ascending and once each, `write_key[write_off[t]:write_off[t + 1]]`. All int64.
    """

    session: Ints
    read_off: Ints
    read_key: Ints
    read_from: Ints
    write_off: Ints
    write_key: Ints
    keys: int

    def __len__(self) -> int:
        return len(self.session)


@dataclass(frozen=True, slots=True)
class Forced:
    """Orders of transactions: `before[i]` comes before `after[i]`, because `reader[i]` read `key[i]`.

    The number of transactions stands for the initial state. `complete` is False where the budget
    did not reach and a pass would prove nothing.
    """

    before: Ints
    after: Ints
    reader: Ints
    key: Ints
    complete: bool = True

    def __len__(self) -> int:
        return len(self.before)


def forced(reading: Reading, level: WeakLevel) -> Forced:
    """The orders of versions that the level forces beyond sessions and reading."""
    if level == "monotonic-read-committed":
        return _collected(reading, _by_earlier_reads)
    if level == "read-atomic":
        return _collected(reading, _by_sources_and_session)
    return _causal(reading)


def session_order(reading: Reading) -> tuple[Ints, Ints]:
    """(before, after): each transaction and its session's next; the initial state and each first."""
    n = len(reading)
    order = np.argsort(reading.session, kind="stable").astype(np.int64)
    same = reading.session[order[1:]] == reading.session[order[:-1]]
    firsts = order[np.r_[True, ~same]] if n else order
    before = np.concatenate([order[:-1][same], np.full(len(firsts), n)])
    return before.astype(np.int64), np.concatenate([order[1:][same], firsts]).astype(np.int64)


def reading_order(reading: Reading) -> tuple[Ints, Ints]:
    """(before, after): each writer and who read from it."""
    readers = np.repeat(np.arange(len(reading)), np.diff(reading.read_off))
    known = reading.read_from != INITIAL
    return reading.read_from[known], readers[known].astype(np.int64)


def _collected(reading: Reading, search: Any) -> Forced:
    """Run a kernel twice: to count what it finds, then to write it down."""
    size = len(reading.read_key) + len(reading.write_key)
    columns: Any = (
        reading.session,
        reading.read_off,
        reading.read_key,
        reading.read_from,
        reading.write_off,
        reading.write_key,
        reading.keys,
    )
    nothing = np.zeros((0, 4), dtype=np.int64)
    count = run(size, search, *columns, nothing)
    found = np.zeros((count, 4), dtype=np.int64)
    run(size, search, *columns, found)
    return Forced(found[:, 0], found[:, 1], found[:, 2], found[:, 3])


@kernel
def _by_earlier_reads(
    session: Ints,
    read_off: Ints,
    read_key: Ints,
    read_from: Ints,
    write_off: Ints,
    write_key: Ints,
    keys: int,
    found: Ints,
) -> int:
    """What each transaction had read from before it read a key: returns how many orders.

    Backwards through the reads: per key, the earliest later read's writer, and the next one that
    differs. A later one still is ordered by those two already.
    """
    n = len(session)
    first = np.full(keys, -1, dtype=np.int64)
    second = np.full(keys, -1, dtype=np.int64)
    stamp = np.full(keys, -1, dtype=np.int64)
    met = np.full(n + 1, -1, dtype=np.int64)
    opening = np.zeros(len(read_key), dtype=np.bool_)
    count = 0
    for t in range(n):
        for i in range(read_off[t], read_off[t + 1]):
            writer = read_from[i]
            if writer >= 0 and met[writer] != t:
                met[writer] = t
                opening[i] = True
        for i in range(read_off[t + 1] - 1, read_off[t] - 1, -1):
            writer = read_from[i]
            if opening[i]:
                later = read_off[t + 1] - 1 - i
                wrote = write_off[writer + 1] - write_off[writer]
                if wrote <= later:
                    for j in range(write_off[writer], write_off[writer + 1]):
                        x = write_key[j]
                        if stamp[x] == t:
                            other = first[x] if first[x] != writer else second[x]
                            if other >= 0:
                                if count < len(found):
                                    found[count, 0] = writer
                                    found[count, 1] = other
                                    found[count, 2] = t
                                    found[count, 3] = x
                                count += 1
                else:
                    for j in range(i + 1, read_off[t + 1]):
                        x = read_key[j]
                        other = first[x] if first[x] != writer else second[x]
                        if other < 0:
                            continue
                        lo, hi = write_off[writer], write_off[writer + 1]
                        while lo < hi:
                            middle = (lo + hi) // 2
                            if write_key[middle] < x:
                                lo = middle + 1
                            else:
                                hi = middle
                        if lo < write_off[writer + 1] and write_key[lo] == x:
                            if count < len(found):
                                found[count, 0] = writer
                                found[count, 1] = other
                                found[count, 2] = t
                                found[count, 3] = x
                            count += 1
            x = read_key[i]
            source = writer if writer >= 0 else n
            if stamp[x] != t:
                stamp[x] = t
                first[x], second[x] = source, -1
            elif first[x] != source:
                first[x], second[x] = source, first[x]
    return count


@kernel
def _by_sources_and_session(
    session: Ints,
    read_off: Ints,
    read_key: Ints,
    read_from: Ints,
    write_off: Ints,
    write_key: Ints,
    keys: int,
    found: Ints,
) -> int:
    """All that each transaction read from, and what its session had done: how many orders."""
    n = len(session)
    met = np.full(n + 1, -1, dtype=np.int64)
    count = 0
    # What the session wrote last: chains per key through the writes, walked with a map of pairs.
    last = np.full(len(read_key), -1, dtype=np.int64)
    _last_of_session(session, read_off, read_key, write_off, write_key, keys, last)
    for t in range(n):
        lo, hi = read_off[t], read_off[t + 1]
        for i in range(lo, hi):
            source = read_from[i] if read_from[i] >= 0 else n
            if last[i] >= 0 and last[i] != source:
                if count < len(found):
                    found[count, 0] = last[i]
                    found[count, 1] = source
                    found[count, 2] = t
                    found[count, 3] = read_key[i]
                count += 1
        for i in range(lo, hi):
            writer = read_from[i]
            if writer < 0 or met[writer] == t:
                continue
            met[writer] = t
            for j in range(lo, hi):
                source = read_from[j] if read_from[j] >= 0 else n
                if source == writer:
                    continue
                x = read_key[j]
                a, b = write_off[writer], write_off[writer + 1]
                while a < b:
                    middle = (a + b) // 2
                    if write_key[middle] < x:
                        a = middle + 1
                    else:
                        b = middle
                if a < write_off[writer + 1] and write_key[a] == x:
                    if count < len(found):
                        found[count, 0] = writer
                        found[count, 1] = source
                        found[count, 2] = t
                        found[count, 3] = x
                    count += 1
    return count


@kernel
def _last_of_session(
    session: Ints,
    read_off: Ints,
    read_key: Ints,
    write_off: Ints,
    write_key: Ints,
    keys: int,
    last: Ints,
) -> None:
    """For each read, the last earlier transaction of its session that wrote the key; -1: none."""
    n = len(session)
    order = np.argsort(session, kind="mergesort")
    wrote = np.full(keys, -1, dtype=np.int64)
    of = np.full(keys, -1, dtype=np.int64)
    for k in range(n):
        t = order[k]
        for i in range(read_off[t], read_off[t + 1]):
            x = read_key[i]
            if of[x] == session[t]:
                last[i] = wrote[x]
        for j in range(write_off[t], write_off[t + 1]):
            wrote[write_key[j]] = t
            of[write_key[j]] = session[t]


def _causal(reading: Reading) -> Forced:
    """What happened before each transaction, told by one vector clock each."""
    n = len(reading)
    sessions = int(reading.session.max()) + 1 if n else 0
    nothing = np.zeros(0, dtype=np.int64)
    if n * sessions > MOST_CLOCKS:
        return Forced(nothing, nothing, nothing, nothing, complete=False)
    before, after = (
        np.concatenate(both)
        for both in zip(session_order(reading), reading_order(reading), strict=True)
    )
    real = before != n
    order = _topological(n, before[real], after[real])
    if len(order) < n:
        # Sessions and reading already contradict each other; there is nothing to force.
        return Forced(nothing, nothing, nothing, nothing)
    position = _positions(reading.session)
    writers, start, group_session, group_start = _writers_by_key(reading, position)
    arguments: Any = (
        order,
        reading.session,
        position,
        reading.read_off,
        reading.read_key,
        reading.read_from,
        writers,
        start,
        group_session,
        group_start,
        sessions,
    )
    size = n + len(reading.read_key)
    count = run(size, _by_clocks, *arguments, np.zeros((0, 4), dtype=np.int64))
    found = np.zeros((count, 4), dtype=np.int64)
    run(size, _by_clocks, *arguments, found)
    return Forced(found[:, 0], found[:, 1], found[:, 2], found[:, 3])


def _positions(session: Ints) -> Ints:
    """Each transaction's place within its session, from 0."""
    n = len(session)
    order = np.argsort(session, kind="stable")
    begins = np.r_[0, np.flatnonzero(np.diff(session[order])) + 1] if n else np.zeros(0, np.int64)
    position = np.empty(n, dtype=np.int64)
    lengths = np.diff(np.r_[begins, n]) if n else begins
    position[order] = np.arange(n) - np.repeat(begins, lengths)
    return position


def _writers_by_key(reading: Reading, position: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """The writers of each key grouped by session, in its order.

    Returns (writers, group_start of each key, session of each group, start of each group).
    """
    n = len(reading)
    writer = np.repeat(np.arange(n), np.diff(reading.write_off)).astype(np.int64)
    order = np.lexsort((position[writer], reading.session[writer], reading.write_key))
    writer, key = writer[order], reading.write_key[order]
    session = reading.session[writer]
    new = np.r_[True, (key[1:] != key[:-1]) | (session[1:] != session[:-1])]
    begins = np.flatnonzero(new) if len(writer) else np.zeros(0, dtype=np.int64)
    groups = np.searchsorted(key[begins], np.arange(reading.keys + 1))
    return (
        writer,
        groups.astype(np.int64),
        session[begins].astype(np.int64),
        np.r_[begins, len(writer)].astype(np.int64),
    )


@kernel
def _by_clocks(
    order: Ints,
    session: Ints,
    position: Ints,
    read_off: Ints,
    read_key: Ints,
    read_from: Ints,
    writers: Ints,
    start: Ints,
    group_session: Ints,
    group_start: Ints,
    sessions: int,
    found: Ints,
) -> int:
    """The last writer of each session that happened before each read: how many orders.

    `clock[t, s]` is how many transactions of session s happened before t, t itself included.
    """
    n = len(session)
    clock = np.zeros((n, sessions), dtype=np.int32)
    newest = np.full(sessions, -1, dtype=np.int64)
    count = 0
    for k in range(n):
        t = order[k]
        mine = session[t]
        if newest[mine] >= 0:
            for s in range(sessions):
                clock[t, s] = clock[newest[mine], s]
        for i in range(read_off[t], read_off[t + 1]):
            writer = read_from[i]
            if writer >= 0:
                for s in range(sessions):
                    if clock[writer, s] > clock[t, s]:
                        clock[t, s] = clock[writer, s]
        newest[mine] = t
        for i in range(read_off[t], read_off[t + 1]):
            x = read_key[i]
            source = read_from[i] if read_from[i] >= 0 else n
            for g in range(start[x], start[x + 1]):
                seen = clock[t, group_session[g]]
                lo, hi = group_start[g], group_start[g + 1]
                while lo < hi:
                    middle = (lo + hi) // 2
                    if position[writers[middle]] < seen:
                        lo = middle + 1
                    else:
                        hi = middle
                if lo > group_start[g] and writers[lo - 1] != source:
                    if count < len(found):
                        found[count, 0] = writers[lo - 1]
                        found[count, 1] = source
                        found[count, 2] = t
                        found[count, 3] = x
                    count += 1
        clock[t, mine] = position[t] + 1
    return count


def _topological(n: int, before: Ints, after: Ints) -> Ints:
    """Transactions in an order that agrees with the given ones; fewer than n if there is a cycle."""
    order = np.argsort(before, kind="stable")
    offset = np.searchsorted(before[order], np.arange(n + 1)).astype(np.int64)
    return run(n + len(before), _peel, n, offset, after[order])


@kernel
def _peel(n: int, offset: Ints, to: Ints) -> Ints:
    """Kahn's algorithm: returns those that were reached."""
    waits = np.zeros(n, dtype=np.int64)
    for i in range(len(to)):
        waits[to[i]] += 1
    order = np.empty(n, dtype=np.int64)
    end = 0
    for t in range(n):
        if waits[t] == 0:
            order[end] = t
            end += 1
    at = 0
    while at < end:
        t = order[at]
        at += 1
        for i in range(offset[t], offset[t + 1]):
            waits[to[i]] -= 1
            if waits[to[i]] == 0:
                order[end] = to[i]
                end += 1
    return order[:end]
