"""Faults that strike a server: killed and started again, or stopped and continued."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

import psutil

from ..harness.engine import Arena
from ..harness.protocols import Backend, Evidence, Kill, Pause


class _ServerFault:
    """What both faults need: a server of ours, with the power that they use."""

    power: type

    def missing(self, backend: Backend) -> str | None:
        """Why this fault cannot strike here; None if it can."""
        if isinstance(backend, self.power):
            return None
        return f"{backend.name} is no server that we started"


class KillServer(_ServerFault):
    """`kill`: SIGKILL every process of the server; start it again when the fault ends."""

    name = "kill"
    power = Kill

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _KillStrike:
        """There is one server to strike."""
        return _KillStrike(backend)


class _KillStrike:
    def __init__(self, backend: Backend) -> None:
        self.backend: Any = backend
        self.target = f"server {backend.name}"
        self.processes: list[int] = []
        self._killed: Sequence[psutil.Process] = ()
        self._silent = False
        self.began = self._ended = 0.0

    def intent(self) -> dict[str, Any]:
        return _pids(self.backend)

    def inject(self) -> None:
        self.began = time.monotonic()
        self._killed = self.backend.kill()
        self._silent = not self.backend.answers()

    def heal(self) -> None:
        self.backend.restart()
        self._ended = time.monotonic()

    def evidence(self) -> Evidence:
        gone = bool(self._killed) and not any(_same(process) for process in self._killed)
        return Evidence(
            gone and self._silent,
            f"{len(self._killed)} processes of {self.backend.name} were killed, "
            f"{'all' if gone else 'not all'} are gone; it "
            f"{'did not answer' if self._silent else 'still answered'}, "
            f"and was back after {self._ended - self.began:.2f} s",
        )


class PauseServer(_ServerFault):
    """`pause`: SIGSTOP every process of the server; SIGCONT when the fault ends."""

    name = "pause"
    power = Pause

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _PauseStrike:
        """There is one server to strike."""
        return _PauseStrike(backend)


class _PauseStrike:
    def __init__(self, backend: Backend) -> None:
        self.backend: Any = backend
        self.target = f"server {backend.name}"
        self.processes: list[int] = []
        self._stopped = 0
        self._seen = 0
        self._silent = False
        self.began = self._ended = 0.0

    def intent(self) -> dict[str, Any]:
        return _pids(self.backend)

    def inject(self) -> None:
        self.began = time.monotonic()
        paused: list[psutil.Process] = self.backend.pause()
        self._stopped = len(paused)
        self._seen = sum(stands_still(process) for process in paused)
        self._silent = not self.backend.answers()

    def heal(self) -> None:
        self.backend.resume()
        self._ended = time.monotonic()

    def evidence(self) -> Evidence:
        return Evidence(
            0 < self._stopped == self._seen and self._silent,
            f"{self._seen} of {self._stopped} processes of {self.backend.name} stood still for "
            f"{self._ended - self.began:.2f} s; it "
            f"{'did not answer' if self._silent else 'still answered'}",
        )


def stands_still(process: psutil.Process) -> bool:
    """Whether the kernel shows the process as stopped (or gone, for a child that ended meanwhile)."""
    try:
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except psutil.NoSuchProcess:
        return True


def _same(process: psutil.Process) -> bool:
    """Whether this very process is still alive."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _pids(backend: Any) -> dict[str, Any]:
    return {"pids": [process.pid for process in backend.processes()]}
