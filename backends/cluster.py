"""What clusters of ours share: nodes with names, links between them, and powers over single nodes.

Every direction between any two can be cut, whatever the links are made of (`network`): clients
reach each node at one address, and the primary through a door that can be led to another one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, get_args

import psutil

from ..harness.errors import Broken, Unavailable
from ..harness.household import Household
from ..harness.protocols import CLIENTS, Held, NodeSpec, Pair, Shape
from .containers import Containers
from .links import Links
from .namespaces import Namespaces
from .network import LOOPBACK, Address, Network, both_ways

READY_S = 30.0

NETWORKS: Mapping[str, Callable[[Household], Network]] = {
    "local": Links,
    "netns": Namespaces,
    "docker": Containers,
}
"""What `--provider` chooses from."""


class Cluster:
    """Several servers of one kind. A subclass makes and joins them, and says when they are ready."""

    name: str
    version: str
    shapes: tuple[Shape, ...] = get_args(Shape)
    """The partitions that its links can express."""
    ready_s = READY_S
    """How long it may take to be whole again."""
    providers: ClassVar[tuple[str, ...]] = ("local",)
    """The networks on which its nodes know how to live."""
    counted: ClassVar[bool] = False
    """Whether clients reach nodes through the relay on every network, because only it counts them."""

    def __init__(self, household: Household, *, size: int, provider: str = "local") -> None:
        self.household = household
        self.size = size
        self.nodes: list[Any] = []
        self.links = NETWORKS[provider](household)
        self._front = 0
        """The clients' door to the primary."""
        self._entrances: dict[str, int] = {}
        """The clients' doors to the nodes, where they are counted."""
        self.clocks = False
        """Whether every node has a clock of its own."""
        self.disks = False
        """Whether every node has a disk of its own."""
        self.leader: Any = None
        """The node that new clients of the primary are led to."""

    def own_clock(self) -> None:
        """Give every node a clock of its own when it is made; raises `Unavailable`."""
        self.clocks = True

    def own_disk(self) -> None:
        """Give every node a disk of its own when it is made; raises `Unavailable`."""
        if not self.links.sees_mounts:
            # Its server would write beside the disk, and lose nothing.
            raise Unavailable(
                "nodes in containers see no disk of their own: use another --provider"
            )
        self.disks = True

    def equip(self, node: Any) -> Any:
        """The node with a clock and a disk of its own, where those were asked for."""
        if self.clocks:
            node.own_clock()
        if self.disks:
            node.own_disk()
        return node

    # --- for the subclass ------------------------------------------------------------------------

    def ready(self) -> bool:
        """Whether every node answers and plays its part."""
        raise NotImplementedError

    def primary(self) -> Any:
        """The node that has the say: where we decide that, the one that clients are led to."""
        return self.leader

    # --- its life --------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop all nodes and remove their links; safe to call twice."""
        with ThreadPoolExecutor(max(1, len(self.nodes))) as pool:
            list(pool.map(lambda node: node.stop(), self.nodes))
        self.links.stop()

    def await_ready(self) -> None:
        """Wait until the cluster is ready; `Broken` says what is missing."""
        deadline = time.monotonic() + self.ready_s
        while not self.ready():
            if time.monotonic() > deadline:
                roles = ", ".join(f"{node.name} is {node.role()}" for node in self.nodes)
                raise Broken(f"{self.name} was not ready within {self.ready_s:g} s: {roles}")
            time.sleep(0.02)

    def logs(self) -> list[Path]:
        """Every node's log."""
        return [log for node in self.nodes for log in node.logs()]

    # --- links -----------------------------------------------------------------------------------

    def address(self, source: str, target: str) -> Address:
        """The host and port at which `source` reaches a node."""
        if self.counted and source == CLIENTS:
            if target not in self._entrances:
                self._entrances[target] = self.links.open(CLIENTS, target)
            return LOOPBACK, self._entrances[target]
        return self.links.address(source, target)

    def door(self, source: str, target: str) -> int:
        """The port alone, where all hosts are this one."""
        return self.address(source, target)[1]

    @property
    def doors(self) -> Links:
        """The relay's doors, for clusters that know no other network."""
        if not isinstance(self.links, Links):
            raise Broken(f"the nodes of {self.name} live on loopback only")
        return self.links

    def client_host(self, name: str) -> str:
        """The host at which clients reach a node; without a name, the one they are led to."""
        return self.address(CLIENTS, name)[0] if name else LOOPBACK

    def front(self) -> int:
        """The port through which clients reach the node that they are led to."""
        return self._front

    def lead_to(self, node: Any) -> None:
        """From now on new clients of the primary reach this node."""
        if not self._front:
            self._front = self.links.open(CLIENTS, node.name)
        else:
            self.links.lead(self._front, node.name)
        self.leader = node

    def peers(self) -> Sequence[Pair]:
        """Both directions between every two nodes."""
        names = [node.name for node in self.nodes]
        return both_ways(names, names)

    def cut(self, pairs: Iterable[Pair]) -> None:
        """From now on exactly these directions are cut."""
        self.links.cut(pairs)

    def reconnect(self) -> None:
        """Undo every cut and every slowness."""
        self.links.cut(())
        self.links.slow(())

    def cannot_slow(self) -> str | None:
        """Why links between nodes cannot be made slow; None if they can."""
        return self.links.cannot_slow

    def slow(self, pairs: Iterable[Pair], *, delay_s: float, rate: float = 0.0) -> None:
        """From now on exactly these directions are late, and carry `rate` bytes a second."""
        self.links.slow(pairs, delay_s=delay_s, rate=rate)

    def held(self) -> Held:
        """What the cuts keep back."""
        return self.links.held()

    # --- all nodes at once -----------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """All living processes of all nodes."""
        return [process for node in self.nodes for process in node.processes()]

    def kill(self) -> list[psutil.Process]:
        """SIGKILL every node."""
        return [process for node in self.nodes for process in node.kill()]

    def restart(self) -> None:
        """Start every node that is down, make damaged ones anew, and wait until all are ready."""
        down = list(self._down())
        with ThreadPoolExecutor(max(1, len(down))) as pool:
            list(pool.map(lambda node: node.restart(), down))
        self._mend()
        self.await_ready()

    def pause(self) -> list[psutil.Process]:
        """SIGSTOP every node."""
        return [process for node in self.nodes for process in node.pause()]

    def resume(self) -> None:
        """SIGCONT every node."""
        for node in self.nodes:
            node.resume()

    def _down(self) -> Iterator[Any]:
        """Nodes that only have to be started."""
        return (node for node in self.nodes if not node.processes() and not node.spoilt)

    # --- damaged nodes ---------------------------------------------------------------------------

    def start_spoilt(self, node: Any) -> str:
        """Start a damaged node on what it has."""
        node.restart()
        return "it started"

    def remake(self, node: Any) -> None:
        """Throw a node's data away, and start it with its peers'."""
        raise NotImplementedError

    def _mend(self) -> None:
        """Make every damaged node anew."""
        for node in self.nodes:
            if node.spoilt:
                node.kill()
                self.remake(node)
                node.spoilt = False

    # --- how clients reach it --------------------------------------------------------------------

    def node_specs(
        self, arguments: Callable[[str, str, int], tuple[str, dict[str, Any]]]
    ) -> tuple[NodeSpec, ...]:
        """How each node is reached; `arguments(name, role, port)` answers (dsn, arguments)."""
        specs = []
        for node in self.nodes:
            role = node.role()
            dsn, given = arguments(node.name, role, self.door(CLIENTS, node.name))
            specs.append(NodeSpec(name=node.name, role=role, arguments=given, dsn=dsn))
        return tuple(specs)
