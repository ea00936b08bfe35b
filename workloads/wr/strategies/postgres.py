"""Registers that transactions share, in a PostgreSQL table."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from ....harness.context import Context


class Upsert:
    """One row per register, one statement for each step, at serializable.

    It is as if transactions ran one after another; those that cannot are refused with 40001.
    """

    workload = "wr"
    needs = ("postgres",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    isolation = "serializable"
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per register, made when it is first written."""
        ctx.postgres.execute("CREATE TABLE register (id int PRIMARY KEY, value bigint NOT NULL)")
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
        row = self.postgres.execute("SELECT value FROM register WHERE id = %s", (key,)).fetchone()
        return row[0] if row else None

    def _write(self, key: int, value: int) -> None:
        self.postgres.execute(
            "INSERT INTO register VALUES (%s, %s)"
            " ON CONFLICT (id) DO UPDATE SET value = excluded.value",
            (key, value),
        )


class UpsertRepeatableRead(Upsert):
    """The statements of `upsert` at repeatable read, which is snapshot isolation.

    Two transactions each read what the other one is about to write. Mend it with serializable.
    """

    expect = "unsafe"
    anomaly = "G2-item"
    faults = ()
    isolation = "repeatable read"


class UpsertReadCommitted(Upsert):
    """The statements of `upsert` at read committed, where each statement sees another moment.

    A transaction sees one half of another one and not the other. Mend it with serializable.
    """

    expect = "unsafe"
    anomaly = "G-single"
    faults = ()
    isolation = "read committed"
