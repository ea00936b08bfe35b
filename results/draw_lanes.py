"""Locks and linearizability as SVG: who held what from when to when, and what fits no order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from markupsafe import Markup

from ..harness.history import FOREVER, Operation
from . import svg, words
from .picture import Hold, Lanes, Prefix

PAGE: Final = 1060.0
LABEL: Final = 110.0
LANE: Final = 66.0
TOP: Final = 46.0
ROW: Final = 34.0

Scale = Callable[[float], float]


def scale(first: float, last: float, left: float, right: float) -> Scale:
    """From times to places; what lies outside is put on the edge."""
    size = max(last - first, 1)
    return lambda time: left + (right - left) * min(max((time - first) / size, 0.0), 1.0)


def axis(first: float, last: float, place: Scale, y: float, top: float) -> list[Markup]:
    """Marks of time along the bottom, in seconds of the run."""
    parts = [svg.line(place(first), y, place(last), y, stroke="muted")]
    every = svg.ticks(first / 1e9, last / 1e9)
    digits = 0 if len(every) < 2 else max(0, -int(f"{every[1] - every[0]:e}".split("e")[1]))
    for second in every:
        x = place(second * 1e9)
        parts.append(svg.line(x, top, x, y + 5, stroke="line"))
        label = f"{second:.{digits}f} s"
        parts.append(svg.text(x, y + 19, label, fill="muted", size=12, anchor="middle"))
    return parts


def draw_lanes(lanes: Lanes, *, name: str, title: str) -> Markup:
    """One lane per holder, overlapping holds hatched, the end of each lease marked."""
    processes = list(dict.fromkeys(hold.process for hold in lanes.holds))
    first, last = lanes.window
    place = scale(first, last, LABEL, PAGE - 16)
    bottom = TOP + LANE * len(processes)
    parts = [_patterns(name), *axis(first, last, place, bottom + 8, TOP)]
    for i, process in enumerate(processes):
        y = TOP + LANE * i
        parts.append(svg.rect(0, y + 2, PAGE, LANE - 4, fill="panel" if i % 2 else None))
        parts.append(svg.text(8, y + 38, f"process {process}", size=14, weight="bold"))
        parts += _faults(lanes, process, place, y, name)
        for hold in lanes.holds:
            if hold.process == process and _shown(hold, lanes):
                parts += _hold(hold, lanes, place, y)
    parts += _both(lanes, place, bottom, name)
    return svg.drawing(parts, width=PAGE, height=bottom + 36, title=title, name=name)


def _shown(hold: Hold, lanes: Lanes) -> bool:
    first, last = lanes.window
    return hold.start <= last and (hold.end is None or hold.end >= first)


def _patterns(name: str) -> Markup:
    return svg.tag(
        "defs",
        svg.hatch(f"{name}-both", "bad", gap=9),
        svg.hatch(f"{name}-fault", "fault", tilt=-45),
    )


def _hold(hold: Hold, lanes: Lanes, place: Scale, y: float) -> list[Markup]:
    """A bar for as long as the lease runs, a hollow one where the holder goes on after it."""
    until = hold.end if hold.end is not None else lanes.window[1]
    leased = until if hold.lease_end is None else min(until, hold.lease_end)
    x1, x2, x3 = place(hold.start), place(leased), place(until)
    parts = [svg.rect(x1, y + 22, max(x2 - x1, 2.0), 26, fill="okbg", stroke="ok", rx=3)]
    if until > leased and x3 > x2:
        parts.append(
            svg.rect(x2, y + 22, x3 - x2, 26, fill="badbg", stroke="bad", stroke_dasharray="5 3")
        )
        if leased > lanes.window[0]:
            parts.append(svg.line(x2, y + 12, x2, y + 54, stroke="bad", stroke_width=2.5))
            parts.append(svg.text(x2 - 5, y + 18, "lease ends", fill="bad", size=12, anchor="end"))
        if x3 - x2 > 160 and leased > lanes.window[0]:
            parts.append(svg.text(x2 + 7, y + 40, "still holding", fill="bad", size=12))
    token = f"token {hold.token}" if hold.token else "holds"
    if leased <= lanes.window[0]:
        token += ", past its lease"
    if x1 + 6 + len(token) * 13 * svg.MONO_WIDTH < PAGE - 16:
        parts.append(svg.text(x1 + 6, y + 40, token, size=13, mono=True))
    else:
        parts.append(svg.text(x1 - 6, y + 40, token, size=13, mono=True, anchor="end"))
    end = "never released" if hold.end is None else ""
    return (
        [*parts, svg.text(x3 - 4, y + 18, end, fill="bad", size=12, anchor="end")] if end else parts
    )


def _faults(lanes: Lanes, process: int, place: Scale, y: float, name: str) -> list[Markup]:
    parts: list[Markup] = []
    for fault in lanes.faults:
        if fault.processes and process not in fault.processes:
            continue
        if fault.end < lanes.window[0] or fault.start > lanes.window[1]:
            continue
        x1, x2 = place(fault.start), place(min(fault.end, lanes.window[1]))
        parts.append(
            svg.tag(
                "rect",
                x=x1,
                y=y + 48,
                width=max(x2 - x1, 2.0),
                height=14,
                fill=f"url(#{name}-fault)",
                opacity="0.75",
            )
        )
        label = f"{fault.name}, {words.span(fault.end - fault.start)}"
        parts.append(svg.rect(x1, y + 48, 7.0 * len(label) + 10, 14, fill="faultbg"))
        parts.append(svg.text(x1 + 5, y + 59, label, fill="fault", size=12, weight="bold"))
    return parts


def _both(lanes: Lanes, place: Scale, bottom: float, name: str) -> list[Markup]:
    """The time during which both held it, hatched over all lanes."""
    if lanes.overlap is None:
        return []
    first, last = lanes.overlap
    x1, x2 = place(first), place(last)
    width = max(x2 - x1, 3.0)
    middle = min(max((x1 + x2) / 2, 120.0), PAGE - 120.0)
    label = f"✖ both hold {lanes.name}: {words.span(last - first)}"
    return [
        svg.tag(
            "rect",
            x=x1,
            y=TOP,
            width=width,
            height=bottom - TOP,
            fill=f"url(#{name}-both)",
            opacity="0.3",
        ),
        svg.rect(x1, TOP, width, bottom - TOP, stroke="bad", stroke_width=2),
        svg.text(middle, TOP - 16, label, fill="bad", size=14, anchor="middle", weight="bold"),
    ]


# --- linearizability -----------------------------------------------------------------------------


def draw_prefix(prefix: Prefix, *, name: str, title: str) -> Markup:
    """The operations up to the one that fits no order, each as long as it took."""
    rows = [*prefix.explained, *prefix.concurrent, prefix.culprit]
    first, last = _window(rows)
    place = scale(first, last, LABEL, PAGE - 220)
    bottom = 14 + ROW * len(rows) + 34
    parts = axis(first, last, place, bottom, 8)
    for i, op in enumerate(rows):
        y = 14 + ROW * i + (30 if op is prefix.culprit else 0)
        if op is prefix.culprit and prefix.states:
            parts += _states(prefix, y)
        parts += _interval(op, place, y, guilty=op is prefix.culprit)
    return svg.drawing(parts, width=PAGE, height=bottom + 28, title=title, name=name)


def _window(operations: Sequence[Operation]) -> tuple[float, float]:
    first = min(op.call for op in operations)
    last = max([op.ret for op in operations if op.ret != FOREVER] or [first + 1])
    margin = max((last - first) / 20, 1)
    return first - margin, last + margin


def _states(prefix: Prefix, y: float) -> list[Markup]:
    of = f" of {prefix.key}" if prefix.key else ""
    states = words.clean(", ".join(prefix.states), 90)
    text = f"possible values{of} at this point: {states}"
    return [
        svg.rect(LABEL, y - 27, PAGE - LABEL - 16, 22, fill="goodbg", stroke="good", rx=4),
        svg.text(LABEL + 10, y - 11, text, fill="ink", size=13, weight="bold"),
    ]


def _interval(op: Operation, place: Scale, y: float, *, guilty: bool) -> list[Markup]:
    x1 = place(op.call)
    x2 = max(place(op.ret), x1 + 3)
    colour = "bad" if guilty else "info" if op.type == "info" else "ok"
    said = words.asked(op.f, op.asked, 48)
    label = f"{'✖ ' if guilty else ''}{said} {words.answered(op, 40)}".removesuffix(" ok")
    if guilty:
        label += "  fits no order"
    middle = y + ROW / 2
    return [
        svg.text(8, middle + 4, f"process {op.process}", size=13),
        svg.rect(x1, middle - 7, x2 - x1, 14, fill="badbg" if guilty else "okbg", stroke=colour,
                 rx=3, stroke_width=2.5 if guilty else 1),
        svg.text(x2 + 8, middle + 4, label, fill="bad" if guilty else "ink", size=13, mono=True,
                 weight="bold" if guilty else None),
    ]  # fmt: skip
