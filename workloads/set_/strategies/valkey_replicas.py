"""Sets in Valkey with replicas: what an acknowledgement, and what WAIT, is worth at a failover."""

from __future__ import annotations

from typing import Any

from redis import Redis

from ....harness.context import Context
from .valkey import Sadd

WAIT_MS = 500


class AsyncReplication(Sadd):
    """D13, J8: the primary acknowledges before any replica has the element, and sentinels make another.

    The old primary, cut off, goes on taking writes from whoever is connected to it, and drops
    them when it follows the new one. Mend it with WAIT, min-replicas-to-write, or another store.
    """

    needs = ("valkey:sentinel",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("partition-primary",)
    lasts = 6.0


class AsyncFailover(Sadd):
    """D06: a replica that did not have everything yet is made the primary.

    What the old primary acknowledged alone is dropped when it follows the new one. Mend it with
    WAIT, and by promoting the replica that has most (`wait-here`).
    """

    needs = ("valkey:replicas",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("partition-primary+failover",)


class WaitHere(Sadd):
    """WAIT 1 on the connection that wrote; the replica that has most is promoted.

    An element that no replica had in time is of unknown outcome, and the caller is told so. WAIT
    hides nothing from others, though: a read sees what no replica has yet, and a failover takes it
    away. So a read writes a counter and waits for that: what it saw came before.
    """

    needs = ("valkey:replicas",)
    expect = "safe"
    faults = ("partition-primary+failover",)
    writer: Redis

    def open(self, ctx: Context) -> None:
        """Two connections of one pool."""
        self.valkey = ctx.valkey
        self.writer = ctx.valkey.client()

    def add(self, x: int) -> None:
        """Write and wait on one connection."""
        self.writer.sadd("elements", x)
        confirm(self.writer)

    def members(self) -> Any:
        """What is read has to be on a replica before anybody is told of it."""
        found = self.writer.smembers("elements")
        self.writer.incr("reads")
        confirm(self.writer)
        return found


class WaitElsewhere(WaitHere):
    """B13: WAIT 1 on another connection of the pool than the one that wrote.

    WAIT speaks of the writes of its own connection, of which there are none: it answers at once
    that all is well. Mend it with one connection for both (`wait-here`).
    """

    expect = "unsafe"
    anomaly = "lost-element"

    def add(self, x: int) -> None:
        """Write here, wait there."""
        self.writer.sadd("elements", x)
        confirm(self.valkey)


class WaitForTheWrongOne(WaitHere):
    """B14: WAIT 1 with two replicas, and the one that did not acknowledge is promoted.

    Mend it by waiting for all replicas, or by promoting the one that has most.
    """

    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("partition-replica+failover-behind",)


def confirm(valkey: Any) -> None:
    """Raise unless a replica has what this connection wrote: whether it lasts is not known."""
    if valkey.wait(1, WAIT_MS) < 1:
        raise NotReplicated("no replica had it in time")


class NotReplicated(Exception):
    """The element is on the primary, and perhaps nowhere else."""
