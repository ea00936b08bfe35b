"""Locks in Valkey with replicas: the lock is on one server, and that server can be lost."""

from __future__ import annotations

from typing import Any, ClassVar

from .valkey import SetNxCompareAndDel


class PausedReplicaKeepsTheLock(SetNxCompareAndDel):
    """B12: SET NX PX on a primary whose replicas are stopped for a while before it is lost.

    What the primary sent waits in the kernel, and the replica has it before it is promoted: a
    stopped replica is no partition. This is a control of the fault, no safe strategy.
    """

    needs = ("valkey:replicas",)
    expect = "safe"
    faults = ("pause-replicas+failover",)
    params: ClassVar[dict[str, Any]] = {"hold": 0.5}


class FailoverLosesTheLock(PausedReplicaKeepsTheLock):
    """B11: SET NX PX on a primary whose replicas follow asynchronously.

    The primary grants a lock that no replica ever hears of, and is lost; on the replica that takes
    its place the lock is free, while its holder still works. Mend it with fencing at the resource.
    """

    expect = "unsafe"
    anomaly = "double-hold"
    faults = ("partition-primary+failover",)
