"""Faults of roles: a replica becomes the primary, by hand, as operators and their scripts do it.

What they differ in is what becomes of the old primary meanwhile. When the fault ends it is made a
replica of the new one, and what only it knew is gone: that is what failover means.
"""

from __future__ import annotations

import random
import time
from typing import Any, ClassVar, Literal

from ..harness.engine import Arena
from ..harness.errors import Broken
from ..harness.protocols import Backend, Evidence, Promote
from .targets import topologies_of

Fate = Literal["killed", "running", "resumed"]


class Failover:
    """`failover`: the primary is killed, and the replica that has most is promoted."""

    name: ClassVar[str] = "failover"
    fate: ClassVar[Fate] = "killed"
    most: ClassVar[bool] = True

    def missing(self, backend: Backend) -> str | None:
        """It needs replicas that can be promoted."""
        if isinstance(backend, Promote):
            return None
        return f"{backend.name} has no replica to promote ({topologies_of(backend)})"

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _FailoverStrike:
        """There is one primary."""
        return _FailoverStrike(backend, self.fate, most=self.most)


class FailoverBehind(Failover):
    """`failover-behind`: the primary is killed, and the replica that has least is promoted."""

    name = "failover-behind"
    most = False


class FailoverRunning(Failover):
    """`failover-running`: the old primary goes on, and whoever is connected to it stays there."""

    name = "failover-running"
    fate = "running"


class FailoverResumed(Failover):
    """`failover-resumed`: the old primary is stopped, taken for dead, and comes back unfenced."""

    name = "failover-resumed"
    fate = "resumed"


class _FailoverStrike:
    def __init__(self, backend: Any, fate: Fate, *, most: bool) -> None:
        self.backend = backend
        self._most = most
        self.fate = fate
        self.old = backend.primary()
        self.new: Any = None
        self.target = f"{backend.name}: {self.old.name} gives way"
        self.processes: list[int] = []
        self._roles = ""
        self._took = 0.0
        self.began = self._ended = 0.0

    def intent(self) -> dict[str, Any]:
        return {"primary": self.old.name, "fate": self.fate}

    def inject(self) -> None:
        self.began = time.monotonic()
        if self.fate == "killed":
            self.old.kill()
        elif self.fate == "resumed":
            self.old.pause()
        for node in self.backend.nodes:
            if node is not self.old:
                node.resume()
        try:
            self.new = self.backend.promote(most=self._most)
        except Broken as error:
            # Whoever could be promoted was struck as well: no failover, and that is said.
            self._roles = str(error)
        self._took = time.monotonic() - self.began
        if self.fate == "resumed":
            self.old.resume()
        if self.new is None:
            return
        self._roles = f"{self.new.name} says {self.new.role()}, {self.old.name} {self.old.role()}"
        self.target = f"{self.backend.name}: {self.old.name} gives way to {self.new.name}"

    def heal(self) -> None:
        self.old.resume()
        if self.new is None:
            self.backend.restart()
        else:
            self.backend.rejoin()
        self._ended = time.monotonic()

    def evidence(self) -> Evidence:
        if self.new is None:
            return Evidence(False, self._roles or "nothing was promoted")
        promoted = self.new is not self.old
        return Evidence(
            promoted and f"{self.new.name} says primary" in self._roles,
            f"{self._roles}, after {self._took:.2f} s; "
            f"the old primary followed again after {self._ended - self.began:.2f} s",
        )
