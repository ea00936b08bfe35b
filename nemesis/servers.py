"""Faults that strike servers: killed and started again, or stopped and continued.

On a cluster `kill` and `pause` draw whom they strike; `kill-primary` and the like say it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import psutil

from ..harness.engine import Arena
from ..harness.protocols import Backend, Evidence, Kill, Pause
from .targets import Which, chosen, lacks


class KillServer:
    """`kill`: SIGKILL every process of the server; start it again when the fault ends."""

    name: ClassVar[str] = "kill"
    which: ClassVar[Which] = "any"

    def missing(self, backend: Backend) -> str | None:
        """It strikes servers of ours only."""
        return lacks(backend, Kill, self.which)

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _KillStrike:
        """Which nodes, where there are several."""
        return _KillStrike(backend, *chosen(backend, self.which, rng))


class KillPrimary(KillServer):
    """`kill-primary`: the node that has the say."""

    name = "kill-primary"
    which = "primary"


class KillReplicas(KillServer):
    """`kill-replicas`: every node but the primary."""

    name = "kill-replicas"
    which = "replicas"


class KillMinority(KillServer):
    """`kill-minority`: as many nodes as a majority can do without."""

    name = "kill-minority"
    which = "minority"


class KillAll(KillServer):
    """`kill-all`: every node at once."""

    name = "kill-all"
    which = "all"


class RollingRestart:
    """`rolling-restart`: every node in turn is killed and started again at once."""

    name: ClassVar[str] = "rolling-restart"

    def missing(self, backend: Backend) -> str | None:
        """It strikes servers of ours only."""
        return lacks(backend, Kill, "all")

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _RestartStrike:
        """All nodes, the primary last."""
        nodes, target = chosen(backend, "all", rng)
        return _RestartStrike(backend, nodes, target)


class PauseServer:
    """`pause`: SIGSTOP every process of the server; SIGCONT when the fault ends."""

    name: ClassVar[str] = "pause"
    which: ClassVar[Which] = "any"

    def missing(self, backend: Backend) -> str | None:
        """It strikes servers of ours only."""
        return lacks(backend, Pause, self.which)

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _PauseStrike:
        """Which nodes, where there are several."""
        return _PauseStrike(backend, *chosen(backend, self.which, rng))


class PausePrimary(PauseServer):
    """`pause-primary`: the node that has the say."""

    name = "pause-primary"
    which = "primary"


class PauseReplicas(PauseServer):
    """`pause-replicas`: every node but the primary."""

    name = "pause-replicas"
    which = "replicas"


class _ServerStrike:
    """What both strikes know: whom they strike, and since when."""

    def __init__(self, backend: Backend, nodes: Sequence[Any], target: str) -> None:
        self.backend: Any = backend
        self.nodes = nodes
        self.target = target
        self.processes: list[int] = []
        self._struck: list[psutil.Process] = []
        self._silent = 0
        self.began = self._ended = 0.0

    def intent(self) -> dict[str, Any]:
        return {"pids": [process.pid for node in self.nodes for process in node.processes()]}

    def _silence(self) -> str:
        """How many of them answered while it lasted."""
        if len(self.nodes) == 1:
            return "it did not answer" if self._silent else "it still answered"
        return f"{self._silent} of {len(self.nodes)} nodes did not answer"


class _KillStrike(_ServerStrike):
    def inject(self) -> None:
        self.began = time.monotonic()
        for node in self.nodes:
            self._struck += node.kill()
        self._silent = sum(not node.answers() for node in self.nodes)

    def heal(self) -> None:
        self.backend.restart()
        self._ended = time.monotonic()

    def evidence(self) -> Evidence:
        gone = bool(self._struck) and not any(_same(process) for process in self._struck)
        return Evidence(
            gone and self._silent == len(self.nodes),
            f"{len(self._struck)} processes of {self.target.removeprefix('server ')} were killed, "
            f"{'all' if gone else 'not all'} are gone; {self._silence()}, "
            f"and all was well again after {self._ended - self.began:.2f} s",
        )


class _RestartStrike(_ServerStrike):
    def __init__(self, backend: Backend, nodes: Sequence[Any], target: str) -> None:
        super().__init__(backend, nodes, target)
        self._again = 0

    def inject(self) -> None:
        self.began = time.monotonic()
        for node in self.nodes:
            self._struck += node.kill()
            node.restart()
            self._again += bool(node.processes())
        self._ended = time.monotonic()

    def heal(self) -> None:
        self.backend.restart()

    def evidence(self) -> Evidence:
        gone = bool(self._struck) and not any(_same(process) for process in self._struck)
        return Evidence(
            gone and self._again == len(self.nodes),
            f"{len(self._struck)} processes of {self.target.removeprefix('server ')} were killed; "
            f"{self._again} of {len(self.nodes)} were started again, within "
            f"{self._ended - self.began:.2f} s",
        )


class _PauseStrike(_ServerStrike):
    heals_first: ClassVar[bool] = True

    def __init__(self, backend: Backend, nodes: Sequence[Any], target: str) -> None:
        super().__init__(backend, nodes, target)
        self._seen = 0

    def inject(self) -> None:
        self.began = time.monotonic()
        for node in self.nodes:
            self._struck += node.pause()
        self._seen = sum(stands_still(process) for process in self._struck)
        self._silent = sum(not node.answers() for node in self.nodes)

    def heal(self) -> None:
        for node in self.nodes:
            node.resume()
        self._ended = time.monotonic()

    def evidence(self) -> Evidence:
        return Evidence(
            0 < len(self._struck) == self._seen and self._silent == len(self.nodes),
            f"{self._seen} of {len(self._struck)} processes of "
            f"{self.target.removeprefix('server ')} stood still for "
            f"{self._ended - self.began:.2f} s; {self._silence()}",
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
