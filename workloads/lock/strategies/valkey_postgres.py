"""A lock in Valkey that guards a row in PostgreSQL, with and without fencing.

With fencing, leases are granted for longer than the ttl: a pause of twice the ttl, the default,
ends shortly after they do, and the next holder is then often still inside its section when the
paused one comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from psycopg import Connection
from redis import Redis

from ....harness.context import Context
from ....harness.lease import Lease
from .valkey import DELETE_IF_MINE

_ACQUIRE = """
if redis.call('EXISTS', KEYS[1]) == 1 then
    return nil
end
local token = redis.call('INCR', 'tokens')
redis.call('SET', KEYS[1], token, 'PX', ARGV[1])
return token
"""


class _Guarded:
    """The lock, whose tokens grow, and the table that it guards."""

    workload = "lock"
    needs = ("valkey", "postgres")
    faults = ("pause-client",)
    autocommit = True
    params: ClassVar[dict[str, Any]] = {"ttl": 0.25, "hold": 0.22, "names": 6}
    leases = 1.8
    """Leases are granted for this many times the ttl."""
    valkey: Redis
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per name."""
        ctx.postgres.execute(
            "CREATE TABLE resource (name text PRIMARY KEY, value int NOT NULL,"
            " fence int NOT NULL DEFAULT 0)"
        )
        for name, value in ctx.initial.items():
            ctx.postgres.execute(
                "INSERT INTO resource (name, value) VALUES (%s, %s)", (name, value)
            )

    def open(self, ctx: Context) -> None:
        """Keep both connections."""
        self.valkey, self.postgres = ctx.valkey, ctx.postgres

    def acquire(self, name: str, ttl: float) -> Lease | None:
        """Take the lock and the next token in one script."""
        lease = self.leases * ttl
        token: Any = self.valkey.eval(_ACQUIRE, 1, name, int(lease * 1000))
        return None if token is None else Lease(int(token), lease)

    def release(self, name: str, token: int) -> None:
        """Compare and delete in one script."""
        self.valkey.eval(DELETE_IF_MINE, 1, name, token)


class WithoutFencing(_Guarded):
    """B06: a correct lock, and a holder that is paused for longer than its lease.

    It comes back and writes what it computed from a value that is long out of date. Mend it with
    `guarded-with-fencing`.
    """

    expect = "unsafe"
    anomaly = "expired-hold"
    leases = 1.0

    def guarded(self, name: str, token: int, step: Callable[[int], int]) -> bool:
        """Read, work, write."""
        row = self.postgres.execute("SELECT value FROM resource WHERE name = %s", (name,))
        new = step(row.fetchone()[0])  # type: ignore[index]
        self.postgres.execute("UPDATE resource SET value = %s WHERE name = %s", (new, name))
        return True


class WithFencing(_Guarded):
    """B07: the row refuses old tokens, on entry as well as at the write.

    Holds may still overlap after a pause, and no harm comes of it.
    """

    expect = "safe"
    fencing = True

    def guarded(self, name: str, token: int, step: Callable[[int], int]) -> bool:
        """Leave the token and read in one statement, work, write if the token is still there."""
        entered = self.postgres.execute(
            "UPDATE resource SET fence = %s WHERE name = %s AND fence < %s RETURNING value",
            (token, name, token),
        ).fetchone()
        if entered is None:
            return False
        return self.write(name, token, step(entered[0]))

    def write(self, name: str, token: int, new: int) -> bool:
        """Compare and write in one statement."""
        written = self.postgres.execute(
            "UPDATE resource SET value = %s WHERE name = %s AND fence = %s", (new, name, token)
        )
        return written.rowcount == 1


class FencingTheWriteOnly(_Guarded):
    """B07b: the row refuses old tokens at the write, but lets everybody read.

    A paused holder that comes back before its successor has written is accepted, and so is the
    successor, who read the same value. Mend it by fencing the entry too (`guarded-with-fencing`).
    """

    expect = "unsafe"
    anomaly = "lost-update"
    fencing = True

    def guarded(self, name: str, token: int, step: Callable[[int], int]) -> bool:
        """Read, work, write if no greater token has written."""
        row = self.postgres.execute("SELECT value FROM resource WHERE name = %s", (name,))
        written = self.postgres.execute(
            "UPDATE resource SET value = %s, fence = %s WHERE name = %s AND fence < %s",
            (step(row.fetchone()[0]), token, name, token),  # type: ignore[index]
        )
        return written.rowcount == 1


class FencingByReadThenWrite(WithFencing):
    """B08: at the write the row's token is read and compared in the application, and then written.

    Between the two a holder can be stopped until its lease has run out: it has been let through
    already, and overwrites what its successor does. Mend it by comparing in the statement that
    writes (`guarded-with-fencing`).
    """

    expect = "unsafe"
    anomaly = "lost-update"

    def open(self, ctx: Context) -> None:
        """Keep both connections."""
        super().open(ctx)
        self.point = ctx.point

    def write(self, name: str, token: int, new: int) -> bool:
        """Look, then write."""
        row = self.postgres.execute("SELECT fence FROM resource WHERE name = %s", (name,))
        if row.fetchone()[0] != token:  # type: ignore[index]
            return False
        self.point("before-write")
        self.postgres.execute("UPDATE resource SET value = %s WHERE name = %s", (new, name))
        return True
