"""Lists in a SQLite file that several connections share (WAL)."""

from __future__ import annotations

import sqlite3
from typing import Any

from ....harness.context import Context


class BeginImmediate:
    """The transaction begins with BEGIN IMMEDIATE: it has the only right to write from the start."""

    workload = "append"
    needs = ("sqlite",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill-client")
    sqlite: sqlite3.Connection

    def setup(self, ctx: Context) -> None:
        """One row per list."""
        with ctx.sqlite as sqlite:
            sqlite.execute("CREATE TABLE list (id INTEGER PRIMARY KEY, elements TEXT NOT NULL)")

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.sqlite = ctx.sqlite

    def begin(self) -> None:
        """One writer at a time, from here to the commit."""
        self.sqlite.execute("BEGIN IMMEDIATE")

    def txn(self, mops: list[Any]) -> list[Any]:
        """One statement for each step."""
        self.begin()
        for mop in mops:
            if mop[0] == "r":
                mop[2] = self._elements(mop[1])
            else:
                self._append(mop[1], mop[2])
        self.sqlite.commit()
        return mops

    def _elements(self, key: int) -> list[int] | None:
        row = self.sqlite.execute("SELECT elements FROM list WHERE id = ?", (key,)).fetchone()
        return [int(element) for element in row[0].split(",")] if row else None

    def _append(self, key: int, element: int) -> None:
        self.sqlite.execute(
            "INSERT INTO list VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET elements = list.elements || ',' || excluded.elements",
            (key, str(element)),
        )


class ImplicitBegin(BeginImmediate):
    """Without a BEGIN of one's own: Python's driver opens the transaction at the first write.

    What was read before that was read outside of it, each time at another moment. Mend it with
    BEGIN IMMEDIATE as the first statement.
    """

    expect = "unsafe"
    anomaly = "G-single"
    faults = ()

    def begin(self) -> None:
        """Leave it to the driver."""
