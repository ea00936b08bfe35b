"""Keys of sessions in PostgreSQL, read from where they are written or from elsewhere."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from ....harness.context import Context

_READ = "SELECT version FROM version WHERE id = %s"


class Row:
    """One row per key, each read and write one statement on the one server."""

    workload = "session"
    needs = ("postgres",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per key, made when it is first written."""
        ctx.postgres.execute("CREATE TABLE version (id int PRIMARY KEY, version int NOT NULL)")
        ctx.postgres.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.postgres = ctx.postgres

    def write(self, key: int, value: int) -> None:
        """One statement."""
        self.postgres.execute(
            "INSERT INTO version VALUES (%s, %s)"
            " ON CONFLICT (id) DO UPDATE SET version = excluded.version",
            (key, value),
        )
        self.postgres.commit()

    def read(self, key: int) -> int | None:
        """One statement."""
        row = self.postgres.execute(_READ, (key,)).fetchone()
        self.postgres.commit()
        return row[0] if row else None


class PrivateCache(Row):
    """C13: a session keeps what it read for its next reads, and does not think of it when it writes.

    It saves and sees the old page. Mend it by putting into the cache what is written, or by
    emptying it.
    """

    expect = "unsafe"
    anomaly = "read-your-writes"
    faults = ()
    KEEP = 8
    """A cached value is used this many times."""

    def open(self, ctx: Context) -> None:
        """Keep the connection, and an empty cache."""
        super().open(ctx)
        self.cache: dict[int, tuple[int | None, int]] = {}

    def read(self, key: int) -> int | None:
        """From the cache while it lasts."""
        value, uses = self.cache.get(key, (None, 0))
        if uses == 0:
            value, uses = super().read(key), self.KEEP
        self.cache[key] = value, uses - 1
        return value


class SnapshotKeptOpen(Row):
    """Some reads go through a second connection whose transaction stays open at repeatable read.

    It shows the same old moment until it is closed: a pool of connections, one of them stale. A
    session sees a version, and then an older one. Mend it by ending every transaction before the
    connection goes back to the pool.
    """

    expect = "unsafe"
    anomaly = "non-monotonic-read"
    faults = ()
    single_transaction = True
    KEEP = 20
    """Reads before the old transaction is closed at last."""

    def open(self, ctx: Context) -> None:
        """Keep both connections."""
        super().open(ctx)
        self.pooled = Connection.connect(ctx.dsn("postgres"))
        self.reads = 0

    def close(self) -> None:
        """Close the second connection."""
        self.pooled.close()

    def read(self, key: int) -> int | None:
        """Every other read from the second connection."""
        self.reads += 1
        if self.reads % 2:
            return super().read(key)
        if self.reads % self.KEEP == 0:
            self.pooled.rollback()
        if self.pooled.info.transaction_status == 0:
            self.pooled.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        row = self.pooled.execute(_READ, (key,)).fetchone()
        return row[0] if row else None
