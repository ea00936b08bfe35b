"""Keys that are written once, read on the PostgreSQL primary and on a standby."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from ....harness.context import Context
from .postgres import OneStatement


class PrimaryOnly(OneStatement):
    """Every other write waits for a standby's acknowledgement; all reads are on the primary.

    One node, one order.
    """

    needs = ("postgres:sync",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "slow")

    def write(self, key: int) -> None:
        """Every other key is acknowledged without waiting for a standby."""
        if key % 2:
            self.postgres.execute("SET LOCAL synchronous_commit = local")
        super().write(key)


class PrimaryAndReplica(PrimaryOnly):
    """D05, J3: the same writes; half of the reads are on the primary and half on a standby.

    The primary shows commits in the order in which they end their wait, a standby in the order of
    the log, and the two differ; a slow link only makes the difference longer. Mend it by reading
    from one node only.
    """

    expect = "unsafe"
    anomaly = "long-fork"
    faults = ("slow",)
    replica: Connection[Any]

    def open(self, ctx: Context) -> None:
        """Connections to both."""
        super().open(ctx)
        self.replica = ctx.node("postgres", "replica", 1)
        self.rng = ctx.rng

    def read(self, keys: list[int]) -> list[int | None]:
        """From either; each is one snapshot."""
        return self.read_on(self.rng.choice((self.postgres, self.replica)), keys)
