"""Keys of sessions written on a PostgreSQL primary and read from its standbys."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from psycopg import Connection

from ....harness.context import Context
from .postgres import Row

_READ = "SELECT version FROM version WHERE id = %s"


class _Split(Row):
    """Writes go to the primary; where reads go is what the strategies differ in."""

    needs = ("postgres:replicas",)
    faults: tuple[str, ...] = ("lag",)
    lasts = 3.0
    replicas: list[Connection[Any]]

    def open(self, ctx: Context) -> None:
        """Connections to the primary and to both standbys."""
        super().open(ctx)
        self.rng = ctx.rng
        self.replicas = [ctx.node("postgres", "replica", number) for number in range(2)]

    def read_from(self, node: Connection[Any], key: int) -> int | None:
        """One statement, wherever."""
        row = node.execute(_READ, (key,)).fetchone()
        node.commit()
        return row[0] if row else None


class ReadFromReplica(_Split):
    """D01: write to the primary, read from a standby.

    The standby is late, and a session does not see what it has just written. Mend it by waiting
    until the standby has replayed the session's last write (`replica-with-token`).
    """

    expect = "unsafe"
    anomaly = "read-your-writes"

    def read(self, key: int) -> int | None:
        """Always from the same standby."""
        return self.read_from(self.replicas[0], key)


class ReadFromAnyReplica(_Split):
    """D02: each read goes to any of two standbys, which are late by different amounts.

    A session sees a version, and then an older one. Mend it by staying with one standby, or by a
    token (`replica-with-token`).
    """

    expect = "unsafe"
    anomaly = "non-monotonic-read"
    faults = ("lag-one",)

    def read(self, key: int) -> int | None:
        """From one of the two."""
        return self.read_from(self.rng.choice(self.replicas), key)


class PinnedAfterWrite(_Split):
    """D03: for a second after a session's write it reads from the primary, then from a standby.

    The standby may be later than that. Mend it by asking the standby how far it is
    (`replica-with-token`).
    """

    expect = "unsafe"
    anomaly = "read-your-writes"
    params: ClassVar[dict[str, Any]] = {"write_share": 0.004}
    PIN_S = 1.0

    def open(self, ctx: Context) -> None:
        """Nothing was written yet."""
        super().open(ctx)
        self.pinned_until = 0.0

    def write(self, key: int, value: int) -> None:
        """Write, and stay with the primary for a while."""
        super().write(key, value)
        self.pinned_until = time.monotonic() + self.PIN_S

    def read(self, key: int) -> int | None:
        """From the primary while the pin lasts."""
        if time.monotonic() < self.pinned_until:
            return super().read(key)
        return self.read_from(self.replicas[0], key)


class ReplicaWithToken(_Split):
    """D04: a session keeps the greatest place in the log that its writes and its reads have seen.

    It reads from a standby that has replayed at least so much, else from the primary.
    """

    expect = "safe"
    faults = ("none", "lag", "lag-one", "partition-primary")

    def open(self, ctx: Context) -> None:
        """Nothing was seen yet."""
        super().open(ctx)
        self.token = 0

    def write(self, key: int, value: int) -> None:
        """Write, and keep the end of the log."""
        super().write(key, value)
        self._saw(self.postgres, "pg_current_wal_insert_lsn()")

    def read(self, key: int) -> int | None:
        """From a standby that is far enough, else from the primary."""
        standby = self.rng.choice(self.replicas)
        if self._place(standby, "pg_last_wal_replay_lsn()") < self.token:
            value = super().read(key)
            self._saw(self.postgres, "pg_current_wal_insert_lsn()")
            return value
        value = self.read_from(standby, key)
        # After the read: what it saw had been replayed by then.
        self._saw(standby, "pg_last_wal_replay_lsn()")
        return value

    def _saw(self, node: Connection[Any], end: str) -> None:
        self.token = max(self.token, self._place(node, end))

    def _place(self, node: Connection[Any], end: str) -> int:
        row = node.execute(f"SELECT ({end} - '0/0')::bigint").fetchone()
        node.commit()
        return int(row[0]) if row else 0
