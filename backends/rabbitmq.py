"""RabbitMQ, started by us: one server, or a cluster of three in which every link can be cut."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from ..harness.errors import Broken, UsageError
from ..harness.household import Household
from ..harness.protocols import CLIENTS, ClientSpec, Shape
from .cluster import Cluster
from .local import Found, of_version, wait_until
from .rabbitmq_server import MISSING, PASSWORD, TICK_S, USER, RabbitServer, found

FACTORY = "dokkaebi.backends.rabbitmq_client:open_client"
CLASS = "dokkaebi.backends.rabbitmq:RabbitCluster"
LAST_CLIENT_S = 5.0
EMPTY_S = 20.0
WHOLE_S = 60.0
"""Nodes that were cut off start themselves anew."""

HANDLING: Mapping[str, str] = {"three": "pause_minority", "autoheal": "autoheal"}
"""Topology -> what a node does that finds itself cut off (`cluster_partition_handling`)."""


class Rabbit(Cluster):
    """One RabbitMQ server of ours, emptied between runs; its clients come through a door."""

    name = "rabbitmq"
    clusters: ClassVar[Mapping[str, str]] = dict.fromkeys(HANDLING, CLASS)
    shapes: tuple[Shape, ...] = ("clients",)
    ready_s = 180.0
    one = 1

    def __init__(
        self, household: Household, version: str | None = None, topology: str | None = None
    ) -> None:
        super().__init__(household, size=self.one)
        if topology is not None and topology not in self.clusters:
            raise UsageError(
                f"rabbitmq has no topology {topology!r}; it has {', '.join(self.clusters)}"
            )
        self._found = of_version(found(), self.name, version, MISSING)
        self.version = self._found.version
        self._handling = HANDLING.get(topology or "", "ignore")
        self._running = False

    @classmethod
    def available(cls) -> list[Found]:
        """The RabbitMQ on this machine."""
        return found()

    @classmethod
    def missing(cls) -> str:
        """How to get one."""
        return MISSING

    # --- its life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all servers and wait until they see each other."""
        self.links.start()
        for number in range(1, self.size + 1):
            node = self.equip(RabbitServer(self.household, self._found, name=f"n{number}"))
            self.nodes.append(node)
        with ThreadPoolExecutor(self.size) as pool:
            list(pool.map(lambda node: node.make(), self.nodes))
        self._connect()
        # One after another: what joins while another still begins may find half a schema.
        for node in self.nodes:
            node.launch()
        self.leader = self.nodes[0]
        self.await_ready()

    def _connect(self) -> None:
        """Doors between every two; the first node begins, the others join it."""
        cookie = secrets.token_hex(16)
        for node in self.nodes:
            self.links.node(node.name, node.port)
        for a in self.nodes:
            others = [b for b in self.nodes if b is not a]
            doors = {b.name: self.doors.open(a.name, b.name, to=b.ports.nodes) for b in others}
            first = self.nodes[0].name
            join = None if a.name == first else first
            a.configure(doors, cookie=cookie, join=join, partitions=self._handling)

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

    def answers(self) -> bool:
        """Whether the cluster is whole."""
        return self.ready()

    # --- a run's place ---------------------------------------------------------------------------

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Delete all queues and say how to reach the servers."""
        if isolation is not None:
            raise UsageError(f"{self.name} has no isolation levels; {isolation!r} was asked for")
        self._empty()
        self._running = True

        def reached(name: str, role: str, port: int) -> tuple[str, dict[str, Any]]:
            return _dsn(port), {"ports": [port], "node": f"{self.name} {name}"}

        ports = [self.door(CLIENTS, node.name) for node in self.nodes]
        return ClientSpec(
            backend=self.name,
            factory=FACTORY,
            arguments={"ports": ports, "node": self.name},
            dsn=_dsn(ports[0]),
            nodes=self.node_specs(reached),
        )

    def finish(self) -> None:
        """Delete all queues again, once this run's last client is gone."""
        if not self._running:
            return
        if not wait_until(lambda: self.sessions() == 0, LAST_CLIENT_S):
            self.terminate_sessions()
        self._running = False
        self._empty()

    def _empty(self) -> None:
        if not wait_until(lambda: any(node.clear() for node in self.nodes), EMPTY_S, every_s=0.2):
            raise Broken(f"{self.name}: the queues of a run could not be deleted")

    def sessions(self) -> int:
        """How many connections clients have open."""
        return self.doors.callers(CLIENTS)

    def terminate_sessions(self) -> None:
        """End them."""
        self.doors.callers(CLIENTS, end=True)

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
    one = 3

    def reconnect(self) -> None:
        """Undo every cut, and wait until the nodes have found together again, if all are there."""
        super().reconnect()
        if not any(self._down()):
            wait_until(self.ready, WHOLE_S, every_s=0.1)


def _dsn(port: int) -> str:
    return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{port}/%2F"
