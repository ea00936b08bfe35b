"""`slow`: what nodes say to one another arrives late, in order, until the fault ends."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from ..harness.engine import Arena
from ..harness.protocols import CLIENTS, Backend, Cluster, Evidence, Pair
from .targets import topologies_of

DELAYS_S = (0.02, 0.05, 0.1)


class SlowLinks:
    """`slow`: every link between nodes is late by 20, 50 or 100 ms, each way."""

    name: ClassVar[str] = "slow"
    rate: ClassVar[float] = 0.0
    """Bytes a second that each direction carries; 0 is as many as there are."""

    def missing(self, backend: Backend) -> str | None:
        """It needs links that are ours."""
        if isinstance(backend, Cluster):
            return backend.cannot_slow()
        return f"{backend.name} has no links of ours ({topologies_of(backend)})"

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _SlowStrike:
        """How late."""
        return _SlowStrike(backend, self.pairs(backend), rng.choice(DELAYS_S), self.rate)

    def pairs(self, cluster: Any) -> Sequence[Pair]:
        """The directions that are struck."""
        links: Sequence[Pair] = cluster.peers()
        return links


class SlowClients(SlowLinks):
    """`slow-clients`: what clients and nodes say to one another is late, and trickles."""

    name = "slow-clients"
    rate = 64_000.0

    def pairs(self, cluster: Any) -> Sequence[Pair]:
        """Between clients and every node."""
        names = [node.name for node in cluster.nodes]
        return [pair for name in names for pair in ((CLIENTS, name), (name, CLIENTS))]


class _SlowStrike:
    heals_first: ClassVar[bool] = True

    def __init__(self, backend: Any, pairs: Sequence[Pair], delay_s: float, rate: float) -> None:
        self.backend = backend
        self._pairs = pairs
        self._delay_s = delay_s
        self._rate = rate
        self.target = f"{backend.name}: links are late by {delay_s * 1000:.0f} ms" + (
            f" and carry {rate / 1000:.0f} kB/s" if rate else ""
        )
        self.processes: list[int] = []
        self._slowed = 0
        self.began = self._ended = 0.0

    def intent(self) -> dict[str, Any]:
        return {"delay": self._delay_s, "rate": self._rate}

    def inject(self) -> None:
        self.began = time.monotonic()
        self.backend.slow(self._pairs, delay_s=self._delay_s, rate=self._rate)

    def heal(self) -> None:
        self._slowed = self.backend.held().slowed
        self.backend.slow((), delay_s=0.0)
        self._ended = time.monotonic()

    def evidence(self) -> Evidence:
        return Evidence(
            self._slowed > 0,
            f"{self._slowed:,} bytes were late by {self._delay_s * 1000:.0f} ms within "
            f"{self._ended - self.began:.2f} s",
        )
