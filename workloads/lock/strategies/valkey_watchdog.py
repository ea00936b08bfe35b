"""Locks in Valkey or Redis whose lease a thread of the holder renews for as long as it holds."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any, ClassVar

from redis import RedisError

from ....harness.context import Context
from .valkey import SetNxCompareAndDel

_RENEW_IF_MINE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
"""


class Watchdog(SetNxCompareAndDel):
    """B09: a watchdog renews the lease every third of it, so that a slow holder keeps its lock.

    When the whole process is stopped (a debugger, a long collection of garbage, a virtual machine
    that is moved) so is its watchdog: the lease runs out, and the holder comes back beside the
    next one. Mend it with fencing at the resource (`guarded-with-fencing`).
    """

    expect = "unsafe"
    anomaly = "expired-hold"
    faults = ("pause-client",)
    lease = "renewed"
    params: ClassVar[dict[str, Any]] = {"ttl": 0.5, "hold": 0.6}

    def open(self, ctx: Context) -> None:
        """Keep the connections; nothing is held."""
        super().open(ctx)
        self.over = threading.Event()

    def acquire(self, name: str, ttl: float) -> str | None:
        """Take it, and have it watched."""
        token = super().acquire(name, ttl)
        if token is not None:
            self.over = threading.Event()
            watch = (name, token, ttl, self.over)
            threading.Thread(target=self._watch, args=watch, daemon=True).start()
        return token

    def release(self, name: str, token: str) -> None:
        """No more renewals; compare and delete."""
        self.over.set()
        super().release(name, token)

    def close(self) -> None:
        """No more renewals."""
        self.over.set()

    def renew(self, name: str, token: str, milliseconds: int) -> None:
        """Compare and expire later, in one script."""
        self.valkey.eval(_RENEW_IF_MINE, 1, name, token, milliseconds)

    def _watch(self, name: str, token: str, ttl: float, over: threading.Event) -> None:
        """Renew until it is over, or the server cannot be reached."""
        with suppress(RedisError):
            while not over.wait(ttl / 3):
                self.renew(name, token, int(ttl * 1000))


class WatchdogWithoutToken(Watchdog):
    """B10: the watchdog renews by PEXPIRE, whoever has the lock by now.

    That of a holder who was stopped comes back and prolongs the lock of the next one, and never
    learns that its own is lost: both go on, and should the next one die, nobody is given the lock
    while the first one works. Mend it by comparing the token in a script (`watchdog`); what the
    pause itself does only fencing mends.
    """

    def renew(self, name: str, token: str, milliseconds: int) -> None:
        """Expire later, whatever is there."""
        self.valkey.pexpire(name, milliseconds)
