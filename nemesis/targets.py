"""Which nodes a fault strikes: all there is of a single server, some of a cluster."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..harness.protocols import Backend, Cluster

Which = Literal["any", "one", "primary", "replicas", "minority", "majority", "all"]

_ANY: Sequence[Which] = ("one", "primary", "replicas", "all")
"""What `any` chooses from."""

WORDS: Mapping[Which, str] = {
    "one": "one node",
    "primary": "the primary",
    "replicas": "the replicas",
    "minority": "a minority",
    "majority": "a majority",
    "all": "all nodes",
}


def nodes_of(backend: Backend) -> Sequence[Any]:
    """The nodes of a cluster; a single server is its own only node."""
    return backend.nodes if isinstance(backend, Cluster) else [backend]


def _several(backend: Backend) -> bool:
    """Whether it is a cluster of more than one server; there are clusters of one."""
    return isinstance(backend, Cluster) and backend.size > 1


def chosen(backend: Backend, which: Which, rng: random.Random) -> tuple[list[Any], str]:
    """The nodes to strike, drawn from the seed, and how to call them."""
    if not _several(backend):
        return list(nodes_of(backend)), f"server {backend.name}"
    if which == "any":
        which = rng.choice(_ANY)
    struck = _some(backend, which, rng)
    names = ", ".join(node.name for node in struck)
    return struck, f"{WORDS[which]} of {backend.name} ({names})"


def _some(cluster: Any, which: Which, rng: random.Random) -> list[Any]:
    nodes = list(cluster.nodes)
    primary = cluster.primary()
    if which == "primary":
        return [primary]
    if which == "replicas":
        return [node for node in nodes if node is not primary]
    if which == "one":
        return [rng.choice(nodes)]
    if which == "minority":
        return rng.sample(nodes, (len(nodes) - 1) // 2)
    if which == "majority":
        return rng.sample(nodes, len(nodes) // 2 + 1)
    return nodes


def topologies_of(backend: Backend) -> str:
    """The topologies that the backend has besides a single server, for a refusal."""
    named = ", ".join(getattr(backend, "clusters", {})) or "none"
    return f"topologies of {backend.name}: {named}"


def lacks(backend: Backend, power: type, which: Which) -> str | None:
    """Why a fault of this power cannot strike there; None if it can."""
    if not isinstance(backend, power):
        return f"{backend.name} is no server that we started"
    if which != "any" and which != "all" and not _several(backend):
        return f"{backend.name} is one server, no cluster ({topologies_of(backend)})"
    return None
