"""Sets in MariaDB with a replica: what is left of elements after a failover."""

from __future__ import annotations

from .mariadb import Insert


class AsyncFailover(Insert):
    """D06 on MariaDB: the primary acknowledges before the replica has the element, and then is lost.

    Cut off from its replica it goes on acknowledging; the replica that is promoted never had those
    elements. Mend it with semi-synchronous replication (`semisync-failover`).
    """

    needs = ("mariadb:replicas",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("partition-primary+failover",)


class Semisync(Insert):
    """D06 mended: a commit is acknowledged only when the replica has it.

    Cut off from its replica the primary acknowledges nothing any more, however long it takes: with
    MariaDB's own `rpl_semi_sync_master_timeout` of 10 s it would begin to again.
    """

    needs = ("mariadb:semisync",)
    faults = ("partition-primary+failover",)


class SemisyncWaitCancelled(Semisync):
    """D08 on MariaDB: a commit whose wait for the replica was killed is answered with plain success.

    `KILL QUERY` (what many clients send at a timeout) ends the wait and not the commit, and there
    is not even a warning. Nothing in the answer mends it: kill no query that may be committing, or
    kill its connection.
    """

    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("partition-primary+cancel-waits+failover",)
