"""`lag`: replicas go on answering, but apply nothing new until the fault ends."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from ..harness.engine import Arena
from ..harness.errors import Broken
from ..harness.protocols import Backend, Evidence, Lag
from .targets import Which, chosen, topologies_of


class LagReplicas:
    """`lag`: every replica is held back."""

    name: ClassVar[str] = "lag"
    which: ClassVar[Which] = "replicas"

    def missing(self, backend: Backend) -> str | None:
        """It needs replicas whose replay is ours."""
        if isinstance(backend, Lag):
            return None
        return f"{backend.name} has no replica to hold back ({topologies_of(backend)})"

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _LagStrike:
        """Which replicas."""
        if self.which == "one":
            replicas, _ = chosen(backend, "replicas", rng)
            struck = [rng.choice(replicas)]
            return _LagStrike(backend, struck, f"{backend.name}: {struck[0].name} falls behind")
        return _LagStrike(backend, *chosen(backend, self.which, rng))


class LagOne(LagReplicas):
    """`lag-one`: one replica is held back, the others go on."""

    name = "lag-one"
    which = "one"


class _LagStrike:
    def __init__(self, backend: Any, nodes: Sequence[Any], target: str) -> None:
        self.backend = backend
        self.nodes = nodes
        self.target = target
        self.processes: list[int] = []
        self._held: list[Any] = []
        self._behind: dict[str, int] = {}
        self._refused: list[str] = []
        self.began = self._ended = 0.0

    def intent(self) -> dict[str, Any]:
        return {"nodes": [node.name for node in self.nodes]}

    def inject(self) -> None:
        self.began = time.monotonic()
        for node in self.nodes:
            try:
                self.backend.hold_back(node)
                self._held.append(node)
            except Broken as error:
                # Another fault of the same moment may have stopped it, or made it the primary.
                self._refused.append(f"{node.name} could not be held back ({error})")

    def heal(self) -> None:
        for node in self._held:
            try:
                self._behind[node.name] = self.backend.behind(node)
            except Broken as error:
                self._refused.append(f"{node.name} could not be asked ({error})")
        for node in self.nodes:
            self.backend.let_go(node)
        self._ended = time.monotonic()

    def evidence(self) -> Evidence:
        told = [f"{name} by {behind:,} bytes" for name, behind in self._behind.items()]
        said = "; ".join([", ".join(told) or "not measured", *self._refused])
        return Evidence(
            bool(self._held) and all(self._behind.get(node.name, 0) > 0 for node in self._held),
            f"after {self._ended - self.began:.2f} s they were behind: {said}",
        )
