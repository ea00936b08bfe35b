"""The board: what the harness knows of a run while it goes on, from following its journal."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

import numpy as np

from .figures import Figures
from .history import NEMESIS
from .journal import Follower, Glimpse

WINDOW_NS = 5_000_000_000
"""How far back the latencies shown reach."""


class Board:
    """Counts, latencies, open operations and holders, brought up to date by `poll`.

    The engine's thread and the nemesis's both look at it: what they are given are copies.
    """

    def __init__(self, journal: Path, *, workers: int) -> None:
        self._follower = Follower(journal)
        self._workers = workers
        self._lock = threading.Lock()
        self._open: dict[int, Glimpse] = {}
        self._holding: dict[int, Glimpse] = {}
        self._incarnations: dict[int, int] = {}
        self._counts = {"ok": 0, "fail": 0, "info": 0}
        self._latencies: deque[tuple[int, int]] = deque()
        self._rates: deque[float] = deque(maxlen=40)
        self._rated = (0, 0)

    @property
    def open(self) -> dict[int, Glimpse]:
        """The open invocation of each process."""
        with self._lock:
            return dict(self._open)

    @property
    def holding(self) -> dict[int, Glimpse]:
        """Who holds a lock: process -> its acquire's completion."""
        with self._lock:
            return dict(self._holding)

    @property
    def incarnations(self) -> dict[int, int]:
        """The greatest incarnation that each worker has used."""
        with self._lock:
            return dict(self._incarnations)

    def poll(self) -> None:
        """Read what the journal has gained."""
        with self._lock:
            for op in self._follower.poll():
                if op.process != NEMESIS:
                    self._take(op, int(op.process))

    def _take(self, op: Glimpse, process: int) -> None:
        worker, incarnation = process % self._workers, process // self._workers
        if incarnation > self._incarnations.get(worker, -1):
            self._incarnations[worker] = incarnation
        if op.type == "invoke":
            self._open[process] = op
            if op.f == "release":
                self._holding.pop(process, None)
            return
        began = self._open.pop(process, None)
        self._counts[op.type] += 1
        if op.type == "info":
            self._holding.pop(process, None)
        elif op.type == "ok":
            if op.f == "acquire":
                self._holding[process] = op
            if began is not None:
                self._latencies.append((op.time, op.time - began.time))

    def forget(self, processes: list[int]) -> None:
        """These processes were killed: they hold nothing and ask nothing any more."""
        with self._lock:
            for process in processes:
                self._open.pop(process, None)
                self._holding.pop(process, None)

    def figures(self, *, now: int, since: int, total: int, phase: str) -> Figures:
        """The figures to show at `now`, in a phase that began at `since` (ns); call it at regular
        intervals, for the rates."""
        with self._lock:
            return self._figures(now=now, since=since, total=total, phase=phase)

    def _figures(self, *, now: int, since: int, total: int, phase: str) -> Figures:
        done = sum(self._counts.values())
        if now > self._rated[0]:
            self._rates.append((done - self._rated[1]) / (now - self._rated[0]) * 1e9)
            self._rated = (now, done)
        while self._latencies and self._latencies[0][0] < now - WINDOW_NS:
            self._latencies.popleft()
        recent = [took for _, took in self._latencies]
        p50, p99, most = (
            np.percentile(np.array(recent), (50, 99, 100)) / 1e6 if recent else (0.0, 0.0, 0.0)
        )
        return Figures(
            elapsed_ns=max(0, now - since),
            total_ns=total,
            phase=phase,
            ok=self._counts["ok"],
            fail=self._counts["fail"],
            info=self._counts["info"],
            rates=tuple(self._rates),
            p50_ms=float(p50),
            p99_ms=float(p99),
            max_ms=float(most),
        )
