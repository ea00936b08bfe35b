"""NATS with JetStream, started by us: a cluster of three, in which every link can be cut.

Each server has a configuration of its own, in which the others' addresses are this server's doors.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from ..harness.errors import Broken, UsageError
from ..harness.household import Household
from ..harness.protocols import CLIENTS, ClientOptions, ClientSpec
from ..harness.trace import Tracer
from .cluster import Cluster
from .local import Found, of_version, wait_until
from .nats_client import NatsError, connect
from .nats_server import MISSING, NatsServer, found

FACTORY = "dokkaebi.backends.nats_client:open_client"
SIZE = 3
LAST_CLIENT_S = 5.0
EMPTY_S = 20.0
CALL_S = 1.0
"""Servers that start at the same time call before the other listens."""


class Nats(Cluster):
    """Three NATS servers of ours, emptied between runs."""

    name = "nats"
    clusters: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self, household: Household, version: str | None = None, topology: str | None = None
    ) -> None:
        super().__init__(household, size=SIZE)
        if topology not in (None, "three"):
            raise UsageError(f"nats has no topology {topology!r}; it has three")
        self._found = of_version(found(), self.name, version, MISSING)
        self.version = self._found.version
        self._running = False

    @classmethod
    def available(cls) -> list[Found]:
        """The NATS servers on this machine."""
        return found()

    @classmethod
    def missing(cls) -> str:
        """How to get one."""
        return MISSING

    # --- its life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all servers and wait until they have a leader."""
        self.links.start()
        for number in range(1, self.size + 1):
            node = self.equip(NatsServer(self.household, self._found, name=f"n{number}"))
            node.make()
            self.links.node(node.name, node.port)
            self.nodes.append(node)
        self._connect()
        with ThreadPoolExecutor(self.size) as pool:
            list(pool.map(lambda node: node.launch(), self.nodes))
        self.leader = self.nodes[0]
        self.await_ready()

    def _connect(self) -> None:
        """A door between every two: the one of them that comes first calls the other.

        If both called, one call would be given up as superfluous, and elections come too early.
        """
        for at, a in enumerate(self.nodes):
            later = self.nodes[at + 1 :]
            doors = [
                self.doors.open(a.name, b.name, to=b.ports.route, patience_s=CALL_S) for b in later
            ]
            a.configure(doors, others=self.size - 1)

    def primary(self) -> NatsServer:
        """The leader of this run's streams (without streams, of the cluster): the last one known
        while there is none."""
        # One that was cut off may not know yet that it leads nobody.
        leaders = [node for node in self.nodes if node.role() == "leader"]
        leading = max(leaders, key=NatsServer.followed, default=None)
        if leading is not None:
            self.leader = leading
        return self.leader  # type: ignore[no-any-return]

    def ready(self) -> bool:
        """Whether all follow the same leader, who has heard of them lately, and have everything."""
        try:
            leaders = {node.leads() for node in self.nodes}
            if len(leaders) != 1 or "" in leaders:
                return False
            peers = next(node for node in self.nodes if node.name in leaders).peers()
        except Broken:
            return False
        heard = [peer for peer in peers if peer.get("current") and not peer.get("offline")]
        return len(heard) == self.size - 1 and all(node.healthy() for node in self.nodes)

    def answers(self) -> bool:
        """Whether the cluster is whole."""
        return self.ready()

    # --- a run's place ---------------------------------------------------------------------------

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Remove all streams and say how to reach the cluster."""
        if isolation is not None:
            raise UsageError(f"{self.name} has no isolation levels; {isolation!r} was asked for")
        self._empty()
        self._running = True

        def reached(name: str, role: str, port: int) -> tuple[str, dict[str, Any]]:
            return f"nats://127.0.0.1:{port}", {"ports": [port], "node": f"{self.name} {name}"}

        ports = [self.door(CLIENTS, node.name) for node in self.nodes]
        return ClientSpec(
            backend=self.name,
            factory=FACTORY,
            arguments={"ports": ports, "node": self.name},
            dsn=",".join(f"nats://127.0.0.1:{port}" for port in ports),
            nodes=self.node_specs(reached),
        )

    def finish(self) -> None:
        """Remove all streams again, once this run's last client is gone."""
        if not self._running:
            return
        if not wait_until(lambda: self.sessions() == 0, LAST_CLIENT_S):
            self.terminate_sessions()
        self._running = False
        self._empty()

    def _empty(self) -> None:
        """Whoever is asked passes it on to the leader, of whom there may be none for a while."""
        if not wait_until(self._emptied, EMPTY_S, every_s=0.2):
            raise Broken(f"{self.name}: the streams of a run could not be removed")

    def _emptied(self) -> bool:
        options = ClientOptions(tracer=Tracer(epoch_ns=0), timeout_s=5.0)
        try:
            client = connect(self.primary().port, options, node=self.name)
        except OSError:
            return False
        try:
            for stream in client.handle.streams():
                client.handle.delete_stream(stream)
            return not client.handle.streams()
        except (OSError, NatsError):
            return False
        finally:
            client.close()

    def sessions(self) -> int:
        """How many connections clients have open."""
        return self.doors.callers(CLIENTS)

    def terminate_sessions(self) -> None:
        """End them."""
        self.doors.callers(CLIENTS, end=True)

    def settings(self) -> dict[str, str]:
        """What decides about durability."""
        config = self.nodes[0].ask("/jsz").get("config", {})
        return {
            "sync_interval": f"{int(config.get('sync_interval', 0)) / 1e9:g}s",
            "sync_always": str(bool(config.get("sync_always"))).lower(),
        }
