"""NATS with JetStream, started by us: a cluster of three, in which every link can be cut.

Each server has a configuration of its own, in which the others' addresses are this server's doors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..harness.errors import Broken
from ..harness.protocols import ClientOptions
from ..harness.trace import Tracer
from .local import wait_until
from .nats_client import NatsError, connect
from .nats_server import MISSING, NatsServer, found
from .network import LOOPBACK, Address
from .quorum import Quorum

EMPTY_S = 20.0
CALL_S = 1.0
"""Servers that start at the same time call before the other listens."""


class Nats(Quorum):
    """Three NATS servers of ours, emptied between runs."""

    name = "nats"
    factory = "dokkaebi.backends.nats_client:open_client"
    found = staticmethod(found)
    lacking = MISSING
    providers: ClassVar[tuple[str, ...]] = ("local", "netns", "docker")
    counted: ClassVar[bool] = True

    def make_node(self, number: int) -> NatsServer:
        """The server of this number."""
        name = f"n{number}"
        node: NatsServer = self.equip(
            NatsServer(self.household, self.binary, name=name, site=self.links.site(name))
        )
        return node

    def connect(self) -> None:
        """Of every two, the one that comes first calls the other.

        If both called, one call would be given up as superfluous, and elections come too early.
        """
        for at, a in enumerate(self.nodes):
            routes = [self._route(a, b) for b in self.nodes[at + 1 :]]
            a.configure(routes, others=self.size - 1)

    def _route(self, a: NatsServer, b: NatsServer) -> Address:
        """Where one calls the other: on loopback at a door, which can be shut."""
        if self.links.each_pair:
            return self.address(a.name, b.name)[0], b.ports.route
        return LOOPBACK, self.doors.open(a.name, b.name, to=b.ports.route, patience_s=CALL_S)

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

    # --- a run's place ---------------------------------------------------------------------------

    def way(self, ports: Sequence[int]) -> tuple[str, dict[str, Any]]:
        """All addresses, and their ports."""
        return ",".join(f"nats://127.0.0.1:{port}" for port in ports), {"ports": list(ports)}

    def empty(self) -> None:
        """Remove all streams: whoever is asked passes it on to the leader, who may be missing."""
        if not wait_until(self._emptied, EMPTY_S, every_s=0.2):
            raise Broken(f"{self.name}: the streams of a run could not be removed")

    def _emptied(self) -> bool:
        options = ClientOptions(tracer=Tracer(epoch_ns=0), timeout_s=5.0)
        try:
            leader = self.primary()
            client = connect((leader.site.host, leader.port), options, node=self.name)
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

    def settings(self) -> dict[str, str]:
        """What decides about durability."""
        config = self.nodes[0].ask("/jsz").get("config", {})
        return {
            "sync_interval": f"{int(config.get('sync_interval', 0)) / 1e9:g}s",
            "sync_always": str(bool(config.get("sync_always"))).lower(),
        }
