"""`index.html`: many tests on one page, a row for each case and a column for each fault.

A suite draws it of its cells (`suite/page.py`), `dokkaebi index` of a folder of runs. Each field
leads to the report of its last run; the bars in it are the throughput of the runs before.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec
from markupsafe import Markup

from .shell import environment, hashed, source, stylesheet
from .svg import tag

FILE: Final = "index.html"
Overall = Literal["holds", "violated", "unknown"]
Tone = Literal["good", "bad", "warn", "none"]
"""As it must be, or holds; not so; nothing known; not run."""

SHOWN: Final = 12
"""Runs before the last one that a field shows."""

_FILL: Final[dict[Tone, str]] = {"good": "good", "bad": "bad", "warn": "warn", "none": "muted"}
_BAR, _HIGH = 5, 16


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What one run, or one pass of a cell, came to."""

    tone: Tone
    sign: str
    said: str
    ops_per_second: float = 0.0
    p99_ms: float = 0.0


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A test as the page tells of it; everything in it is clean text. `past` ends with the last."""

    case: str
    fault: str
    past: Sequence[Past]
    must: str = ""
    reason: str = ""
    notes: Sequence[str] = ()
    seconds: float = 0.0
    runs: int = 1
    report: Path | None = None

    @property
    def last(self) -> Past:
        """What it came to."""
        return self.past[-1]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The whole: what is said above, and the fields in the order in which they are named."""

    title: str
    verdict: Overall
    sign: str
    statement: str
    sum: str
    fields: Sequence[Field]


def write_index(page: Page, out: Path) -> Path:
    """Write the page into a folder, there completely or not at all, and answer its path."""
    out.mkdir(parents=True, exist_ok=True)
    partial = out / f".{FILE}.{os.getpid()}"
    partial.write_text(render(page, out), encoding="utf-8")
    return partial.replace(out / FILE)


def render(page: Page, out: Path) -> str:
    """The page as a text; links are relative to `out`."""
    style, script = stylesheet() + source("index.css"), source("index.js")
    told = [_told(number, field, out) for number, field in enumerate(page.fields, 1)]
    model: dict[str, Any] = {
        "style": Markup(style),
        "style_hash": hashed(style),
        "script": Markup(script),
        "script_hash": hashed(script),
        "page": page,
        "bad": [each for each in told if each["tone"] in ("bad", "warn")],
        "fields": told,
        **_map(page.fields, told),
    }
    return environment().get_template("index.html").render(model)


def _map(fields: Sequence[Field], told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The rows and columns of the map."""
    faults = list(dict.fromkeys(field.fault for field in fields))
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for field, each in zip(fields, told, strict=True):
        rows.setdefault(field.case, {})[field.fault] = each
    return {
        "faults": faults,
        "rows": [(case, [found.get(fault) for fault in faults]) for case, found in rows.items()],
    }


def _told(number: int, field: Field, out: Path) -> dict[str, Any]:
    before = field.past[-2] if len(field.past) > 1 else None
    return {
        "anchor": f"cell-{number}",
        "case": field.case,
        "fault": field.fault,
        "must": field.must,
        "tone": field.last.tone,
        "sign": field.last.sign,
        "said": field.last.said,
        "reason": field.reason,
        "notes": field.notes,
        "runs": field.runs,
        "seconds": f"{field.seconds:.0f}",
        "trail": "".join(past.sign for past in field.past[-SHOWN - 1 : -1]),
        "bars": _bars(field.past[-SHOWN - 1 :]),
        "speed": _figure(field.last.ops_per_second, before.ops_per_second if before else 0.0, "/s"),
        "p99": _figure(field.last.p99_ms, before.p99_ms if before else 0.0, " ms"),
        "report": _link(field.report, out),
    }


def _figure(now: float, before: float, unit: str) -> str:
    if not now:
        return ""
    change = f" ({now / before - 1:+.0%})" if before else ""
    return f"{now:,.0f}{unit}{change}" if now >= 100 else f"{now:.3g}{unit}{change}"


def _bars(past: Sequence[Past]) -> Markup:
    """A bar for each run, as high as its throughput; nothing where there is only one."""
    if len(past) < 2:
        return Markup("")
    most = max(each.ops_per_second for each in past) or 1.0
    bars = []
    for place, each in enumerate(past):
        height = max(2.0, _HIGH * each.ops_per_second / most)
        name = _FILL[each.tone]
        bars.append(
            tag(
                "rect",
                x=place * _BAR,
                y=round(_HIGH - height, 1),
                width=_BAR - 1,
                height=round(height, 1),
                class_=f"f-{name}",
            )
        )
    words = f"{len(past)} runs: {''.join(each.sign for each in past)}"
    width = len(past) * _BAR
    return tag(
        "svg",
        *bars,
        width=width,
        height=_HIGH,
        viewBox=f"0 0 {width} {_HIGH}",
        role="img",
        aria_label=words,
    )


def _link(report: Path | None, out: Path) -> str | None:
    return None if report is None else quote(os.path.relpath(report, out.resolve()))
