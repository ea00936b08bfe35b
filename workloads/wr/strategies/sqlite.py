"""Registers that transactions share, in a SQLite file (WAL)."""

from __future__ import annotations

import sqlite3
from typing import Any

from ....harness.context import Context


class UpsertBeginImmediate:
    """The transaction begins with BEGIN IMMEDIATE: it has the only right to write from the start."""

    workload = "wr"
    needs = ("sqlite",)
    expect = "safe"
    faults = ("none", "kill-client")
    sqlite: sqlite3.Connection

    def setup(self, ctx: Context) -> None:
        """One row per register."""
        with ctx.sqlite as sqlite:
            sqlite.execute("CREATE TABLE register (id INTEGER PRIMARY KEY, value INTEGER)")

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.sqlite = ctx.sqlite

    def txn(self, mops: list[Any]) -> list[Any]:
        """One statement for each step."""
        self.sqlite.execute("BEGIN IMMEDIATE")
        for mop in mops:
            if mop[0] == "r":
                mop[2] = self._read(mop[1])
            else:
                self._write(mop[1], mop[2])
        self.sqlite.commit()
        return mops

    def _read(self, key: int) -> int | None:
        row = self.sqlite.execute("SELECT value FROM register WHERE id = ?", (key,)).fetchone()
        return row[0] if row else None

    def _write(self, key: int, value: int) -> None:
        self.sqlite.execute(
            "INSERT INTO register VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET value = excluded.value",
            (key, value),
        )
