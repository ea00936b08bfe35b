"""The timeline as it stands without scripts, and latency and throughput below it, as SVG.

All three share one axis and the same bands of faults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from ..harness.faults import FaultRecord
from ..harness.history import FOREVER, TYPES
from . import svg, words
from .columns import Ints, Rows, Table

PAGE: Final = 1060.0
LEFT: Final = 92.0
RIGHT: Final = 16.0
BUCKETS: Final = (40, 160)
"""The fewest and the most points of a curve; about a hundred operations fall into each."""
MOST_BARS: Final = 1500
"""Operations that the static timeline draws."""

_COLOURS: Final = {"ok": "ok", "fail": "fail", "info": "info"}
Floats = npt.NDArray[np.float64]


class Frame(msgspec.Struct, frozen=True):
    """A stretch of time (µs, or positions) and its place on the page."""

    first: float
    last: float
    timed: bool

    def x(self, at: float) -> float:
        """Where a moment stands; what lies outside is put on the edge."""
        share = (at - self.first) / max(self.last - self.first, 1)
        return LEFT + (PAGE - LEFT - RIGHT) * min(max(share, 0.0), 1.0)

    def label(self, at: float, step: float) -> str:
        """A moment in words, as exact as the axis needs."""
        if not self.timed:
            return f"event {at:.0f}"
        digits = max(0, -int(np.floor(np.log10(step / 1e6)))) if step > 0 else 0
        return f"{at / 1e6:.{min(digits, 6)}f} s"


def _axis(frame: Frame, top: float, bottom: float) -> list[Markup]:
    parts = [svg.line(LEFT, bottom, PAGE - RIGHT, bottom, stroke="muted")]
    marks = svg.ticks(frame.first, frame.last)
    step = marks[1] - marks[0] if len(marks) > 1 else 0.0
    for at in marks:
        x = frame.x(at)
        parts.append(svg.line(x, top, x, bottom + 4, stroke="line"))
        label = frame.label(at, step)
        parts.append(svg.text(x, bottom + 18, label, fill="muted", size=12, anchor="middle"))
    return parts


def _bands(
    frame: Frame,
    faults: Sequence[FaultRecord],
    top: float,
    bottom: float,
    name: str,
    *,
    named: bool,
) -> list[Markup]:
    """The faults as hatched bands over the whole height, named at the top."""
    parts: list[Markup] = []
    free = 0.0
    for fault in faults:
        first = fault.injected / 1000
        last = fault.healed / 1000 if fault.healed < FOREVER else frame.last
        if last < frame.first or first > frame.last or not frame.timed:
            continue
        x1, x2 = frame.x(first), frame.x(last)
        width = max(x2 - x1, 2.0)
        parts.append(svg.rect(x1, top, width, bottom - top, fill="faultbg", opacity="0.75"))
        parts.append(
            svg.tag("rect", x=x1, y=top, width=width, height=7, fill=f"url(#{name}-fault)")
        )
        label = words.clean(fault.name, 24) + ("" if fault.took_effect else " (no effect)")
        if named and x1 >= free:
            parts.append(svg.text(x1, top - 5, label, fill="fault", size=12, weight="bold"))
            free = x1 + 7.4 * len(label) + 6
    return parts


def _defs(name: str) -> Markup:
    return svg.tag(
        "defs",
        svg.hatch(f"{name}-fault", "fault", tilt=-45),
        svg.hatch(f"{name}-info", "info", gap=5),
    )


# --- the timeline --------------------------------------------------------------------------------


def timeline(
    shown: Table,
    lanes: Rows,
    faults: Sequence[FaultRecord],
    *,
    window: tuple[float, float],
    labels: dict[int, str],
    name: str,
) -> Markup:
    """A window of the run: a row per process, a bar per operation, witnesses numbered."""
    frame = Frame(*window, shown.timed)
    height = 26.0 if len(lanes.labels) <= 16 else 18.0
    top = 24.0
    bottom = top + height * len(lanes.labels) + 6
    parts = [_defs(name), *_axis(frame, top, bottom)]
    parts += _bands(frame, faults, top, bottom, name, named=True)
    for i, label in enumerate(lanes.labels):
        y = top + 4 + height * i
        parts.append(
            svg.text(LEFT - 8, y + height / 2 + 3, label, fill="muted", size=12, anchor="end")
        )
    ends = np.where(shown.took < 0, shown.end, shown.call + shown.took)
    inside = np.flatnonzero((ends >= window[0]) & (shown.call <= window[1]))
    numbered = [i for i in inside if int(shown.index[i]) in labels]
    thinned = inside[:: max(-(-len(inside) // MOST_BARS), 1)]
    for i in [*thinned.tolist(), *numbered]:
        y = top + 4 + height * lanes.of[int(shown.process[i])]
        label = labels.get(int(shown.index[i]), "")
        parts += _bar(shown, i, frame, y, height - 6, label, name)
    title = (
        "Operations of each process around the anomaly" if labels else "Operations of each process"
    )
    return svg.drawing(parts, width=PAGE, height=bottom + 26, title=title, name=name)


def _bar(
    shown: Table, i: int, frame: Frame, y: float, height: float, label: str, name: str
) -> list[Markup]:
    kind, took = TYPES[int(shown.type[i])], int(shown.took[i])
    call = float(shown.call[i])
    x1 = frame.x(call)
    x2 = frame.x(call + took) if took >= 0 else PAGE - RIGHT
    if took < 0:  # unknown: it may take effect at any time from now on
        parts = [
            svg.tag(
                "rect",
                x=x1,
                y=y + height - 5,
                width=max(x2 - x1, 1.0),
                height=5,
                fill=f"url(#{name}-info)",
            ),
            svg.line(x1, y, x1, y + height, stroke="info", stroke_width=2),
        ]
    else:
        low = height / 3 if kind == "fail" else 0.0
        parts = [
            svg.rect(x1, y + low, max(x2 - x1, 1.2), height - low, fill=_COLOURS[kind], rx=1.5)
        ]
    if label:
        parts.append(
            svg.rect(
                x1 - 2,
                y - 2,
                max(x2 - x1, 1.2) + 4,
                height + 4,
                stroke="bad",
                stroke_width=2.5,
                rx=3,
            )
        )
        parts.append(svg.badge(min(x1 + 2, PAGE - 40), y + height / 2, label, colour="bad"))
    return parts


# --- latency and throughput ----------------------------------------------------------------------


def latency(shown: Table, faults: Sequence[FaultRecord], *, name: str) -> Markup:
    """Latency of ok operations over the run: median, 99th percentile, maximum (log scale)."""
    frame = Frame(0.0, float(max(shown.end, 1)), shown.timed)
    top, bottom = 40.0, 210.0
    ok = (shown.type == TYPES.index("ok")) & (shown.took >= 0)
    buckets = _buckets(shown)
    bucket = _bucket(shown.call[ok], frame, buckets)
    took = np.maximum(shown.took[ok].astype(np.float64), 1.0)
    curves = _quantiles(bucket, took, buckets)
    low = 10.0 ** np.floor(np.log10(took.min())) if len(took) else 1.0
    high = 10.0 ** np.ceil(np.log10(max(took.max(), low * 10))) if len(took) else 10.0

    def place(value: float) -> float:
        share = (np.log10(max(value, low)) - np.log10(low)) / (np.log10(high) - np.log10(low))
        return bottom - (bottom - top) * float(share)

    parts = [_defs(name), *_bands(frame, faults, top, bottom, name, named=True)]
    power = low
    while power <= high * 1.001:
        y = place(power)
        parts.append(svg.line(LEFT, y, PAGE - RIGHT, y, stroke="line"))
        parts.append(
            svg.text(LEFT - 8, y + 4, words.span(power * 1000), fill="muted", size=12, anchor="end")
        )
        power *= 10
    parts += _axis(frame, bottom, bottom)
    named = (("median", "ok", None), ("99th percentile", "fail", "7 3"), ("maximum", "info", "2 3"))
    for i, ((label, colour, dash), curve) in enumerate(zip(named, curves, strict=True)):
        parts.append(_curve(frame, curve, place, colour, dash))
        parts += _key(LEFT + 190 * i, label, colour, dash)
    title = "Latency of ok operations over the run"
    return svg.drawing(parts, width=PAGE, height=bottom + 26, title=title, name=name)


def throughput(shown: Table, faults: Sequence[FaultRecord], *, name: str) -> Markup:
    """Operations a second over the run, by how they ended."""
    frame = Frame(0.0, float(max(shown.end, 1)), shown.timed)
    top, bottom = 40.0, 180.0
    buckets = _buckets(shown)
    seconds = (frame.last - frame.first) / buckets / 1e6 if frame.timed else 1.0
    curves = []
    for kind in ("ok", "fail", "info"):
        at = shown.call[shown.type == TYPES.index(kind)]
        counts = np.bincount(_bucket(at, frame, buckets), minlength=buckets).astype(np.float64)
        curves.append(counts / max(seconds, 1e-9))
    most = max(float(curve.max()) for curve in curves) or 1.0

    def place(value: float) -> float:
        return bottom - (bottom - top) * min(value / most, 1.0)

    parts = [_defs(name), *_bands(frame, faults, top, bottom, name, named=False)]
    for value in svg.ticks(0, most, 4):
        parts.append(svg.line(LEFT, place(value), PAGE - RIGHT, place(value), stroke="line"))
        parts.append(
            svg.text(
                LEFT - 8, place(value) + 4, f"{value:,.0f}/s", fill="muted", size=12, anchor="end"
            )
        )
    parts += _axis(frame, bottom, bottom)
    named = (("ok", "ok", None), ("failed", "fail", "7 3"), ("unknown", "info", "2 3"))
    for i, ((label, colour, dash), curve) in enumerate(zip(named, curves, strict=True)):
        if curve.any():
            parts.append(_curve(frame, curve, place, colour, dash))
            parts += _key(LEFT + 190 * i, label, colour, dash)
    title = "Operations a second over the run, by how they ended"
    return svg.drawing(parts, width=PAGE, height=bottom + 26, title=title, name=name)


def _buckets(shown: Table) -> int:
    return min(max(len(shown.index) // 100, BUCKETS[0]), BUCKETS[1])


def _bucket(at: Ints, frame: Frame, buckets: int) -> npt.NDArray[np.intp]:
    share = (at - frame.first) / max(frame.last - frame.first, 1)
    return np.clip((share * buckets).astype(np.intp), 0, buckets - 1)


def _quantiles(bucket: npt.NDArray[np.intp], took: Floats, buckets: int) -> list[Floats]:
    """Median, 99th percentile and maximum of each bucket, NaN where it is empty."""
    curves = [np.full(buckets, np.nan) for _ in range(3)]
    order = np.lexsort((took, bucket))
    bucket, took = bucket[order], took[order]
    starts = np.searchsorted(bucket, np.arange(buckets + 1))
    for i in range(buckets):
        own = took[starts[i] : starts[i + 1]]
        if len(own):
            for curve, share in zip(curves, (0.5, 0.99, 1.0), strict=True):
                curve[i] = own[min(int(len(own) * share), len(own) - 1)]
    return curves


def _curve(
    frame: Frame, values: Floats, place: Callable[[float], float], colour: str, dash: str | None
) -> Markup:
    width = (frame.last - frame.first) / len(values)
    pieces, pen = [], "M"
    for i, value in enumerate(values):
        if np.isnan(value):
            pen = "M"
            continue
        x, y = frame.x(frame.first + (i + 0.5) * width), place(float(value))
        pieces.append(f"{pen}{x:.0f} {y:.1f}")
        if pen == "M":
            pieces.append("h1")  # a bucket alone is a dot
        pen = "L"
    return svg.path("".join(pieces), stroke=colour, stroke_width=1.8, stroke_dasharray=dash)


def _key(x: float, label: str, colour: str, dash: str | None) -> list[Markup]:
    return [
        svg.line(x, 12, x + 30, 12, stroke=colour, stroke_width=2.2, stroke_dasharray=dash),
        svg.text(x + 37, 16, label, size=12.5),
    ]


def legend() -> list[tuple[Markup, str]]:
    """The timeline's signs with their meanings."""

    def sign(*parts: Markup) -> Markup:
        return svg.tag("svg", *parts, width=34, height=18, viewBox="0 0 34 18", aria_hidden="true")

    fault, info = svg.hatch("legend-fault", "fault"), svg.hatch("legend-info", "info", gap=5)
    return [
        (sign(svg.rect(2, 1, 28, 16, fill="ok", rx=2)), "ok"),
        (sign(svg.rect(2, 7, 28, 10, fill="fail", rx=2)), "failed: it did not happen"),
        (
            sign(
                svg.tag("defs", info),
                svg.line(3, 1, 3, 17, stroke="info", stroke_width=2),
                svg.tag("rect", x=3, y=11, width=30, height=5, fill="url(#legend-info)"),
            ),
            "unknown: it may have happened, or may happen yet",
        ),
        (
            sign(
                svg.rect(2, 1, 28, 16, fill="ok", stroke="bad", stroke_width=2.5),
                svg.badge(4, 9, "1", colour="bad"),
            ),
            "part of the anomaly",
        ),
        (
            sign(
                svg.tag("defs", fault),
                svg.rect(2, 1, 30, 16, fill="faultbg"),
                svg.tag("rect", x=2, y=1, width=30, height=7, fill="url(#legend-fault)"),
            ),
            "a fault was active",
        ),
    ]
