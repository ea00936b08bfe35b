"""Small pieces of SVG, as strings that are already escaped.

Every shape carries its colour as an attribute (the light one), so that a drawing reads without
any style sheet, and as a class, through which the page's style sheet gives it the dark one.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from markupsafe import Markup, escape

PALETTE: Final = {
    "ink": ("#1a1f26", "#e9edf2"),
    "muted": ("#566170", "#a3aebb"),
    "paper": ("#ffffff", "#12161b"),
    "panel": ("#f4f6f8", "#1a2027"),
    "line": ("#c9d1da", "#3b4551"),
    "ok": ("#0068a8", "#62b5ee"),
    "okbg": ("#e3eff8", "#1a2c3b"),
    "fail": ("#8a6100", "#e0a83a"),
    "info": ("#8a3f8a", "#d79bd7"),
    "bad": ("#b3261e", "#ff9388"),
    "badbg": ("#fdecea", "#3b1c1a"),
    "good": ("#006b54", "#4ecfa4"),
    "goodbg": ("#e4f4ef", "#12312a"),
    "warn": ("#7d5200", "#f0b94e"),
    "warnbg": ("#fff3d9", "#33290f"),
    "fault": ("#5b4a9c", "#b9a8ff"),
    "faultbg": ("#ebe6f8", "#2a2542"),
}
"""Name -> (light, dark). Blue, ochre, purple and red stay apart for colour-blind readers."""

MONO: Final = "ui-monospace, monospace"
SANS: Final = "system-ui, sans-serif"
MONO_WIDTH: Final = 0.61
"""The width of a monospaced character, in units of the font's size."""

Value = str | int | float | None


def tag(name: str, *children: str, **attributes: Value) -> Markup:
    """An element; `class_` is `class`, `_` in a name is `-` and `__` is `:`. Children that are no Markup are
    escaped, and so is every attribute."""
    written = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("__", ":").replace("_", "-"), _number(value)
        )
        for key, value in attributes.items()
        if value is not None
    )
    if not children:
        return Markup("<{}{}/>").format(Markup(name), written)
    inner = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), written, inner)


def _number(value: Value) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def paint(*, fill: str | None = None, stroke: str | None = None) -> dict[str, Value]:
    """The attributes and classes of colours by their names in the palette."""
    classes = [f"f-{fill}"] * bool(fill) + [f"s-{stroke}"] * bool(stroke)
    return {
        "class_": " ".join(classes) or None,
        "fill": PALETTE[fill][0] if fill else "none",
        "stroke": PALETTE[stroke][0] if stroke else None,
    }


def rect(
    x: float, y: float, width: float, height: float, *, fill: str | None = None,
    stroke: str | None = None, **more: Value,
) -> Markup:  # fmt: skip
    """A rectangle, never thinner than nothing."""
    return tag("rect", x=x, y=y, width=max(width, 0.0), height=max(height, 0.0),
               **paint(fill=fill, stroke=stroke), **more)  # fmt: skip


def line(x1: float, y1: float, x2: float, y2: float, *, stroke: str, **more: Value) -> Markup:
    """A straight line."""
    colours = paint(stroke=stroke)
    del colours["fill"]
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, **colours, **more)


def path(d: str, *, stroke: str | None = None, fill: str | None = None, **more: Value) -> Markup:
    """A path."""
    return tag("path", d=d, **paint(fill=fill, stroke=stroke), **more)


def text(
    x: float, y: float, content: str, *, fill: str = "ink", size: float = 13, mono: bool = False,
    anchor: str | None = None, weight: str | None = None,
) -> Markup:  # fmt: skip
    """A line of text; spaces are kept."""
    return tag(
        "text", content, x=x, y=y, font_size=size, font_family=MONO if mono else None,
        text_anchor=anchor, font_weight=weight, xml__space="preserve", **paint(fill=fill),
    )  # fmt: skip


def circled(x: float, y: float, number: int | str, *, colour: str = "ink") -> Markup:
    """A number in a filled circle."""
    return tag(
        "g",
        tag("circle", cx=x, cy=y, r=9.5, **paint(fill=colour, stroke="paper")),
        text(x, y + 4, str(number), fill="paper", size=12, anchor="middle", weight="bold"),
    )


def badge(x: float, y: float, label: str, *, colour: str = "ink") -> Markup:
    """The number of a witness operation, in a filled box; `y` is its middle."""
    width = 8.0 * len(label) + 9
    return tag(
        "g",
        rect(x, y - 9, width, 18, fill=colour, rx=3),
        text(x + width / 2, y + 4.5, label, fill="paper", size=12, anchor="middle", weight="bold"),
    )


def hatch(name: str, colour: str, *, gap: int = 7, tilt: int = 45) -> Markup:
    """A pattern of slanting lines, to be filled with `url(#name)`."""
    return tag(
        "pattern",
        line(0, 0, 0, gap, stroke=colour, stroke_width=2.2),
        id=name, width=gap, height=gap, patternUnits="userSpaceOnUse",
        patternTransform=f"rotate({tilt})",
    )  # fmt: skip


def drawing(parts: Iterable[str], *, width: float, height: float, title: str, name: str) -> Markup:
    """The whole picture with its title for those who cannot see it; `name` is unique in a page."""
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        *parts,
        viewBox=f"0 0 {width:.0f} {height:.0f}", width=round(width), height=round(height), font_family=SANS,
        role="img", aria_labelledby=f"{name}-title", xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip


def wrap(content: str, width: float, size: float = 13, *, most: int = 6) -> list[str]:
    """Text in lines that fit into `width` when set in the monospaced font."""
    room = max(int(width / (size * MONO_WIDTH)), 4)
    lines = textwrap.wrap(content, room, break_on_hyphens=False, max_lines=most, placeholder=" …")
    return lines or [""]


def ticks(first: float, last: float, most: int = 8) -> Sequence[float]:
    """Round numbers from first to last, at most about `most`."""
    if last <= first:
        return [first]
    rough = (last - first) / most
    power = 10.0 ** int(f"{rough:e}".split("e")[1])
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough * 0.999)
    start = -(-first // step)
    return [(start + i) * step for i in range(int((last - start * step) / step + 1e-9) + 1)]
