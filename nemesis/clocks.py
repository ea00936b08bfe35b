"""Faults of clocks: servers' wall clocks jump, as a time service or an administrator makes them."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, ClassVar

from ..harness.engine import Arena
from ..harness.errors import Broken
from ..harness.protocols import Backend, Evidence, SkewClock
from .targets import Which, chosen, nodes_of

JUMPS_S = (-60.0, -5.0, 5.0, 60.0)


class ClockJump:
    """`clock`: the clock of one node jumps by 5 or 60 s, ahead or back, and later returns."""

    name: ClassVar[str] = "clock"
    gear: ClassVar[str] = "clock"
    """What the servers must have of their own."""
    which: ClassVar[Which] = "one"
    jumps: ClassVar[Sequence[float]] = JUMPS_S

    def missing(self, backend: Backend) -> str | None:
        """It needs servers of ours that were given clocks of their own."""
        if all(isinstance(node, SkewClock) and node.clock for node in nodes_of(backend)):
            return None
        return f"{backend.name} has no clock that could be set"

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _ClockStrike:
        """Whose clock, and how far."""
        nodes, target = chosen(backend, self.which, rng)
        return _ClockStrike(nodes, target, rng.choice(self.jumps))


class MajorityJumps(ClockJump):
    """`clock-majority`: the clocks of most nodes jump ahead by a minute."""

    name = "clock-majority"
    which = "majority"
    jumps = (60.0,)


class _ClockStrike:
    def __init__(self, nodes: Sequence[Any], target: str, seconds: float) -> None:
        self.nodes = nodes
        self._seconds = seconds
        self.target = f"{target}: clocks jump by {seconds:+g} s"
        self.processes: list[int] = []
        self._off: list[float] = []
        self._mute: list[str] = []
        self.began = self._ended = 0.0

    def intent(self) -> dict[str, Any]:
        return {"seconds": self._seconds}

    def inject(self) -> None:
        self.began = time.monotonic()
        for node in self.nodes:
            node.clock.shift(self._seconds)
        for node in self.nodes:
            try:
                self._off.append(node.now() - time.time())
            except Broken as error:
                # Another fault of the same moment may have stopped it.
                self._mute.append(f"{node.name} could not be asked ({error})")

    def heal(self) -> None:
        for node in self.nodes:
            node.clock.shift(0)
        self._ended = time.monotonic()

    def evidence(self) -> Evidence:
        read = ", ".join(f"{off:+.1f} s" for off in self._off)
        lasted = f"for {self._ended - self.began:.2f} s"
        return Evidence(
            not self._mute
            and bool(self._off)
            and all(abs(off - self._seconds) < 2.0 for off in self._off),
            "; ".join(
                [
                    f"the servers' clocks were off by {read or 'nobody knows what'} {lasted}",
                    *self._mute,
                ]
            ),
        )
