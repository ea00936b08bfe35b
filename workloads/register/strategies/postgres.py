"""Registers in a PostgreSQL table."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from ....harness.context import Context


class Row:
    """One row per register: read, blind update, conditional update, each one statement."""

    workload = "register"
    needs = ("postgres",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per register."""
        with ctx.postgres.transaction(), ctx.postgres.cursor() as cursor:
            cursor.execute("CREATE TABLE register (id int PRIMARY KEY, value bigint)")
            cursor.executemany("INSERT INTO register VALUES (%s, %s)", ctx.initial.items())

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.postgres = ctx.postgres

    def read(self, key: int) -> Any:
        """One statement."""
        row = self.postgres.execute("SELECT value FROM register WHERE id = %s", (key,)).fetchone()
        self.postgres.commit()
        return row[0] if row else None

    def write(self, key: int, value: int) -> None:
        """One statement."""
        self.postgres.execute("UPDATE register SET value = %s WHERE id = %s", (value, key))
        self.postgres.commit()

    def cas(self, key: int, old: int, new: int) -> bool:
        """One statement; the row count says whether the value was the expected one."""
        updated = self.postgres.execute(
            "UPDATE register SET value = %s WHERE id = %s AND value = %s", (new, key, old)
        )
        self.postgres.commit()
        return updated.rowcount == 1


class OwnCache(Row):
    """Each session answers reads from a cache of its own that only its own writes refresh.

    What another session wrote is not seen until the cache is emptied. Mend it by reading the row.
    """

    expect = "unsafe"
    anomaly = "nonlinearizable"
    faults = ()
    KEEP = 5
    """A cached value is used this many times."""

    def open(self, ctx: Context) -> None:
        """Keep the connection, and an empty cache."""
        super().open(ctx)
        self.cache: dict[int, tuple[Any, int]] = {}

    def read(self, key: int) -> Any:
        """From the cache while it lasts."""
        value, uses = self.cache.get(key, (None, 0))
        if uses == 0:
            value, uses = super().read(key), self.KEEP
        self.cache[key] = value, uses - 1
        return value

    def write(self, key: int, value: int) -> None:
        """Write through."""
        super().write(key, value)
        self.cache[key] = value, self.KEEP
