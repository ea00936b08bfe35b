"""The picture of an anomaly as data: a ladder, and for locks the lanes of their holders, for
linearizability the prefix that could still be explained.

A picture that cannot be made becomes a warning in its place; it never changes a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..harness.faults import FaultRecord
from ..harness.history import FOREVER, History, Operation
from ..harness.verdict import Anomaly
from . import blame, ladder, words
from .ladder import Ladder, Row

MAX_HOLDS = 12
MAX_PREFIX = 10
RING = range(5, 41)
"""How many transactions a ring has: fewer stand in the ladder alone, more in a table."""


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """One holder's time with a lock; `lease_end` is None where the lease has no end of its own."""

    process: int
    token: str
    start: int
    end: int | None
    lease_end: int | None
    acquire: int | None
    release: int | None


class Struck(msgspec.Struct, frozen=True, kw_only=True):
    """A fault in a picture."""

    name: str
    start: int
    end: int
    processes: tuple[int, ...]


class Lanes(msgspec.Struct, frozen=True, kw_only=True):
    """Who held a lock from when to when; `window` is what a picture of it shows."""

    name: str
    holds: tuple[Hold, ...]
    overlap: tuple[int, int] | None
    faults: tuple[Struck, ...]
    window: tuple[int, int]

    def closer(self) -> Lanes | None:
        """The same lanes around the overlap, where that is too short to be seen in the whole."""
        if self.overlap is None:
            return None
        first, last = self.overlap
        if (last - first) * 12 > self.window[1] - self.window[0]:
            return None
        margin = max((last - first) * 6 // 10, 1)
        return msgspec.structs.replace(self, window=(first - margin, last + margin))


class Prefix(msgspec.Struct, frozen=True, kw_only=True):
    """The end of what could be explained, the states possible then, and what fits no order.

    Where a pattern decided, no states are known.
    """

    key: str
    states: tuple[str, ...]
    explained: tuple[Operation, ...]
    concurrent: tuple[Operation, ...]
    culprit: Operation


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction of a ring."""

    label: str
    who: str
    text: str


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """A dependency between two nodes of a ring, by their places in it."""

    source: int
    target: int
    kind: str


class Ring(msgspec.Struct, frozen=True, kw_only=True):
    """A cycle of transactions, in the order in which it is told."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is drawn of one anomaly; `warnings` say what could not be drawn."""

    ladder: Ladder | None = None
    lanes: Lanes | None = None
    prefix: Prefix | None = None
    ring: Ring | None = None
    warnings: tuple[str, ...] = ()


def picture(
    anomaly: Anomaly,
    history: History,
    *,
    trace: Path | None = None,
    faults: Sequence[FaultRecord] = (),
) -> Picture:
    """Everything that can be drawn of an anomaly. Never raises for what the evidence lacks."""
    kind = anomaly.evidence.get("kind")
    lanes: Lanes | None = None
    prefix: Prefix | None = None
    ring: Ring | None = None
    drawn: Ladder | None = None
    warnings: list[str] = []
    try:
        if kind == "lanes":
            lanes = lanes_of(anomaly.evidence, faults)
        elif kind == "linearizability":
            prefix = prefix_of(anomaly.evidence, history)
        ring = ring_of(anomaly, history)
    except Exception as error:
        warnings.append(_trouble("the evidence", error))
    try:
        drawn = ladder_of(anomaly, history, lanes, trace=trace, faults=faults)
    except Exception as error:
        warnings.append(_trouble("the ladder", error))
    return Picture(ladder=drawn, lanes=lanes, prefix=prefix, ring=ring, warnings=tuple(warnings))


def _trouble(what: str, error: Exception) -> str:
    reason = words.clean(f"{type(error).__name__}: {error}", 200)
    return f"{what} could not be drawn ({reason}); the verdict does not depend on it"


def ladder_of(
    anomaly: Anomaly,
    history: History,
    lanes: Lanes | None,
    *,
    trace: Path | None,
    faults: Sequence[FaultRecord],
) -> Ladder | None:
    """The marked ladder of an anomaly's witness; None when it names no operations."""
    more = _within_holds(lanes, history) if lanes else _named(anomaly.evidence)
    if not anomaly.ops and not more:
        return None
    events = _lease_rows(lanes) if lanes else []
    made = ladder.build(anomaly, history, trace=trace, faults=faults, more=more, events=events)
    return blame.mark(made, anomaly) if made.rows else None


def _named(evidence: Mapping[str, Any]) -> list[int]:
    found = [evidence.get("op"), evidence.get("guilty")]
    for name in ("concurrent", "prefix"):
        listed = evidence.get(name)
        found += listed[-4:] if isinstance(listed, list) else []
    return [index for index in found if isinstance(index, int)]


# --- locks ---------------------------------------------------------------------------------------


def lanes_of(evidence: Mapping[str, Any], faults: Sequence[FaultRecord]) -> Lanes:
    """The lanes from a lock's evidence; raises when it names no holds."""
    holds = tuple(map(_hold, evidence["holds"][:MAX_HOLDS]))
    overlap = evidence.get("overlap")
    first = min(hold.start for hold in holds)
    last = max(_last(hold) for hold in holds)
    margin = max((last - first) // 12, 1)
    window = (first - margin, last + margin)
    wanted = evidence.get("faults")
    processes = {hold.process for hold in holds}
    struck = tuple(
        Struck(name=words.clean(fault.name, 40), start=fault.injected, end=fault.healed,
               processes=fault.processes)
        for fault in faults
        if (not wanted or fault.id in wanted)
        and fault.injected <= window[1] and fault.healed >= window[0]
        and (not fault.processes or processes.intersection(fault.processes))
    )  # fmt: skip
    return Lanes(
        name=words.show(evidence.get("name"), 60),
        holds=holds,
        overlap=(int(overlap[0]), int(overlap[1])) if overlap else None,
        faults=struck,
        window=window,
    )


def _hold(data: Mapping[str, Any]) -> Hold:
    return Hold(
        process=int(data["process"]),
        token=words.show(data.get("token"), 24) if data.get("token") is not None else "",
        start=int(data["from"]),
        end=_finite(data.get("to")),
        lease_end=_finite(data.get("lease_to")),
        acquire=data.get("acquire"),
        release=data.get("release"),
    )


def _finite(time: Any) -> int | None:
    return int(time) if isinstance(time, int | float) and time < FOREVER else None


def _last(hold: Hold) -> int:
    return max(hold.start, hold.end or 0, hold.lease_end or 0)


def _lease_rows(lanes: Lanes) -> list[Row]:
    """A row for each lease that ran out while its holder went on."""
    return [
        Row(
            at=hold.lease_end,
            column=hold.process,
            kind="event",
            text=f"lease of {lanes.name} runs out; it was not released",
        )
        for hold in lanes.holds
        if hold.lease_end is not None and (hold.end is None or hold.lease_end < hold.end)
    ]


def _within_holds(lanes: Lanes, history: History) -> list[int]:
    """What the holders asked from acquire to release, the acquires first."""
    found = [hold.acquire for hold in lanes.holds if hold.acquire is not None]
    found += [hold.release for hold in lanes.holds if hold.release is not None]
    for hold in lanes.holds:
        found += _asked_between(history, hold)
    return found


def _asked_between(history: History, hold: Hold) -> Iterable[int]:
    if hold.acquire is None:
        return []
    own = history.invocations()
    own = own[history.process[own] == hold.process]
    until = hold.end if hold.end is not None else FOREVER
    own = own[(history.time[own] > hold.start) & (history.time[own] <= until)]
    return [int(i) for i in own[:6]]


# --- linearizability -----------------------------------------------------------------------------


def prefix_of(evidence: Mapping[str, Any], history: History) -> Prefix:
    """The prefix from a linearizability checker's evidence; raises when it accuses nothing."""
    culprit = history.operation(int(evidence["op"]))

    def operations(name: str) -> tuple[Operation, ...]:
        return tuple(history.operation(int(i)) for i in evidence.get(name) or ())

    return Prefix(
        key=words.told(evidence["key"], 60) if evidence.get("key") is not None else "",
        states=tuple(words.told(state, 60) for state in evidence.get("states") or ()),
        explained=operations("prefix")[-MAX_PREFIX:],
        concurrent=tuple(op for op in operations("concurrent") if op.index != culprit.index),
        culprit=culprit,
    )


# --- cycles --------------------------------------------------------------------------------------


def ring_of(anomaly: Anomaly, history: History) -> Ring | None:
    """The ring of a long cycle; None where the ladder alone, or a table, tells it better."""
    edges = [e for e in anomaly.evidence.get("edges") or () if isinstance(e, dict)]
    numbers = ladder.labels(anomaly, history)
    if len(numbers) not in RING or len(edges) not in RING:
        return None
    places = {index: place for place, index in enumerate(numbers)}
    return Ring(
        nodes=tuple(_node(history.operation(i), label) for i, label in numbers.items()),
        edges=tuple(
            Edge(source=places[e["from"]], target=places[e["to"]], kind=str(e.get("kind", ""))[:16])
            for e in edges
            if e.get("from") in places and e.get("to") in places
        ),
    )


def _node(op: Operation, label: str) -> Node:
    text = words.asked(op.f, op.value if op.type == "ok" else op.asked, 200)
    text = text.removeprefix("txn ")
    short = text if len(text) <= 23 else text[:22] + "…"
    return Node(label=label, who=f"process {op.process}", text=short)
