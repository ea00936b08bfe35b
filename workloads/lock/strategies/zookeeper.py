"""Locks in ZooKeeper: the first ephemeral znode in line has the lock, while its session lasts."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

from ....harness.context import Context

if TYPE_CHECKING:
    from kazoo.client import KazooClient

WAIT_S = 0.5
"""How long a place in line is kept."""


class ZooKeeperEphemeral:
    """B19: an ephemeral, sequential znode; whoever is first in line has the lock.

    ZooKeeper removes the znode when it has not heard from its session for the session's timeout,
    which is the ttl here: a stopped holder comes back and works on beside the next. Mend it with
    fencing at the resource (`zookeeper-fenced`).
    """

    workload = "lock"
    needs = ("zookeeper",)
    expect = "unsafe"
    anomaly: str | None = "expired-hold"
    faults = ("pause-client",)
    params: ClassVar[dict[str, Any]] = {"ttl": 1.0}
    zookeeper: KazooClient

    def setup(self, ctx: Context) -> None:
        """One line per lock."""
        for name in ctx.initial:
            ctx.zookeeper.ensure_path(f"/locks/{name}")

    def open(self, ctx: Context) -> None:
        """Keep the session."""
        self.zookeeper = ctx.zookeeper

    def acquire(self, name: str, ttl: float) -> str | int | None:
        """Stand in line, and wait a while for the one before."""
        mine, _ = self._stand(name)
        return mine if self._reached(name, mine) else None

    def release(self, name: str, token: Any) -> None:
        """Leave the line."""
        self.zookeeper.delete(token)

    def _stand(self, name: str) -> tuple[str, int]:
        """A new place in line, and the id of the transaction that made it."""
        path, stat = self.zookeeper.create(
            f"/locks/{name}/", ephemeral=True, sequence=True, include_data=True
        )
        return path, stat.czxid

    def _reached(self, name: str, mine: str) -> bool:
        """Whether this place became the first; if it did not in time it is given up."""
        place = mine.rpartition("/")[2]
        line = sorted(self.zookeeper.get_children(f"/locks/{name}"))
        while line and line[0] != place:
            gone = threading.Event()
            before = max(each for each in line if each < place)
            there = self.zookeeper.exists(
                f"/locks/{name}/{before}", watch=lambda _, g=gone: g.set()
            )
            if there and not gone.wait(WAIT_S):
                self.zookeeper.delete(mine)
                return False
            line = sorted(self.zookeeper.get_children(f"/locks/{name}"))
        return place in line


class ZooKeeperFenced(ZooKeeperEphemeral):
    """B20: the same lock, and a resource that refuses old tokens, on entry and at the write.

    The token is the znode's czxid, the id of the transaction that created it: whoever comes later
    in line has a greater one. Holds may still overlap after a pause, and no harm comes of it.
    """

    expect = "safe"
    anomaly = None
    fencing = True
    _mine = ""

    def acquire(self, name: str, ttl: float) -> int | None:
        """The place in line is kept for the release; the token is its number."""
        self._mine, token = self._stand(name)
        return token if self._reached(name, self._mine) else None

    def release(self, name: str, token: int) -> None:
        """Leave the line."""
        self.zookeeper.delete(self._mine)
