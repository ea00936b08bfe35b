"""Registers in a MariaDB table (InnoDB), alone and with a replica."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ....harness.context import Context

if TYPE_CHECKING:
    from pymysql.connections import Connection

PATIENCE_S = 0.25
"""While a commit waits for the replica, others go on: who waits for ever reads nothing."""


class Row:
    """One row per register: read, blind update, conditional update, each one statement."""

    workload = "register"
    needs: tuple[str, ...] = ("mariadb",)
    expect = "safe"
    anomaly = ""
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    mariadb: Connection

    def setup(self, ctx: Context) -> None:
        """One row per register."""
        with ctx.mariadb.cursor() as cursor:
            cursor.execute("CREATE TABLE register (id int PRIMARY KEY, value bigint)")
            cursor.executemany("INSERT INTO register VALUES (%s, %s)", list(ctx.initial.items()))
        ctx.mariadb.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.mariadb = ctx.mariadb

    def read(self, key: int) -> Any:
        """One statement."""
        with self.mariadb.cursor() as cursor:
            cursor.execute("SELECT value FROM register WHERE id = %s", (key,))
            row = cursor.fetchone()
        self.mariadb.commit()
        return row[0] if row else None

    def write(self, key: int, value: int) -> None:
        """One statement."""
        self._run("UPDATE register SET value = %s WHERE id = %s", value, key)

    def cas(self, key: int, old: int, new: int) -> bool:
        """One statement; the row count says whether the value was the expected one."""
        return (
            self._run("UPDATE register SET value = %s WHERE id = %s AND value = %s", new, key, old)
            == 1
        )

    def _run(self, statement: str, *values: Any) -> int:
        with self.mariadb.cursor() as cursor:
            changed = cursor.execute(statement, values)
        self.mariadb.commit()
        return int(changed)


class SemisyncAfterSync(Row):
    """D12s: a write is visible, and acknowledged, only when the replica has it.

    That is `rpl_semi_sync_master_wait_point = AFTER_SYNC`: the wait comes before the commit in the
    engine. Whatever anybody has read is there after a failover. Who is not answered within a
    quarter of a second goes away, and does not know what became of his write.
    """

    needs = ("mariadb:semisync",)
    faults = ("partition-primary+failover",)
    lasts = 3.0
    params: Mapping[str, Any] = {"keys": 8}

    def open(self, ctx: Context) -> None:
        """Keep the connection, as `pymysql.connect(read_timeout=...)` would have made it."""
        super().open(ctx)
        self.mariadb._read_timeout = PATIENCE_S


class SemisyncAfterCommit(SemisyncAfterSync):
    """D12: everybody sees a write before the replica has it; after a failover it is gone.

    With `AFTER_COMMIT`, MariaDB's default, only the one who commits waits for the replica: nothing
    acknowledged is lost, but others read, and act on, what is lost with the primary. Mend it with
    `AFTER_SYNC` (`semisync-after-sync`).
    """

    needs = ("mariadb:semisync-after-commit",)
    expect = "unsafe"
    anomaly = "nonlinearizable"
