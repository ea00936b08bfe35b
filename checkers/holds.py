"""Who surely held a lock, and from when to when: the definite holds of a history.

What is not certain is left out: an indeterminate acquire is no hold, and a holder that was killed,
retired or never finished does not hold for ever.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from ..harness.columns import OK
from ..harness.errors import UsageError
from ..harness.history import TYPES, History
from ..harness.interning import I64, interned
from .patterns.placing import dense
from .rows import Columns, Rows, asked, rows
from .wording import SECOND, freeze

Lease = Literal["ttl", "renewed"] | None
"""What a lock's leases promise: to end, to be renewed while held, or that there are none."""

Seconds = npt.NDArray[np.float64]
_LONGEST = float(2**62)


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


@dataclass(frozen=True, slots=True)
class Holds(Columns):
    """Definite holds in the order of their acquires' invocations, as columns.

    `name` is a number of the lock, `release` -1 where there is none, the rest as in `Hold`.
    """

    name: I64
    process: npt.NDArray[np.int32]
    call: I64
    start: I64
    end: I64
    lease_end: I64
    ttl: Seconds
    acquire: I64
    release: I64

    def __len__(self) -> int:
        return len(self.name)

    def each(self, history: History) -> list[Hold]:
        """Each hold of this history with its lock's name and its token."""
        names = history.values(self.acquire.tolist())
        tokens = history.results(history.pair[self.acquire].tolist())
        return [self._hold(row, freeze(names[row]), tokens[row]) for row in range(len(self))]

    def _hold(self, row: int, name: Hashable, token: Any) -> Hold:
        release = int(self.release[row])
        return Hold(
            name=name,
            process=int(self.process[row]),
            token=token,
            call=int(self.call[row]),
            start=int(self.start[row]),
            end=int(self.end[row]),
            lease_end=int(self.lease_end[row]),
            ttl=float(self.ttl[row]),
            acquire=int(self.acquire[row]),
            release=release if release >= 0 else None,
        )


def definite_holds(history: History, *, ttl: float = 1.0, lease: Lease = "ttl") -> Holds:
    """The definite holds in the order of their acquires' invocations.

    A hold begins when acquire returns and ends at the first of: the invocation of its release,
    whatever its outcome; the next acquire of the same lock by the same process; the last event
    that its process recorded. `ext.ttl` of an acquire replaces `ttl` (seconds); without `lease`
    the lease window is the hold.
    """
    if lease is not None and len(history) and history.time[0] < 0:
        raise UsageError("a history without times says nothing about leases that run out")
    every = rows(history, "acquire", "release")
    releasing = every.f == 1
    name = interned(asked(history, every)).of
    process = history.process[every.index]
    matters = np.flatnonzero(releasing | (every.type == OK))
    (session,), _ = dense((name[matters], process[matters].astype(np.int64)))
    inorder = matters[np.argsort(session, kind="stable")]
    # Whoever asks for a lock again or gives it up has it no more.
    same = name[inorder[1:]] == name[inorder[:-1]]
    same &= process[inorder[1:]] == process[inorder[:-1]]
    following = np.full(len(every), -1, dtype=np.int64)
    following[inorder[:-1][same]] = inorder[1:][same]
    acquired = matters[~releasing[matters]]
    after = following[acquired]
    mine = every.of(acquired)
    until = np.where(after >= 0, _given_up(every)[after], _last_events(history, process[acquired]))
    end = np.maximum(until, mine.ret)
    seconds = granted_seconds(history, mine.index, ttl)
    return Holds(
        name=name[acquired],
        process=process[acquired],
        call=mine.call,
        start=mine.ret,
        end=end,
        lease_end=end if lease is None else np.minimum(end, expiry(mine.call, seconds)),
        ttl=seconds,
        acquire=mine.index,
        release=np.where((after >= 0) & releasing[after], every.index[after], -1),
    )


def _given_up(ending: Rows) -> I64:
    """From when on the lock may be somebody else's: as soon as what ends a hold was sent."""
    return ending.call


def granted_seconds(history: History, acquire: I64, ttl: float) -> Seconds:
    """For how long the leases of these acquires (places of invocations) were granted."""
    seconds = np.full(len(acquire), ttl, dtype=np.float64)
    told = history.told("ext")
    if told:
        ends = history.pair[acquire].tolist()
        for row, (index, end) in enumerate(zip(acquire.tolist(), ends, strict=True)):
            granted = (told.get(end) or told.get(index) or {}).get("ttl")
            if granted is not None:
                seconds[row] = float(granted)
    return seconds


def expiry(call: I64, seconds: Seconds) -> I64:
    """Until when a lease surely ran: it began on the server at the acquire's call or later."""
    return call + np.minimum(np.rint(seconds * SECOND), _LONGEST).astype(np.int64)


def _last_events(history: History, process: npt.NDArray[np.int32]) -> I64:
    """For each of these processes the time of the last event that it recorded itself.

    An `info` may have been written for it by the harness, after its process was gone or its
    connection (and with it perhaps its lock) was lost: it does not prolong a hold.
    """
    times = history.time if len(history) and history.time[0] >= 0 else np.arange(len(history))
    own = np.flatnonzero((history.type != TYPES.index("info")) & (history.process >= 0))
    recorded = history.process[own].astype(np.int64)
    wanted = process.astype(np.int64)
    (who, asked_for), count = dense(
        (np.zeros(len(own), dtype=np.int64), recorded),
        (np.zeros(len(wanted), dtype=np.int64), wanted),
    )
    last = np.full(count, -1, dtype=np.int64)
    np.maximum.at(last, who, times[own])
    return last[asked_for]
