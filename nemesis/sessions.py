"""Faults of sessions: the server ends them, or what they are at, as administrators and poolers do."""

from __future__ import annotations

import random
import time
from typing import Any, ClassVar

from ..harness.engine import Arena
from ..harness.errors import Broken
from ..harness.protocols import Backend, Evidence, Interrupt, Interruption

AGAIN_S = 0.05
"""From one look at the sessions to the next."""


class TerminateSessions:
    """`terminate`: the server ends this run's sessions, again and again for half a second."""

    name: ClassVar[str] = "terminate"
    how: ClassVar[Interruption] = "terminate"

    def missing(self, backend: Backend) -> str | None:
        """It needs a server that can end single sessions."""
        if isinstance(backend, Interrupt):
            return None
        return f"{backend.name} cannot end what a session is at"

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _SessionStrike:
        """All sessions that are there."""
        return _SessionStrike(backend, self.how)


class CancelStatements(TerminateSessions):
    """`cancel`: the statements that run at the moment are cancelled; their sessions go on."""

    name = "cancel"
    how = "cancel"


class CancelWaits(TerminateSessions):
    """`cancel-waits`: commits that wait for a standby's acknowledgement wait no longer."""

    name = "cancel-waits"
    how = "cancel-waits"


class _SessionStrike:
    def __init__(self, backend: Any, how: Interruption) -> None:
        self.backend = backend
        self._how = how
        self.target = f"{backend.name}'s sessions"
        self.processes: list[int] = []
        self._struck = 0
        self._mute = ""
        self.began = self._ended = 0.0

    def intent(self) -> dict[str, Any]:
        return {"how": self._how}

    def inject(self) -> None:
        self.began = time.monotonic()
        deadline = self.began + 10 * AGAIN_S
        while time.monotonic() < deadline:
            try:
                self._struck += self.backend.interrupt(self._how)
            except Broken as error:
                # Another fault of the same moment may have stopped the server.
                self._mute = str(error)
            time.sleep(AGAIN_S)
        self._ended = time.monotonic()

    def heal(self) -> None:
        """What was ended stays ended; clients open anew by themselves."""

    def evidence(self) -> Evidence:
        if self._mute and not self._struck:
            return Evidence(False, f"the server could not be asked: {self._mute}")
        return Evidence(
            self._struck > 0,
            f"the server says that it struck {self._struck} sessions within "
            f"{self._ended - self.began:.2f} s",
        )
