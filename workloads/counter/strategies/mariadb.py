"""Counters in a MariaDB table (InnoDB): the usual ways to add, and what is wrong with some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....harness.context import Context
from ...mariadb import again

if TYPE_CHECKING:
    from pymysql.connections import Connection


class _Table:
    """The table that all of these share."""

    workload = "counter"
    needs = ("mariadb",)
    mariadb: Connection

    def setup(self, ctx: Context) -> None:
        """One row per counter."""
        with ctx.mariadb.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL, version int NOT NULL"
                " DEFAULT 0, updated_at datetime NOT NULL DEFAULT now())"
            )
            ctx.mariadb.begin()
            cursor.executemany(
                "INSERT INTO counter (id, n) VALUES (%s, %s)", list(ctx.initial.items())
            )
            ctx.mariadb.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.mariadb = ctx.mariadb

    def read(self, key: int) -> int:
        """One statement, one snapshot."""
        n: int = self._one("SELECT n FROM counter WHERE id = %s", key)[0]
        self.mariadb.commit()
        return n

    def _one(self, query: str, *args: Any) -> Any:
        with self.mariadb.cursor() as cursor:
            cursor.execute(query, args)
            return cursor.fetchone()

    def _run(self, query: str, *args: Any) -> int:
        """How many rows it changed."""
        with self.mariadb.cursor() as cursor:
            return int(cursor.execute(query, args))

    def _write(self, key: int, new: int) -> None:
        self._run("UPDATE counter SET n = %s WHERE id = %s", new, key)


class SelectThenUpdate(_Table):
    """A01 on MariaDB: read the counter, add in Python, write the sum back, at read committed.

    Two sessions read the same number, and the second write wipes out the first. Mend it with
    `update-in-place-mariadb`, `for-update-mariadb` or `optimistic-version-mariadb`.
    """

    expect = "unsafe"
    anomaly = "lost-update"
    isolation = "read committed"

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write."""
        new: int = self._one("SELECT n FROM counter WHERE id = %s", key)[0] + delta
        self._write(key, new)
        self.mariadb.commit()
        return new


class SelectThenUpdateRepeatableRead(SelectThenUpdate):
    """A05: the code of A01 at repeatable read, which here does not mean what it means in PostgreSQL.

    InnoDB's UPDATE changes the newest row, whatever the snapshot showed, and does not complain.
    Mend it with FOR UPDATE, or with `innodb_snapshot_isolation` (`snapshot-isolation-retry`).
    """

    isolation = "repeatable read"


class SnapshotIsolationRetry(SelectThenUpdateRepeatableRead):
    """A06: A05 with `innodb_snapshot_isolation = ON`, and the whole transaction again on 1020.

    A row that changed after the snapshot was taken can then neither be updated nor locked. The
    setting is on by default from MariaDB 11.8, and there from 10.6.18 on.
    """

    expect = "safe"
    anomaly = ""
    faults = ("none", "kill", "kill-client")

    def open(self, ctx: Context) -> None:
        """Keep the connection, and ask for the setting."""
        super().open(ctx)
        self._run("SET SESSION innodb_snapshot_isolation = ON")

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write; from the beginning if the row changed meanwhile."""
        add = super().add
        return again(self.mariadb, lambda: add(key, delta))


class UpdateInPlace(_Table):
    """A02 on MariaDB: let the database add; the row lock orders concurrent updates."""

    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")

    def add(self, key: int, delta: int) -> None:
        """One statement."""
        self._run("UPDATE counter SET n = n + %s WHERE id = %s", delta, key)
        self.mariadb.commit()


class ForUpdate(_Table):
    """A07 on MariaDB: lock the row while the sum is computed, in one transaction.

    A locking read sees the newest row at every level, not the snapshot.
    """

    expect = "safe"
    anomaly = ""
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")

    def add(self, key: int, delta: int) -> int:
        """Read with a lock, compute, write."""
        new: int = self._locked(key) + delta
        self._write(key, new)
        self.mariadb.commit()
        return new

    def _locked(self, key: int) -> int:
        n: int = self._one("SELECT n FROM counter WHERE id = %s FOR UPDATE", key)[0]
        return n


class ForUpdateOnOnePath(ForUpdate):
    """A08 on MariaDB: everybody locks the row, except the job that makes the large adds.

    A lock keeps away only those who ask for it. Mend it by locking on every path.
    """

    expect = "unsafe"
    anomaly = "lost-update"
    faults = ()

    def add(self, key: int, delta: int) -> int:
        """With a lock, or by the old batch job's code."""
        if delta < 4:
            return super().add(key, delta)
        new: int = self._one("SELECT n FROM counter WHERE id = %s", key)[0] + delta
        self._write(key, new)
        self.mariadb.commit()
        return new


class ForUpdateAutocommit(ForUpdate):
    """A09 on MariaDB: the same statements as A07, but each is a transaction of its own.

    Under autocommit the lock is gone as soon as the SELECT has answered. Mend it by opening a
    transaction around the steps (`connection.begin()`).
    """

    expect = "unsafe"
    anomaly = "lost-update"
    faults = ()
    autocommit = True

    def read(self, key: int) -> int:
        """One statement."""
        n: int = self._one("SELECT n FROM counter WHERE id = %s", key)[0]
        return n

    def add(self, key: int, delta: int) -> int:
        """Read with a lock that does not last, compute, write."""
        new = self._locked(key) + delta
        self._write(key, new)
        return new


class OptimisticVersion(_Table):
    """A13 on MariaDB: write only if the version is still the one that was read; read again if not.

    Every round is a transaction of its own: within one, repeatable read would show the same
    version for ever (`optimistic-version-in-one-snapshot`).
    """

    expect = "safe"
    anomaly = ""
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write where the version is unchanged."""
        while True:
            n, version = self._versioned(key)
            updated = self._write_at(key, n + delta, version)
            self.mariadb.commit()
            if updated:
                return n + delta

    def _versioned(self, key: int) -> tuple[int, int]:
        n, version = self._one("SELECT n, version FROM counter WHERE id = %s", key)
        return n, version

    def _write_at(self, key: int, new: int, version: int) -> int:
        return self._run(
            "UPDATE counter SET n = %s, version = version + 1 WHERE id = %s AND version = %s",
            new,
            key,
            version,
        )


class VersionComparedInApp(OptimisticVersion):
    """A14 on MariaDB: the version is compared in the application, and the UPDATE does not ask for it.

    Between the comparison and the UPDATE another session changes the row. Mend it by putting
    `AND version = %s` into the UPDATE and looking at its row count, as A13 does.
    """

    expect = "unsafe"
    anomaly = "lost-update"
    faults = ()

    def add(self, key: int, delta: int) -> int:
        """Read, compute, look at the version again, write."""
        while True:
            n, version = self._versioned(key)
            self.mariadb.commit()
            if self._versioned(key)[1] == version:
                self._run(
                    "UPDATE counter SET n = %s, version = %s WHERE id = %s",
                    n + delta,
                    version + 1,
                    key,
                )
                self.mariadb.commit()
                return n + delta
            self.mariadb.commit()


class VersionWithoutRowCount(OptimisticVersion):
    """A15: the version stands in the UPDATE, and nobody looks whether a row was updated.

    Whoever comes second is told that the add was made, and nothing was. Mend it by looking at the
    row count, as A13 does.
    """

    expect = "unsafe"
    anomaly = "lost-update"
    faults = ()

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write where the version is unchanged, and hope."""
        n, version = self._versioned(key)
        self._write_at(key, n + delta, version)
        self.mariadb.commit()
        return n + delta


class RetryWithoutReread(OptimisticVersion):
    """A16: when the version was another one, only the version is read again, not the value.

    The second attempt succeeds, and writes the sum of an old number. Mend it by reading all that
    the sum is made of in each round.
    """

    expect = "unsafe"
    anomaly = "lost-update"
    faults = ()

    def add(self, key: int, delta: int) -> int:
        """Read and compute once, then write until the version fits."""
        n, version = self._versioned(key)
        while not self._write_at(key, n + delta, version):
            self.mariadb.commit()
            _, version = self._versioned(key)
        self.mariadb.commit()
        return n + delta


class OptimisticVersionInOneSnapshot(OptimisticVersion):
    """A17: the rounds of A13 within one transaction, at repeatable read.

    The snapshot stands still: each round reads the version that is no longer there, for ever, and
    the UPDATE that finds nothing keeps the row locked. Mend it by ending the transaction before
    reading again.
    """

    expect = "live"
    anomaly = "no-progress"
    faults = ()
    isolation = "repeatable read"

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write where the version is unchanged; commit when that succeeded."""
        while True:
            n, version = self._versioned(key)
            if self._write_at(key, n + delta, version):
                self.mariadb.commit()
                return n + delta


class UpdatedAtAsVersion(OptimisticVersion):
    """A18: the row's `updated_at`, in whole seconds, serves as its version.

    Two changes within one second leave the same version behind. Mend it with a version that
    counts.
    """

    expect = "unsafe"
    anomaly = "lost-update"
    faults = ()

    def _versioned(self, key: int) -> tuple[int, Any]:
        n, version = self._one("SELECT n, updated_at FROM counter WHERE id = %s", key)
        return n, version

    def _write_at(self, key: int, new: int, version: Any) -> int:
        return self._run(
            "UPDATE counter SET n = %s, updated_at = now() WHERE id = %s AND updated_at = %s",
            new,
            key,
            version,
        )
