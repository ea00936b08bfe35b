"""One anomaly as the report's page shows it: its pictures, its steps as a list, its window of time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from markupsafe import Markup

from ..harness.history import FOREVER, History
from ..harness.result import Result
from ..harness.verdict import Anomaly
from . import draw_ladder, draw_lanes, draw_ring, names, store, words
from .columns import Table
from .ladder import Ladder, labels
from .picture import RING, Lanes, Picture, Prefix, Ring, picture


def anomaly_view(anomaly: Anomaly, number: int, result: Result, history: History) -> dict[str, Any]:
    """Everything that the template says of one anomaly."""
    trace = result.folder / store.TRACE if result.folder else None
    drawn = picture(anomaly, history, trace=trace, faults=result.faults)
    warnings = list(drawn.warnings)
    noun = names.noun(anomaly.type)
    return {
        "number": number,
        "noun": noun,
        "count": anomaly.count,
        "sentence": words.clean(anomaly.sentence, 2000),
        "lanes": _try(lambda: _lanes(drawn.lanes, number), warnings),
        "closer": _try(lambda: _closer(drawn.lanes, number), warnings),
        "lock": drawn.lanes.name if drawn.lanes else "",
        "overlap": _overlap(drawn.lanes),
        "prefix": _try(lambda: _prefix(drawn.prefix, number), warnings),
        "ring": _try(lambda: _ring(drawn.ring, number), warnings),
        "edges": _edges(anomaly, history),
        "ladder": _try(lambda: _ladder(drawn, number, noun), warnings),
        **_texts(drawn),
        "ops": _ops(anomaly, history),
        "warnings": warnings,
    }


def _try(draw: Callable[[], Markup | None], warnings: list[str]) -> Markup | None:
    """A picture, or a warning in its place."""
    try:
        return draw()
    except Exception as error:
        reason = words.clean(f"{type(error).__name__}: {error}", 200)
        warnings.append(
            f"a picture could not be drawn ({reason}); the verdict does not depend on it"
        )
        return None


def _lanes(lanes: Lanes | None, number: int) -> Markup | None:
    title = "Who held the lock from when to when"
    return draw_lanes.draw_lanes(lanes, name=f"lanes-{number}", title=title) if lanes else None


def _closer(lanes: Lanes | None, number: int) -> Markup | None:
    near = lanes.closer() if lanes else None
    title = "The same, closer: the time with two holders"
    return draw_lanes.draw_lanes(near, name=f"closer-{number}", title=title) if near else None


def _prefix(prefix: Prefix | None, number: int) -> Markup | None:
    title = "The operations up to the one that fits no order"
    return draw_lanes.draw_prefix(prefix, name=f"prefix-{number}", title=title) if prefix else None


def _ring(ring: Ring | None, number: int) -> Markup | None:
    title = "The transactions and what orders them, in a circle"
    return draw_ring.draw(ring, name=f"ring-{number}", title=title) if ring else None


def _edges(anomaly: Anomaly, history: History) -> list[dict[str, str]]:
    """The dependencies of a cycle too long for a drawing."""
    numbers = labels_of(anomaly, history)
    edges = anomaly.evidence.get("edges")
    if not isinstance(edges, list) or len(numbers) <= RING[-1]:
        return []
    return [
        {
            "source": numbers.get(edge.get("from", -1), "?"),
            "kind": words.clean(str(edge.get("kind", "")), 20),
            "target": numbers.get(edge.get("to", -1), "?"),
            "why": words.clean(str(edge.get("sentence") or edge.get("why") or ""), 400),
        }
        for edge in edges[:400]
        if isinstance(edge, dict)
    ]


def _ladder(drawn: Picture, number: int, noun: str) -> Markup | None:
    """The ladder; where a ring has the arrows already, without them."""
    ladder, title = drawn.ladder, f"{noun}: what each process did, in order of time"
    if ladder is not None and drawn.ring is not None:
        ladder = msgspec.structs.replace(ladder, arrows=())
    return draw_ladder.draw(ladder, name=f"ladder-{number}", title=title) if ladder else None


def _overlap(lanes: Lanes | None) -> str:
    if lanes is None or lanes.overlap is None:
        return ""
    return words.span(lanes.overlap[1] - lanes.overlap[0])


def _texts(drawn: Picture) -> dict[str, Any]:
    ladder = drawn.ladder
    if ladder is None:
        return {"traced": False, "arrows": [], "steps": [], "left_out": 0}
    return {
        "clock": "after" if ladder.timed else "event",
        "traced": ladder.traced,
        "arrows": [arrow.sentence for arrow in ladder.arrows],
        "steps": _steps(ladder),
        "left_out": ladder.left_out,
    }


def _steps(ladder: Ladder) -> list[dict[str, Any]]:
    return [
        {
            "after": ladder.when(row),
            "who": ladder.columns[row.column].title if row.column >= 0 else "nemesis",
            "text": draw_ladder.line_of(row),
            "note": f"✖ {row.note}" if row.guilty else "",
            "guilty": row.guilty,
        }
        for row in ladder.rows
    ]


def _ops(anomaly: Anomaly, history: History) -> list[dict[str, Any]]:
    return [
        {"index": index, "label": label, "text": _asked(history, index)}
        for index, label in list(labels_of(anomaly, history).items())[:40]
    ]


def _asked(history: History, index: int) -> str:
    op = history.operation(index)
    return f"{words.asked(op.f, op.asked, 60)} by process {op.process}"


def labels_of(anomaly: Anomaly, history: History) -> dict[int, str]:
    """The number of each witness operation; nothing where the witness makes no sense."""
    try:
        return labels(anomaly, history)
    except (TypeError, ValueError, IndexError):
        return {}


def window_of(anomaly: Anomaly, history: History, shown: Table) -> tuple[float, float]:
    """The stretch of time (µs, or positions) around an anomaly's witness, with some air."""
    whole = (0.0, float(max(shown.end, 1)))
    lanes = anomaly.evidence.get("holds")
    chosen = [index for index in anomaly.evidence.get("adds", ()) if isinstance(index, int)]
    operations = list(labels_of(anomaly, history))
    first = _extent(history, chosen[:2] if len(chosen) > 1 else operations)
    if first is None:
        return whole
    start, end = first
    if isinstance(lanes, list):
        ends = [h.get("to") for h in lanes if isinstance(h, dict)]
        end = max([end, *(t for t in ends if isinstance(t, int) and t < FOREVER)])
    if shown.timed:
        start, end = start // 1000, end // 1000
    air = max((end - start) * 0.6, 200.0 if shown.timed else 4.0)
    return (float(start - air), float(end + air))


def _extent(history: History, indices: list[int]) -> tuple[int, int] | None:
    valid = [i for i in indices if 0 <= i < len(history)]
    if not valid:
        return None
    operations = [history.operation(i) for i in valid]
    starts = np.array([op.call for op in operations])
    ends = np.array([op.ret if op.ret < FOREVER else op.call for op in operations])
    return int(starts.min()), int(ends.max())
