"""Faults that strike a whole worker process, like an application's: stopped, or killed.

An aimed fault strikes where it hurts: at a point that the strategy named, else at a process that
holds a lock, else at one with an operation under way. It stops the process first and then looks at
what the process has written, so that "holds" is a fact and not a guess.
"""

from __future__ import annotations

import queue
import random
import signal
import time
from typing import Any

import msgspec
import psutil

from ..harness.engine import Arena
from ..harness.protocols import Backend, Evidence
from .servers import stands_still

TRIES = 60
RETRY_S = 0.004
POINT_S = 1.0


class PauseClient:
    """`pause-client`: SIGSTOP a worker process; SIGCONT when the fault ends."""

    name = "pause-client"

    def missing(self, backend: Backend) -> str | None:
        """The worker processes are always ours."""
        return None

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _PauseStrike:
        """Which process, unless it is aimed."""
        return _PauseStrike(arena, rng, aimed=aimed)


class KillClient:
    """`kill-client`: SIGKILL a worker process; a new one takes its place when the fault ends."""

    name = "kill-client"

    def missing(self, backend: Backend) -> str | None:
        """The worker processes are always ours."""
        return None

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _KillStrike:
        """Which process, unless it is aimed."""
        return _KillStrike(arena, rng, aimed=aimed)


class _ClientStrike:
    """Choosing a worker process and stopping it, which both faults begin with."""

    def __init__(self, arena: Arena, rng: random.Random, *, aimed: bool) -> None:
        self.arena = arena
        self.aimed = aimed
        self.slot = rng.randrange(len(arena.crew.members))
        self.point = rng.choice(arena.points) if aimed and arena.points else None
        self.target = f"worker process {self.slot}"
        self.processes: list[int] = []
        self.caught = ""
        """What the process was doing when it was stopped."""
        self.began = self._ended = 0.0

    @property
    def process(self) -> psutil.Process:
        return self.arena.crew.members[self.slot].process

    def intent(self) -> dict[str, Any]:
        return {"pids": [member.process.pid for member in self.arena.crew.members]}

    def stop(self) -> None:
        """Stop the chosen process, and say whom that strikes."""
        reached = self._at_point() if self.point else None
        if reached is not None:
            self._signal(signal.SIGSTOP)
            self.caught = f"process {reached} stood at {self.point!r}"
        elif not (self.aimed and (self._catch("holding") or self._catch("open"))):
            self._signal(signal.SIGSTOP)
        self.began = time.monotonic()
        self.arena.board.poll()
        self.processes = self._present()
        held = [
            f"process {p} held {msgspec.json.decode(op.value)}"
            for p, op in self.arena.board.holding.items()
            if p in self.processes
        ]
        said = "; ".join(filter(None, [self.caught, *held]))
        names = ", ".join(map(str, self.processes))
        self.target = f"worker process {self.slot} (processes {names}{': ' + said if said else ''})"

    def _at_point(self) -> int | None:
        """Arm the point everywhere; the first to reach it is struck there."""
        members = self.arena.crew.members
        for member in members:
            while not member.reached.empty():
                member.reached.get_nowait()
            member.order("arm", self.point)
        deadline = time.monotonic() + POINT_S
        try:
            while time.monotonic() < deadline and not self.arena.over.is_set():
                for slot, member in enumerate(members):
                    try:
                        report = member.reached.get(timeout=0.005)
                    except queue.Empty:
                        continue
                    self.slot = slot
                    return report.process
            return None
        finally:
            for member in members:
                member.order("arm", None)

    def _catch(self, what: str) -> bool:
        """Stop a process of which the journal then shows that it holds, or has something open."""
        board = self.arena.board
        for _ in range(TRIES):
            board.poll()
            wanted = getattr(board, what)
            if wanted:
                self.slot = self.arena.crew.slot_of(next(iter(wanted)))
                self._signal(signal.SIGSTOP)
                self._await_stop()
                board.poll()
                if any(self.arena.crew.slot_of(p) == self.slot for p in getattr(board, what)):
                    return True
                self._signal(signal.SIGCONT)
            time.sleep(RETRY_S)
        return False

    def _await_stop(self) -> None:
        deadline = time.monotonic() + 1.0
        while not stands_still(self.process) and time.monotonic() < deadline:
            time.sleep(0.0005)

    def _present(self) -> list[int]:
        """The process ids that the struck workers go by at the moment."""
        workers = self.arena.crew.workers
        return sorted(
            worker + incarnation * workers
            for worker, incarnation in self.arena.board.incarnations.items()
            if self.arena.crew.slot_of(worker) == self.slot
        )

    def _signal(self, number: int) -> None:
        try:
            self.process.send_signal(number)
        except psutil.NoSuchProcess:
            pass  # it ended by itself: there will be no evidence


class _PauseStrike(_ClientStrike):
    def __init__(self, arena: Arena, rng: random.Random, *, aimed: bool) -> None:
        super().__init__(arena, rng, aimed=aimed)
        self._stood = False

    def inject(self) -> None:
        self.stop()
        self._await_stop()
        self._stood = stands_still(self.process)

    def heal(self) -> None:
        # Whatever was stopped on the way to the final choice is continued as well.
        for member in self.arena.crew.members:
            try:
                member.process.send_signal(signal.SIGCONT)
            except psutil.NoSuchProcess:
                continue
        self._ended = time.monotonic()

    def evidence(self) -> Evidence:
        return Evidence(
            self._stood,
            f"the kernel showed worker process {self.slot} "
            f"{'stopped' if self._stood else 'running'}; it stood still for "
            f"{self._ended - self.began:.2f} s",
        )


class _KillStrike(_ClientStrike):
    def __init__(self, arena: Arena, rng: random.Random, *, aimed: bool) -> None:
        super().__init__(arena, rng, aimed=aimed)
        self._gone = False
        self._pid = 0

    def inject(self) -> None:
        self.stop()
        member = self.arena.crew.members[self.slot]
        self._pid = member.process.pid
        self._signal(signal.SIGKILL)
        self._gone = member.wait_gone(5.0)

    def heal(self) -> None:
        if self.arena.crew.members[self.slot].gone:
            self.arena.replace(self.slot)
        self._ended = time.monotonic()

    def evidence(self) -> Evidence:
        return Evidence(
            self._gone,
            f"worker process {self.slot} (pid {self._pid}) "
            f"{'is gone' if self._gone else 'did not exit'}; "
            f"a new one took its place after {self._ended - self.began:.2f} s",
        )
