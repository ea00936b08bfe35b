"""What each session must know while a history is gone through event by event: a kernel of numbers.

A version of a key is the row of its write, 0 for nil, rows from 1. What a session had written and
seen when it called a write comes along with that write: so that this need not be copied for each,
what a session learns stands in a log, and whoever sees a write of it reads on from where it was.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..harness.interning import I64
from .compiled import kernel, run

CALL, END, READ = 0, 1, 2
"""Kinds of events: a write was called, it was acknowledged, a read answered."""

NOTHING, RYW, MR, MW, WFR = 0, 1, 2, 3, 4
"""Which guarantee demands a version, in the order of `sessions.GUARANTEES`."""

Flags = npt.NDArray[np.bool_]


def missed(
    kind: I64, session: I64, key: I64, write: I64, place: I64, *, demanded: Flags
) -> tuple[I64, I64]:
    """What each event's read should have seen and did not: the events that missed something, and
    for each (guarantee, due write, and up to three places of witnesses, -1 for none).

    Events are in the order in which they happened; sessions and keys are numbered from 0. `write`
    is the one called, acknowledged or seen, `place` where the operation stands in the history.
    `demanded` by guarantee, `NOTHING` included.
    """
    due = np.zeros((len(kind), 5), dtype=np.int64)
    if len(kind):
        sizes: Any = (int(session.max()) + 1, int(key.max()) + 1, int(write.max()) + 1)
        run(len(kind), _go, kind, session, key, write, place, demanded, *sizes, due)
    events = np.flatnonzero(due[:, 0])
    return events, due[events]


@kernel
def _go(
    kind: I64,
    session: I64,
    key: I64,
    write: I64,
    place: I64,
    demanded: Flags,
    sessions: int,
    keys: int,
    writes: int,
    due: I64,
) -> None:
    """Go through the events; fill in what reads missed.

    By session and key: `wrote`, `saw` (versions), `how` (by which guarantee), `last` (the read that
    showed it), and where that read saw another write: `since` (who had known of it) and `through`.
    The log has an entry for each version that a session wrote or saw, and the one before it.
    """
    wrote = np.zeros((sessions, keys), dtype=np.int32)
    saw = np.zeros((sessions, keys), dtype=np.int32)
    how = np.zeros((sessions, keys), dtype=np.int8)
    last = np.zeros((sessions, keys), dtype=np.int32)
    since = np.zeros((sessions, keys), dtype=np.int32)
    through = np.zeros((sessions, keys), dtype=np.int32)
    # By what a session learns: 0 for what it wrote, 1 for what it saw.
    newest = np.zeros((2, sessions), dtype=np.int64)
    known = np.zeros((2, sessions, sessions), dtype=np.int64)
    brings = np.zeros((2, writes), dtype=np.int64)
    writer = np.zeros(writes, dtype=np.int64)
    called = np.zeros(writes, dtype=np.int64)
    log = np.zeros((1024, 4), dtype=np.int32)
    count = 1
    for event in range(len(kind)):
        me, k, w, here = session[event], key[event], write[event], place[event]
        if kind[event] == CALL:
            writer[w] = me
            called[w] = here
            brings[0, w] = newest[0, me]
            brings[1, w] = newest[1, me]
            continue
        # One event adds at most an entry for each key and each kind of knowledge.
        if count + 2 * keys + 2 > len(log):
            longer = np.zeros((2 * len(log) + 2 * keys + 2, 4), dtype=np.int32)
            longer[:count] = log[:count]
            log = longer
        if kind[event] == END:
            wrote[me, k] = w
            log[count, 0], log[count, 1], log[count, 2] = k, w, here
            log[count, 3] = newest[0, me]
            newest[0, me] = count
            count += 1
            continue
        if demanded[RYW] and w < wrote[me, k]:
            due[event, 0], due[event, 1] = RYW, wrote[me, k]
            due[event, 2], due[event, 3], due[event, 4] = called[wrote[me, k]], -1, -1
            continue
        if demanded[how[me, k]] and w < saw[me, k]:
            due[event, 0], due[event, 1], due[event, 2] = how[me, k], saw[me, k], last[me, k]
            due[event, 3], due[event, 4] = -1, -1
            if how[me, k] != MR:
                due[event, 2], due[event, 3] = since[me, k], through[me, k]
                due[event, 4] = last[me, k]
            continue
        if w <= saw[me, k]:
            continue  # it knew of it, and of all that came with it
        saw[me, k], how[me, k], last[me, k] = w, MR, here
        log[count, 0], log[count, 1], log[count, 2] = k, w, here
        log[count, 3] = newest[1, me]
        newest[1, me] = count
        count += 1
        # Monotonic writes and reads that follow are visible only to a session whose reads are
        # monotonic: two reads of another one may be of two places.
        if not demanded[MR]:
            continue
        for part in range(2):
            guarantee = MW + part
            if not demanded[guarantee]:
                continue
            other = writer[w]
            entry, until = brings[part, w], known[part, me, other]
            if entry > until:
                known[part, me, other] = entry
            # Backwards: of each key the newest version first, the older ones change nothing.
            while entry > until:
                k, version = log[entry, 0], log[entry, 1]
                if saw[me, k] < version:
                    saw[me, k], how[me, k], last[me, k] = version, guarantee, here
                    since[me, k], through[me, k] = log[entry, 2], called[w]
                    log[count, 0], log[count, 1], log[count, 2] = k, version, here
                    log[count, 3] = newest[1, me]
                    newest[1, me] = count
                    count += 1
                entry = log[entry, 3]
