"""A task: one run of a cell with one seed, and what it found. Both are plain data that travels.

Whoever carries a task out (a process here, a worker of a cluster) needs nothing but the task.
"""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..compose import Run, Servers, run
from ..harness.choosing import Wish
from ..harness.errors import StrategyBroken, Unavailable, UsageError
from ..harness.history import FOREVER, History
from ..harness.spec import SECOND
from ..harness.verdict import Anomaly, Kind
from ..results.live import Silent

Said = Literal["holds", "violated", "unknown", "broke", "unavailable"]

SENT = ("spec.json", "verdict.json", "report.html", "faults.jsonl", "history.jsonl")
"""What of a run's folder is brought home from another machine."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Run this, and keep it under `out`; None: on another machine, which sends it home."""

    wish: Wish
    out: str | None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An anomaly of a run; `after` is how many seconds of the run had passed when it was complete."""

    type: str
    sentence: str
    kind: Kind = "safety"
    count: int = 1
    after: float | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a task. `said` is its verdict or why there is none, `reason` tells it."""

    seed: int
    said: Said
    reason: str = ""
    found: tuple[Found, ...] = ()
    seconds: float = 0.0
    ok: int = 0
    ops_per_second: float = 0.0
    p99_ms: float = 0.0
    deadlocks: int = 0
    folder: str | None = None
    interrupted: bool = False
    files: dict[str, bytes] = {}


def carry_out(task: Task, servers: Servers) -> Outcome:
    """Carry a task out on these servers; whatever breaks is an outcome, never an exception."""
    began = time.monotonic()
    with _kept(task) as out:
        try:
            finished = run(task.wish, servers=servers, out=out, view=Silent())
        except Unavailable as missing:
            outcome = Outcome(seed=task.wish.seed, said="unavailable", reason=str(missing))
        except StrategyBroken as error:
            outcome = _broke(task, error.traceback or str(error))
        except UsageError as error:
            outcome = _broke(task, str(error))
        except Exception as error:
            outcome = _broke(task, "".join(traceback.format_exception(error)))
        else:
            outcome = _told(finished, task)
    return msgspec.structs.replace(outcome, seconds=round(time.monotonic() - began, 2))


@contextmanager
def _kept(task: Task) -> Iterator[Path]:
    if task.out is not None:
        yield Path(task.out)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _broke(task: Task, reason: str) -> Outcome:
    return Outcome(seed=task.wish.seed, said="broke", reason=reason.strip())


def _told(finished: Run, task: Task) -> Outcome:
    result = finished.result
    verdict, folder = result.verdict, result.folder
    away = task.out is None and folder is not None
    return Outcome(
        seed=task.wish.seed,
        said=verdict.verdict,
        reason=verdict.reason,
        found=tuple(_found(anomaly, finished.history) for anomaly in verdict.anomalies),
        ok=result.stats.ok,
        ops_per_second=round(result.stats.ops_per_second, 1),
        p99_ms=round(result.stats.latency_ms.p99, 3),
        deadlocks=result.stats.deadlocks,
        folder=None if folder is None else str(folder),
        interrupted=finished.interrupted,
        files=_files(folder) if away and folder is not None else {},
    )


def _found(anomaly: Anomaly, history: History) -> Found:
    return Found(
        type=anomaly.type,
        sentence=anomaly.sentence,
        kind=anomaly.kind,
        count=anomaly.count,
        after=_after(anomaly, history),
    )


def _after(anomaly: Anomaly, history: History) -> float | None:
    """When the last operation of the witness was over, in seconds since the run began."""
    ends = [history.operation(index).ret for index in anomaly.ops]
    known = [end for end in ends if end != FOREVER]
    return round(max(known) / SECOND, 2) if known else None


def _files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in SENT if (folder / name).is_file()}


def encode(value: Any) -> bytes:
    """A task or an outcome as one line."""
    return msgspec.json.encode(value)
