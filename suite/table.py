"""A suite in the terminal: a line for each case with a sign for each fault, then what is not met."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..results.live import redraws
from ..results.words import clean
from .cases import Cell
from .expectations import SAID, SIGNS, Judged, Status
from .past import Past
from .runner import Finished

STYLES: Final[dict[Status, str]] = {
    "held": "green",
    "known": "green",
    "caught": "green",
    "violated": "bold red",
    "missed": "bold red",
    "broke": "bold red",
    "unknown": "bold yellow",
    "skipped": "dim",
    "interrupted": "dim",
}
_REASON: Final = 400


class Watch:
    """Shows a suite while it goes on: a line that is drawn over, or one for each cell."""

    def __init__(self, total: int, console: Console, *, silent: bool) -> None:
        self._total = total
        self._console = console
        self._silent = silent
        self._done: list[Judged] = []
        self._going: dict[str, int] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if not self._silent and redraws(self._console):
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, traceback)

    def begun(self, cell: Cell, seed: int) -> None:
        """A cell's run with this seed was handed out."""
        self._going[cell.name] = seed
        self._draw()

    def done(self, judged: Judged) -> None:
        """A cell is judged."""
        self._going.pop(judged.cell.name, None)
        self._done.append(judged)
        if self._live is None and not self._silent:
            number = f"{len(self._done)}/{self._total}"
            self._console.print(Text.assemble(f"{number:>9}  ", line_of(judged)), soft_wrap=True)
        self._draw()

    def _draw(self) -> None:
        if self._live is None:
            return
        bad = sum(not judged.met and judged.status != "skipped" for judged in self._done)
        going = ", ".join(f"{name} (seed {seed})" for name, seed in self._going.items())
        text = f"{len(self._done)} of {self._total} cells, {bad} not as they must be · {going}"
        self._live.update(Text(clean(text, max(20, self._console.width - 2))))


def line_of(judged: Judged) -> Text:
    """A cell in one line."""
    sign = Text(f"{SIGNS[judged.status]} ", STYLES[judged.status])
    said = f": {SAID[judged.status]}, {judged.seconds:.0f} s"
    return Text.assemble(sign, clean(judged.cell.name), (said, "dim"))


def table(finished: Finished, console: Console, *, past: Past) -> None:
    """Print the table, what is not as it must be and why, and the sum."""
    for case, cells in _by_case(finished.cells).items():
        console.print(_row(case, cells, past, console.width))
    for status in ("violated", "missed", "broke", "unknown", "skipped"):
        for judged in finished.cells:
            if judged.status == status:
                _explain(judged, console)
    for judged in finished.cells:
        for note in judged.notes if judged.met else ():
            _paragraph(f"note: {judged.cell.name}: {note}", console, style="dim")
    console.print()
    console.print(Text(summed(finished)), soft_wrap=True)


def summed(finished: Finished) -> str:
    """The suite in one sentence."""
    counts: dict[str, int] = {}
    for judged in finished.cells:
        said = "met" if judged.met else SAID[judged.status]
        counts[said] = counts.get(said, 0) + 1
    runs = sum(len(judged.outcomes) for judged in finished.cells)
    told = ", ".join(f"{number} {said}" for said, number in counts.items())
    many = len(finished.cells)
    return (
        f"{finished.suite.name}: {many} cell{'s' if many != 1 else ''} ({told}), "
        f"{runs} runs in {finished.seconds:.0f} s"
    )


def _by_case(cells: Sequence[Judged]) -> dict[str, list[Judged]]:
    cases: dict[str, list[Judged]] = {}
    for judged in cells:
        cases.setdefault(judged.cell.case, []).append(judged)
    return cases


def _row(case: str, cells: Sequence[Judged], past: Past, width: int) -> Text:
    row = Text(overflow="fold")
    row.append(f"{clean(case, 48):<42} ")
    for judged in cells:
        trail = past.signs(judged.cell.name)
        row.append(f" {SIGNS[judged.status]}", STYLES[judged.status])
        row.append(f" {judged.cell.fault}")
        if trail:
            row.append(f" {trail}", "dim")
        row.append(" ")
    return row


def _explain(judged: Judged, console: Console) -> None:
    console.print()
    console.print(line_of(judged), soft_wrap=True)
    _paragraph(judged.reason, console)
    last = judged.outcomes[-1] if judged.outcomes else None
    if last is not None and last.folder is not None:
        report = Path(last.folder) / "report.html"
        console.print(Text(f"    look  {report}", "dim"), soft_wrap=True)


def _paragraph(text: str, console: Console, **style: Any) -> None:
    for part in text.strip().splitlines()[-8:]:
        wrapped = textwrap.wrap(clean(part, _REASON), max(20, console.width - 6)) or [""]
        for each in wrapped:
            console.print(Text(f"    {each}", **style), soft_wrap=True)
