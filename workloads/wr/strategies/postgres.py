"""Registers that transactions share, in a PostgreSQL table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from psycopg import Connection

from ....harness.context import Context

_READ = "SELECT value FROM register WHERE id = %s"
_LOCKED_READ = f"{_READ} FOR SHARE"
_ABSENT_READ = "INSERT INTO register VALUES (%s, NULL) RETURNING value"
MOST = 10_000
"""Registers that are there from the beginning, never written."""


class Upsert:
    """One row per register, one statement for each step, at serializable.

    Reads lock the row that they read, made if there is none, so that what they saw stays true
    until the commit, whatever the server's own tracking of reads misses (`upsert-plain-reads`).
    """

    workload = "wr"
    needs = ("postgres",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    isolation = "serializable"
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per register, as many as most runs need: what is not there cannot be locked."""
        ctx.postgres.execute("CREATE TABLE register (id int PRIMARY KEY, value bigint)")
        ctx.postgres.execute(
            "INSERT INTO register SELECT n, NULL FROM generate_series(0, %s) n", (MOST,)
        )
        ctx.postgres.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection; a transaction in a deadlock soon gives up, long before the server
        looks for one."""
        self.postgres = ctx.postgres
        self.postgres.execute("SET lock_timeout = '25ms'")
        self.postgres.commit()

    def txn(self, mops: list[Any]) -> list[Any]:
        """One transaction, one statement for each step."""
        for mop in mops:
            if mop[0] == "r":
                mop[2] = self._read(mop[1])
            else:
                self._write(mop[1], mop[2])
        self.postgres.commit()
        return mops

    def _read(self, key: int) -> int | None:
        row = self.postgres.execute(_LOCKED_READ, (key,)).fetchone()
        row = row or self.postgres.execute(_ABSENT_READ, (key,)).fetchone()
        return row[0] if row else None

    def _write(self, key: int, value: int) -> None:
        self.postgres.execute(
            "INSERT INTO register VALUES (%s, %s)"
            " ON CONFLICT (id) DO UPDATE SET value = excluded.value",
            (key, value),
        )


class UpsertPlainReads(Upsert):
    """The same with plain reads, at serializable, which should be as if one ran after another.

    PostgreSQL 15 to 18 let a rare G2-item through (docs/findings.md).
    """

    known: ClassVar[Mapping[str, str]] = {
        "G2-item": "a race between commits in PostgreSQL's serializable, see docs/findings.md"
    }

    def _read(self, key: int) -> int | None:
        row = self.postgres.execute(_READ, (key,)).fetchone()
        return row[0] if row else None


class UpsertRepeatableRead(UpsertPlainReads):
    """The statements of `upsert-plain-reads` at repeatable read, which is snapshot isolation.

    Two transactions each read what the other one is about to write. Mend it with serializable.
    """

    expect = "unsafe"
    anomaly = "G2-item"
    faults = ()
    isolation = "repeatable read"


class UpsertReadCommitted(UpsertPlainReads):
    """The statements of `upsert` at read committed, where each statement sees another moment.

    A transaction sees one half of another one and not the other. Mend it with serializable.
    """

    expect = "unsafe"
    anomaly = "G-single"
    faults = ()
    isolation = "read committed"
