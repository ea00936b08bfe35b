"""Faults that cut links: what is sent in a cut direction does not arrive until the healing.

`partition` draws its shape from the seed; the others have one each. Cuts between nodes leave all
clients connected, as in Jepsen: what the two sides then do is what is tested.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..harness.engine import Arena
from ..harness.protocols import CLIENTS, Backend, Cluster, Evidence, Held, Pair, Shape
from .targets import topologies_of

_AMONG_MANY: Sequence[Shape] = ("halves",)
"""Shapes that are others' twins among three nodes."""

LEAST: Mapping[Shape, int] = {"replica": 2, "bridge": 3, "ring": 4}
"""How many nodes a shape needs: in a smaller ring, everybody is next to everybody."""


class Partition:
    """`partition`: nodes are cut off from one another, in a shape drawn from the seed."""

    name: ClassVar[str] = "partition"
    shape: ClassVar[Shape | None] = None
    """None: drawn from those that the cluster's links can express."""

    def missing(self, backend: Backend) -> str | None:
        """It needs links that are ours, and that can be cut in this shape."""
        if isinstance(backend, Cluster):
            if self.shape is not None and backend.size < LEAST.get(self.shape, 1):
                return (
                    f"{self.name} needs {LEAST[self.shape]} nodes; "
                    f"this cluster of {backend.name} has {backend.size}"
                )
            if self.shape is None or self.shape in backend.shapes:
                return None
            return f"the links of {backend.name} can express only {', '.join(backend.shapes)}"
        return (
            f"{backend.name} has no links of ours to cut: it needs a cluster "
            f"({topologies_of(backend)})"
        )

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _PartitionStrike:
        """The shape, and which nodes are where."""
        return _PartitionStrike(backend, self.shape, rng)


class PartitionPrimary(Partition):
    """`partition-primary`: the primary is cut off from all other nodes."""

    name = "partition-primary"
    shape = "primary"


class PartitionReplica(Partition):
    """`partition-replica`: the primary and one other node are cut off from each other."""

    name = "partition-replica"
    shape = "replica"


class PartitionNode(Partition):
    """`partition-node`: any one node is cut off from all others."""

    name = "partition-node"
    shape = "node"


class PartitionHalves(Partition):
    """`partition-halves`: a majority on one side, a minority on the other."""

    name = "partition-halves"
    shape = "halves"


class PartitionRing(Partition):
    """`partition-ring`: every node sees a majority, and no two see the same one."""

    name = "partition-ring"
    shape = "ring"


class PartitionBridge(Partition):
    """`partition-bridge`: two halves that see each other only through one node."""

    name = "partition-bridge"
    shape = "bridge"


class PartitionOneWay(Partition):
    """`partition-one-way`: a node's packets reach nobody, but it hears all others."""

    name = "partition-one-way"
    shape = "one-way"


class PartitionClients(Partition):
    """`partition-clients`: clients are cut off from the primary; the nodes see one another."""

    name = "partition-clients"
    shape = "clients"


class _PartitionStrike:
    heals_first: ClassVar[bool] = True

    def __init__(self, backend: Any, shape: Shape | None, rng: random.Random) -> None:
        self.backend = backend
        self.pairs, said = grudge(backend, shape, rng)
        self.target = f"{backend.name}: {said}"
        self.processes: list[int] = []
        self._held = Held(0, 0)
        self.began = self._ended = 0.0

    def intent(self) -> dict[str, Any]:
        return {"cut": [list(pair) for pair in self.pairs]}

    def inject(self) -> None:
        self.began = time.monotonic()
        self.backend.cut(self.pairs)

    def heal(self) -> None:
        self._held = self.backend.held()
        self.backend.reconnect()
        self._ended = time.monotonic()

    def evidence(self) -> Evidence:
        held = self._held
        what = f"{held.bytes:,} bytes on {held.connections} connections"
        if held.packets:
            what = f"{held.packets:,} packets ({held.bytes:,} bytes)"
        return Evidence(
            held.bytes > 0, f"{what} did not arrive within {self._ended - self.began:.2f} s"
        )


def grudge(cluster: Any, shape: Shape | None, rng: random.Random) -> tuple[list[Pair], str]:
    """The directions to cut for a shape, and how to say it."""
    names = [node.name for node in cluster.nodes]
    rng.shuffle(names)
    if shape is None:
        without = ("clients", *(_AMONG_MANY if len(names) < 4 else ()))
        can = [each for each in cluster.shapes if len(names) >= LEAST.get(each, 1)]
        shape = rng.choice([each for each in can if each not in without])
    of_primary = shape in ("primary", "replica", "clients")
    one = cluster.primary().name if of_primary else names[0]
    others = [name for name in names if name != one]
    if shape == "clients":
        return _between([CLIENTS], [one]), f"clients are cut off from {one}"
    if shape in ("primary", "node"):
        return _between([one], others), f"{one} is cut off from {_and(others)}"
    if shape == "replica":
        replica = next(name for name in names if name != one)
        return _between([one], [replica]), f"{one} and {replica} are cut off from each other"
    if shape == "one-way":
        return [(one, other) for other in others], f"what {one} sends reaches nobody"
    half = len(names) // 2
    if shape == "halves":
        few, many = names[:half], names[half:]
        return _between(few, many), f"{_and(few)} are cut off from {_and(many)}"
    if shape == "bridge":
        left, middle, right = names[:half], names[half], names[half + 1 :]
        return _between(left, right), f"{_and(left)} and {_and(right)} meet only through {middle}"
    return _ring(sorted(names)), "every node sees a majority, each another one"


def _ring(names: Sequence[str]) -> list[Pair]:
    """Each node sees the next ones on both sides, as many as make a majority with itself."""
    size = len(names)
    reach = (size // 2 + 1) // 2
    return [
        (a, b)
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i != j and min((i - j) % size, (j - i) % size) > reach
    ]


def _between(one: Sequence[str], other: Sequence[str]) -> list[Pair]:
    return [pair for a in one for b in other for pair in ((a, b), (b, a))]


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
