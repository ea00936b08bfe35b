"""What a fault is: drawn from the seed, injected, healed, and proved."""

from __future__ import annotations

import random
from typing import Any, Protocol

from ..harness.engine import Arena
from ..harness.protocols import Backend, Evidence


class Strike(Protocol):
    """One injection of a fault, with its target.

    One that says `heals_first` is healed before those that need all nodes to answer.
    """

    target: str
    """Whom it strikes, in words; known once it is injected."""
    processes: list[int]
    """The history's process ids that it strikes; empty for a server."""

    began: float
    """Monotonic seconds when it took hold."""

    def intent(self) -> dict[str, Any]:
        """What is about to be done, for `faults.jsonl`, written before it is."""

    def inject(self) -> None:
        """Break it."""

    def heal(self) -> None:
        """Mend it; safe to call when the injection failed half-way."""

    def evidence(self) -> Evidence:
        """The measured proof that it took effect, once it is healed."""


class Fault(Protocol):
    """A kind of fault. One that says `gear` needs servers with a clock or a disk of their own."""

    name: str

    def missing(self, backend: Backend) -> str | None:
        """Why this fault cannot strike here; None if it can."""

    def draw(self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool) -> Strike:
        """Draw the next strike from the seed."""
