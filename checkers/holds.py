"""Who surely held a lock, and from when to when: the definite holds of a history.

What is not certain is left out: an indeterminate acquire is no hold, and a holder that was killed,
retired or never finished does not hold for ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Any, Literal

import msgspec
import numpy as np

from ..harness.errors import UsageError
from ..harness.history import TYPES, History, Operation
from .wording import SECOND, freeze

Lease = Literal["ttl", "renewed"] | None
"""What a lock's leases promise: to end, to be renewed while held, or that there are none."""


class Hold(msgspec.Struct, frozen=True, gc=False):
    """A definite hold. Times in ns; `acquire` and `release` are indices of invocations.

    The lease window is [`start`, `lease_end`]; it is empty where `lease_end` < `start`. `call` is
    when the acquire was called, `ttl` the seconds that its lease was granted for.
    """

    name: Hashable
    process: int
    token: Any
    call: int
    start: int
    end: int
    lease_end: int
    ttl: float
    acquire: int
    release: int | None


def definite_holds(
    history: History,
    *,
    ttl: float = 1.0,
    lease: Lease = "ttl",
) -> list[Hold]:
    """The definite holds in the order of their acquires' invocations.

    A hold begins when acquire returns and ends at the first of: the invocation of its release,
    whatever its outcome; the next acquire of the same lock by the same process; the last event
    that its process recorded. `ext.ttl` of an acquire replaces `ttl` (seconds); without `lease`
    the lease window is the hold.
    """
    if lease is not None and len(history) and history.time[0] < 0:
        raise UsageError("a history without times says nothing about leases that run out")
    last = _last_events(history)
    ends: dict[int, tuple[int, int | None]] = {}
    under_way: defaultdict[tuple[int, Hashable], list[Operation]] = defaultdict(list)
    acquired: list[Operation] = []
    for op in history.operations("acquire", "release"):
        held = under_way[op.process, freeze(op.asked)]
        if op.f == "release":
            if held:
                ends[_released(held, op).index] = _given_up(op), op.index
        elif op.type == "ok":
            ends.update((earlier.index, (op.call, None)) for earlier in held)
            held[:] = [op]
            acquired.append(op)
    return [
        _hold(op, *ends.get(op.index, (last[op.process], None)), ttl=ttl, lease=lease)
        for op in acquired
    ]


def _released(held: list[Operation], release: Operation) -> Operation:
    """The acquire that this release ends: the one with its token, else the latest."""
    token = freeze(release.ext.get("token"))
    match = [op for op in held if token is not None and freeze(op.result) == token]
    ended = (match or held)[-1]
    held.remove(ended)
    return ended


def _given_up(release: Operation) -> int:
    """From when on the lock may be somebody else's: as soon as the release was sent."""
    return release.call


def _hold(op: Operation, end: int, release: int | None, *, ttl: float, lease: Lease) -> Hold:
    end = max(end, op.ret)
    return Hold(
        name=freeze(op.asked),
        process=op.process,
        token=op.result,
        call=op.call,
        start=op.ret,
        end=end,
        lease_end=end if lease is None else min(end, expiry(op, ttl)),
        ttl=_granted_seconds(op, ttl),
        acquire=op.index,
        release=release,
    )


def _granted_seconds(op: Operation, ttl: float) -> float:
    granted = op.ext.get("ttl")
    return float(ttl if granted is None else granted)


def expiry(acquire: Operation, ttl: float) -> int:
    """Until when a lease surely ran: it began on the server at the acquire's call or later."""
    return acquire.call + round(_granted_seconds(acquire, ttl) * SECOND)


def _last_events(history: History) -> dict[int, int]:
    """The time of the last event that each process recorded itself.

    An `info` may have been written for it by the harness, after its process was gone or its
    connection (and with it perhaps its lock) was lost: it does not prolong a hold.
    """
    times = history.time if len(history) and history.time[0] >= 0 else np.arange(len(history))
    own = (history.type != TYPES.index("info")) & (history.process >= 0)
    processes, place = np.unique(history.process[own], return_inverse=True)
    last = np.full(len(processes), -1, dtype=np.int64)
    np.maximum.at(last, place.reshape(-1), times[own])
    return dict(zip(processes.tolist(), last.tolist(), strict=True))
