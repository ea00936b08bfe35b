"""Figures of a history: counts, latencies, and how much of it could have gone wrong at all.

Counts only; what a run must reach before its pass means anything stands in `floors.py`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np

from ..harness.history import History, Operation
from ..harness.result import Latency, Stats
from .holds import Hold, definite_holds

Contends = Callable[[Operation], tuple[Hashable, bool] | None]
"""The key that an operation touches and whether it writes it; None if it touches none."""

_DEADLOCK = re.compile(r"(40P01|1213)\b")
"""PostgreSQL's deadlock_detected and InnoDB's ER_LOCK_DEADLOCK, at the head of an error."""

_NUMBERS = re.compile(r"(?<= )\d[\d.]*")
MOST_ERRORS = 3


def stats(history: History, contends: Contends) -> Stats:
    """The figures of the main and final phases; the dry run is left out."""
    operations = [op for op in history.operations() if op.phase != "dry"]
    types = Counter(op.type for op in operations)
    ok = [op for op in operations if op.type == "ok"]
    main = [op for op in operations if op.phase != "final"]
    seconds = _seconds(history, main)
    succeeded = sum(op.type == "ok" for op in main)
    return Stats(
        ok=types["ok"],
        fail=types["fail"],
        info=types["info"],
        seconds=seconds,
        ops_per_second=succeeded / seconds if seconds else 0.0,
        latency_ms=_latency(history, ok),
        conflicts=conflicts(history, operations, contends),
        handovers=_handovers(history),
        deadlocks=sum(bool(op.error and _DEADLOCK.match(op.error)) for op in operations),
        left_open=dict(Counter(op.f for op in ok if op.ext.get("left_open"))),
        suspicious=dict(Counter(op.f for op in ok if op.ext.get("suspicious"))),
        errors=dict(Counter(filter(None, map(_said, operations))).most_common(MOST_ERRORS)),
    )


def _said(op: Operation) -> str | None:
    """What an operation that was not answered well said, numbers within it left out."""
    if op.error is None or op.error == "refused":
        return None
    return _NUMBERS.sub("…", op.error)[:80]


def conflicts(history: History, operations: Iterable[Operation], contends: Contends) -> int:
    """Pairs of overlapping operations on one key of which at least one writes; O(n log n).

    All overlapping pairs of a key, less those of its reads among each other.
    """
    everything: defaultdict[Hashable, list[tuple[int, int]]] = defaultdict(list)
    reads: defaultdict[Hashable, list[tuple[int, int]]] = defaultdict(list)
    for op in operations:
        touched = contends(op)
        if touched is not None:
            key, writes = touched
            interval = (op.call, _ended(history, op))
            everything[key].append(interval)
            if not writes:
                reads[key].append(interval)
    return sum(map(_overlapping, everything.values())) - sum(map(_overlapping, reads.values()))


def handovers(holds: Iterable[Hold]) -> int:
    """Consecutive definite holds of one lock by different processes."""
    holder: dict[Hashable, int] = {}
    count = 0
    for hold in sorted(holds, key=lambda hold: (hold.start, hold.acquire)):
        count += holder.get(hold.name, hold.process) != hold.process
        holder[hold.name] = hold.process
    return count


def _overlapping(intervals: Sequence[tuple[int, int]]) -> int:
    """Pairs of closed intervals that share a moment: all pairs, less those that are apart."""
    begins, ends = np.array(intervals, dtype=np.int64).reshape(-1, 2).T
    apart = np.searchsorted(np.sort(ends), begins, side="left").sum()
    return len(intervals) * (len(intervals) - 1) // 2 - int(apart)


def _ended(history: History, op: Operation) -> int:
    """When the client heard of it for the last time: an unknown outcome overlaps no more then."""
    if op.type != "info":
        return op.ret
    if op.end < 0:
        return op.call
    return int(history.time[op.end]) if history.time[op.end] >= 0 else op.end


def _seconds(history: History, operations: Sequence[Operation]) -> float:
    if not operations or history.time[0] < 0:
        return 0.0
    begin = min(op.call for op in operations)
    return (max(_ended(history, op) for op in operations) - begin) / 1e9


def _latency(history: History, ok: Sequence[Operation]) -> Latency:
    if not ok or history.time[0] < 0:
        return Latency()
    spent = np.array([op.ret - op.call for op in ok]) / 1e6
    p50, p99 = np.percentile(spent, [50, 99])
    return Latency(p50=float(p50), p99=float(p99), max=float(spent.max()))


def _handovers(history: History) -> int | None:
    if "acquire" not in history.functions:
        return None
    return handovers(
        hold
        for hold in definite_holds(history, lease=None)
        if history.operation(hold.acquire).phase != "dry"
    )
