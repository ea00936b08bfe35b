"""The matrix's outcomes as cells of a suite, so that JUnit, GitHub and exit codes are every suite's."""

from __future__ import annotations

from collections.abc import Sequence

from ...harness.choosing import Wish
from .. import cases
from ..expectations import Judged, Status
from ..runner import Finished
from .running import Outcome
from .table import step_line, worded


def finished(outcomes: Sequence[Outcome], *, seconds: float) -> Finished:
    """A suite that was run."""
    cells = tuple(judged(outcome) for outcome in outcomes)
    suite = cases.Suite(name="hermitage", cells=tuple(each.cell for each in cells))
    return Finished(suite=suite, cells=cells, seconds=seconds)


def judged(outcome: Outcome) -> Judged:
    """A cell with its status: an anomaly that must occur is caught, one that must not is violated."""
    return Judged(
        cell=_cell(outcome), status=_status(outcome), reason=_reason(outcome), outcomes=()
    )


def _cell(outcome: Outcome) -> cases.Cell:
    cell = outcome.cell
    where = f"{outcome.server}+{cell.variant}" if cell.variant else outcome.server
    occurs = cell.expected == "A"
    return cases.Cell(
        case=f"{where}, {cell.level}",
        fault=cell.anomaly,
        wish=Wish(),
        seeds=(),
        budget=0,
        must_hold=None if occurs else "its promise",
        must_catch=(cell.anomaly,) if occurs else (),
    )


def _status(outcome: Outcome) -> Status:
    if outcome.skipped:
        return "skipped"
    if outcome.found is None:
        return "broke"
    if outcome.cell.expected == "A":
        return "caught" if outcome.met else "missed"
    return "held" if outcome.met else "violated"


def _reason(outcome: Outcome) -> str:
    if outcome.reason is not None:
        return outcome.reason
    how = f" ({outcome.mechanism})" if outcome.mechanism else ""
    told = f"{worded(outcome.found)}{how}"
    if outcome.met:
        return told
    return "\n".join((*map(step_line, outcome.said), f"{told}, and must not be so"))
