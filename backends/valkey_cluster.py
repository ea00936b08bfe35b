"""Several Valkey servers: `valkey:replicas`, `valkey:sentinel`, `valkey:five`.

`replicas` is a primary with two replicas, whose failovers are ours to make; `sentinel` the same
under three sentinels, which make them; `five` are independent servers, as Redlock wants them, that
keep nothing when they are killed. Acknowledged writes of the first two survive a SIGKILL.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from ..harness.errors import Broken, UsageError
from ..harness.household import Household
from ..harness.protocols import CLIENTS, ClientSpec, Harm, Pair
from .cluster import Cluster
from .local import Found, wait_until
from .sentinels import PEERS, Sentinels
from .valkey_found import MISSING, choose, found
from .valkey_runs import FACTORY, named_dsn
from .valkey_server import DURABLE, VOLATILE, ValkeyServer

_REPLICATION = (
    "--repl-diskless-sync-delay",
    "0",
    "--repl-timeout",
    "5",
    "--repl-ping-replica-period",
    "1",
)
SOON_S = 20.0
LAST_CLIENT_S = 5.0


class ValkeyCluster(Cluster):
    """Valkey servers of ours that belong together."""

    name = "valkey"
    providers: ClassVar[tuple[str, ...]] = ("local", "netns", "docker")

    def __init__(
        self,
        household: Household,
        version: str | None = None,
        topology: str | None = None,
        provider: str = "local",
    ) -> None:
        self.topology = topology or "replicas"
        super().__init__(household, size=5 if self.topology == "five" else 3, provider=provider)
        self._found = choose(self.name, version)
        self.version = self._found.version
        self._sentinels: Sentinels | None = None
        if self.topology == "sentinel" and not self.links.each_pair:
            self.shapes = ("primary", "node", "one-way", "clients")
        self._session: str | None = None

    @classmethod
    def available(cls) -> list[Found]:
        """The Valkey and Redis servers on this machine."""
        return found()

    @classmethod
    def missing(cls) -> str:
        """How to get one."""
        return MISSING

    @property
    def replicated(self) -> bool:
        """Whether one of the servers is the primary of the others."""
        return self.topology != "five"

    # --- its life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all servers, and wait until those that follow do."""
        self.links.start()
        for number in range(1, self.size + 1):
            self.nodes.append(self._make(f"n{number}"))
        self.lead_to(self.nodes[0])
        if self.replicated:
            for node in self.nodes[1:]:
                node.follow(self.address(node.name, self.leader.name))
        self.await_ready()
        if self.topology == "sentinel":
            self._sentinels = Sentinels(self, self._found)
            self._sentinels.start()

    def _make(self, name: str) -> ValkeyServer:
        options = (*DURABLE, *_REPLICATION) if self.replicated else VOLATILE
        site = self.links.site(name)
        node = ValkeyServer(self.household, self._found, name=name, options=options, site=site)
        self.equip(node).make()
        self.links.node(name, node.port)
        node.launch()
        return node

    def stop(self) -> None:
        """Stop all servers and remove their links; safe to call twice."""
        if self._sentinels is not None:
            self._sentinels.stop()
            self._sentinels = None
        super().stop()

    def ready(self) -> bool:
        """Whether every server answers, and every replica has what the primary has."""
        if not self.replicated:
            return all(node.answers() for node in self.nodes)
        if self._sentinels is not None and not self._sentinels.agree():
            return False
        return self.leader.role() == "primary" and all(
            node.linked() for node in self.nodes if node is not self.leader
        )

    def answers(self) -> bool:
        """Whether the cluster is whole."""
        return self.ready()

    def cut(self, pairs: Iterable[Pair]) -> None:
        """From now on exactly these directions are cut.

        Under sentinels all peers share one door of the relay to each server: there a direction is
        cut when a server is cut off from all others in it.
        """
        pairs = set(pairs)
        if self.topology == "sentinel" and not self.links.each_pair:
            names = {node.name for node in self.nodes}
            mute = {n for n in names if all((n, other) in pairs for other in names - {n})}
            deaf = {n for n in names if all((other, n) in pairs for other in names - {n})}
            of_clients = {pair for pair in pairs if CLIENTS in pair}
            pairs = of_clients | {(n, PEERS) for n in mute} | {(PEERS, n) for n in deaf}
        super().cut(pairs)

    # --- powers ----------------------------------------------------------------------------------

    def promote(self, *, most: bool = True) -> ValkeyServer:
        """Promote the replica that has most, or least; the others follow it, and clients are led there."""
        replicas = [node for node in self.nodes if node.role() == "replica" and not node.spoilt]
        if not replicas:
            raise Broken(f"{self.name} has no replica that could be promoted")
        chosen: ValkeyServer = (max if most else min)(
            replicas, key=lambda node: (node.offset(), node.name)
        )
        chosen.follow(None)
        self.lead_to(chosen)
        for node in replicas:
            if node is not chosen:
                node.follow(self.address(node.name, chosen.name))
        return chosen

    def rejoin(self) -> None:
        """Every server but the one that clients are led to follows that one, started if need be."""
        # One that sentinels promoted had followed before, and is now what all others have.
        self.leader.spoilt = False
        for node in self._down():
            node.restart()
        self._mend()
        if self.replicated and self._sentinels is None:
            for node in self.nodes:
                if node is not self.leader:
                    node.follow(self.address(node.name, self.leader.name))
        self.await_ready()

    def restart(self) -> None:
        """Start every server that is down, and wait until the cluster is whole."""
        self.rejoin()

    # --- damaged nodes ---------------------------------------------------------------------------

    def cannot_spoil(self) -> str | None:
        """Only replicas have peers that know what they knew."""
        return None if self.replicated else f"the servers of {self.name}:five have no replicas"

    def vulnerable(self, node: ValkeyServer, harm: Harm) -> Sequence[Path]:
        """The log of commands, which may end too soon; and the snapshot before it, which has a checksum."""
        if harm == "truncate":
            return node.logged()
        with contextlib.suppress(Broken):  # one that is down has the snapshot that it has
            node.write_snapshot()
        return node.snapshots()

    def start_spoilt(self, node: ValkeyServer) -> str:
        """Start a damaged server; by hand, where no sentinel does it, it is told whom to follow."""
        node.restart()
        with node.admin() as server:
            keys = server.dbsize()
        if self._sentinels is None:
            node.follow(self.address(node.name, self.leader.name))
        return f"it started with {keys} keys"

    def remake(self, node: ValkeyServer) -> None:
        """Start it with nothing; it gets all from the server that it follows."""
        node.forget()
        node.restart()

    # --- a run's place ---------------------------------------------------------------------------

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Empty all servers for this run and say how to reach them."""
        if isolation is not None:
            raise UsageError(f"{self.name} has no isolation levels; {isolation!r} was asked for")
        self._empty()
        self._session = f"dokkaebi-{run_id}"

        def reached(name: str, role: str, port: int) -> tuple[str, dict[str, str]]:
            dsn = named_dsn(f"redis://{self.client_host(name)}:{port}/0", f"dokkaebi-{run_id}")
            return dsn, {"dsn": dsn, "node": f"{self.name} {name}"}

        dsn, arguments = reached("", "primary", self.front())
        nodes = self.node_specs(reached)
        if not self.replicated:
            # None has the say over the others: they are called by their number alone.
            nodes = tuple(msgspec.structs.replace(node, role="server") for node in nodes)
        return ClientSpec(
            backend=self.name,
            factory=FACTORY,
            arguments={**arguments, "node": self.name},
            dsn=dsn,
            nodes=nodes,
        )

    def finish(self) -> None:
        """Empty the servers again, once this run's last client is gone."""
        if self._session is None:
            return
        if not wait_until(lambda: self.sessions() == 0, LAST_CLIENT_S):
            self.terminate_sessions()
        self._session = None
        self._empty()

    def _empty(self) -> None:
        for node in [self.leader] if self.replicated else self.nodes:
            with node.admin() as server:
                server.flushall()
                server.script_flush()
        if self.replicated:
            target = self.leader.offset()
            followers = [node for node in self.nodes if node is not self.leader]
            if not wait_until(lambda: all(n.offset() >= target for n in followers), SOON_S):
                raise Broken(f"{self.name}: a replica was not emptied within {SOON_S:g} s")

    def sessions(self) -> int:
        """How many of this run's sessions the servers still show."""
        return sum(len(self._ours(node)) for node in self._up())

    def terminate_sessions(self) -> None:
        """End this run's sessions on every server."""
        for node in self._up():
            with node.admin() as server:
                for number in self._ours(node):
                    server.client_kill_filter(_id=number)

    def settings(self) -> dict[str, str]:
        """What decides about durability, as the primary has it."""
        with self.leader.admin() as server:
            names = ("appendonly", "appendfsync", "save", "min-replicas-to-write")
            return {name: server.config_get(name).get(name, "") for name in names}

    def _up(self) -> list[ValkeyServer]:
        return [node for node in self.nodes if node.processes()]

    def _ours(self, node: ValkeyServer) -> list[str]:
        with node.admin() as server:
            return [one["id"] for one in server.client_list() if one["name"] == self._session]
