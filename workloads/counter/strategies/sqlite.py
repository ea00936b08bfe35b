"""Counters in a SQLite file that several connections share (WAL)."""

from __future__ import annotations

import sqlite3

from ....harness.context import Context


class _Table:
    """The table that all of these share; the driver opens a transaction at the first write."""

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


class VersionWithoutRowCount(_Table):
    """A15 on SQLite: nobody looks whether the UPDATE found the row, and all are told that it did."""

    expect = "unsafe"
    anomaly = "lost-update"

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write where the version is unchanged, or perhaps not."""
        n, version = self.sqlite.execute(
            "SELECT n, version FROM counter WHERE id = ?", (key,)
        ).fetchone()
        self.sqlite.execute(
            "UPDATE counter SET n = ?, version = version + 1 WHERE id = ? AND version = ?",
            (n + delta, key, version),
        )
        self.sqlite.commit()
        return int(n + delta)


class RetryWithTheOldValue(_Table):
    """A16 on SQLite: where the version was another one, it is read again, but the number is not."""

    expect = "unsafe"
    anomaly = "lost-update"

    def add(self, key: int, delta: int) -> int:
        """Read and compute once; write where the version is unchanged, until it is."""
        n, version = self.sqlite.execute(
            "SELECT n, version FROM counter WHERE id = ?", (key,)
        ).fetchone()
        while not self._written(key, n + delta, version):
            again = self.sqlite.execute("SELECT version FROM counter WHERE id = ?", (key,))
            version = again.fetchone()[0]
        return int(n + delta)

    def _written(self, key: int, new: int, version: int) -> bool:
        updated = self.sqlite.execute(
            "UPDATE counter SET n = ?, version = version + 1 WHERE id = ? AND version = ?",
            (new, key, version),
        )
        self.sqlite.commit()
        return updated.rowcount == 1


class TimestampAsVersion(_Table):
    """A18 on SQLite: the version is CURRENT_TIMESTAMP, which has whole seconds."""

    expect = "unsafe"
    anomaly = "lost-update"

    def setup(self, ctx: Context) -> None:
        """The usual table, with a time."""
        super().setup(ctx)
        with ctx.sqlite as sqlite:
            sqlite.execute("ALTER TABLE counter ADD updated_at TEXT NOT NULL DEFAULT ''")

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write where the time is unchanged."""
        while True:
            n, seen = self.sqlite.execute(
                "SELECT n, updated_at FROM counter WHERE id = ?", (key,)
            ).fetchone()
            updated = self.sqlite.execute(
                "UPDATE counter SET n = ?, updated_at = CURRENT_TIMESTAMP"
                " WHERE id = ? AND updated_at = ?",
                (n + delta, key, seen),
            )
            self.sqlite.commit()
            if updated.rowcount == 1:
                return int(n + delta)
