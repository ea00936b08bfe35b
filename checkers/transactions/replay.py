"""A lucky and cheap proof: transactions replayed in real time, each reading what is there.

Just-in-time linearization (Lowe 2017) of whole transactions over registers: at each return, those
pending are tried until the one that returns has taken effect. Found, the order explains everything,
at every level. Not found within the budget, nothing is proved: that takes `serial.py`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..compiled import kernel, run
from .visibility import INITIAL, Reading

Ints = npt.NDArray[np.int64]

PER_TRANSACTION = 8
"""Configurations that may be tried for each transaction."""


def replay(reading: Reading, version: Ints, call: Ints, ret: Ints, forever: int) -> Ints | None:
    """An order that keeps real time and explains every read; None where none was found.

    `version` gives the place of each read's version among the writes, -1 for the initial one.
    """
    n = len(reading)
    if not n:
        return np.zeros(0, dtype=np.int64)
    times = np.concatenate([call, ret[ret != forever]])
    whose = np.concatenate([np.arange(n), np.flatnonzero(ret != forever)])
    returns = np.concatenate([np.zeros(n, np.int64), np.ones(len(times) - n, np.int64)])
    order = np.lexsort((returns, times))
    budget = 10_000 + PER_TRANSACTION * n
    slots = 1 << int(2 * budget).bit_length()
    luck = np.random.default_rng(0).integers(
        1, 2**62, size=n + len(reading.write_key) + reading.keys
    )
    line = run(
        n + len(reading.read_key),
        _replay,
        np.where(returns[order] == 1, -1 - whose[order], whose[order]).astype(np.int64),
        reading.read_off,
        reading.read_key,
        # The initial versions stand after all that were written.
        np.where(version >= 0, version, len(reading.write_key) + reading.read_key),
        reading.write_off,
        reading.write_key,
        reading.keys,
        luck.astype(np.int64),
        np.zeros(slots, dtype=np.int64),
        budget,
    )
    return line if len(line) else None


def versions(reading: Reading) -> Ints:
    """For each read the place of its version among the writes, -1 for the initial one."""
    writer = np.repeat(np.arange(len(reading)), np.diff(reading.write_off))
    span = max(reading.keys, 1)
    at = np.searchsorted(
        writer * span + reading.write_key, reading.read_from * span + reading.read_key
    )
    return np.where(reading.read_from == INITIAL, -1, at).astype(np.int64)


@kernel
def _fits(
    t: int,
    read_off: Ints,
    read_key: Ints,
    version: Ints,
    write_off: Ints,
    write_key: Ints,
    current: Ints,
    unread: Ints,
) -> bool:
    """Whether all that a transaction read is there now, and nobody else waits to read it.

    What it overwrites must have been read by all its other readers: they would never fit again.
    """
    fits = True
    for i in range(read_off[t], read_off[t + 1]):
        fits = fits and current[read_key[i]] == version[i]
    for j in range(write_off[t], write_off[t + 1]):
        if not fits:
            break
        others = unread[current[write_key[j]]]
        for i in range(read_off[t], read_off[t + 1]):
            if read_key[i] == write_key[j]:
                others -= 1
        fits = others == 0
    return fits


@kernel
def _replay(
    events: Ints,
    read_off: Ints,
    read_key: Ints,
    version: Ints,
    write_off: Ints,
    write_key: Ints,
    keys: int,
    luck: Ints,
    seen: Ints,
    budget: int,
) -> Ints:
    """The order that was found; empty without one.

    `events` in the order of time: t where it is called, -1 - t where it returns. Everything that
    is done is logged, so that it can be undone: (0, key, its former version), (1, transaction
    that took effect, 0), (2, called, 0), (3, returned, 0). Pending transactions are a doubly
    linked list. `luck` are random numbers whose xor names a configuration (a collision can only
    make the search miss an order).
    """
    n = len(read_off) - 1
    nothing = np.empty(0, dtype=np.int64)
    current = len(write_key) + np.arange(keys)
    unread = np.zeros(len(write_key) + keys, dtype=np.int64)
    for i in range(len(version)):
        unread[version[i]] += 1
    effective = np.zeros(n, dtype=np.bool_)
    after, before = np.full(n + 1, n, dtype=np.int64), np.full(n + 1, n, dtype=np.int64)
    log = np.empty((4 * n + len(write_key) + 4, 3), dtype=np.int64)
    # What was open to choose: how long the log was, and the next candidate (n: none is left).
    frame = np.empty(n + 1, dtype=np.int64)
    candidate = np.empty(n + 1, dtype=np.int64)
    logged, depth, at, name, tried = 0, 0, 0, 0, 0
    slots = len(seen) - 1
    move = n
    while True:
        if move < n:
            # It takes effect, and so do all pending ones that only read and fit.
            chosen = move
            while chosen < n:
                effective[chosen] = True
                name ^= luck[chosen]
                after[before[chosen]] = after[chosen]
                before[after[chosen]] = before[chosen]
                log[logged, 0], log[logged, 1], log[logged, 2] = 1, chosen, 0
                logged += 1
                for i in range(read_off[chosen], read_off[chosen + 1]):
                    unread[version[i]] -= 1
                for j in range(write_off[chosen], write_off[chosen + 1]):
                    x = write_key[j]
                    old = current[x]
                    log[logged, 0], log[logged, 1], log[logged, 2] = 0, x, old
                    logged += 1
                    name ^= luck[n + old] ^ luck[n + j]
                    current[x] = j
                chosen = after[n]
                while chosen < n:
                    if write_off[chosen] == write_off[chosen + 1] and _fits(
                        chosen,
                        read_off,
                        read_key,
                        version,
                        write_off,
                        write_key,
                        current,
                        unread,
                    ):
                        break
                    chosen = after[chosen]
        wanted = -1
        while at < len(events):
            t = events[at]
            if t >= 0:
                after[before[n]] = t
                before[t], after[t] = before[n], n
                before[n] = t
                log[logged, 0], log[logged, 1], log[logged, 2] = 2, t, 0
            else:
                t = -1 - t
                if not effective[t]:
                    wanted = t
                    break
                name ^= luck[t]
                log[logged, 0], log[logged, 1], log[logged, 2] = 3, t, 0
            logged += 1
            at += 1
        if wanted < 0:
            break
        # A new configuration is opened; one that was seen leads nowhere.
        mark = name ^ (at * 0x9E3779B97F4A7C1 & 0x3FFFFFFFFFFFFFFF)
        if mark == 0:
            mark = 1
        place = mark & slots
        while seen[place] != 0 and seen[place] != mark:
            place = (place + 1) & slots
        if seen[place] == 0:
            seen[place] = mark
            tried += 1
            if tried > budget:
                return nothing
            frame[depth], candidate[depth] = logged, -1
            depth += 1
        move = n
        while depth > 0 and move == n:
            # Undo what came after the last open choice, then take its next candidate.
            while logged > frame[depth - 1]:
                logged -= 1
                kind, x, old = log[logged, 0], log[logged, 1], log[logged, 2]
                if kind == 0:
                    name ^= luck[n + current[x]] ^ luck[n + old]
                    current[x] = old
                elif kind == 1:
                    effective[x] = False
                    name ^= luck[x]
                    for i in range(read_off[x], read_off[x + 1]):
                        unread[version[i]] += 1
                    after[before[x]] = x
                    before[after[x]] = x
                elif kind == 2:
                    after[before[x]] = after[x]
                    before[after[x]] = before[x]
                    at -= 1
                else:
                    name ^= luck[x]
                    at -= 1
            target = -1 - events[at]
            option = candidate[depth - 1]
            while option != n:
                # First the one that returns, then all others in the order of their calls.
                if option == -1:
                    option = target
                elif option == target:
                    option = after[n]
                    if option == target:
                        option = after[option]
                else:
                    option = after[option]
                    if option == target:
                        option = after[option]
                if option != n and _fits(
                    option, read_off, read_key, version, write_off, write_key, current, unread
                ):
                    move = option
                    break
            candidate[depth - 1] = option
            if move == n:
                depth -= 1
        if move == n:
            return nothing
    line = np.empty(n, dtype=np.int64)
    count = 0
    for k in range(logged):
        if log[k, 0] == 1:
            line[count] = log[k, 1]
            count += 1
    # Those that were never answered and that nobody needed earlier take effect in the end.
    t = after[n]
    while t < n:
        if not _fits(t, read_off, read_key, version, write_off, write_key, current, unread):
            return nothing
        for i in range(read_off[t], read_off[t + 1]):
            unread[version[i]] -= 1
        for j in range(write_off[t], write_off[t + 1]):
            current[write_key[j]] = j
        line[count] = t
        count += 1
        t = after[t]
    return line
