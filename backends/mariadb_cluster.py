"""MariaDB with a replica: `mariadb:replicas`, `mariadb:semisync`, `mariadb:semisync-after-commit`.

A primary (n1 at first) and one replica that follows it, by global transaction ids, over a link of
its own. `semisync` makes a commit wait until the replica has it, before anybody can see it;
`semisync-after-commit` does so when everybody can see it already, which is MariaDB's default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from ..harness.errors import Broken
from ..harness.household import Household
from ..harness.protocols import ClientSpec
from .cluster import Cluster
from .local import Found, wait_until
from .mariadb_found import MISSING, choose, found
from .mariadb_runs import OwnMariaDBRuns, reached
from .mariadb_server import REPLICATION, MariaDBServer
from .network import Address, Site

_WAITS = "rpl-semi-sync-master-enabled"
"""The primary's alone, and only while somebody follows it."""

_SEMISYNC: Mapping[str, str] = {
    _WAITS: "OFF",
    "rpl-semi-sync-slave-enabled": "ON",
    # As long as it takes: who gave up waiting would acknowledge what no replica has.
    "rpl-semi-sync-master-timeout": "3600000",
}
TOPOLOGIES: Mapping[str, Mapping[str, str]] = {
    "replicas": {},
    "semisync": {**_SEMISYNC, "rpl-semi-sync-master-wait-point": "AFTER_SYNC"},
    "semisync-after-commit": {**_SEMISYNC, "rpl-semi-sync-master-wait-point": "AFTER_COMMIT"},
}
CATCH_UP_S = 20.0
SOON_S = 6.0
"""How long a replica may take until it follows again, or stands still."""


class MariaDBCluster(OwnMariaDBRuns, Cluster):
    """A primary and its replica, both ours."""

    providers: ClassVar[tuple[str, ...]] = ("local", "netns", "docker")

    def __init__(
        self,
        household: Household,
        version: str | None = None,
        topology: str | None = None,
        provider: str = "local",
    ) -> None:
        OwnMariaDBRuns.__init__(self)
        Cluster.__init__(self, household, size=2, provider=provider)
        self.topology = topology or "replicas"
        self._found = choose(version)
        self.version = self._found.version

    @classmethod
    def available(cls) -> list[Found]:
        """The MariaDB on this machine."""
        return found()

    @classmethod
    def missing(cls) -> str:
        """How to get one."""
        return MISSING

    # --- its life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Make the servers, and wait until the replica follows."""
        self.links.start()
        template = self._server(0, site=None)
        template.make()
        for number in range(1, self.size + 1):
            node = self.equip(self._server(number, site=self.links.site(f"n{number}")))
            node.make_copy(template)
            self.nodes.append(node)
        template.stop()
        for node in self.nodes:
            node.launch()
            self.links.node(node.name, node.port)
            _admit(node)
        self.lead_to(self.nodes[0])
        for node in self.nodes[1:]:
            node.follow(self.address(node.name, self.leader.name))
        self._settle()

    def _settle(self) -> None:
        """Wait until everybody plays his part; from then on commits wait for the replica."""
        self.await_ready()
        if self.topology != "replicas":
            self.leader.set(_WAITS, "ON")
            if not wait_until(self._heard, SOON_S):
                raise Broken(f"{self.name}: no replica acknowledges what it receives")

    def _heard(self) -> bool:
        ((_, clients),) = self.leader.ask("SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'")
        return int(clients) > 0

    def _server(self, number: int, *, site: Site | None) -> MariaDBServer:
        options = {**REPLICATION, **TOPOLOGIES[self.topology], "server-id": str(number + 1)}
        name = f"n{number}"
        return MariaDBServer(self.household, self._found, name=name, options=options, site=site)

    def stop(self) -> None:
        """Stop all nodes and remove their links; safe to call twice."""
        Cluster.stop(self)
        self._database = None

    def ready(self) -> bool:
        """Whether there is one primary, and every other node follows it."""
        try:
            return self.leader.replica() is None and all(
                self._follows(node) for node in self._others()
            )
        except Broken:
            return False

    def answers(self) -> bool:
        """Whether the cluster is whole: one primary, and every other node follows it."""
        return self.ready()

    def _others(self) -> list[MariaDBServer]:
        return [node for node in self.nodes if node is not self.leader]

    def _follows(self, node: MariaDBServer) -> bool:
        """Whether a node receives and applies what the primary writes."""
        try:
            state = node.replica()
        except Broken:
            return False
        return state is not None and state.hears and state.applies

    # --- powers ----------------------------------------------------------------------------------

    def promote(self, *, most: bool = True) -> MariaDBServer:
        """Promote the replica that has most (or least) of the log; clients are led there."""
        replicas = [node for node in self.nodes if node.role() == "replica"]
        if not replicas:
            raise Broken(f"{self.name} has no replica that could be promoted")
        chosen: MariaDBServer = (max if most else min)(
            replicas, key=lambda node: (node.received(), node.name)
        )
        chosen.lead()
        self.lead_to(chosen)
        return chosen

    def restart(self) -> None:
        """Start every node that is down, and wait until the cluster is whole."""
        for node in self._down():
            node.restart()
        self.rejoin()

    def rejoin(self) -> None:
        """Every node but the one that clients are led to follows that one, made anew if need be."""
        for node in self._down():
            node.restart()
        for node in self._others():
            if not self._follows_soon(node):
                self._take_back(node)
        self._settle()

    def _follows_soon(self, node: MariaDBServer) -> bool:
        return node.role() == "replica" and wait_until(lambda: self._follows(node), SOON_S)

    def _take_back(self, node: MariaDBServer) -> None:
        """Make a node anew as a copy of the primary, whatever it knew besides."""
        leader = self.leader
        node.kill()
        # Not before: who waits for a replica there would be told that one has it.
        node.set(_WAITS, "OFF")
        node.clear()
        # What a server that stands still has written is what one that was killed would leave.
        leader.pause()
        try:
            node.make_copy(leader)
        finally:
            leader.resume()
        node.launch()
        node.adopt()
        node.follow(self.address(node.name, leader.name))

    def hold_back(self, node: MariaDBServer) -> None:
        """Stop applying the log on a replica; it goes on receiving it."""
        node.ask("STOP SLAVE SQL_THREAD")
        state = node.replica()
        if state is None or state.applies:
            raise Broken(f"{node.name} goes on applying the log")

    def let_go(self, node: MariaDBServer) -> None:
        """Go on applying the log."""
        if node.role() == "replica":
            node.ask("START SLAVE SQL_THREAD")

    def behind(self, node: MariaDBServer) -> int:
        """Bytes of the primary's log that this replica has not applied."""
        state, leader = node.replica(), self.leader
        if state is None:
            return 0
        return int(max(0, leader.offset(leader.log_end()) - leader.offset(state.applied)))

    # --- a run's place ---------------------------------------------------------------------------

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Make this run's database, and wait until every replica has it."""
        spec = super().prepare(run_id, isolation=isolation)
        if not wait_until(lambda: all(map(self._has_all, self._others())), CATCH_UP_S):
            raise Broken(f"{self.name}: a replica did not catch up within {CATCH_UP_S:g} s")

        def how(name: str, role: str, port: int) -> tuple[str, dict[str, Any]]:
            at = self.client_host(name), port
            return reached(f"{self.name} {name}", at, database=f"dokkaebi_{run_id}")

        return msgspec.structs.replace(spec, nodes=self.node_specs(how))

    def _has_all(self, node: MariaDBServer) -> bool:
        return self.behind(node) == 0

    def _servers(self) -> Sequence[MariaDBServer]:
        return [self.leader, *(node for node in self._others() if node.processes())]

    def _entrance(self) -> Address:
        return self.client_host(""), self.front()


def _admit(node: MariaDBServer) -> None:
    """Let the other node follow this one."""
    # Each node's own business: it must not look like a transaction that the others lack.
    node.ask("CREATE USER follower@`%`")
    node.ask("GRANT REPLICATION SLAVE ON *.* TO follower@`%`")
    node.ask("RESET MASTER")
