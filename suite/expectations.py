"""What a cell's outcomes mean, held against what must come of it. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from ..checkers.anomalies import SUFFIXES, define
from ..harness.spec import SECOND
from .cases import Cell
from .tasks import Found, Outcome

Status = Literal[
    "held", "known", "caught", "violated", "missed", "broke", "unknown", "skipped", "interrupted"
]

DEADLOCK = "deadlock"
"""One that the server resolved is no anomaly, but it is what a strategy that provokes it shows."""

SIGNS: Final[dict[Status, str]] = {
    "held": "✔",
    "known": "✔",
    "caught": "✔",
    "violated": "✖",
    "missed": "✖",
    "broke": "!",
    "unknown": "?",
    "skipped": "–",
    "interrupted": "–",
}
SAID: Final[dict[Status, str]] = {
    "held": "held",
    "known": "held but for what is known",
    "caught": "caught",
    "violated": "violated, and must hold",
    "missed": "not found, and must be",
    "broke": "broke",
    "unknown": "unknown",
    "skipped": "skipped",
    "interrupted": "interrupted",
}
"""What a status is called, in the table, in JUnit and on the page."""

MET: frozenset[Status] = frozenset({"held", "known", "caught"})


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A cell with what came of it: a status, the reason in words, and the outcomes behind it.

    `news` are the anomalies that nobody expected, `notes` what is worth saying of a met cell.
    """

    cell: Cell
    status: Status
    reason: str
    outcomes: tuple[Outcome, ...]
    news: tuple[Found, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        """Whether the cell is as it must be."""
        return self.status in MET

    @property
    def seconds(self) -> float:
        """What its runs took, one after another."""
        return sum(outcome.seconds for outcome in self.outcomes)


def next_seed(cell: Cell, outcomes: Sequence[Outcome]) -> int | None:
    """The seed to run next, or None when nothing more has to be run.

    Where something must be caught, the first seeds that show all of it are enough, and further
    ones are tried until the budget is used up. Elsewhere all seeds run, until one tells all.
    """
    if outcomes and _final(outcomes[-1]):
        return None
    if cell.must_catch:
        if not _missing(cell, outcomes):
            return None
    elif any(_news(cell, outcome) for outcome in outcomes):
        return None
    if len(outcomes) < len(cell.seeds):
        return cell.seeds[len(outcomes)]
    spent = sum(outcome.seconds for outcome in outcomes) * SECOND
    if not cell.must_catch or spent >= cell.budget:
        return None
    return max(*cell.seeds, *(outcome.seed for outcome in outcomes)) + 1


def judge_cell(cell: Cell, outcomes: Sequence[Outcome], *, strict_known: bool = False) -> Judged:
    """Hold what a cell's runs said against what must come of it."""
    status, reason, notes = (_catching if cell.must_catch else _holding)(cell, outcomes)
    news = tuple(_distinct([found for outcome in outcomes for found in _news(cell, outcome)]))
    stayed_away = [name for name in cell.known if name not in _names(outcomes)]
    if status in ("held", "known") and stayed_away:
        notes = [*notes, f"known and not found: {', '.join(stayed_away)}"]
        if strict_known:
            status, reason = "missed", notes[-1]
    return Judged(
        cell=cell,
        status=status,
        reason=reason,
        outcomes=tuple(outcomes),
        news=news,
        notes=tuple(notes),
    )


Finding = tuple[Status, str, list[str]]


def _catching(cell: Cell, outcomes: Sequence[Outcome]) -> Finding:
    missing = _missing(cell, outcomes)
    unsafe = _unsafe(cell, outcomes)
    if unsafe is not None:
        said = f"{unsafe.type}, where only progress may be missing: {unsafe.sentence}"
        return "violated", said, []
    if not missing:
        named = (f for o in outcomes for f in o.found if base(f.type) in cell.must_catch)
        first = next(named, None)
        return "caught", first.sentence if first else _resolved(outcomes), []
    ended = _ended(outcomes)
    if ended:
        return ended
    found = _names(outcomes)
    instead = f"; found instead: {', '.join(found)}" if found else ""
    if not found and outcomes and outcomes[-1].reason:
        instead = f"; the last run said {outcomes[-1].said}: {outcomes[-1].reason}"
    seeds = f"{len(outcomes)} seed{'s' if len(outcomes) != 1 else ''}"
    return "missed", f"{', '.join(missing)} not found with {seeds}{instead}", []


def _holding(cell: Cell, outcomes: Sequence[Outcome]) -> Finding:
    for outcome in outcomes:
        news = _news(cell, outcome)
        if news:
            return "violated", f"{news[0].type}, seed {outcome.seed}: {news[0].sentence}", []
    ended = _ended(outcomes)
    if ended:
        return ended
    for outcome in outcomes:
        if outcome.said == "unknown":
            return "unknown", f"seed {outcome.seed}: {outcome.reason}", []
    ok = sum(outcome.ok for outcome in outcomes)
    found = [name for name in _names(outcomes) if name in cell.known]
    if found:
        told = "; ".join(f"{name}: {cell.known[name]}" for name in found)
        return "known", told, []
    return "held", f"no violation found in {ok:,} operations", []


def _ended(outcomes: Sequence[Outcome]) -> Finding | None:
    """What a cell is that was not judged to its end."""
    if any(outcome.interrupted for outcome in outcomes) or not outcomes:
        return "interrupted", "interrupted", []
    last = outcomes[-1]
    if last.said == "broke":
        return "broke", f"seed {last.seed}: {last.reason}", []
    if last.said == "unavailable":
        return "skipped", last.reason, []
    return None


def _final(outcome: Outcome) -> bool:
    return outcome.interrupted or outcome.said in ("broke", "unavailable")


def _news(cell: Cell, outcome: Outcome) -> list[Found]:
    """The anomalies of an outcome that break what must hold."""
    if cell.must_catch or outcome.said != "violated":
        return []
    return [
        found
        for found in outcome.found
        if found.type not in cell.known and (found.kind == "safety" or cell.wish.require_progress)
    ]


def _missing(cell: Cell, outcomes: Sequence[Outcome]) -> list[str]:
    """What must be caught and was not yet; an anomaly is caught in each of its variants."""
    seen = set(_names(outcomes)) | {base(name) for name in _names(outcomes)}
    if any(outcome.deadlocks for outcome in outcomes):
        seen.add(DEADLOCK)
    return [name for name in cell.must_catch if name not in seen]


def _unsafe(cell: Cell, outcomes: Sequence[Outcome]) -> Found | None:
    """What breaks safety where nothing but a lack of progress must be caught."""
    if any(define(name).kind == "safety" for name in cell.must_catch):
        return None
    every = (found for outcome in outcomes for found in outcome.found)
    return next((found for found in every if found.kind == "safety"), None)


def _resolved(outcomes: Sequence[Outcome]) -> str:
    return f"{sum(outcome.deadlocks for outcome in outcomes)} deadlocks resolved by the server"


def _names(outcomes: Sequence[Outcome]) -> list[str]:
    violated = [outcome for outcome in outcomes if outcome.said == "violated"]
    return list(dict.fromkeys(found.type for outcome in violated for found in outcome.found))


def base(name: str) -> str:
    """The class of an anomaly that only an order of sessions or of time closes."""
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def _distinct(found: Sequence[Found]) -> list[Found]:
    return list({each.type: each for each in reversed(found)}.values())[::-1]


# --- all cells ------------------------------------------------------------------------------------


def exit_code(cells: Sequence[Judged], *, no_skips: bool = False) -> int:
    """0 when all that ran are met, else the first that applies of 130, 1, 4, 3 and 5."""
    statuses = {judged.status for judged in cells}
    for status, code in (
        ("interrupted", 130),
        ("violated", 1),
        ("missed", 1),
        ("broke", 4),
        ("unknown", 3),
    ):
        if status in statuses:
            return code
    if statuses == {"skipped"} or (no_skips and "skipped" in statuses):
        return 5
    return 0
