"""Servers of one kind that find one another and agree among themselves who leads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from ..harness.errors import UsageError
from ..harness.household import Household
from ..harness.protocols import CLIENTS, ClientSpec
from .cluster import Cluster
from .local import Found, of_version, wait_until

LAST_CLIENT_S = 5.0
"""How long the last client of a run may take to be gone before it is ended."""


class Quorum(Cluster):
    """Servers of ours, emptied between runs. A subclass makes, joins and empties them."""

    members: ClassVar[int] = 3
    topologies: ClassVar[Sequence[str]] = ("three",)
    clusters: ClassVar[Mapping[str, str]] = {}
    factory: ClassVar[str]
    """Where the worker's side is opened."""
    found: ClassVar[Callable[[], list[Found]]]
    """Looks for the servers on this machine."""
    lacking: ClassVar[str]
    """How to get one."""

    def __init__(
        self,
        household: Household,
        version: str | None = None,
        topology: str | None = None,
        provider: str = "local",
    ) -> None:
        super().__init__(household, size=self.members, provider=provider)
        if topology not in (None, *self.topologies):
            raise UsageError(
                f"{self.name} has no topology {topology!r}; it has {', '.join(self.topologies)}"
            )
        self.binary = of_version(self.available(), self.name, version, self.lacking)
        self.version = self.binary.version
        self._running = False

    @classmethod
    def available(cls) -> list[Found]:
        """The servers of this kind on this machine."""
        return cls.found()

    @classmethod
    def missing(cls) -> str:
        """How to get one."""
        return cls.lacking

    # --- for the subclass ------------------------------------------------------------------------

    def make_node(self, number: int) -> Any:
        """The server of this number, counted from 1; nothing of it runs yet."""
        raise NotImplementedError

    def connect(self) -> None:
        """Tell the servers where they reach one another."""
        raise NotImplementedError

    def empty(self) -> None:
        """Remove what a run left."""
        raise NotImplementedError

    def way(self, ports: Sequence[int]) -> tuple[str, dict[str, Any]]:
        """The address of the servers behind these doors, and the arguments of their client."""
        raise NotImplementedError

    # --- its life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all servers and wait until the cluster is whole."""
        self.links.start()
        self.nodes += [self.make_node(number) for number in range(1, self.size + 1)]
        with ThreadPoolExecutor(self.size) as pool:
            list(pool.map(lambda node: node.make(), self.nodes))
        for node in self.nodes:
            self.links.node(node.name, node.port)
        self.connect()
        self.launch()
        self.leader = self.nodes[0]
        self.await_ready()

    def launch(self) -> None:
        """Begin all of them at once."""
        with ThreadPoolExecutor(self.size) as pool:
            list(pool.map(lambda node: node.launch(), self.nodes))

    def answers(self) -> bool:
        """Whether the cluster is whole."""
        return self.ready()

    # --- a run's place ---------------------------------------------------------------------------

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Make a place for this run and say how to reach it."""
        if isolation is not None:
            raise UsageError(f"{self.name} has no isolation levels; {isolation!r} was asked for")
        self.make_place(run_id)
        self._running = True
        dsn, arguments = self.way([self.door(CLIENTS, node.name) for node in self.nodes])

        def reached(name: str, role: str, port: int) -> tuple[str, dict[str, Any]]:
            own, how = self.way([port])
            return own, how | {"node": f"{self.name} {name}"}

        return ClientSpec(
            backend=self.name,
            factory=self.factory,
            arguments=arguments | {"node": self.name},
            dsn=dsn,
            nodes=self.node_specs(reached),
        )

    def make_place(self, run_id: str) -> None:
        """A run's place is everything, where the subclass has nothing smaller."""
        self.empty()

    def finish(self) -> None:
        """Remove what the run left, once its last client is gone."""
        if not self._running:
            return
        if not wait_until(lambda: self.sessions() == 0, LAST_CLIENT_S):
            self.terminate_sessions()
        self._running = False
        self.empty()

    def sessions(self) -> int:
        """How many connections clients have open."""
        return self.links.callers(CLIENTS)

    def terminate_sessions(self) -> None:
        """End them."""
        self.links.callers(CLIENTS, end=True)
