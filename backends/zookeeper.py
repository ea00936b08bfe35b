"""ZooKeeper, started by us: an ensemble of three, in which every link can be cut.

Each server has a configuration of its own, in which the others' addresses are, on loopback, doors.
Servers also tell one another where they listen for votes, and are called back there: the doors pass
on, instead, the door by which the one who hears it reaches the one who said it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..harness.errors import Broken
from ..harness.protocols import Harm
from .cluster import READY_S
from .local import wait_until
from .network import LOOPBACK
from .quorum import Quorum
from .zookeeper_server import MISSING, SESSION_S, Reached, ZooKeeperServer, found

NEW_LEADER_S = 1.0
"""A follower may be sooner at a new leader's door than the leader."""

SERVES_S = 3.0
"""How long a server that serves may take to open a session."""


_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())
_log.propagate = False  # what kazoo would say there is said by our own errors


class ZooKeeper(Quorum):
    """Three ZooKeeper servers of ours; a run's place is a znode that its clients take for the root."""

    name = "zookeeper"
    factory = "dokkaebi.backends.zookeeper_client:open_client"
    found = staticmethod(found)
    lacking = MISSING
    providers: ClassVar[tuple[str, ...]] = ("local", "netns", "docker")
    counted: ClassVar[bool] = True
    # Two followers say nothing to one another: what only cuts them apart would strike nothing.
    shapes = ("primary", "replica", "node", "one-way", "clients")
    _root = ""

    def make_node(self, number: int) -> ZooKeeperServer:
        """The server of this number."""
        site = self.links.site(f"n{number}")
        return ZooKeeperServer(self.household, self.binary, number=number, site=site)

    def connect(self) -> None:
        """Tell the servers where they reach one another."""
        if not self.links.each_pair:
            self._connect_by_doors()
            return
        hosts = {node.number: self.address(node.name, node.name)[0] for node in self.nodes}
        reached = {
            node.number: Reached(hosts[node.number], node.ports.quorum, node.ports.election)
            for node in self.nodes
        }
        for node in self.nodes:
            others = {number: at for number, at in reached.items() if number != node.number}
            node.configure(hosts[node.number], others)

    def _connect_by_doors(self) -> None:
        """Doors for followers and for votes, between every two servers."""
        pairs = [(a, b) for a in self.nodes for b in self.nodes if a is not b]
        votes = {(a.name, b.name): self.household.free_port() for a, b in pairs}
        quorum = {}
        for a, b in pairs:
            quorum[a.name, b.name] = self.doors.open(
                a.name, b.name, to=b.ports.quorum, patience_s=NEW_LEADER_S
            )
            back = f"127.0.0.1:{votes[b.name, a.name]}"
            self.doors.open(
                a.name,
                b.name,
                to=b.ports.election,
                port=votes[a.name, b.name],
                swap=(f"127.0.0.1:{a.ports.election}", back),
            )
        for a in self.nodes:
            others = {
                b.number: Reached(LOOPBACK, quorum[a.name, b.name], votes[a.name, b.name])
                for b in self.nodes
                if b is not a
            }
            a.configure(LOOPBACK, others)

    def primary(self) -> ZooKeeperServer:
        """The leader: the last one known while there is none."""
        leaders = [node for node in self.nodes if node.role() == "leader"]
        # One that was cut off may not know yet that it leads nobody.
        leading = max(leaders, key=ZooKeeperServer.followers, default=None)
        if leading is not None:
            self.leader = leading
        return self.leader  # type: ignore[no-any-return]

    def ready(self) -> bool:
        """Whether there is one leader, and both others follow it."""
        roles = sorted(node.role() for node in self.nodes)
        return (
            roles == ["follower"] * (self.size - 1) + ["leader"]
            and self.primary().followers() >= self.size - 1
        )

    def answers(self) -> bool:
        """Whether it is whole, and every server opens sessions: that takes the word of a quorum.

        A leader in step with its followers, as it says, may commit nothing all the same.
        """
        return self.ready() and all(_serves(node) for node in self.nodes)

    def start_anew(self) -> None:
        """Start all servers anew: what was acknowledged is in their logs."""
        self.kill()
        self.restart()

    # --- damaged nodes ---------------------------------------------------------------------------

    def cannot_spoil(self) -> str | None:
        """Every transaction in a log has a checksum."""
        return None

    def vulnerable(self, node: ZooKeeperServer, harm: Harm) -> Sequence[Path]:
        """The log of transactions."""
        return node.logged()

    def remake(self, node: ZooKeeperServer) -> None:
        """Start it with nothing, once another one leads: it gets all from that one."""
        others = [each for each in self.nodes if each is not node]
        if not wait_until(lambda: any(each.role() == "leader" for each in others), READY_S):
            raise Broken(f"{self.name}: nobody leads whom {node.name} could learn from")
        node.forget()
        node.launch()

    # --- a run's place ---------------------------------------------------------------------------

    def make_place(self, run_id: str) -> None:
        """Make this run's znode."""
        root = f"/dokkaebi-{run_id}"
        with _Admin(self.primary()) as zookeeper:
            zookeeper.ensure_path(root)
        self._root = root

    def way(self, ports: Sequence[int]) -> tuple[str, dict[str, Any]]:
        """The servers with this run's znode, and how long a session outlives its client."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports) + self._root
        return hosts, {"hosts": hosts, "session_s": SESSION_S}

    def empty(self) -> None:
        """Remove this run's znodes."""
        with _Admin(self.primary()) as zookeeper:
            _remove(zookeeper, self._root)

    def sessions(self) -> int:
        """How many sessions the leader knows; those of clients that are gone end by themselves."""
        return self.primary().sessions()

    def terminate_sessions(self) -> None:
        """End every client's connection, and wait until their sessions have run out."""
        super().terminate_sessions()
        wait_until(lambda: self.sessions() == 0, 3 * SESSION_S, every_s=0.05)

    def settings(self) -> dict[str, str]:
        """What decides about sessions, as the leader says it."""
        lines = [line.partition("=") for line in self.primary().ask("conf").splitlines()]
        names = ("tickTime", "initLimit", "syncLimit", "minSessionTimeout", "maxSessionTimeout")
        return {name: value for name, _, value in lines if name in names}


class _Admin:
    """A client for what belongs to no run; its errors become `Broken`."""

    def __init__(self, node: ZooKeeperServer, *, patience_s: float = 10.0) -> None:
        from kazoo.client import KazooClient

        self._node = node
        self._patience_s = patience_s
        hosts = f"{node.site.host}:{node.port}"
        self._client = KazooClient(hosts=hosts, timeout=patience_s, logger=_log)

    def __enter__(self) -> Any:
        from kazoo.handlers.threading import KazooTimeoutError

        try:
            self._client.start(timeout=self._patience_s)
        except KazooTimeoutError as error:
            self._client.close()
            raise Broken(
                f"zookeeper: {self._node.name} opened no session within {self._patience_s:g} s"
            ) from error
        return self._client

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from kazoo.exceptions import KazooException

        self._client.stop()
        self._client.close()
        if isinstance(error, KazooException):
            raise Broken(f"zookeeper: {type(error).__name__} {error}") from error


def _serves(node: ZooKeeperServer) -> bool:
    try:
        with _Admin(node, patience_s=SERVES_S):
            return True
    except Broken:
        return False


def _remove(zookeeper: Any, path: str) -> None:
    """Delete a znode and all below it; many requests at once, for there may be thousands."""
    asked = []
    for child in zookeeper.get_children(path):
        below = f"{path}/{child}"
        for grandchild in zookeeper.get_children(below):
            asked.append(zookeeper.delete_async(f"{below}/{grandchild}"))
        asked.append(zookeeper.delete_async(below))
    for answer in asked:
        answer.wait()
    zookeeper.delete(path, recursive=True)
