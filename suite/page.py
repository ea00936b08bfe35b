"""A suite's cells as the page of `results/index.py`, with links to the reports of their runs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..results.index import Field, Overall, Page, Tone, write_index
from ..results.index import Past as Before
from ..results.words import clean
from .expectations import MET, SAID, SIGNS, Judged, Status, exit_code
from .past import Past
from .runner import Finished
from .table import summed

_REASON: Final = 1_000


def write_page(finished: Finished, out: Path, *, past: Past) -> Path:
    """Write the page into the folder of runs and answer its path."""
    return write_index(page_of(finished, past=past), out)


def page_of(finished: Finished, *, past: Past) -> Page:
    """What the page of a suite says."""
    code = exit_code(finished.cells)
    verdicts: dict[int, tuple[Overall, str, str]] = {
        0: ("holds", "✔ MET", "Every cell that ran is as it must be"),
        1: ("violated", "✖ NOT MET", "Not every cell is as it must be"),
    }
    verdict, sign, statement = verdicts.get(
        code, ("unknown", "? UNDECIDED", "Not every cell could be judged")
    )
    return Page(
        title=f"{sign} {clean(finished.suite.name)}",
        verdict=verdict,
        sign=sign,
        statement=statement,
        sum=clean(summed(finished)),
        fields=[_field(judged, past) for judged in finished.cells],
    )


def _field(judged: Judged, past: Past) -> Field:
    before = [
        Before(
            tone=_tone(each.status),
            sign=SIGNS[each.status],
            said=SAID[each.status],
            ops_per_second=each.ops_per_second,
            p99_ms=each.p99_ms,
        )
        for each in past.of(judged.cell.name)
    ]
    now = Before(
        tone=_tone(judged.status),
        sign=SIGNS[judged.status],
        said=SAID[judged.status],
        ops_per_second=max((each.ops_per_second for each in judged.outcomes), default=0.0),
        p99_ms=max((each.p99_ms for each in judged.outcomes), default=0.0),
    )
    return Field(
        case=clean(judged.cell.case),
        fault=clean(judged.cell.fault),
        past=[*before, now],
        must=_must(judged),
        reason=clean(judged.reason, _REASON),
        notes=[clean(note) for note in judged.notes],
        seconds=judged.seconds,
        runs=len(judged.outcomes),
        report=_report(judged),
    )


def _tone(status: Status) -> Tone:
    if status in MET:
        return "good"
    if status in ("skipped", "interrupted"):
        return "none"
    return "warn" if status in ("unknown", "broke") else "bad"


def _must(judged: Judged) -> str:
    cell = judged.cell
    if cell.must_catch:
        return f"catch {', '.join(cell.must_catch)}"
    known = f", but for {', '.join(cell.known)}" if cell.known else ""
    return f"hold {cell.must_hold}{known}"


def _report(judged: Judged) -> Path | None:
    """The report of the run that tells most: the last one."""
    for outcome in reversed(judged.outcomes):
        if outcome.folder is not None:
            return Path(outcome.folder) / "report.html"
    return None
