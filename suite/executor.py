"""Who carries tasks out: processes of this machine, or workers of a cluster (`cluster.py`)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import msgspec

from .tasks import Outcome, Task, encode

END_S = 10.0
"""How long a child may take to stop its servers."""


class Executor(Protocol):
    """Takes tasks and answers outcomes; `slots` is how many it can be at, at once."""

    slots: int
    at_home: bool
    """Whether it writes to this machine's disk."""

    def submit(self, task: Task) -> Future[Outcome]:
        """Have a task carried out; the future never holds an exception of the task's own."""

    def close(self) -> None:
        """End everything that is still going on."""


class Child:
    """One process that carries out tasks; begun when it is first needed, and again when it dies."""

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def carry_out(self, task: Task) -> Outcome:
        """Have it carried out; a process that dies meanwhile is an outcome too."""
        process = self._alive()
        if process is None or process.stdin is None or process.stdout is None:
            return Outcome(seed=task.wish.seed, said="unknown", interrupted=True)
        try:
            process.stdin.write(encode(task) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (BrokenPipeError, ValueError):
            line = b""
        if line.endswith(b"\n"):
            return msgspec.json.decode(line, type=Outcome)
        status = process.wait()
        if self._closed:
            return Outcome(seed=task.wish.seed, said="unknown", interrupted=True)
        died = f"the process that carried it out ended with {status}"
        return Outcome(seed=task.wish.seed, said="broke", reason=died)

    def _alive(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._closed:
                return None
            if self._process is None or self._process.poll() is not None:
                self._process = self._begin()
            return self._process

    def _begin(self) -> subprocess.Popen[bytes]:
        log = subprocess.DEVNULL if self._log is None else self._log.open("ab")
        try:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "dokkaebi.suite.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C is ours to pass on: the terminal's would reach its servers as well.
                start_new_session=True,
            )
        finally:
            if not isinstance(log, int):
                log.close()

    def close(self) -> None:
        """End it, with its servers."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is None:
            return
        if process.stdin is not None:
            try:
                process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()  # the reaper ends what it had started
            process.wait()


class Local:
    """So many processes of this machine, each with servers of its own, kept from task to task."""

    at_home = True

    def __init__(self, jobs: int, *, logs: Path | None = None) -> None:
        self.slots = jobs
        self._logs = logs
        self._children: list[Child] = []
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="job")

    def submit(self, task: Task) -> Future[Outcome]:
        """Have the next free process carry it out."""
        return self._threads.submit(self._run, task)

    def _run(self, task: Task) -> Outcome:
        child: Child | None = getattr(self._mine, "child", None)
        if child is None:
            with self._lock:
                number = len(self._children)
                log = None if self._logs is None else self._logs / f"job-{number}.log"
                child = Child(log)
                self._children.append(child)
            self._mine.child = child
        return child.carry_out(task)

    def close(self) -> None:
        """End all of them, side by side."""
        with self._lock:
            children = list(self._children)
        endings = [threading.Thread(target=child.close) for child in children]
        for ending in endings:
            ending.start()
        for ending in endings:
            ending.join()
        self._threads.shutdown(wait=True, cancel_futures=True)


def usual_jobs() -> int:
    """Half of the processors: a run's own processes and its server keep two busy."""
    return max(1, (os.cpu_count() or 2) // 2)
