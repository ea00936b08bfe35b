"""Locks in Valkey or Redis: SET NX PX, three ways to release it, and two to keep it for ever."""

from __future__ import annotations

import secrets
from typing import Any

from redis import Redis

from ....harness.context import Context

DELETE_IF_MINE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
"""


class _SetNx:
    """Taking the lock is the same for all: one command, a random token, an expiry."""

    workload = "lock"
    needs = ("valkey",)
    valkey: Redis
    point: Any

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey
        self.point = ctx.point

    def acquire(self, name: str, ttl: float) -> str | None:
        """SET NX PX: only if nobody has it, with an expiry."""
        token = secrets.token_hex(8)
        return token if self.valkey.set(name, token, nx=True, px=int(ttl * 1000)) else None


class SetNxPlainDel(_SetNx):
    """B03: released by DEL, whoever holds it.

    A holder that comes back after its lease ran out deletes the next holder's lock, and a third
    one gets in. Mend it with `set-nx-compare-and-del`.
    """

    expect = "unsafe"
    anomaly = "double-hold"
    faults = ("pause-client",)

    def release(self, name: str, token: str) -> None:
        """Delete, whatever is there."""
        self.valkey.delete(name)


class SetNxGetThenDel(_SetNx):
    """B04: released by GET, a look at the token, and DEL: two commands.

    The lease may run out, and the next holder come in, between the two. Besides, no release can
    mend what a paused holder does after its lease. Mend the first with `set-nx-compare-and-del`,
    the second with fencing (`guarded-with-fencing`).
    """

    expect = "unsafe"
    anomaly = "expired-hold"
    faults = ("pause-client",)

    def release(self, name: str, token: str) -> None:
        """Look, then delete."""
        if self.valkey.get(name) == token.encode():
            self.point("after-get")
            self.valkey.delete(name)


class SetNxCompareAndDel(_SetNx):
    """B05: released by a script that compares the token and deletes in one step.

    Right as long as no holder outlives its lease.
    """

    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill-client")

    def release(self, name: str, token: str) -> None:
        """Compare and delete."""
        self.valkey.eval(DELETE_IF_MINE, 1, name, token)


class SetNxWithoutExpiry(SetNxCompareAndDel):
    """B01: SETNX, and nothing that would ever end the lock but its release.

    A holder that dies never releases it, and nobody is given it again. Mend it with an expiry that
    is set in the same command (`set-nx-compare-and-del`).
    """

    expect = "live"
    anomaly = "deadlock"
    faults = ("kill-client",)
    lease: Any = None

    def acquire(self, name: str, ttl: float) -> str | None:
        """SETNX: only if nobody has it."""
        token = secrets.token_hex(8)
        return token if self.valkey.setnx(name, token) else None


class SetNxThenExpire(SetNxWithoutExpiry):
    """B02: SETNX, and then EXPIRE, in a command of its own.

    A client that dies between the two leaves a lock without an expiry behind. Mend it with one
    command for both (`set-nx-compare-and-del`).
    """

    lease = "ttl"

    def acquire(self, name: str, ttl: float) -> str | None:
        """Take it, then say for how long."""
        token = super().acquire(name, ttl)
        if token is not None:
            self.point("before-expire")
            self.valkey.pexpire(name, int(ttl * 1000))
        return token
