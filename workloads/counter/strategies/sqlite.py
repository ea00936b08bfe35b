"""Counters in a SQLite file that several connections share (WAL)."""

from __future__ import annotations

import sqlite3

from ....harness.context import Context


class _Table:
    """The table that both share; the driver opens a transaction at the first write."""

    workload = "counter"
    needs = ("sqlite",)
    sqlite: sqlite3.Connection

    def setup(self, ctx: Context) -> None:
        """One row per counter."""
        with ctx.sqlite as sqlite:
            sqlite.execute(
                "CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER, version INTEGER)"
            )
            sqlite.executemany("INSERT INTO counter VALUES (?, ?, 0)", ctx.initial.items())

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.sqlite = ctx.sqlite

    def read(self, key: int) -> int:
        """One statement, one snapshot."""
        n: int = self.sqlite.execute("SELECT n FROM counter WHERE id = ?", (key,)).fetchone()[0]
        return n


class OptimisticVersion(_Table):
    """A13 on SQLite: write only if the version is still the one that was read."""

    expect = "safe"
    faults = ("none", "kill-client")

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write where the version is unchanged."""
        while True:
            n, version = self.sqlite.execute(
                "SELECT n, version FROM counter WHERE id = ?", (key,)
            ).fetchone()
            updated = self.sqlite.execute(
                "UPDATE counter SET n = ?, version = version + 1 WHERE id = ? AND version = ?",
                (n + delta, key, version),
            )
            self.sqlite.commit()
            if updated.rowcount == 1:
                return int(n + delta)


class VersionComparedInApp(_Table):
    """A14 on SQLite: the version is compared in the application before a blind UPDATE."""

    expect = "unsafe"
    anomaly = "lost-update"

    def add(self, key: int, delta: int) -> int:
        """Read, compute, look at the version again, write."""
        while True:
            n, version = self.sqlite.execute(
                "SELECT n, version FROM counter WHERE id = ?", (key,)
            ).fetchone()
            again = self.sqlite.execute("SELECT version FROM counter WHERE id = ?", (key,))
            if again.fetchone()[0] == version:
                self.sqlite.execute(
                    "UPDATE counter SET n = ?, version = ? WHERE id = ?",
                    (n + delta, version + 1, key),
                )
                self.sqlite.commit()
                return int(n + delta)
