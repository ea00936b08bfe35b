"""The worker processes as the harness sees them: started, ordered, followed, struck, replaced."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil

from .errors import Broken, StrategyBroken
from .household import Household, Spawned
from .orders import Do, Order, Report, WorkerConfig

START_S = 30.0
"""How long a worker process may take until it reads its first order."""


class WorkerProcess:
    """One OS process with some of the workers; its orders and reports."""

    def __init__(self, household: Household, config: WorkerConfig, log: Path) -> None:
        self.config = config
        self.unopened: dict[str, int] = {}
        """Why its clients could not be opened, and how often, as of its last report."""
        self.reports: queue.Queue[Report | None] = queue.Queue()
        self.reached: queue.Queue[Report] = queue.Queue()
        orders_out, self._orders = os.pipe()
        reports_in, reports_out = os.pipe()
        try:
            self._spawned: Spawned = household.spawn(
                [sys.executable, "-m", "dokkaebi.harness.worker"],
                log=log,
                cwd=os.getcwd(),
                env=household.python_environment(),
                stdin=orders_out,
                stdout=reports_out,
            )
        finally:
            os.close(orders_out)
            os.close(reports_out)
        self._write(msgspec.json.encode(config))
        threading.Thread(target=self._listen, args=(reports_in,), daemon=True).start()

    @property
    def process(self) -> psutil.Process:
        """The OS process."""
        return self._spawned.process

    @property
    def status(self) -> int | None:
        """Its exit status, once it has one."""
        return self._spawned.status

    @property
    def gone(self) -> bool:
        """Whether it has exited."""
        return self._spawned.wait(0) is not None

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait for its exit."""
        return self._spawned.wait(timeout_s) is not None

    def _listen(self, fd: int) -> None:
        with os.fdopen(fd, "rb") as reports:
            for line in reports:
                report = msgspec.json.decode(line, type=Report)
                (self.reports if report.at is None else self.reached).put(report)
        self.reports.put(None)

    def _write(self, line: bytes) -> None:
        try:
            os.write(self._orders, line + b"\n")
        except BrokenPipeError:
            pass  # it was killed; whoever waits for its report learns that

    def order(self, do: Do, point: str | None = None) -> None:
        """Tell it what to do next."""
        self._write(msgspec.json.encode(Order(do=do, point=point)))

    def report(self, timeout_s: float) -> Report | None:
        """Its next report; None if it exited instead. Raises `Broken` when time is up."""
        try:
            report = self.reports.get(timeout=timeout_s)
        except queue.Empty:
            raise Broken(
                f"worker process {self.config.slot} did not answer within {timeout_s:g} s"
            ) from None
        if report is not None and report.broken is not None:
            raise StrategyBroken(report.broken, report.traceback)
        return report

    def close(self) -> None:
        """Let it exit."""
        self.order("exit")
        try:
            os.close(self._orders)
        except OSError:
            pass


class Crew:
    """All worker processes of a run, one per slot; a killed one is replaced under new ids."""

    def __init__(
        self,
        household: Household,
        *,
        workers: int,
        processes: int,
        folder: Path,
        configure: Callable[[int, str, str, dict[int, int]], WorkerConfig],
    ) -> None:
        self.workers = workers
        self._household = household
        self._folder = folder
        self._configure = configure
        self._births = [0] * processes
        self._mine = [list(range(slot, workers, processes)) for slot in range(processes)]
        self.members = [self._spawn(slot, dict.fromkeys(mine, 0)) for slot, mine in self._slots()]
        for member in self.members:
            self._ready(member)

    def _slots(self) -> list[tuple[int, list[int]]]:
        return list(enumerate(self._mine))

    def _spawn(self, slot: int, incarnations: dict[int, int]) -> WorkerProcess:
        name = f"{slot}-{self._births[slot]}.jsonl"
        self._births[slot] += 1
        config = self._configure(
            slot,
            str(self._folder / "journal" / name),
            str(self._folder / "trace" / name),
            incarnations,
        )
        log = self._folder / "logs" / f"worker-{slot}.log"
        return WorkerProcess(self._household, config, log)

    def _ready(self, member: WorkerProcess) -> None:
        if member.report(START_S) is None:
            raise Broken(f"worker process {member.config.slot} exited before it began; see logs/")

    def replace(self, slot: int, used: dict[int, int], *, at_work: bool) -> None:
        """Start a new process in a killed one's slot.

        All its workers, idle ones too, go on under the incarnation after the greatest that they
        may have used (`used`: worker -> incarnation).
        """
        old = self.members[slot]
        incarnations = {
            worker: max(used.get(worker, -1), old.config.incarnations[worker]) + 1
            for worker in self._mine[slot]
        }
        old.close()
        self.members[slot] = self._spawn(slot, incarnations)
        self._ready(self.members[slot])
        if at_work:
            self.members[slot].order("main")

    def slot_of(self, process: int) -> int:
        """The slot whose OS process carries a history's process."""
        return (process % self.workers) % len(self.members)

    def one(self, do: Do, *, timeout_s: float) -> Report:
        """Order the first process to do something, and wait until it has."""
        self.members[0].order(do)
        report = self.members[0].report(timeout_s)
        if report is None:
            raise Broken(f"the worker process exited during {do!r}; see logs/worker-0.log")
        return report

    def all(self, do: Do) -> None:
        """Order every process to do something."""
        for member in self.members:
            member.order(do)

    def wait_all(self, *, timeout_s: float) -> bool:
        """Wait for every process's report; False if one exited or time was up."""
        deadline = time.monotonic() + timeout_s
        complete = True
        for member in self.members:
            try:
                report = member.report(max(0.0, deadline - time.monotonic()))
                complete &= report is not None
                if report is not None:
                    member.unopened = report.unopened
            except StrategyBroken:
                raise
            except Broken:
                complete = False
        return complete

    def close(self, timeout_s: float = 2.0) -> None:
        """Let all exit; kill those that do not."""
        for member in self.members:
            member.close()
        deadline = time.monotonic() + timeout_s
        for member in self.members:
            if not member.wait_gone(max(0.0, deadline - time.monotonic())):
                kill(member.process)


def kill(process: psutil.Process) -> None:
    """SIGKILL a process of ours, if it is still that process."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        pass
