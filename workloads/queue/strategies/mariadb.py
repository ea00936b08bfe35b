"""A queue of jobs in a MariaDB table (InnoDB), each with its effect as a row beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....harness.context import Context
from ...mariadb import again

if TYPE_CHECKING:
    from pymysql.connections import Connection


class SkipLocked:
    """A26 on MariaDB: claim with SKIP LOCKED, have the effect and delete the job in one transaction.

    At read committed, where what was passed over and the gap behind the last job stay unlocked:
    at repeatable read, the default, consumers who find nothing would hold up whoever enqueues.
    """

    workload = "queue"
    needs = ("mariadb",)
    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")
    isolation = "read committed"
    mariadb: Connection

    def setup(self, ctx: Context) -> None:
        """Jobs in the order of their ids; effects in the order in which they were had."""
        with ctx.mariadb.cursor() as cursor:
            for name in ("job", "effect"):
                cursor.execute(
                    f"CREATE TABLE {name} (id int AUTO_INCREMENT PRIMARY KEY, message int NOT NULL)"
                )

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.mariadb = ctx.mariadb

    def enqueue(self, message: int) -> None:
        """One row."""
        with self.mariadb.cursor() as cursor:
            cursor.execute("INSERT INTO job (message) VALUES (%s)", (message,))
        self.mariadb.commit()

    def consume(self) -> int | None:
        """Claim, carry out, delete, commit."""
        return again(self.mariadb, self._consume)

    def _consume(self) -> int | None:
        with self.mariadb.cursor() as cursor:
            cursor.execute("SELECT id, message FROM job ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED")
            job = cursor.fetchone()
            if job:
                cursor.execute("INSERT INTO effect (message) VALUES (%s)", (job[1],))
                cursor.execute("DELETE FROM job WHERE id = %s", (job[0],))
        self.mariadb.commit()
        return job[1] if job else None

    def effects(self) -> list[int]:
        """One statement, one snapshot."""
        with self.mariadb.cursor() as cursor:
            cursor.execute("SELECT message FROM effect ORDER BY id")
            rows = cursor.fetchall()
        self.mariadb.commit()
        return [message for (message,) in rows]
