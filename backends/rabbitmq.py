"""RabbitMQ, started by us: one server, or a cluster of three in which every link can be cut."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..harness.errors import Broken
from ..harness.household import Household
from ..harness.protocols import Shape
from .cluster import Cluster
from .local import wait_until
from .network import LOOPBACK, Address
from .quorum import Quorum
from .rabbitmq_server import MISSING, PASSWORD, TICK_S, USER, RabbitServer, found

CLASS = "dokkaebi.backends.rabbitmq:RabbitCluster"
EMPTY_S = 20.0
WHOLE_S = 20.0
"""Nodes that were cut off start themselves anew."""
GAVE_UP = b"Autoheal: aborting"
"""What a server says that then leaves the cluster as it is."""

HANDLING: Mapping[str, str] = {"three": "pause_minority", "autoheal": "autoheal"}
"""Topology -> what a node does that finds itself cut off (`cluster_partition_handling`)."""


class Rabbit(Quorum):
    """One RabbitMQ server of ours, emptied between runs; its clients come through a door."""

    name = "rabbitmq"
    factory = "dokkaebi.backends.rabbitmq_client:open_client"
    found = staticmethod(found)
    lacking = MISSING
    providers: ClassVar[tuple[str, ...]] = ("local", "netns", "docker")
    counted: ClassVar[bool] = True
    members = 1
    topologies = tuple(HANDLING)
    clusters: ClassVar[Mapping[str, str]] = dict.fromkeys(HANDLING, CLASS)
    shapes: tuple[Shape, ...] = ("clients",)
    # After a partition some nodes start anew, one after another.
    ready_s = 180.0

    def __init__(
        self,
        household: Household,
        version: str | None = None,
        topology: str | None = None,
        provider: str = "local",
    ) -> None:
        super().__init__(household, version, topology, provider)
        self._handling = HANDLING.get(topology or "", "ignore")

    def make_node(self, number: int) -> RabbitServer:
        """The server of this number."""
        name = f"n{number}"
        node: RabbitServer = self.equip(
            RabbitServer(self.household, self.binary, name=name, site=self.links.site(name))
        )
        return node

    def launch(self) -> None:
        """One after another: what joins while another still begins may find half a schema."""
        for node in self.nodes:
            node.launch()

    def connect(self) -> None:
        """Tell all where they reach one another; the first node begins, the others join it."""
        cookie = secrets.token_hex(16)
        for a in self.nodes:
            others = {b.name: self._way_between(a, b) for b in self.nodes if b is not a}
            first = self.nodes[0].name
            join = None if a.name == first else first
            a.configure(others, cookie=cookie, join=join, partitions=self._handling)

    def _way_between(self, a: RabbitServer, b: RabbitServer) -> Address:
        """Where one reaches the other: on loopback at a door, which can be shut."""
        if self.links.each_pair:
            return self.address(a.name, b.name)[0], b.ports.nodes
        return LOOPBACK, self.doors.open(a.name, b.name, to=b.ports.nodes)

    def primary(self) -> RabbitServer:
        """The node that leads most queues: the last one known while there is none."""

        def leads(node: RabbitServer) -> int:
            try:
                return node.leads()
            except Broken:
                return 0

        leading = max(self.nodes, key=leads)
        if leads(leading):
            self.leader = leading
        return self.leader  # type: ignore[no-any-return]

    def ready(self) -> bool:
        """Whether all serve, and each sees all."""
        return all(node.sees() == (self.size, 0) and node.answers() for node in self.nodes)

    # --- a run's place ---------------------------------------------------------------------------

    def way(self, ports: Sequence[int]) -> tuple[str, dict[str, Any]]:
        """The first address, and all ports."""
        dsn = f"amqp://{USER}:{PASSWORD}@127.0.0.1:{ports[0]}/%2F"
        return dsn, {"ports": list(ports)}

    def empty(self) -> None:
        """Delete all queues; a cluster that cannot is started anew, as operators would."""
        if self._emptied():
            return
        self._start_anew()
        if not self._emptied():
            raise Broken(f"{self.name}: the queues of a run could not be deleted")

    def _emptied(self) -> bool:
        return wait_until(lambda: any(node.clear() for node in self.nodes), EMPTY_S, every_s=0.2)

    def _start_anew(self) -> None:
        """Start all but one anew; those that find no other begin with what he has."""
        trusted = max(self.nodes, key=lambda node: node.sees())
        for node in self.nodes:
            if node is not trusted:
                node.kill()
                node.restart()

    def settings(self) -> dict[str, str]:
        """What decides about partitions."""
        return {"cluster_partition_handling": self._handling, "net_ticktime": str(TICK_S)}


class RabbitCluster(Rabbit):
    """Three RabbitMQ servers of ours.

    `three`: a node in the minority pauses itself; `autoheal`: all go on, and when the links are back
    the side with fewer clients forgets what it did. Nodes that were cut off are whole again some
    seconds after the healing.
    """

    shapes = Cluster.shapes
    members = 3

    def reconnect(self) -> None:
        """Undo every cut, and wait until the nodes have found together again, if all are there.

        Where they do not, all but one are started anew, as RabbitMQ's guide to partitions tells its
        operators to do: `autoheal` gives up for good when a node is down for a moment.
        """
        said = [(log, log.stat().st_size) for node in self.nodes for log in node.logs()]
        super().reconnect()
        if any(self._down()):
            return
        wait_until(lambda: self.ready() or _gave_up(said), WHOLE_S, every_s=0.1)
        if not self.ready():
            self._start_anew()


def _gave_up(said: Sequence[tuple[Path, int]]) -> bool:
    """Whether a server says in its log, behind these places, that it will not heal the cluster."""
    return any(GAVE_UP in log.read_bytes()[since:] for log, since in said)
