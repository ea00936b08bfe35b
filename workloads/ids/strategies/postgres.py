"""Identifiers from PostgreSQL."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from ....harness.context import Context


class Sequence:
    """A sequence: numbers may be skipped, and are never given twice while the server lives.

    Not declared safe under `kill`: a number that needs no log record of its own is given before
    the record that covers it is on disk.
    """

    workload = "ids"
    needs = ("postgres",)
    expect = "safe"
    faults = ("none", "pause", "kill-client")
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One sequence."""
        ctx.postgres.execute("CREATE SEQUENCE ids")
        ctx.postgres.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.postgres = ctx.postgres

    def next_id(self) -> int:
        """One statement."""
        row = self.postgres.execute("SELECT nextval('ids')").fetchone()
        self.postgres.commit()
        return int(row[0]) if row else 0


class MaxPlusOne:
    """The greatest number plus one, read and then inserted, at read committed.

    Two sessions read the same greatest number. Mend it with a sequence or an identity column.
    """

    workload = "ids"
    needs = ("postgres",)
    expect = "unsafe"
    anomaly = "duplicate"
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per number."""
        ctx.postgres.execute("CREATE TABLE given (id bigint)")
        ctx.postgres.execute("CREATE INDEX ON given (id)")
        ctx.postgres.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.postgres = ctx.postgres

    def next_id(self) -> int:
        """Read, add, insert."""
        row = self.postgres.execute("SELECT coalesce(max(id), 0) FROM given").fetchone()
        number = (int(row[0]) if row else 0) + 1
        self.postgres.execute("INSERT INTO given VALUES (%s)", (number,))
        self.postgres.commit()
        return number
