"""PostgreSQL with streaming replicas: `postgres:replicas`, `postgres:sync`, `postgres:delayed`.

One primary (n1 at first) and two standbys, each following the primary over a link of its own. `sync` makes every commit wait for one standby; `delayed` lets the standbys apply what
they have two seconds late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from ..harness.errors import Broken
from ..harness.household import Household
from ..harness.protocols import ClientSpec, Harm
from .cluster import Cluster
from .local import Found, wait_until
from .postgres_found import DEFAULT, MISSING, choose, found
from .postgres_runs import SESSIONS, TERMINATE, PostgresRuns, isolation_name, run_dsn
from .postgres_server import LOCAL, PostgresServer, ask

TOPOLOGIES: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "replicas": ({}, {}),
    "sync": ({"synchronous_standby_names": "ANY 1 (n2, n3)"}, {}),
    "delayed": ({}, {"recovery_min_apply_delay": "2s"}),
}
"""What the primary and the standbys are told besides."""

TIMELINE = "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int"
RECEIVED = "SELECT received_tli FROM pg_stat_wal_receiver WHERE status = 'streaming'"

CATCH_UP_S = 20.0
SOON_S = 6.0
"""How long a standby may take until it streams again, or its replay stands still."""


class PostgresCluster(PostgresRuns, Cluster):
    """A primary and its standbys, all ours."""

    providers: ClassVar[tuple[str, ...]] = ("local", "netns", "docker")

    def __init__(
        self,
        household: Household,
        version: str | None = None,
        topology: str | None = None,
        provider: str = "local",
    ) -> None:
        PostgresRuns.__init__(self)
        Cluster.__init__(self, household, size=3, provider=provider)
        self.topology = topology or "replicas"
        self._found = choose(version or DEFAULT)
        self.version = self._found.version

    @classmethod
    def available(cls) -> list[Found]:
        """The PostgreSQL servers on this machine."""
        return found()

    @classmethod
    def missing(cls) -> str:
        """How to get one."""
        return MISSING

    # --- its life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Make the primary, copy it, and wait until every standby streams."""
        self.links.start()
        names = [f"n{number}" for number in range(1, self.size + 1)]
        self.nodes = [
            self.equip(
                PostgresServer(self.household, self._found, name=name, site=self.links.site(name))
            )
            for name in names
        ]
        first, *others = self.nodes
        first.make()
        first.launch()
        self.links.node(first.name, first.port)
        self.lead_to(first)
        with ThreadPoolExecutor(len(others)) as pool:
            list(pool.map(lambda node: self._follow(node, first), others))
        self._arrange(first)
        self.await_ready()

    def stop(self) -> None:
        """Stop all nodes and remove their links; safe to call twice."""
        Cluster.stop(self)
        self._database = None

    def ready(self) -> bool:
        """Whether there is one primary, and every other node streams from it."""
        primary = self.leader
        try:
            ((streaming,),) = primary.ask(
                "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
            )
        except Broken:
            return False
        return bool(streaming >= len(self.nodes) - 1) and self._synchronous(primary)

    def _synchronous(self, primary: PostgresServer) -> bool:
        """Whether somebody can acknowledge commits, where they wait for that."""
        if self.topology != "sync":
            return True
        ((standing,),) = primary.ask(
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"
        )
        return bool(standing)

    def answers(self) -> bool:
        """Whether the cluster is whole: one primary, and every other node streams."""
        return self.ready()

    # --- who follows whom ------------------------------------------------------------------------

    def _follow(self, node: PostgresServer, primary: PostgresServer) -> None:
        """Copy the primary and follow it."""
        source = self._source(node, primary)
        node.make_copy(source)
        self.links.node(node.name, node.port)
        node.follow(source)
        node.launch()

    def _source(self, node: PostgresServer, primary: PostgresServer) -> str:
        """How a standby reaches the primary."""
        host, port = self.address(node.name, primary.name)
        return f"host={host} port={port} user=postgres sslmode=disable"

    def _arrange(self, primary: PostgresServer) -> None:
        """The topology's settings, as the roles are now."""
        of_primary, of_standby = TOPOLOGIES[self.topology]
        for node in self.nodes:
            for name, value in of_primary.items():
                node.set(name, value if node is primary else "")
            for name, value in of_standby.items():
                node.set(name, "0" if node is primary else value)

    # --- powers ----------------------------------------------------------------------------------

    def promote(self, *, most: bool = True) -> PostgresServer:
        """Promote the standby that has most (or least) of the log; the others follow it, clients go there."""
        standbys = [node for node in self.nodes if node.role() == "replica" and not node.spoilt]
        if not standbys:
            raise Broken(f"{self.name} has no standby that could be promoted")
        chosen: PostgresServer = (max if most else min)(
            standbys, key=lambda node: (node.received(), node.name)
        )
        chosen.promote()
        self.lead_to(chosen)
        for node in standbys:
            if node is not chosen:
                node.follow(self._source(node, chosen))
        return chosen

    def restart(self) -> None:
        """Start every node that is down, and wait until the cluster is whole."""
        for node in self._down():
            node.restart()
        self.rejoin()

    def rejoin(self) -> None:
        """Every node but the one that clients are led to follows that one, made anew if need be."""
        if self.leader in self._down():
            self.leader.restart()
        for node in self.nodes:
            if node is not self.leader and (node.spoilt or not self._streams(node)):
                self._take_back(node)
        self._arrange(self.leader)
        self.await_ready()

    def _streams(self, node: PostgresServer) -> bool:
        """Whether a standby streams from the primary on its timeline, at once or soon.

        One that had received more of the old primary's log than the new one begins to stream again
        and again, and is cut off each time where the timelines part.
        """
        ((timeline,),) = self.leader.ask(TIMELINE)
        return node.role() == "replica" and wait_until(
            lambda: node.ask(RECEIVED) == [(timeline,)], SOON_S
        )

    def _take_back(self, node: PostgresServer) -> None:
        """Make a node a standby again that went its own way, or that is down."""
        source = self._source(node, self.leader)
        node.kill()
        # What is rewound must know the new timeline from the control file, not from the next one.
        self.leader.ask("CHECKPOINT")
        if node.spoilt or not node.rewind(source):
            node.make_copy(source)
        node.spoilt = False
        node.follow(source)
        node.launch()

    def hold_back(self, node: PostgresServer) -> None:
        """Pause the replay of the log on a standby."""
        node.ask("SELECT pg_wal_replay_pause()")
        paused = "SELECT pg_get_wal_replay_pause_state() = 'paused'"
        if not wait_until(lambda: node.ask(paused) == [(True,)], SOON_S):
            raise Broken(f"{node.name} does not pause its replay")

    def let_go(self, node: PostgresServer) -> None:
        """Go on with the replay."""
        if node.role() == "replica":
            node.ask("SELECT pg_wal_replay_resume()")

    def behind(self, node: PostgresServer) -> int:
        """Bytes of the primary's log that this standby has not applied."""
        return max(0, int(self.leader.applied() - node.applied()))

    # --- damaged nodes ---------------------------------------------------------------------------

    def cannot_spoil(self) -> str | None:
        """Pages have checksums, and records of the log too."""
        return None

    def vulnerable(self, node: PostgresServer, harm: Harm) -> Sequence[Path]:
        """The end of the log, where something may be missing; and pages of this run's tables.

        What a page should have been is known to its checksum; how long a file was, to nobody.
        """
        try:
            if harm == "truncate":
                file = node.log_file()
                return [file] if file else []
            return self._pages(node)
        except Broken:
            return []

    def _pages(self, node: PostgresServer) -> Sequence[Path]:
        """The files of this run's tables, the largest first, with all that was replayed in them."""
        self.leader.ask("CHECKPOINT")
        target = self.leader.applied()
        wait_until(lambda: node.applied() >= target, SOON_S)
        node.ask("CHECKPOINT")
        tables = node.ask_in(
            self._database or "postgres",
            "SELECT pg_relation_filepath(oid) FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace ORDER BY relpages DESC, oid",
        )
        found = [node.data / path for (path,) in tables]
        return sorted(found, key=lambda file: -file.stat().st_size)

    def start_spoilt(self, node: PostgresServer) -> str:
        """Start a damaged standby, and have it read all tables of this run."""
        node.restart()
        database = self._database or "postgres"
        try:
            tables = node.ask_in(
                database,
                "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
                " AND relnamespace = 'public'::regnamespace",
            )
            for (table,) in tables:
                node.ask_in(database, f"SELECT count(*) FROM {table}")
        except Broken as error:
            return f"it started, and says: {error}"
        return f"it started, and could read {len(tables)} tables"

    # --- a run's place ---------------------------------------------------------------------------

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Make this run's database, and wait until every standby has it."""
        spec = super().prepare(run_id, isolation=isolation)
        level = None if isolation is None else isolation_name(isolation)
        target = self.leader.applied()
        if not wait_until(lambda: all(n.applied() >= target for n in self.nodes), CATCH_UP_S):
            raise Broken(f"{self.name}: a standby did not catch up within {CATCH_UP_S:g} s")

        def reached(name: str, role: str, port: int) -> tuple[str, dict[str, Any]]:
            # A hot standby refuses serializable.
            most = "repeatable read" if (role, level) == ("replica", "serializable") else level
            dsn = run_dsn(
                f"postgresql://postgres@{self.client_host(name)}:{port}/",
                database=f"dokkaebi_{run_id}",
                session=self._session,
                isolation=most,
            )
            return dsn, {"dsn": dsn, "node": f"{self.name} {name}", **LOCAL}

        return msgspec.structs.replace(spec, nodes=self.node_specs(reached))

    def sessions(self) -> int:
        """How many of this run's sessions the nodes still show."""
        return sum(self._each_node(SESSIONS))

    def terminate_sessions(self) -> None:
        """End this run's sessions on every node."""
        self._each_node(TERMINATE)

    def _each_node(self, question: str) -> list[int]:
        return [
            int(rows[0][0]) if (rows := node.ask(question, (self._session,))) else 0
            for node in self.nodes
            if node.processes()
        ]

    def _ask(
        self, question: Any, parameters: Sequence[Any] | None = None, *, dsn: str | None = None
    ) -> list[tuple[Any, ...]]:
        """One statement of our own, which waits for no standby: there may be none that answers."""
        if dsn is not None:
            return super()._ask(question, parameters, dsn=dsn)
        alone = "-c synchronous_commit=local"
        return ask(self._admin_dsn(), question, parameters, options=alone, **LOCAL)

    def _admin_dsn(self) -> str:
        return str(self.leader.dsn())

    def _client_dsn(self) -> str:
        return f"postgresql://postgres@{self.client_host('')}:{self.front()}/postgres"

    def _extra_arguments(self) -> dict[str, Any]:
        return dict(LOCAL)
