"""Figures of a history: counts, latencies, and how much of it could have gone wrong at all.

Counts only; what a run must reach before its pass means anything stands in `floors.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..harness.columns import FAIL, INFO, OK
from ..harness.history import History
from ..harness.result import Stats
from ..harness.verdict import Anomaly
from .contention import Contends, by_key, conflicts, heard, latency, touched
from .holds import Holds, definite_holds
from .rows import Mask

_DEADLOCK = re.compile(r"(40P01|1213)\b")
"""PostgreSQL's deadlock_detected and InnoDB's ER_LOCK_DEADLOCK, at the head of an error."""

_NUMBERS = re.compile(r"(?<= )\d[\d.]*")
MOST_ERRORS = 3


def stats(history: History, contends: Contends, anomalies: Sequence[Anomaly] = ()) -> Stats:
    """The figures of the main and final phases; the dry run is left out."""
    table = history.table
    keyed = touched(history, contends)
    met = conflicts(keyed)
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
        latency_ms=latency(history, ok),
        conflicts=int(met.sum()),
        handovers=_handovers(history),
        deadlocks=sum(map(bool, map(_DEADLOCK.match, errors))),
        left_open=_marked(history, ok, "left_open"),
        suspicious=_marked(history, ok, "suspicious"),
        errors=dict(Counter(map(_said, errors)).most_common(MOST_ERRORS)),
        keys=len(keyed.names),
        by_key=by_key(history, keyed, met, anomalies),
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


def handovers(holds: Holds) -> int:
    """Consecutive definite holds of one lock by different processes."""
    order = np.lexsort((holds.acquire, holds.start, holds.name))
    name, process = holds.name[order], holds.process[order]
    return int(((name[1:] == name[:-1]) & (process[1:] != process[:-1])).sum())


def _seconds(history: History, chosen: Mask) -> float:
    if not chosen.any() or history.time[0] < 0:
        return 0.0
    return int(heard(history)[chosen].max() - history.table.call[chosen].min()) / 1e9


def _handovers(history: History) -> int | None:
    if "acquire" not in history.functions:
        return None
    holds = definite_holds(history, lease=None)
    phases = history.told("phase")
    dry = np.array([phases.get(at) == "dry" for at in holds.acquire.tolist()], dtype=np.bool_)
    return handovers(holds.of(~dry))
