"""A long cycle of transactions as a ring: a box for each, a numbered arrow for each dependency."""

from __future__ import annotations

import math
from typing import Final

from markupsafe import Markup

from . import svg
from .picture import Ring

BOX: Final = (190.0, 50.0)
PAGE: Final = 1060.0


def draw(ring: Ring, *, name: str, title: str) -> Markup:
    """The ring as an SVG, clockwise from the top; rw dependencies are dashed."""
    count = len(ring.nodes)
    down = max(180.0, count * 30.0)
    across = min(max(290.0, count * 34.0), (PAGE - BOX[0]) / 2 - 10)
    middle = (PAGE / 2, down + BOX[1] / 2 + 16)
    places = [
        (
            middle[0] + across * math.sin(2 * math.pi * i / count),
            middle[1] - down * math.cos(2 * math.pi * i / count),
        )
        for i in range(count)
    ]
    head = svg.tag(
        "marker", svg.path("M0 0L9 4.5L0 9z", fill="bad"), id=f"{name}-head", markerWidth=9,
        markerHeight=9, refX=8, refY=4.5, orient="auto", markerUnits="userSpaceOnUse",
    )  # fmt: skip
    parts = [svg.tag("defs", head)]
    for number, edge in enumerate(ring.edges, start=1):
        parts += _edge(places[edge.source], places[edge.target], edge.kind, number, name)
    for node, (x, y) in zip(ring.nodes, places, strict=True):
        left, top = x - BOX[0] / 2, y - BOX[1] / 2
        parts.append(svg.rect(left, top, *BOX, fill="okbg", stroke="ok", rx=6))
        parts.append(svg.badge(left + 7, top + 14, node.label))
        parts.append(svg.text(left + 44, top + 19, node.who, fill="muted", size=12))
        parts.append(svg.text(left + 8, top + 40, node.text, size=12, mono=True))
    height = 2 * down + BOX[1] + 32
    return svg.drawing(parts, width=PAGE, height=height, title=title, name=name)


def _edge(
    source: tuple[float, float], target: tuple[float, float], kind: str, number: int, name: str
) -> list[Markup]:
    x1, y1 = _rim(source, target)
    x2, y2 = _rim(target, source)
    dash = "7 4" if kind.startswith("rw") else None
    middle = ((x1 + x2) / 2, (y1 + y2) / 2)
    return [
        svg.path(f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", stroke="bad", stroke_width=2,
                 stroke_dasharray=dash, marker_end=f"url(#{name}-head)"),
        svg.circled(*middle, number, colour="bad"),
        svg.text(middle[0] + 14, middle[1] + 4, kind, fill="bad", size=12),
    ]  # fmt: skip


def _rim(box: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """The point where the line between two boxes' middles leaves the first."""
    dx, dy = towards[0] - box[0], towards[1] - box[1]
    shares = [
        half / abs(d) for d, half in ((dx, BOX[0] / 2 + 3), (dy, BOX[1] / 2 + 3)) if abs(d) > 1e-9
    ]
    share = min([*shares, 1.0])
    return box[0] + dx * share, box[1] + dy * share
