"""Sets in MariaDB with a replica: what is left of elements after a failover."""

from __future__ import annotations

from .mariadb import Insert


class AsyncFailover(Insert):
    """D06 on MariaDB: the primary acknowledges before the replica has the element, and then is lost.

    Cut off from its replica it goes on acknowledging; the replica that is promoted never had those
    elements. Mend it with semi-synchronous replication (`semisync-after-sync`).
    """

    needs = ("mariadb:replicas",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("partition-primary+failover",)


class SemisyncAfterSync(Insert):
    """D12s: a commit is visible, and acknowledged, only when the replica has it.

    That is `rpl_semi_sync_master_wait_point = AFTER_SYNC`: the wait comes before the commit in the
    engine, and as long as it takes (`rpl_semi_sync_master_timeout`).
    """

    needs = ("mariadb:semisync",)
    faults = ("partition-primary+failover",)


class SemisyncAfterCommit(Insert):
    """D12: everybody sees an element before the replica has it; after a failover it is gone.

    With `AFTER_COMMIT`, MariaDB's default, only the one who commits waits for the replica: others
    read, and act on, what is lost with the primary. Mend it with `AFTER_SYNC`
    (`semisync-after-sync`).
    """

    needs = ("mariadb:semisync-after-commit",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("partition-primary+failover",)
