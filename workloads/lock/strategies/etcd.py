"""A lock in etcd: a key that goes with its lease."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ....harness.context import Context


class EtcdLease:
    """B21, J10: the lock is a key that its holder puts, if it is not there, with a lease.

    etcd removes the key when the lease was not kept alive for the ttl: a stopped holder comes back
    and works on beside the next. Mend it with fencing at the resource (the key's create revision
    is a token that grows), or let etcd itself guard the write (`set/etcd-guarded`).
    """

    workload = "lock"
    needs = ("etcd",)
    expect = "unsafe"
    anomaly = "expired-hold"
    faults = ("pause-client",)
    params: ClassVar[dict[str, Any]] = {"ttl": 2.0}
    etcd: Any
    _lease = 0

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.etcd = ctx.etcd

    def acquire(self, name: str, ttl: float) -> int | None:
        """Put the key unless somebody has; the token is the revision that created it."""
        if self.etcd.get(f"locks/{name}"):
            return None
        lease = self.etcd.grant(math.ceil(ttl))
        taken = self.etcd.txn(
            [("create", f"locks/{name}", 0)], [("put", f"locks/{name}", "held", lease)]
        )
        if not taken.succeeded:
            self.etcd.revoke(lease)
            return None
        self._lease = lease
        return int(taken.revision)

    def release(self, name: str, token: int) -> None:
        """End the lease, and the key with it: if it is another's by now, that stays."""
        self.etcd.revoke(self._lease)
