"""`power-loss`: what servers wrote and did not sync is lost, and every process of theirs with it."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from ..harness.engine import Arena
from ..harness.protocols import Backend, Evidence, PowerLoss
from .targets import Which, chosen, nodes_of


class LosePower:
    """`power-loss`: every node loses its power at once; they start again when the fault ends."""

    name: ClassVar[str] = "power-loss"
    gear: ClassVar[str] = "disk"
    which: ClassVar[Which] = "all"

    def missing(self, backend: Backend) -> str | None:
        """It needs servers of ours that were given disks of their own."""
        if all(isinstance(node, PowerLoss) and node.disk for node in nodes_of(backend)):
            return None
        return f"{backend.name} has no disk whose power could be cut"

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _PowerStrike:
        """All nodes."""
        return _PowerStrike(backend, *chosen(backend, self.which, rng))


class _PowerStrike:
    def __init__(self, backend: Backend, nodes: Sequence[Any], target: str) -> None:
        self.backend: Any = backend
        self.nodes = nodes
        self.target = target
        self.processes: list[int] = []
        self._cut = 0
        self.began = self._ended = 0.0

    def intent(self) -> dict[str, Any]:
        return {"pids": [process.pid for node in self.nodes for process in node.processes()]}

    def inject(self) -> None:
        self.began = time.monotonic()
        for node in self.nodes:
            self._cut += node.lose_power() and not node.processes()

    def heal(self) -> None:
        self.backend.restart()
        self._ended = time.monotonic()

    def evidence(self) -> Evidence:
        return Evidence(
            self._cut == len(self.nodes),
            f"the disks of {self._cut} of {len(self.nodes)} servers took no write any more and no "
            f"process was left; all was well again after {self._ended - self.began:.2f} s",
        )
