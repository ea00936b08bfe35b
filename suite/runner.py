"""Runs the cells of a suite side by side, each as long as it takes, and judges them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Protocol

import msgspec

from ..results.store import new_run
from .cases import Cell, Suite
from .executor import Executor
from .expectations import Judged, judge_cell, next_seed
from .tasks import Outcome, Task


class Watcher(Protocol):
    """Is told how a suite goes."""

    def begun(self, cell: Cell, seed: int) -> None:
        """A cell's run with this seed was handed out."""

    def done(self, judged: Judged) -> None:
        """A cell is judged."""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A suite that was run: its cells in the order in which it names them."""

    suite: Suite
    cells: tuple[Judged, ...]
    seconds: float


def run_suite(
    suite: Suite,
    executor: Executor,
    *,
    out: Path,
    watcher: Watcher,
    strict_known: bool = False,
) -> Finished:
    """Run every cell; Ctrl-C ends it, and what was judged by then is judged."""
    began = time.monotonic()
    crew = _Crew(suite, executor, out.resolve(), watcher, strict_known)
    try:
        crew.work()
    except KeyboardInterrupt:
        pass
    finally:
        executor.close()
    cells = tuple(crew.judged.get(i) or crew.cut_short(i) for i in range(len(suite.cells)))
    return Finished(suite=suite, cells=cells, seconds=time.monotonic() - began)


class _Crew:
    """Cells that are at work, waiting, and judged, by their place in the suite."""

    def __init__(
        self, suite: Suite, executor: Executor, out: Path, watcher: Watcher, strict_known: bool
    ) -> None:
        self._cells = suite.cells
        self._executor = executor
        self._out = out
        self._watcher = watcher
        self._strict = strict_known
        self._outcomes: list[list[Outcome]] = [[] for _ in suite.cells]
        self._going: dict[Future[Outcome], int] = {}
        self._waiting: Iterator[int] = iter(range(len(suite.cells)))
        self.judged: dict[int, Judged] = {}

    def work(self) -> None:
        """Keep every slot of the executor busy until all cells are judged."""
        for _ in range(self._executor.slots):
            self._next()
        while self._going:
            done, _ = wait(self._going, return_when=FIRST_COMPLETED)
            for future in done:
                place = self._going.pop(future)
                self._outcomes[place].append(self._home(future.result(), self._cells[place]))
                if not self._begin(place):
                    self._next()

    def cut_short(self, place: int) -> Judged:
        """A cell that did not come to its end: what is violated by then stays violated."""
        judged = self._judge(place)
        if judged.status == "violated":
            return judged
        return msgspec.structs.replace(judged, status="interrupted", reason="interrupted")

    def _judge(self, place: int) -> Judged:
        return judge_cell(self._cells[place], self._outcomes[place], strict_known=self._strict)

    def _next(self) -> None:
        """Begin the next cell that has something to run."""
        for place in self._waiting:
            if self._begin(place):
                return

    def _begin(self, place: int) -> bool:
        """Hand out the cell's next run; without one, judge it."""
        cell = self._cells[place]
        seed = next_seed(cell, self._outcomes[place])
        if seed is None:
            self.judged[place] = self._judge(place)
            self._watcher.done(self.judged[place])
            return False
        wish = msgspec.structs.replace(cell.wish, seed=seed)
        out = str(self._out) if self._executor.at_home else None
        self._watcher.begun(cell, seed)
        self._going[self._executor.submit(Task(wish=wish, out=out))] = place
        return True

    def _home(self, outcome: Outcome, cell: Cell) -> Outcome:
        """The outcome with what came along written to a run's folder of ours."""
        if not outcome.files:
            return outcome
        folder = new_run(self._out, cell.name)
        for name, data in outcome.files.items():
            (folder / name).write_bytes(data)
        return msgspec.structs.replace(outcome, folder=str(folder), files={})
