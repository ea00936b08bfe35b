"""Registers that transactions share, in a MariaDB table (InnoDB)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....harness.context import Context
from ...mariadb import again

if TYPE_CHECKING:
    from pymysql.connections import Connection

MOST = 10_000
"""Registers that are there from the beginning, never written."""


class Upsert:
    """One row per register, one statement for each step, at serializable; again after a deadlock.

    Serializable is two-phase locking here: every plain SELECT locks the rows that it reads.
    """

    workload = "wr"
    needs = ("mariadb",)
    expect = "safe"
    anomaly = ""
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    isolation = "serializable"
    mariadb: Connection

    def setup(self, ctx: Context) -> None:
        """One row per register, as many as most runs need."""
        with ctx.mariadb.cursor() as cursor:
            cursor.execute("CREATE TABLE register (id int PRIMARY KEY, value bigint)")
            cursor.execute("INSERT INTO register SELECT seq, NULL FROM seq_0_to_%s", (MOST,))
        ctx.mariadb.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.mariadb = ctx.mariadb

    def txn(self, mops: list[Any]) -> list[Any]:
        """One transaction, one statement for each step; from the beginning after a deadlock."""
        return again(self.mariadb, lambda: self._steps(mops))

    def _steps(self, mops: list[Any]) -> list[Any]:
        done = [list(mop) for mop in mops]
        with self.mariadb.cursor() as cursor:
            for mop in done:
                if mop[0] == "r":
                    cursor.execute("SELECT value FROM register WHERE id = %s", (mop[1],))
                    row = cursor.fetchone()
                    mop[2] = row[0] if row else None
                else:
                    cursor.execute(
                        "INSERT INTO register VALUES (%s, %s)"
                        " ON DUPLICATE KEY UPDATE value = values(value)",
                        (mop[1], mop[2]),
                    )
        self.mariadb.commit()
        return done


class UpsertRepeatableRead(Upsert):
    """The same statements at repeatable read, MariaDB's default.

    A register that was read is overwritten, whatever was written to it meanwhile. Mend it with
    serializable.
    """

    expect = "unsafe"
    anomaly = "lost-update"
    faults = ()
    isolation = "repeatable read"


class UpsertReadCommitted(Upsert):
    """The same at read committed, where each statement sees another moment.

    A transaction sees one half of another one and not the other. Mend it with serializable.
    """

    expect = "unsafe"
    anomaly = "G-single"
    faults = ()
    isolation = "read committed"


class UpsertReadUncommitted(Upsert):
    """The same at read uncommitted, where everybody sees what is not committed yet.

    Two transactions each see what the other one has written so far. Mend it with read committed
    at least.
    """

    expect = "unsafe"
    anomaly = "G1c"
    faults = ()
    isolation = "read uncommitted"
