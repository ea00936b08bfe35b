"""Events as other tools write them, made ours: order of lines, names without colons, processes.

Foreign histories are in the order of their lines (Jepsen's index is no more than that): times that
run behind it are raised to it, and where an event has none, or the clock stood still for all of
them, the lines alone count. Operations without a process are paired by their function, the most
recent open one first, and each gets a process that is free then.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from ..errors import MalformedHistory
from ..history import NEMESIS, TYPES, Op

LATEST = 2**62
"""The latest time, in nanoseconds, that an event may have."""

_ABSENT: Any = msgspec.UNSET


class Row(msgspec.Struct):
    """An event as it stands in a foreign file; all other fields of it are left out."""

    type: Any = None
    f: Any = None
    value: Any = None
    process: Any = _ABSENT
    time: Any = None
    error: Any = None
    dokkaebi: Any = None


_OURS: dict[str, Any] = {
    "node": str,
    "result": object,
    "phase": str,
    "attempts": int,
    "conn": str | int,
    "ext": dict,
}

FIELDS = frozenset(Row.__struct_fields__)


def events(rows: Sequence[Row], *, source: str, lines: Sequence[int] | None = None) -> list[Op]:
    """The rows as events; `lines` are the lines that they stand in."""

    def wrong(at: int, reason: str) -> MalformedHistory:
        return MalformedHistory(
            f"operation {at}: {reason}", source=source, line=lines[at] if lines else None
        )

    for at, row in enumerate(rows):
        reason = _nonsense(row)
        if reason:
            raise wrong(at, reason)
    processes: Sequence[Any] = [row.process for row in rows]
    if _ABSENT in processes or None in processes:
        processes = _paired(rows, wrong)
    return [
        Op(
            index=at,
            time=time,
            process=process,
            type=row.type,
            f=_function(row),
            value=row.value,
            error=_text(row.error),
            **(_ours(row.dokkaebi) if isinstance(row.dokkaebi, dict) else {}),
        )
        for at, (row, process, time) in enumerate(zip(rows, processes, _times(rows), strict=True))
    ]


def _nonsense(row: Row) -> str:
    """What makes a row no event; empty if it is one."""
    if row.type not in TYPES:
        return f"its type is {shown(row.type)}, where {', '.join(TYPES)} were expected"
    process = row.process
    if type(process) is not int and process not in (_ABSENT, None, NEMESIS):
        return f"its process is {shown(process)}, where a number or nemesis was expected"
    if type(row.f) is not str and (process != NEMESIS or row.f is not None):
        return f"its function is {shown(row.f)}, where a name was expected"
    time = row.time
    if time is not None and (type(time) not in (int, float) or not time < LATEST):
        return f"its time is {shown(time)}, where nanoseconds were expected"
    return ""


def _function(row: Row) -> str:
    return row.f if row.f is not None else NEMESIS


def _ours(more: dict[str, Any]) -> dict[str, Any]:
    """What `convert` kept of one of our own events; what does not look like it is left out."""
    kept = {
        name: more[name]
        for name, kind in _OURS.items()
        if name in more and isinstance(more[name], kind)
    }
    if kept.get("phase") not in (None, "dry", "main", "final"):
        del kept["phase"]
    return {name: value for name, value in kept.items() if value is not None}


def _text(error: Any) -> str | None:
    return error if error is None or isinstance(error, str) else shown(error)


def shown(value: Any) -> str:
    """A value as JSON, cut to a sensible length."""
    if value is _ABSENT:
        return "missing"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else f"{text[:199]}…"


def _times(rows: Sequence[Row]) -> Iterator[int]:
    """Times that never run behind the order of lines; -1 for all where they tell nothing."""
    stood_still = len(rows) > 1 and all(row.time == rows[0].time for row in rows)
    if stood_still or any(row.time is None for row in rows):
        yield from (-1 for _ in rows)
        return
    last = -1
    for row in rows:
        last = max(int(row.time), last + 1)
        yield last


def _paired(rows: Sequence[Row], wrong: Any) -> list[Any]:
    """A process for each row without one: the first that is free when it is invoked."""
    first = max((row.process for row in rows if type(row.process) is int), default=-1) + 1
    free: list[int] = []
    opened: defaultdict[str, list[int]] = defaultdict(list)
    used = 0
    processes: list[Any] = []
    for at, row in enumerate(rows):
        process = row.process
        if process is _ABSENT or process is None:
            if row.type == "invoke":
                if not free:
                    heapq.heappush(free, first + used)
                    used += 1
                process = heapq.heappop(free)
                opened[row.f].append(process)
            elif not opened[row.f]:
                raise wrong(at, f"{row.type!r} of {row.f!r} completes nothing: none is open")
            else:
                process = opened[row.f].pop()
                # Who never heard of his operation's end does nothing else.
                if row.type != "info":
                    heapq.heappush(free, process)
        processes.append(process)
    return processes
