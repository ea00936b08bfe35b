"""A set in PostgreSQL."""

from __future__ import annotations

from typing import Any

from psycopg import Connection, errors

from ....harness.context import Context


class Insert:
    """D15: one row per element, acknowledged after its commit is on disk."""

    workload = "set"
    needs: tuple[str, ...] = ("postgres",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per element."""
        ctx.postgres.execute("CREATE TABLE element (value bigint PRIMARY KEY)")
        ctx.postgres.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.postgres = ctx.postgres

    def add(self, x: int) -> None:
        """One statement."""
        self.postgres.execute("INSERT INTO element VALUES (%s)", (x,))
        self.postgres.commit()

    def members(self) -> list[int]:
        """One statement, one snapshot."""
        rows = self.postgres.execute("SELECT value FROM element").fetchall()
        self.postgres.commit()
        return [value for (value,) in rows]


class AsynchronousCommit(Insert):
    """D14: synchronous_commit off: a commit is acknowledged before its log is written.

    Killed, the server loses the commits of the last fractions of a second. Mend it with
    synchronous_commit on (`insert`).
    """

    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("kill",)

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        super().open(ctx)
        self.postgres.execute("SET synchronous_commit = off")
        self.postgres.commit()


class InsertSynced(Insert):
    """D15: on a server that syncs its log at every commit; what it acknowledged survives all."""

    needs = ("postgres:durable",)
    faults = ("kill", "power-loss")


class ConflictSwallowed:
    """A04: all elements in one row at repeatable read; an error is logged, and the user told "done".

    Of two who add at the same time one is refused with 40001, and nobody tries again. Mend it by
    repeating the whole transaction, or by letting the error reach the caller.
    """

    workload = "set"
    needs = ("postgres",)
    expect = "unsafe"
    anomaly = "lost-element"
    isolation = "repeatable read"
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row for all."""
        ctx.postgres.execute("CREATE TABLE bag (elements bigint[] NOT NULL)")
        ctx.postgres.execute("INSERT INTO bag VALUES ('{}')")
        ctx.postgres.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.postgres = ctx.postgres

    def add(self, x: int) -> None:
        """One statement, and an error that nobody hears of."""
        try:
            self.postgres.execute("UPDATE bag SET elements = array_append(elements, %s)", (x,))
            self.postgres.commit()
        except errors.SerializationFailure:
            self.postgres.rollback()

    def members(self) -> list[int]:
        """One statement."""
        row = self.postgres.execute("SELECT elements FROM bag").fetchone()
        self.postgres.commit()
        return list(row[0]) if row else []
