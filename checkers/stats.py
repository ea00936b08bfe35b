"""Figures of a history: counts, latencies, and how much of it could have gone wrong at all.

Counts only; what a run must reach before its pass means anything stands in `floors.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable
from itertools import compress

import numpy as np

from ..harness.columns import FAIL, INFO, OK
from ..harness.history import History, Operation
from ..harness.interning import I64, interned
from ..harness.result import Latency, Stats
from .holds import Holds, definite_holds
from .patterns.placing import side_by_side
from .rows import Mask

Contends = Callable[[Operation], tuple[Hashable, bool] | None]
"""The key that an operation touches and whether it writes it; None if it touches none."""

_DEADLOCK = re.compile(r"(40P01|1213)\b")
"""PostgreSQL's deadlock_detected and InnoDB's ER_LOCK_DEADLOCK, at the head of an error."""

_NUMBERS = re.compile(r"(?<= )\d[\d.]*")
MOST_ERRORS = 3


def stats(history: History, contends: Contends) -> Stats:
    """The figures of the main and final phases; the dry run is left out."""
    table = history.table
    counted = ~table.dry
    ok = counted & (table.type == OK)
    main = counted & ~_in_phase(history, "final")
    seconds = _seconds(history, main)
    succeeded = int((main & ok).sum())
    errors = _errors(history, counted)
    return Stats(
        ok=int(ok.sum()),
        fail=int((counted & (table.type == FAIL)).sum()),
        info=int((counted & (table.type == INFO)).sum()),
        seconds=seconds,
        ops_per_second=succeeded / seconds if seconds else 0.0,
        latency_ms=_latency(history, ok),
        conflicts=conflicts(history, contends),
        handovers=_handovers(history),
        deadlocks=sum(map(bool, map(_DEADLOCK.match, errors))),
        left_open=_marked(history, ok, "left_open"),
        suspicious=_marked(history, ok, "suspicious"),
        errors=dict(Counter(map(_said, errors)).most_common(MOST_ERRORS)),
    )


def _in_phase(history: History, phase: str) -> Mask:
    """Which operations belong to a phase."""
    events = np.zeros(len(history), dtype=np.bool_)
    events[[at for at, told in history.told("phase").items() if told == phase]] = True
    return events[history.table.index]


def _errors(history: History, counted: Mask) -> list[str]:
    """What operations that were not answered well said; a refusal is an answer."""
    told = history.told("error")
    if not told:
        return []
    ends = history.table.end[counted].tolist()
    return [error for error in map(told.get, ends) if error and error != "refused"]


def _said(error: str) -> str:
    """An error with the numbers within it left out."""
    return _NUMBERS.sub("…", error)[:80]


def _marked(history: History, chosen: Mask, mark: str) -> dict[str, int]:
    """How many operations of each function a strategy or backend put a mark on."""
    told, table = history.told("ext"), history.table
    if not told:
        return {}
    rows = zip(*(c[chosen].tolist() for c in (table.index, table.end, table.f)), strict=True)
    marked = (f for index, end, f in rows if (told.get(end) or told.get(index) or {}).get(mark))
    return dict(Counter(history.functions[f] for f in marked))


def conflicts(history: History, contends: Contends) -> int:
    """Pairs of overlapping operations on one key of which at least one writes; O(n log n).

    All overlapping pairs of a key, less those of its reads among each other; the dry run is left
    out.
    """
    counted = ~history.table.dry
    touched = [contends(op) for op in compress(history.operations(), counted.tolist())]
    pairs = [each for each in touched if each is not None]
    chosen = np.flatnonzero(counted)
    if len(pairs) < len(touched):
        chosen = chosen[[each is not None for each in touched]]
    key = interned([key for key, _ in pairs]).of
    reads = ~np.fromiter((writes for _, writes in pairs), np.bool_, len(pairs))
    begin, end = history.table.call[chosen], _ended(history)[chosen]
    return _overlapping(key, begin, end) - _overlapping(key[reads], begin[reads], end[reads])


def handovers(holds: Holds) -> int:
    """Consecutive definite holds of one lock by different processes."""
    order = np.lexsort((holds.acquire, holds.start, holds.name))
    name, process = holds.name[order], holds.process[order]
    return int(((name[1:] == name[:-1]) & (process[1:] != process[:-1])).sum())


def _overlapping(key: I64, begin: I64, end: I64) -> int:
    """Pairs of closed intervals of one key that share a moment: all, less those that are apart."""
    count = np.bincount(key)
    # Of a greater key all moments are later.
    begins, ends = side_by_side(key, begin, end)
    others = (np.cumsum(count) - count)[key]
    apart = (np.searchsorted(np.sort(ends), begins, side="left") - others).sum()
    return int((count * (count - 1) // 2).sum() - apart)


def _ended(history: History) -> I64:
    """When the client heard of each operation for the last time: an unknown outcome overlaps no
    more then."""
    table = history.table
    heard = history.time[table.end]
    heard = np.where(heard >= 0, heard, table.end)
    heard = np.where(table.end >= 0, heard, table.call)
    return np.where(table.type == INFO, heard, table.ret)


def _seconds(history: History, chosen: Mask) -> float:
    if not chosen.any() or history.time[0] < 0:
        return 0.0
    return int(_ended(history)[chosen].max() - history.table.call[chosen].min()) / 1e9


def _latency(history: History, ok: Mask) -> Latency:
    if not ok.any() or history.time[0] < 0:
        return Latency()
    spent = (history.table.ret[ok] - history.table.call[ok]) / 1e6
    p50, p99 = np.percentile(spent, [50, 99])
    return Latency(p50=float(p50), p99=float(p99), max=float(spent.max()))


def _handovers(history: History) -> int | None:
    if "acquire" not in history.functions:
        return None
    holds = definite_holds(history, lease=None)
    phases = history.told("phase")
    dry = np.array([phases.get(at) == "dry" for at in holds.acquire.tolist()], dtype=np.bool_)
    return handovers(holds.of(~dry))
