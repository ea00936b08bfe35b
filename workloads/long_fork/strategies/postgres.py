"""Keys that are written once, in PostgreSQL."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from ....harness.context import Context


class OneStatement:
    """All keys are read by one statement, which is one snapshot at every level."""

    workload = "long-fork"
    needs = ("postgres",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per key that is written."""
        ctx.postgres.execute("CREATE TABLE written (id int PRIMARY KEY)")
        ctx.postgres.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.postgres = ctx.postgres

    def write(self, key: int) -> None:
        """One statement."""
        self.postgres.execute("INSERT INTO written VALUES (%s) ON CONFLICT DO NOTHING", (key,))
        self.postgres.commit()

    def read(self, keys: list[int]) -> list[int | None]:
        """One statement."""
        return self.read_on(self.postgres, keys)

    def read_on(self, node: Connection[Any], keys: list[int]) -> list[int | None]:
        """One statement on this connection."""
        rows = node.execute("SELECT id FROM written WHERE id = ANY(%s)", (keys,))
        found = {key for (key,) in rows.fetchall()}
        node.commit()
        return [1 if key in found else None for key in keys]


class OneByOne(OneStatement):
    """The keys are read one after another in one transaction, at read committed.

    Each statement sees another moment, and two readers with different orders disagree. Mend it
    with one statement, or with repeatable read.
    """

    expect = "unsafe"
    anomaly = "long-fork"
    faults = ()

    def read(self, keys: list[int]) -> list[int | None]:
        """One statement for each key."""
        values = []
        for key in keys:
            row = self.postgres.execute("SELECT 1 FROM written WHERE id = %s", (key,)).fetchone()
            values.append(1 if row else None)
        self.postgres.commit()
        return values
