"""Sets in PostgreSQL with standbys: what is left of acknowledged elements after a failover."""

from __future__ import annotations

from .postgres import Insert


class AsyncFailover(Insert):
    """D06: the primary acknowledges before any standby has the element, and then is lost.

    Cut off from its standbys it goes on acknowledging; the standby that is promoted never had
    those elements. Mend it with synchronous replication (`sync-failover`).
    """

    needs = ("postgres:replicas",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("partition-primary+failover",)


class SyncFailover(Insert):
    """D07: a commit is acknowledged only when a standby has it, and that standby is promoted.

    Cut off from its standbys the primary acknowledges nothing any more. It holds as long as the
    primary is not restarted before the promotion: then what waited becomes visible, and is lost.
    """

    needs = ("postgres:sync",)
    expect = "safe"
    faults = ("partition-primary+failover",)


class SplitBrain(Insert):
    """D09: the old primary comes back and takes writes, although another one was promoted.

    Sessions that were connected to it go on there, and what they add is gone when it is made a
    standby. Mend it by fencing the old primary before promoting another.
    """

    needs = ("postgres:replicas",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("failover-resumed",)
