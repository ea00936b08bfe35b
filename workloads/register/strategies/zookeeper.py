"""Registers in ZooKeeper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....harness.context import Context

if TYPE_CHECKING:
    from kazoo.client import KazooClient


class Znode:
    """One znode per register; what was read is confirmed by a transaction before it is believed.

    A ZooKeeper server answers reads from what it has itself, which may be out of date. A
    transaction that checks the version goes through the leader like any write.
    """

    workload = "register"
    needs = ("zookeeper",)
    expect = "safe"
    # A server needs seconds until it is back: more kinds of faults do not fit into a short run.
    faults = ("none", "kill", "partition")
    zookeeper: KazooClient

    def setup(self, ctx: Context) -> None:
        """One znode per register."""
        for key, start in ctx.initial.items():
            ctx.zookeeper.create(f"/register-{key}", b"%d" % start)

    def open(self, ctx: Context) -> None:
        """Keep the session."""
        self.zookeeper = ctx.zookeeper

    def read(self, key: int) -> Any:
        """What is confirmed to be there."""
        return self._confirmed(key)[0]

    def write(self, key: int, value: int) -> None:
        """One request."""
        self.zookeeper.set(f"/register-{key}", b"%d" % value)

    def cas(self, key: int, old: int, new: int) -> bool:
        """Write if the version is still the one that had the old value."""
        from kazoo.exceptions import BadVersionError

        value, version = self._confirmed(key)
        if value != b"%d" % old:
            return False
        try:
            self.zookeeper.set(f"/register-{key}", b"%d" % new, version=version)
        except BadVersionError:
            return False
        return True

    def _confirmed(self, key: int) -> tuple[bytes, int]:
        """Value and version, read and found to be still the same; read again if they are not."""
        while True:
            value, stat = self.zookeeper.get(f"/register-{key}")
            check = self.zookeeper.transaction()
            check.check(f"/register-{key}", stat.version)
            if check.commit() == [True]:
                return value, stat.version
