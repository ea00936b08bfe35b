"""Redlock: a lock is had by whoever sets it on a majority of five independent servers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any, ClassVar

from redis import Redis, RedisError

from ....harness.context import Context
from .valkey import DELETE_IF_MINE

SERVERS = 5
MAJORITY = SERVERS // 2 + 1


class Redlock:
    """B15: SET NX PX on all five, one after another; a majority in time is the lock.

    Right as long as no more than two servers are lost at a time, none comes back empty before
    the leases that it knew of ran out, and no holder outlives its lease.
    """

    workload = "lock"
    needs = ("valkey:five",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill-minority")
    node: Any

    def open(self, ctx: Context) -> None:
        """Connections are made when they are needed: a server may be down."""
        self.node = ctx.node

    def acquire(self, name: str, ttl: float) -> str | None:
        """All five in turn; a majority, while the lease still has time to run."""
        token = secrets.token_hex(8)
        began = time.monotonic()
        had = sum(self._set(server, name, token, ttl) for server in self._servers())
        if had >= MAJORITY and time.monotonic() - began < ttl:
            return token
        self.release(name, token)
        return None

    def release(self, name: str, token: str) -> None:
        """On all five, whoever has it there."""
        for server in self._servers():
            try:
                server.eval(DELETE_IF_MINE, 1, name, token)
            except RedisError:
                continue

    def _set(self, server: Redis, name: str, token: str, ttl: float) -> bool:
        try:
            return bool(server.set(name, token, nx=True, px=int(ttl * 1000)))
        except RedisError:
            return False

    def _servers(self) -> Iterator[Redis]:
        for number in range(SERVERS):
            try:
                yield self.node("valkey", "server", number)
            except RedisError:
                continue


class RedlockPausedHolder(Redlock):
    """B16: no lease knows that its holder was stopped.

    Mend it with fencing at the resource.
    """

    expect = "unsafe"
    anomaly = "expired-hold"
    faults = ("pause-client",)


class RedlockForgetfulServers(Redlock):
    """B18: servers that keep nothing are started again while leases run.

    Those that come back empty grant the lock anew, and soon there is another majority. Mend it by
    an append-only file synced at every write, or by keeping a server away for longer than any lease.
    """

    expect = "unsafe"
    anomaly = "double-hold"
    faults = ("rolling-restart",)
    params: ClassVar[dict[str, Any]] = {"hold": 0.5}


class RedlockJumpingClocks(Redlock):
    """B17: leases run by the servers' wall clocks, and those of most servers jump ahead.

    Every lock that they knew of has run out at once, and whoever asks next gets it. Mend it with
    fencing at the resource; a time service that slews and never steps makes it rarer.
    """

    expect = "unsafe"
    anomaly = "double-hold"
    faults = ("clock-majority",)
    params: ClassVar[dict[str, Any]] = {"hold": 0.5}
