"""What every page of ours is made of: templates, the style sheet, and the policy in its head.

A page is one file that reaches for nothing: its policy lets in only the script and the style that
stand in it, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from . import svg


@cache
def environment() -> Environment:
    """The templates; every text in them is escaped."""
    loader = PackageLoader("dokkaebi.results", "templates")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip


@cache
def source(name: str) -> str:
    """A file that pages carry in them."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


@cache
def stylesheet() -> str:
    """The style sheet, with the palette's colours for light and dark."""
    light = "".join(f"--{name}:{pair[0]};" for name, pair in svg.PALETTE.items())
    dark = "".join(f"--{name}:{pair[1]};" for name, pair in svg.PALETTE.items())
    shapes = "".join(
        f".f-{name}{{fill:var(--{name})}}.s-{name}{{stroke:var(--{name})}}" for name in svg.PALETTE
    )
    return (
        f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f"@media print{{:root{{{light}}}}}{shapes}{source('report.css')}"
    )


def hashed(text: str) -> str:
    """A text as the page's policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
