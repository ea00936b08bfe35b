"""How fast the checkers are: `make bench-checkers` prints a table for docs/performance.md.

Each row is a process of its own: it reads a generated history (bench/histories.py), and judges it
twice. `read` is from the file to a history, `cold` the first judgement (kernels loaded from their
cache), `warm` the second; `columns` is the part of `warm` in which keys and values become numbers,
where that is a step of its own; `memory` is the most that the process had above what it had after
its imports. `x sort` is `warm` as a multiple of what numpy needs to argsort 10^6 int64, measured in
between, because the machine's speed drifts.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CHECKERS = "dokkaebi.checkers"
MODELS = f"{CHECKERS}.models"
LINEAR = f"{CHECKERS}.linearizable:LinearizableChecker"
APPEND = f"{CHECKERS}.transactions.append:AppendChecker"
WR = f"{CHECKERS}.transactions.wr:WrChecker"

Row = tuple[str, str, dict[str, Any], str, dict[str, Any], tuple[int, ...]]

ROWS: tuple[Row, ...] = (
    (
        "cas-register, 1 key, 10 clients",
        "cas-register",
        {},
        LINEAR,
        {"model": "cas-register"},
        (4, 5, 6),
    ),
    (
        "cas-register, 1 key, 30 clients",
        "cas-register",
        {"clients": 30},
        LINEAR,
        {"model": "cas-register"},
        (4, 5),
    ),
    (
        "cas-register, 1 % crashed",
        "cas-register",
        {"crashed": 0.01},
        LINEAR,
        {"model": "cas-register"},
        (4, 5),
    ),
    (
        "cas-register, 1000 keys",
        "cas-register",
        {"keys": 1000},
        LINEAR,
        {"model": "cas-register"},
        (5, 6),
    ),
    (
        "register, unique writes",
        "unique-register",
        {},
        LINEAR,
        {"model": "register"},
        (4, 5, 6),
    ),
    ("fifo-queue", "queue", {}, LINEAR, {"model": "fifo-queue"}, (4, 5, 6)),
    ("unordered-queue", "bag", {}, LINEAR, {"model": "unordered-queue"}, (4, 5, 6)),
    ("stack", "stack", {}, LINEAR, {"model": "stack"}, (4, 5, 6)),
    ("priority-queue", "priority-queue", {}, LINEAR, {"model": "priority-queue"}, (4, 5, 6)),
    ("set model, one by one", "elements", {}, LINEAR, {"model": "set"}, (4, 5, 6)),
    ("set model, whole reads", "set", {}, LINEAR, {"model": "set"}, (4, 5, 6)),
    ("mutex model, 100 locks", "locks", {"keys": 100}, LINEAR, {"model": "mutex"}, (4, 5, 6)),
    ("owner-mutex model", "locks", {"keys": 100}, LINEAR, {"model": "owner-mutex"}, (4, 5, 6)),
    ("semaphore model", "locks", {"keys": 100}, LINEAR, {"model": "semaphore"}, (4, 5, 6)),
    ("append, strict-serializable", "append", {"keys": 10}, APPEND, {}, (4, 5, 6)),
    ("wr, strict-serializable", "wr", {"keys": 10}, WR, {}, (4, 5, 6)),
    ("wr, serializable", "wr", {"keys": 10}, WR, {"level": "serializable"}, (4, 5)),
    ("wr, causal", "wr", {"keys": 10}, WR, {"level": "causal"}, (4, 5, 6)),
    ("wr, read-atomic", "wr", {"keys": 10}, WR, {"level": "read-atomic"}, (4, 5, 6)),
    ("set", "set", {}, "workload:set", {}, (4, 5, 6)),
    ("counter", "counter", {}, "workload:counter", {}, (4, 5, 6)),
    ("bank", "bank", {}, "workload:bank", {"keys": 8}, (4, 5, 6)),
    ("unique", "unique", {}, "workload:unique", {}, (4, 5, 6)),
    ("ids", "ids", {}, "workload:ids", {}, (4, 5, 6)),
    ("session", "session", {}, "workload:session", {}, (4, 5, 6)),
    ("long-fork", "long-fork", {}, "workload:long-fork", {}, (4, 5, 6)),
    (
        "constraint",
        "constraint",
        {"keys": 10},
        f"{CHECKERS}.constraint:ConstraintChecker",
        {"initial": {key: ["a", "b"] for key in range(10)}},
        (4, 5, 6),
    ),
    (
        "total-queue",
        "drained-queue",
        {},
        f"{CHECKERS}.total_queue:TotalQueueChecker",
        {"ordered": "all"},
        (4, 5, 6),
    ),
    ("ledger", "ledger", {}, f"{CHECKERS}.ledger:LedgerChecker", {}, (4, 5, 6)),
    (
        "admission",
        "admission",
        {},
        f"{CHECKERS}.admission:AdmissionChecker",
        {"limit": 5},
        (4, 5, 6),
    ),
    (
        "rate-limit",
        "rate-limit",
        {},
        f"{CHECKERS}.admission:RateLimitChecker",
        {"limit": 10, "window": 1.0},
        (4, 5, 6),
    ),
    (
        "staleness",
        "unique-register",
        {"keys": 100},
        f"{CHECKERS}.staleness:StalenessChecker",
        {"bound": 0.0},
        (4, 5, 6),
    ),
    ("estimate", "estimate", {}, f"{CHECKERS}.estimate:EstimateChecker", {}, (4, 5, 6)),
    ("lock", "guarded-locks", {"keys": 10}, "workload:lock", {}, (4, 5, 6)),
    ("progress", "counter", {}, f"{CHECKERS}.progress:ProgressChecker", {}, (4, 5, 6)),
    ("stats", "counter", {}, "stats:counter", {}, (4, 5, 6)),
)


def main() -> None:
    """Print a line for each row and size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--most", type=int, default=6, help="sizes up to 10 to this power")
    parser.add_argument("--planted", action="store_true", help="one anomaly in each history")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(judge_twice(*json.loads(asked.one))))
        return
    print(f"{'history':<34}{'operations':>11}{'read s':>8}{'cold s':>8}{'warm s':>8}", end="")
    print(f"{'columns s':>11}{'memory MB':>11}{'x sort':>8}  verdict")
    with tempfile.TemporaryDirectory() as folder:
        for name, kind, how, checker, options, powers in ROWS:
            for power in powers:
                if asked.only in name and power <= asked.most:
                    file = written(Path(folder), kind, how, 10**power, asked.planted)
                    tell(name, 10**power, measured(file, checker, options))


def written(folder: Path, kind: str, how: dict[str, Any], size: int, planted: bool) -> Path:
    """A generated history as JSONL."""
    flags = [f"--{name}={value}" for name, value in how.items()] + ["--planted"] * planted
    path = folder / f"{kind}-{size}-{'-'.join(map(str, how.values()))}-{planted}.jsonl"
    if not path.exists():
        command = [sys.executable, HERE / "histories.py", kind, str(size), *flags]
        with path.open("wb") as file:
            subprocess.run(command, stdout=file, check=True)
    return path


def measured(file: Path, checker: str, options: dict[str, Any]) -> dict[str, Any]:
    """One row in a process of its own."""
    question = json.dumps([str(file), checker, options])
    command = [sys.executable, __file__, "--one", question]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    )
    return found


def judge_twice(file: str, checker: str, options: dict[str, Any]) -> dict[str, Any]:
    """Read, judge, sort a million numbers, judge again."""
    import numpy as np

    from dokkaebi.checkers.judge import judge
    from dokkaebi.harness.formats.reading import read_file

    checks = make(checker, options)
    before = peak()
    began = time.perf_counter()
    history = read_file(Path(file)).history
    read = time.perf_counter() - began
    seconds = []
    numbers = np.random.default_rng(1).integers(0, 2**62, 10**6)
    for _ in range(2):
        began = time.perf_counter()
        _, results = judge(history, checks)
        seconds.append(time.perf_counter() - began)
        history._table = None
        began = time.perf_counter()
        np.argsort(numbers)
        sort = time.perf_counter() - began
    return {
        "read": read,
        "cold": seconds[0],
        "warm": seconds[1],
        "columns": to_columns(history, checks),
        "memory": peak() - before,
        "sorts": seconds[1] / sort,
        "verdict": ", ".join(told(each.verdict) for each in results.values()),
    }


def to_columns(history: Any, checks: list[Any]) -> float | None:
    """The seconds in which transactions become columns; None where there are none."""
    from dokkaebi.harness.collecting import undisturbed
    from dokkaebi.harness.transactions import transactions

    if not hasattr(checks[0], "judge"):
        return None
    began = time.perf_counter()
    with undisturbed():
        transactions(history)
    return time.perf_counter() - began


def told(verdict: Any) -> str:
    """A verdict with its reason."""
    return f"{verdict.verdict} ({verdict.reason})" if verdict.reason else str(verdict.verdict)


def make(checker: str, options: dict[str, Any]) -> list[Any]:
    """The checker by name, all of a workload's, or the figures of a workload."""
    module, name = checker.split(":")
    if module in ("workload", "stats"):
        from dokkaebi.harness.plugins import find

        workload = find("workloads", name)(**options)
        if module == "stats":
            return [Figures(workload)]
        return [each for each in workload.checkers({}) if each.name != "progress"]
    made = getattr(importlib.import_module(module), name)
    if "model" in options:
        models = importlib.import_module(MODELS).MODELS
        return [made(models[options["model"]]())]
    return [made(**options)]


class Figures:
    """The figures of a run, in the place of a checker."""

    name = "stats"

    def __init__(self, workload: Any) -> None:
        self.workload = workload

    def check(self, history: Any) -> Any:
        """Make them; the verdict means nothing."""
        from dokkaebi.checkers.stats import stats
        from dokkaebi.harness.verdict import Verdict

        return Verdict(verdict="holds", judged=stats(history, self.workload.contends).ok)


def peak() -> float:
    """The most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def tell(name: str, size: int, row: dict[str, Any]) -> None:
    """A line of the table."""
    print(f"{name:<34}{size:>11,}{row['read']:>8.2f}{row['cold']:>8.2f}", end="")
    columns = "" if row["columns"] is None else f"{row['columns']:.2f}"
    print(
        f"{row['warm']:>8.2f}{columns:>11}{row['memory']:>11,.0f}{row['sorts']:>8.1f}  {row['verdict']}",
        flush=True,
    )


if __name__ == "__main__":
    main()
