"""The engine: runs one test from setup to the merged history.

setup -> dry run -> main phase under the nemesis -> heal -> recovery -> final operations -> merge.
It judges nothing. Servers come ready, and stay; what belongs to the run alone is ended here.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from .board import Board
from .crew import Crew, kill
from .errors import Broken, StrategyBroken
from .figures import Figures
from .history import History, Op
from .household import Household
from .journal import PARENT, Segment, merge, read_segments
from .orders import WorkerConfig
from .protocols import Backend, ClientSpec, Cluster, StartAnew, Workload
from .spec import Spec

TICK_S = 0.25
SETUP_S = 60.0
RECOVERY_S = 30.0
MOST_EXITS = 20
"""Worker processes that may exit by themselves before the run is given up."""

LINGER_S = 5.0
"""How long the server may still show this run's sessions before they are terminated."""


class View(Protocol):
    """What watches a run: the live terminal, or nothing."""

    def update(self, figures: Figures) -> None:
        """Show these figures."""

    def note(self, text: str) -> None:
        """Show a line that stays."""


class Arena:
    """What the nemesis may see and touch while the main phase goes on."""

    def __init__(
        self, *, spec: Spec, folder: Path, backends: Mapping[str, Backend], crew: Crew, board: Board
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.backends = backends
        self.crew = crew
        self.board = board
        self.points: tuple[str, ...] = ()
        self.over = threading.Event()
        """Set when the main phase ends."""
        self.epoch_ns = 0
        self.active: str | None = None
        self.injected = 0
        self.took_effect = 0
        self._segment: Segment | None = None

    def begin(self, segment: Segment, epoch_ns: int) -> None:
        """Where events go, and when time 0 was."""
        self._segment, self.epoch_ns = segment, epoch_ns

    def now(self) -> int:
        """Nanoseconds since the start of the run."""
        return time.monotonic_ns() - self.epoch_ns

    def record(self, *ops: Op) -> None:
        """Write the nemesis's own events into the history."""
        if self._segment is not None:
            self._segment.append(*ops)

    def replace(self, slot: int) -> None:
        """Put a new worker process in a killed one's place.

        The `info` of what it had open is written here, since it cannot do so itself.
        """
        self.board.poll()
        mine = {p: op for p, op in self.board.open.items() if self.crew.slot_of(p) == slot}
        at = self.now()
        self.record(
            *(
                Op(
                    time=at,
                    process=p,
                    type="info",
                    f=op.f,
                    value=msgspec.json.decode(op.value),
                    error="killed",
                )
                for p, op in mine.items()
            )
        )
        held = [p for p in self.board.holding if self.crew.slot_of(p) == slot]
        self.board.forget([*mine, *held])
        self.crew.replace(slot, self.board.incarnations, at_work=not self.over.is_set())


class Nemesis(Protocol):
    """What breaks things while the main phase goes on."""

    def start(self, arena: Arena) -> None:
        """Begin the schedule on a thread of its own."""

    def finish(self) -> None:
        """Stop the schedule and heal everything; raises if something cannot be healed."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run leaves besides its files."""

    history: History
    complete: bool
    """Whether the final operations were carried out."""
    interrupted: bool


class Engine:
    """One run. `backends` are started and belong to this run until it ends."""

    def __init__(
        self,
        spec: Spec,
        folder: Path,
        *,
        household: Household,
        backends: Mapping[str, Backend],
        workload: Workload,
        workload_ref: str,
        nemesis: Nemesis | None,
        view: View,
        meta: Mapping[str, object],
    ) -> None:
        self.spec = spec
        self.folder = folder
        self._household = household
        self._backends = backends
        self._workload = workload
        self._workload_ref = workload_ref
        self._nemesis = nemesis
        self._view = view
        self._meta = dict(meta)
        # The spec's `epoch_ns` is the wall clock's time of this moment.
        self._epoch_ns = time.monotonic_ns() - (time.time_ns() - spec.epoch_ns)
        self._clients: list[ClientSpec] = []
        self._resource: tuple[str, int] | None = None
        self._board = Board(folder / "journal", workers=spec.workers)
        self._interrupted = False
        self._exits = 0

    def run(self) -> Outcome:
        """Carry the test out and merge its journal."""
        for name in ("journal", "trace", "logs"):
            (self.folder / name).mkdir(exist_ok=True)
        parent = Segment(self.folder / "journal" / PARENT)
        try:
            with self._prepared(), self._guard():
                complete = self._phases(parent)
        finally:
            parent.close()
        history = merge(read_segments(self.folder / "journal"), meta=self._meta)
        return Outcome(history=history, complete=complete, interrupted=self._interrupted)

    # --- what the run needs ----------------------------------------------------------------------

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        """A fresh place on each backend, removed afterwards."""
        prepared: list[Backend] = []
        try:
            for backend in self._backends.values():
                self._clients.append(
                    backend.prepare(self.folder.name, isolation=self.spec.isolation)
                )
                prepared.append(backend)
            yield
        finally:
            for backend in prepared:
                self._finish(backend)

    def _finish(self, backend: Backend) -> None:
        try:
            backend.terminate_sessions()
            backend.finish()
        except Exception as error:  # the verdict stands, whatever cannot be tidied up
            self._view.note(f"{backend.name} could not be tidied up: {error}")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """The workload's own server, if it has one: its port is its first line."""
        if self._workload.resource is None:
            yield
            return
        read, write = os.pipe()
        spawned = self._household.spawn(
            [sys.executable, "-m", self._workload.resource],
            log=self.folder / "logs" / "guard.log",
            env=self._household.python_environment(),
            stdout=write,
        )
        os.close(write)
        with os.fdopen(read, "rb") as lines:
            line = lines.readline()
            if not line:
                raise Broken("the guarded resource did not start; see logs/guard.log")
            self._resource = ("127.0.0.1", int(line))
            try:
                yield
            finally:
                kill(spawned.process)

    def _configure(
        self, slot: int, segment: str, trace: str, incarnations: dict[int, int]
    ) -> WorkerConfig:
        spec = self.spec
        return WorkerConfig(
            slot=slot,
            segment=segment,
            trace=trace,
            incarnations=incarnations,
            workers=spec.workers,
            seed=spec.seed,
            epoch_ns=self._epoch_ns,
            op_timeout=spec.op_timeout,
            rate=spec.rate,
            workload=self._workload_ref,
            params=spec.params,
            strategy=spec.strategy,
            clients=self._clients,
            isolation=spec.isolation,
            resource=self._resource,
        )

    # --- the phases ------------------------------------------------------------------------------

    def _phases(self, parent: Segment) -> bool:
        crew = Crew(
            self._household,
            workers=self.spec.workers,
            processes=self.spec.processes,
            folder=self.folder,
            configure=self._configure,
        )
        arena = Arena(
            spec=self.spec,
            folder=self.folder,
            backends=self._backends,
            crew=crew,
            board=self._board,
        )
        arena.begin(parent, self._epoch_ns)
        try:
            self._show("setting up", arena)
            crew.one("setup", timeout_s=SETUP_S)
            report = crew.one("dry", timeout_s=SETUP_S)
            arena.points = report.points
            self._main(arena)
            complete = self._finals(arena)
            if complete:
                crew.one("teardown", timeout_s=SETUP_S)
            return complete
        finally:
            crew.close()

    def _main(self, arena: Arena) -> None:
        """The main phase, until its time is up; whatever happens, everything is healed."""
        began = arena.now()
        until = began + self.spec.time
        try:
            arena.crew.all("main")
            if self._nemesis is not None:
                self._nemesis.start(arena)
            while (now := arena.now()) < until:
                arena.over.wait(min(TICK_S, (until - now) / 1e9))
                self._tend(arena)
                self._show("main", arena, since=began)
        except KeyboardInterrupt:
            self._interrupted = True
        finally:
            arena.over.set()
            self._show("healing", arena, since=began)
            if self._nemesis is not None:
                self._nemesis.finish()
        self._stop(arena)

    def _tend(self, arena: Arena) -> None:
        """Replace a worker process that exited although nobody killed it."""
        for slot, member in enumerate(arena.crew.members):
            if member.gone and arena.active is None:
                self._exits += 1
                log = f"logs/worker-{slot}.log"
                if self._exits > MOST_EXITS:
                    raise StrategyBroken(
                        f"worker processes exited by themselves {self._exits} times, the last one "
                        f"with status {member.status}; see {log}"
                    )
                self._view.note(f"worker process {slot} exited by itself; see {log}")
                arena.replace(slot)

    def _stop(self, arena: Arena) -> None:
        """End the main phase: every operation has a deadline, and so has this."""
        arena.crew.all("stop")
        patience = self.spec.op_timeout / 1e9 + 15
        complete = arena.crew.wait_all(timeout_s=patience)
        for member in arena.crew.members:
            for why, times in member.unopened.items():
                self._view.note(f"a client could not be opened {times} times: {why}")
        if not complete:
            for slot, member in enumerate(arena.crew.members):
                if member.gone:
                    arena.replace(slot)

    def _finals(self, arena: Arena) -> bool:
        """Recovery, the last sessions gone, then the final operations; whether they were done."""
        if self._interrupted:
            return False
        try:
            self._show("recovering", arena)
            self._recover()
            self._linger()
            self._show("final operations", arena)
            arena.crew.all("final")
            done = arena.crew.wait_all(timeout_s=30 + 2 * self.spec.op_timeout / 1e9)
        except KeyboardInterrupt:
            self._interrupted = True
            return False
        if not done:
            self._view.note("a worker process did not finish the final operations")
        return done

    def _recover(self) -> None:
        """Wait until every backend answers again; some are started anew where they do not."""
        for backend in self._backends.values():
            patience = backend.ready_s if isinstance(backend, Cluster) else RECOVERY_S
            if _answers(backend, patience):
                continue
            trouble = f"{backend.name} does not answer {patience:g} s after healing"
            if not isinstance(backend, StartAnew):
                raise Broken(trouble)
            self._view.note(f"{trouble}; it is started anew")
            backend.start_anew()
            if not _answers(backend, patience):
                raise Broken(f"{trouble}, nor after it was started anew")

    def _linger(self) -> None:
        """Wait until no client session of this run is left; an abandoned write may still land."""
        for backend in self._backends.values():
            deadline = time.monotonic() + LINGER_S
            while backend.sessions() and time.monotonic() < deadline:
                time.sleep(0.02)
            if backend.sessions():
                backend.terminate_sessions()
                self._linger_on(backend)

    def _linger_on(self, backend: Backend) -> None:
        deadline = time.monotonic() + LINGER_S
        while backend.sessions():
            if time.monotonic() > deadline:
                raise Broken(
                    f"{backend.name} still shows sessions of this run after terminating them"
                )
            time.sleep(0.02)

    def _show(self, phase: str, arena: Arena, *, since: int = 0) -> None:
        self._board.poll()
        figures = self._board.figures(
            now=arena.now(), since=since, total=self.spec.time, phase=phase
        )
        self._view.update(
            msgspec.structs.replace(
                figures,
                fault=arena.active,
                faults_injected=arena.injected,
                faults_took_effect=arena.took_effect,
            )
        )


def _answers(backend: Backend, patience_s: float) -> bool:
    """Whether it answers in time."""
    deadline = time.monotonic() + patience_s
    while not backend.answers():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
