"""A set in one key of etcd, read and written back under a lock that a pause outlives."""

from __future__ import annotations

import json
import random
import time
from typing import Any

from ....harness.context import Context
from ....harness.errors import Failed

SET, LOCK = "set", "lock"
TTL_S = 2
PATIENCE_S = 4.0
"""Longer than a lease whose holder is gone, shorter than an operation may take."""


class EtcdGuarded:
    """B22: the write is a transaction that compares the lock key's create revision.

    A holder whose lease ran out may still believe that it holds the lock; its write is refused by
    etcd itself, which knows who does.
    """

    workload = "set"
    needs = ("etcd",)
    expect = "safe"
    anomaly: str | None = None
    faults = ("pause-client",)
    lasts = 1.6 * TTL_S
    """Longer than a lease, and not so long that what waited for the lock before is past its deadline."""
    etcd: Any
    point: Any
    rng: random.Random

    def setup(self, ctx: Context) -> None:
        """An empty set."""
        ctx.etcd.put(SET, "[]")

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.etcd, self.point, self.rng = ctx.etcd, ctx.point, ctx.rng

    def add(self, element: int) -> None:
        """Lock, read, write with the element, unlock."""
        lease, mine = self._lock()
        elements = [*self.members(), element]
        written = self._write(json.dumps(elements), mine)
        self.etcd.revoke(lease)
        if not written:
            raise Failed("the lock was lost before the write")

    def members(self) -> list[int]:
        """One linearizable read."""
        found: list[int] = json.loads(self.etcd.get(SET).value)
        return found

    def _write(self, text: str, mine: int) -> bool:
        """Write if the lock is still the one that was taken; etcd looks and writes in one moment."""
        self.point("before-write")
        done = self.etcd.txn([("create", LOCK, mine)], [("put", SET, text)])
        return bool(done.succeeded)

    def _lock(self) -> tuple[int, int]:
        """Take the lock as soon as nobody has it: its lease, and the revision that created it."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self.etcd.get(LOCK) is None:
                lease = self.etcd.grant(TTL_S)
                taken = self.etcd.txn([("create", LOCK, 0)], [("put", LOCK, "held", lease)])
                if taken.succeeded:
                    return lease, taken.revision
                self.etcd.revoke(lease)
            time.sleep(self.rng.uniform(0.005, 0.03))
        raise Failed(f"the lock was not to be had within {PATIENCE_S:g} s")


class EtcdGuardedByClient(EtcdGuarded):
    """J10: the client looks whether the lock is still its own, and then writes.

    It may be stopped between the two for longer than its lease, and then overwrites all that was
    added meanwhile. Mend it by letting etcd compare and write in one transaction (`etcd-guarded`).
    """

    expect = "unsafe"
    anomaly = "lost-element"

    def _write(self, text: str, mine: int) -> bool:
        """Look, then write."""
        lock = self.etcd.get(LOCK)
        if lock is None or lock.created != mine:
            return False
        self.point("before-write")
        self.etcd.put(SET, text)
        return True
