"""Advisory locks of PostgreSQL that belong to a session, and what becomes of the session."""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

from psycopg import Connection

from ....harness.context import Context


class SessionAdvisoryLock:
    """A32: pg_try_advisory_lock, held by the session, guards something outside the database.

    The server ends the session and frees the lock, while its holder goes on working: nobody tells
    it. Mend it with fencing at the resource, or by doing the work in the lock's own transaction.
    """

    workload = "lock"
    needs: tuple[str, ...] = ("postgres",)
    expect = "unsafe"
    anomaly = "double-hold"
    faults: tuple[str, ...] = ("terminate",)
    lease = None
    params: ClassVar[dict[str, Any]] = {"hold": 0.5}
    autocommit = True
    postgres: Connection[Any]

    def open(self, ctx: Context) -> None:
        """Keep the connection: the lock is its own."""
        self.postgres = ctx.postgres

    def acquire(self, name: str, ttl: float) -> bool:
        """Taken or not, at once."""
        return self._asked("pg_try_advisory_lock", name)

    def release(self, name: str, token: Any) -> None:
        """Given back by the session that has it."""
        self._asked("pg_advisory_unlock", name)

    def _asked(self, function: str, name: str) -> bool:
        row = self.postgres.execute(
            f"SELECT {function}(%s)", (zlib.crc32(name.encode()),)
        ).fetchone()
        return bool(row and row[0])


class SessionLockThroughPooler(SessionAdvisoryLock):
    """A30: the same through a pooler that gives sessions out for one transaction at a time.

    Two clients that take turns on one server session both get the lock, since it is theirs
    already; and one that releases it on another session leaves it behind for ever. Mend it with
    pg_advisory_xact_lock in the transaction that does the work.
    """

    needs = ("postgres:pgbouncer",)
    faults = ()
