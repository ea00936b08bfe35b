"""Counters in a PostgreSQL table: every usual way to add, and what is wrong with some of them."""

from __future__ import annotations

from typing import Any

from psycopg import Connection, errors

from ....harness.context import Context

RETRIES = 20
"""Attempts before a strategy gives up and tells its caller so."""


class _Table:
    """The table that all of these share."""

    workload = "counter"
    needs = ("postgres",)
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per counter."""
        with ctx.postgres.transaction(), ctx.postgres.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL,"
                " version int NOT NULL DEFAULT 0)"
            )
            cursor.executemany("INSERT INTO counter (id, n) VALUES (%s, %s)", ctx.initial.items())

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.postgres = ctx.postgres

    def read(self, key: int) -> int:
        """One statement, one snapshot."""
        n: int = self._one("SELECT n FROM counter WHERE id = %s", key)[0]
        self.postgres.commit()
        return n

    def _one(self, query: str, *args: Any) -> Any:
        return self.postgres.execute(query, args).fetchone()


class SelectThenUpdate(_Table):
    """A01: read the counter, add in Python, write the sum back, at read committed.

    Two sessions read the same number, and the second write wipes out the first. Mend it with
    `update-in-place`, `for-update` or `optimistic-version`.
    """

    expect = "unsafe"
    anomaly = "lost-update"

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write."""
        new: int = self._one("SELECT n FROM counter WHERE id = %s", key)[0] + delta
        self.postgres.execute("UPDATE counter SET n = %s WHERE id = %s", (new, key))
        self.postgres.commit()
        return new


class UpdateInPlace(_Table):
    """A02: let the database add; the row lock orders concurrent updates."""

    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")

    def add(self, key: int, delta: int) -> int:
        """One statement."""
        new: int = self._one("UPDATE counter SET n = n + %s WHERE id = %s RETURNING n", delta, key)[
            0
        ]
        self.postgres.commit()
        return new


class RepeatableReadRetry(_Table):
    """A03: the code of A01 at repeatable read, and the whole transaction again on 40001.

    The second writer of a row fails instead of wiping out the first, because the row changed
    after its snapshot was taken.
    """

    expect = "safe"
    faults = ("none", "kill")
    isolation = "repeatable read"

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write; from the beginning if the row changed meanwhile."""
        for attempt in range(RETRIES):
            try:
                new: int = self._one("SELECT n FROM counter WHERE id = %s", key)[0] + delta
                self.postgres.execute("UPDATE counter SET n = %s WHERE id = %s", (new, key))
                self.postgres.commit()
                return new
            except errors.SerializationFailure:
                self.postgres.rollback()
                if attempt == RETRIES - 1:
                    raise
        raise RuntimeError("unreachable")


class ForUpdate(_Table):
    """A07: lock the row while the sum is computed, in one transaction."""

    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")

    def add(self, key: int, delta: int) -> int:
        """Read with a lock, compute, write."""
        new: int = self._one("SELECT n FROM counter WHERE id = %s FOR UPDATE", key)[0] + delta
        self.postgres.execute("UPDATE counter SET n = %s WHERE id = %s", (new, key))
        self.postgres.commit()
        return new


class ForUpdateOnMostPaths(ForUpdate):
    """A08: everybody locks the row while computing, but for one job that was written earlier.

    What does not ask for the lock does not wait for it: the job reads the number that somebody
    else is about to change, and its write wipes the change out. Mend it with FOR UPDATE on every
    path that writes what it has read (`for-update`).
    """

    expect = "unsafe"
    anomaly = "lost-update"
    faults = ()

    def open(self, ctx: Context) -> None:
        """One worker in four is the job."""
        super().open(ctx)
        self.job = ctx.worker % 4 == 0

    def add(self, key: int, delta: int) -> int:
        """With the lock, or as the job does it: read, compute, write."""
        if not self.job:
            return super().add(key, delta)
        new: int = self._one("SELECT n FROM counter WHERE id = %s", key)[0] + delta
        self.postgres.execute("UPDATE counter SET n = %s WHERE id = %s", (new, key))
        self.postgres.commit()
        return new


class ForUpdateAutocommit(_Table):
    """A09: the same statements as A07, but each is a transaction of its own.

    Under autocommit the lock is gone as soon as the SELECT has answered. Mend it by opening a
    transaction around the three steps (`with connection.transaction():`).
    """

    expect = "unsafe"
    anomaly = "lost-update"
    autocommit = True

    def read(self, key: int) -> int:
        """One statement."""
        n: int = self._one("SELECT n FROM counter WHERE id = %s", key)[0]
        return n

    def add(self, key: int, delta: int) -> int:
        """Read with a lock that does not last, compute, write."""
        new: int = self._one("SELECT n FROM counter WHERE id = %s FOR UPDATE", key)[0] + delta
        self.postgres.execute("UPDATE counter SET n = %s WHERE id = %s", (new, key))
        return new


class OptimisticVersion(_Table):
    """A13: write only if the version is still the one that was read; read again if not."""

    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write where the version is unchanged."""
        while True:
            n, version = self._one("SELECT n, version FROM counter WHERE id = %s", key)
            updated = self.postgres.execute(
                "UPDATE counter SET n = %s, version = version + 1 WHERE id = %s AND version = %s",
                (n + delta, key, version),
            )
            self.postgres.commit()
            if updated.rowcount == 1:
                return int(n + delta)


class VersionComparedInApp(_Table):
    """A14: the version is compared in the application, and the UPDATE does not ask for it.

    Between the comparison and the UPDATE another session changes the row. Mend it by putting
    `AND version = %s` into the UPDATE and looking at its row count, as A13 does.
    """

    expect = "unsafe"
    anomaly = "lost-update"

    def add(self, key: int, delta: int) -> int:
        """Read, compute, look at the version again, write."""
        while True:
            n, version = self._one("SELECT n, version FROM counter WHERE id = %s", key)
            if self._one("SELECT version FROM counter WHERE id = %s", key)[0] == version:
                self.postgres.execute(
                    "UPDATE counter SET n = %s, version = %s WHERE id = %s",
                    (n + delta, version + 1, key),
                )
                self.postgres.commit()
                return int(n + delta)
            self.postgres.commit()


class VersionWithoutRowCount(_Table):
    """A15: write only if the version is unchanged, and never look whether the UPDATE found the row.

    Where the version was another one nothing is written, and the caller is told that it was. Mend
    it by looking at the row count, and reading again when it is 0 (`optimistic-version`).
    """

    expect = "unsafe"
    anomaly = "lost-update"

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write where the version is unchanged, or perhaps not."""
        n, version = self._one("SELECT n, version FROM counter WHERE id = %s", key)
        self.postgres.execute(
            "UPDATE counter SET n = %s, version = version + 1 WHERE id = %s AND version = %s",
            (n + delta, key, version),
        )
        self.postgres.commit()
        return int(n + delta)


class RetryWithTheOldValue(_Table):
    """A16: where the version was another one, it is read again, but the number is not.

    The second attempt finds the version unchanged and writes the sum that was computed from the
    number before. Mend it by repeating everything from the read on (`optimistic-version`).
    """

    expect = "unsafe"
    anomaly = "lost-update"

    def add(self, key: int, delta: int) -> int:
        """Read and compute once; write where the version is unchanged, until it is."""
        n, version = self._one("SELECT n, version FROM counter WHERE id = %s", key)
        while not self._written(key, n + delta, version):
            version = self._one("SELECT version FROM counter WHERE id = %s", key)[0]
        return int(n + delta)

    def _written(self, key: int, new: int, version: int) -> bool:
        updated = self.postgres.execute(
            "UPDATE counter SET n = %s, version = version + 1 WHERE id = %s AND version = %s",
            (new, key, version),
        )
        self.postgres.commit()
        return updated.rowcount == 1


class RetryInTheSameSnapshot(_Table):
    """A17: where the row changed, only the UPDATE is taken back (a savepoint) and tried again.

    At repeatable read the snapshot is the transaction's: every round reads the number that is no
    longer there, and is refused again, for ever. Mend it by rolling the whole transaction back
    (`repeatable-read-retry`).
    """

    expect = "live"
    anomaly = "livelock"
    isolation = "repeatable read"

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write; again within the transaction if the row changed meanwhile."""
        while True:
            new: int = self._one("SELECT n FROM counter WHERE id = %s", key)[0] + delta
            try:
                with self.postgres.transaction():
                    self.postgres.execute("UPDATE counter SET n = %s WHERE id = %s", (new, key))
            except errors.SerializationFailure:
                continue
            self.postgres.commit()
            return new


class TimestampAsVersion(_Table):
    """A18: the version is `updated_at`, which has whole seconds.

    Two writes within one second leave the same version behind, and a third one that read between
    them finds it unchanged. Mend it with a version that counts (`optimistic-version`).
    """

    expect = "unsafe"
    anomaly = "lost-update"

    def setup(self, ctx: Context) -> None:
        """The usual table, with a time."""
        super().setup(ctx)
        ctx.postgres.execute(
            "ALTER TABLE counter ADD updated_at timestamptz(0) NOT NULL DEFAULT now()"
        )
        ctx.postgres.commit()

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write where the time is unchanged."""
        while True:
            n, seen = self._one("SELECT n, updated_at FROM counter WHERE id = %s", key)
            updated = self.postgres.execute(
                "UPDATE counter SET n = %s, updated_at = now() WHERE id = %s AND updated_at = %s",
                (n + delta, key, seen),
            )
            self.postgres.commit()
            if updated.rowcount == 1:
                return int(n + delta)


class AdvisoryLockFirst(_Table):
    """A31: pg_advisory_xact_lock in a statement of its own, then read, compute, write.

    At read committed each statement has a new snapshot, so the read sees what the lock's last
    holder has committed.
    """

    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "kill-client")
    isolation = "read committed"

    def add(self, key: int, delta: int) -> int:
        """Lock, read, write, commit."""
        self.postgres.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
        new: int = self._one("SELECT n FROM counter WHERE id = %s", key)[0] + delta
        self.postgres.execute("UPDATE counter SET n = %s WHERE id = %s", (new, key))
        self.postgres.commit()
        return new


class AdvisoryLockInTheStatement(_Table):
    """A31b: lock and read in one statement.

    Its snapshot is taken before the lock is waited for, so it reads what the last holder has
    overwritten since. Mend it by taking the lock in a statement of its own (`advisory-lock-first`).
    """

    expect = "unsafe"
    anomaly = "lost-update"
    isolation = "read committed"

    def add(self, key: int, delta: int) -> int:
        """Lock and read at once, then write."""
        _, n = self._one("SELECT pg_advisory_xact_lock(%s), n FROM counter WHERE id = %s", key, key)
        new: int = n + delta
        self.postgres.execute("UPDATE counter SET n = %s WHERE id = %s", (new, key))
        self.postgres.commit()
        return new
