"""The ladder as SVG: a column per process, a box per line, guilty boxes red, numbered arrows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from markupsafe import Markup

from . import svg, words
from .ladder import Ladder, Row

CLOCK: Final = 84.0
"""The width of the column of times."""
GUTTER: Final = 56.0
"""The space between columns, where the arrows run."""
WIDEST: Final = 520.0
NARROWEST: Final = 250.0
PAGE: Final = 1060.0
LINE: Final = 17.0
SIZE: Final = 13.0
HEAD: Final = 34.0
GAP: Final = 7.0


class Box(msgspec.Struct, frozen=True):
    """Where a row stands."""

    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    note: tuple[str, ...]

    @property
    def middle(self) -> float:
        """The height at which arrows touch it."""
        return self.y + self.height / 2


def draw(ladder: Ladder, *, name: str, title: str) -> Markup:
    """The ladder as an SVG; `name` makes its ids unique in a page."""
    count = max(len(ladder.columns), 1)
    fitting = (PAGE - CLOCK - GUTTER * (count - 1)) / count
    column = min(max(fitting, NARROWEST), WIDEST)
    width = CLOCK + count * (column + GUTTER) - GUTTER + 4
    boxes = _place(ladder, column)
    height = boxes[-1].y + boxes[-1].height + 14 if boxes else HEAD
    parts = [
        tag_defs(name),
        *_heads(ladder, column, height),
        *_lives(ladder, boxes),
        *_bodies(ladder, boxes, name),
        *_arrows(ladder, boxes, name),
    ]
    return svg.drawing(parts, width=width, height=height, title=title, name=name)


def tag_defs(name: str) -> Markup:
    """The arrow's head and the hatching of faults."""
    head = svg.tag(
        "marker",
        svg.path("M0 0L8 4L0 8z", fill="bad"),
        id=f"{name}-head", markerWidth=8, markerHeight=8, refX=7, refY=4, orient="auto",
        markerUnits="userSpaceOnUse",
    )  # fmt: skip
    return svg.tag("defs", head, svg.hatch(f"{name}-fault", "fault"))


def left(column: int, width: float) -> float:
    """Where a column begins."""
    return CLOCK + max(column, 0) * (width + GUTTER)


def _place(ladder: Ladder, column: float) -> list[Box]:
    boxes, y = [], HEAD + 8
    for row in ladder.rows:
        box = _box(row, y, column, len(ladder.columns))
        boxes.append(box)
        y += box.height + GAP
    return boxes


def _box(row: Row, y: float, column: float, columns: int) -> Box:
    inner = row.kind in ("step", "sent", "got", "gap")
    indent = 14.0 if inner else 0.0
    width = column - indent
    if row.column < 0:
        width = columns * (column + GUTTER) - GUTTER
    room = width - 20 - (30 if row.guilty else 0) - (30 if row.label else 0)
    lines = svg.wrap(line_of(row), room, SIZE)
    note = svg.wrap(row.note, width - 20, SIZE) if row.note else []
    height = (len(lines) + len(note)) * LINE + 9
    return Box(left(row.column, column) + indent, y, width, height, tuple(lines), tuple(note))


def line_of(row: Row) -> str:
    """A row's text: what was sent, and what came back."""
    got = row.got.removeprefix("→ ")
    if row.kind == "return":
        return f"ok {row.text}" if row.text.startswith("→") else row.text
    if row.kind == "sent":
        return f"{row.text} … (no answer yet)"
    if row.kind == "got":
        answer = f" → {got}" if got else ""
        return f"{row.text.split(' ')[0]} … answered after {words.span(row.took)}{answer}"
    return f"{row.text} → {got}" if got else row.text


def _heads(ladder: Ladder, column: float, height: float) -> list[Markup]:
    parts = [svg.text(8, 21, "time" if ladder.timed else "event", fill="muted", size=12)]
    for i, head in enumerate(ladder.columns):
        x = left(i, column)
        parts.append(svg.line(x + 5, HEAD, x + 5, height - 6, stroke="line", stroke_width=1.5))
        parts.append(svg.rect(x, 4, column, 26, fill="panel", stroke="line", rx=5))
        parts.append(svg.text(x + 10, 22, head.title, size=14, weight="bold"))
    return parts


def _lives(ladder: Ladder, boxes: Sequence[Box]) -> list[Markup]:
    """A bar beside the statements of each operation, from its call to its answer."""
    ends: dict[int, list[Box]] = {}
    for row, box in zip(ladder.rows, boxes, strict=True):
        if row.op >= 0 and row.column >= 0:
            ends.setdefault(row.op, []).append(box)
    return [
        svg.rect(min(b.x for b in own), own[0].y, 10, own[-1].y + own[-1].height - own[0].y,
                 fill="okbg", stroke="ok", rx=3)
        for own in ends.values()
        if len(own) > 1
    ]  # fmt: skip


def _bodies(ladder: Ladder, boxes: Sequence[Box], name: str) -> list[Markup]:
    parts: list[Markup] = []
    clock = None
    for row, box in zip(ladder.rows, boxes, strict=True):
        shown = ladder.when(row)
        if shown != clock:
            parts.append(
                svg.text(CLOCK - 12, box.y + 17, shown, fill="muted", size=12, anchor="end")
            )
        clock = shown
        parts += _body(row, box, name)
    return parts


def _body(row: Row, box: Box, name: str) -> list[Markup]:
    fill, stroke, ink = _colours(row)
    parts = [
        svg.rect(box.x, box.y, box.width, box.height, fill=fill, stroke=stroke, rx=4,
                 stroke_width=2.5 if row.guilty else 1,
                 stroke_dasharray="5 3" if row.kind in ("sent", "got", "event") else None)
    ]  # fmt: skip
    x = box.x + 10
    if row.kind == "event":
        parts.append(_striped(box, name))
        x += 6
    if row.guilty:
        parts.append(svg.text(box.x + box.width - 22, box.y + 18, "✖", fill="bad", size=15))
    if row.label:
        parts.append(svg.badge(box.x + 7, box.y + 13, row.label))
        x += 8.0 * len(row.label) + 12
    bold = "bold" if row.kind in ("call", "whole") or row.guilty else None
    for i, content in enumerate(box.lines):
        y = box.y + 17 + i * LINE
        parts.append(svg.text(x, y, content, fill=ink, size=SIZE, mono=True, weight=bold))
    for i, content in enumerate(box.note, start=len(box.lines)):
        y = box.y + 17 + i * LINE
        parts.append(svg.text(box.x + 10, y, content, fill="bad", size=SIZE, weight="bold"))
    return parts


def _striped(box: Box, name: str) -> Markup:
    """The hatched edge by which a fault is known."""
    return svg.tag("rect", x=box.x, y=box.y, width=8, height=box.height, fill=f"url(#{name}-fault)")


def _colours(row: Row) -> tuple[str, str, str]:
    if row.guilty:
        return "badbg", "bad", "ink"
    if row.kind == "event":
        return "faultbg", "fault", "ink"
    if row.kind in ("call", "whole", "return"):
        return "okbg", "fail" if row.failed else "ok", "ink"
    return "paper", "fail" if row.failed else "line", "muted" if row.kind == "gap" else "ink"


def _arrows(ladder: Ladder, boxes: Sequence[Box], name: str) -> list[Markup]:
    parts: list[Markup] = []
    for arrow in ladder.arrows:
        source, target = boxes[arrow.source], boxes[arrow.target]
        rightwards = target.x >= source.x + source.width
        leftwards = source.x >= target.x + target.width
        x1 = source.x if leftwards else source.x + source.width
        x2 = target.x if rightwards else target.x + target.width
        shift = 7.0 * (arrow.number % 3 - 1)
        y1, y2 = source.middle + shift, target.middle + shift
        bend = 30.0 if rightwards else -30.0 if leftwards else 34.0
        back = -bend if rightwards or leftwards else bend
        curve = f"M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 + back:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        parts.append(svg.path(curve, stroke="bad", stroke_width=2, marker_end=f"url(#{name}-head)"))
        near = 19.0 if rightwards else -19.0 if leftwards else 24.0
        parts.append(svg.circled(x1 + near, y1 + (y2 - y1) * 0.18, arrow.number, colour="bad"))
    return parts
