"""`index.html`: a suite's cells as a page, with links to the reports of their runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup

from ..results.shell import environment, hashed, stylesheet
from ..results.words import clean
from .expectations import MET, SAID, SIGNS, Judged, exit_code
from .past import Past
from .runner import Finished
from .table import summed

FILE: Final = "index.html"
_REASON: Final = 1_000


def write_page(finished: Finished, out: Path, *, past: Past) -> Path:
    """Write the page into the folder of runs and answer its path."""
    target = out / FILE
    out.mkdir(parents=True, exist_ok=True)
    partial = out / f".{FILE}.{os.getpid()}"
    partial.write_text(render(finished, out, past=past), encoding="utf-8")
    return partial.replace(target)


def render(finished: Finished, out: Path, *, past: Past) -> str:
    """The page as a text."""
    style = stylesheet()
    code = exit_code(finished.cells)
    verdict, sign, statement = {
        0: ("holds", "✔ MET", "Every cell that ran is as it must be"),
        1: ("violated", "✖ NOT MET", "Not every cell is as it must be"),
    }.get(code, ("unknown", "? UNDECIDED", "Not every cell could be judged"))
    cells = [_cell(number, judged, out, past) for number, judged in enumerate(finished.cells, 1)]
    page: dict[str, Any] = {
        "style": Markup(style),
        "style_hash": hashed(style),
        "title": f"{sign} {clean(finished.suite.name)}",
        "verdict": verdict,
        "sign": sign,
        "statement": statement,
        "sum": clean(summed(finished)),
        "bad": [cell for cell in cells if cell["is_bad"]],
        "cells": cells,
    }
    return environment().get_template("suite.html").render(page)


def _cell(number: int, judged: Judged, out: Path, past: Past) -> dict[str, Any]:
    earlier = "".join(SIGNS[each.status] for each in past.of(judged.cell.name)[-12:])
    return {
        "anchor": f"cell-{number}",
        "case": clean(judged.cell.case),
        "fault": clean(judged.cell.fault),
        "must": _must(judged),
        "sign": SIGNS[judged.status],
        "said": SAID[judged.status],
        "is_bad": judged.status not in MET | {"skipped"},
        "reason": clean(judged.reason, _REASON),
        "notes": [clean(note) for note in judged.notes],
        "runs": len(judged.outcomes),
        "seconds": f"{judged.seconds:.0f}",
        "trail": earlier,
        "report": _report(judged, out),
    }


def _must(judged: Judged) -> str:
    cell = judged.cell
    if cell.must_catch:
        return f"catch {', '.join(cell.must_catch)}"
    known = f", but for {', '.join(cell.known)}" if cell.known else ""
    return f"hold {cell.must_hold}{known}"


def _report(judged: Judged, out: Path) -> str | None:
    """The report of the run that tells most: the last one."""
    for outcome in reversed(judged.outcomes):
        if outcome.folder is not None:
            path = os.path.relpath(Path(outcome.folder) / "report.html", out.resolve())
            return quote(path)
    return None
