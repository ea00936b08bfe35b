"""A suite for GitHub Actions: annotations for what is not met, and the step's summary."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ..results.words import clean
from .expectations import SAID, SIGNS, Judged
from .runner import Finished
from .table import summed

MOST = 9
"""Annotations; GitHub shows ten of a step and drops the others without a word."""

LARGEST = 900_000
"""Bytes of the summary; GitHub refuses it above 1 MiB."""


def on_github() -> bool:
    """Whether this is a step of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def tell_github(finished: Finished, say: Callable[[str], None]) -> None:
    """Say the annotations, and add to the step's summary where there is one."""
    for line in commands(finished.cells):
        say(line)
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(step_summary(finished))


def commands(cells: Sequence[Judged]) -> list[str]:
    """At most nine commands; the last one says how many more there are."""
    bad = [judged for judged in cells if not judged.met and judged.status != "skipped"]
    lines = [_annotation(judged) for judged in bad]
    if len(lines) > MOST:
        rest = len(lines) - (MOST - 1)
        lines = [*lines[: MOST - 1], f"::error title=Dokkaebi::{rest} more cells are not met"]
    return lines


def _annotation(judged: Judged) -> str:
    kind = "warning" if judged.status == "unknown" else "error"
    title = _property(f"{judged.cell.name}: {SAID[judged.status]}")
    return f"::{kind} title={title}::{_data(judged.reason[:4000])}"


def _data(text: str) -> str:
    """Text in one line, as the commands of GitHub want it."""
    return "%0A".join(clean(line).replace("%", "%25") for line in text.splitlines())


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def step_summary(finished: Finished) -> str:
    """The table as Markdown, what is not met first, cut at a row so that it is not refused."""
    head = f"### {_cell(summed(finished))}\n\n| | case | fault | |\n|---|---|---|---|\n"
    ordered = sorted(finished.cells, key=lambda judged: judged.met)
    rows, size = [], len(head.encode())
    for number, judged in enumerate(ordered):
        row = (
            f"| {SIGNS[judged.status]} | {_cell(judged.cell.case)} | {_cell(judged.cell.fault)} "
            f"| {SAID[judged.status]}: {_cell(judged.reason[:1000])} |\n"
        )
        size += len(row.encode())
        if size > LARGEST - 200:
            rows.append(f"\n{len(ordered) - number} more cells are left out here.\n")
            break
        rows.append(row)
    return head + "".join(rows)


def _cell(text: str) -> str:
    lines = [clean(line) for line in text.splitlines()]
    for raw, safe in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|")):
        lines = [line.replace(raw, safe) for line in lines]
    return "<br>".join(lines)
