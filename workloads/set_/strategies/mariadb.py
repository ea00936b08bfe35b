"""A set in MariaDB (InnoDB): which acknowledged elements survive what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....harness.context import Context

if TYPE_CHECKING:
    from pymysql.connections import Connection


class Insert:
    """D17: one row per element; the log is written at each commit, and synced once a second.

    That is `innodb_flush_log_at_trx_commit = 2`: a killed server loses nothing, because the kernel
    has the log.
    """

    workload = "set"
    needs: tuple[str, ...] = ("mariadb",)
    expect = "safe"
    anomaly = ""
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    mariadb: Connection

    def setup(self, ctx: Context) -> None:
        """One row per element."""
        with ctx.mariadb.cursor() as cursor:
            cursor.execute("CREATE TABLE element (value bigint PRIMARY KEY)")

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.mariadb = ctx.mariadb

    def add(self, x: int) -> None:
        """One statement."""
        with self.mariadb.cursor() as cursor:
            cursor.execute("INSERT INTO element VALUES (%s)", (x,))
        self.mariadb.commit()

    def members(self) -> list[int]:
        """One statement, one snapshot."""
        with self.mariadb.cursor() as cursor:
            cursor.execute("SELECT value FROM element")
            found = [value for (value,) in cursor.fetchall()]
        self.mariadb.commit()
        return found


class InsertUnflushed(Insert):
    """D16: `innodb_flush_log_at_trx_commit = 0`: a commit is acknowledged before its log is written.

    Killed, the server loses the commits of up to a second. Mend it with 2, or with 1 where the
    power may fail (`insert-synced-mariadb`).
    """

    needs = ("mariadb:unflushed",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("kill",)


class InsertSynced(Insert):
    """D17: on a server that syncs its log at every commit; what it acknowledged survives all.

    That is `innodb_flush_log_at_trx_commit = 1` and `sync_binlog = 1`.
    """

    needs = ("mariadb:durable",)
    faults = ("kill", "power-loss")


class InsertSyncedEachSecond(Insert):
    """D17's other half: the log that is synced once a second does not survive a power loss.

    Mend it with `innodb_flush_log_at_trx_commit = 1` (`insert-synced-mariadb`).
    """

    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("power-loss",)
