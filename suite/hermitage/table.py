"""The matrix as a table in the terminal, and as a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .cells import measured
from .interpreter import Answer, Said
from .running import Outcome
from .schedules import Rows

ATTRIBUTION = (
    "Schedules after Hermitage by Martin Kleppmann (https://github.com/ept/hermitage), CC BY 4.0"
)
SCHEMA = 1

_SIGNS = {"A": "seen", "P": "–", None: "?"}
_LEGEND = (
    "seen: the anomaly occurs  –: it is prevented  ≠: not as expected\n"
    "waits: a statement waited for another transaction  a code: a statement was refused"
)


def show(outcomes: Iterable[Outcome], console: Console) -> None:
    """Print a table for each kind of server, then each cell that is not as expected, step by step."""
    told = list(outcomes)
    for (server, _), group in groupby(told, key=lambda o: (o.server, o.cell.variant)):
        outcomes_there = list(group)
        if outcomes_there[0].skipped:
            console.print(f"{server}: skipped, {outcomes_there[0].reason}", soft_wrap=True)
        else:
            _show_server(server, outcomes_there, console)
    for outcome in told:
        if not outcome.met and not outcome.skipped:
            _show_steps(outcome, console)
    console.print(_LEGEND, style="dim", soft_wrap=True)
    console.print(ATTRIBUTION, style="dim", soft_wrap=True)


def document(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """The same as plain data, for `--json`."""
    return {
        "schema": SCHEMA,
        "suite": "hermitage",
        "attribution": ATTRIBUTION,
        "cells": [_entry(outcome) for outcome in outcomes],
    }


# --- tables --------------------------------------------------------------------------------------


def _show_server(server: str, outcomes: Sequence[Outcome], console: Console) -> None:
    cell = outcomes[0].cell
    variant = f", {cell.variant} isolation" if cell.variant else ""
    met = sum(outcome.met for outcome in outcomes)
    title = f"{server}{variant}: {met} of {len(outcomes)} cells as expected"
    console.print(Text(title, style="bold"), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("", no_wrap=True)
    levels = list(dict.fromkeys(outcome.cell.level for outcome in outcomes))
    for level in levels:
        table.add_column(level.replace(" ", "\n"))
    found = {(o.cell.anomaly, o.cell.level): o for o in outcomes}
    for anomaly in dict.fromkeys(outcome.cell.anomaly for outcome in outcomes):
        table.add_row(anomaly, *(_cell(found.get((anomaly, level))) for level in levels))
    console.print(table)
    console.print(
        f"expected: as on {measured(cell.on, cell.variant)}\n", style="dim", soft_wrap=True
    )


def _cell(outcome: Outcome | None) -> Text:
    """`seen waits`, `– 40001`, `≠ –`: the sign is always there, colour only helps."""
    if outcome is None:
        return Text("")
    words = [] if outcome.met else ["≠"]
    words += [_SIGNS[outcome.found], outcome.mechanism]
    style = "yellow" if outcome.found == "A" else "green"
    return Text(" ".join(filter(None, words)), style=style if outcome.met else "bold red")


def _show_steps(outcome: Outcome, console: Console) -> None:
    cell = outcome.cell
    console.print(
        f"\n{cell.name} on {outcome.server}: expected {worded(cell.expected)},"
        f" found {worded(outcome.found)}",
        style="bold",
    )
    if outcome.reason is not None:
        console.print(f"  {outcome.reason}", markup=False, soft_wrap=True)
    for said in outcome.said:
        console.print(f"  {step_line(said)}", markup=False, highlight=False, soft_wrap=True)
    if outcome.final is not None:
        console.print(f"  at the end {_rows(outcome.final)}\n", markup=False, highlight=False)


def worded(found: str | None) -> str:
    """What was found, in words."""
    return {"A": "that it occurs", "P": "that it is prevented"}.get(found or "", "nothing")


def step_line(said: Said) -> str:
    """`2  select * from test  → (1, 11) (2, 20), after waiting`."""
    waited = ", after waiting" if said.waited else ""
    return f"{said.step.session}  {said.step.text}  → {_answer(said.answer)}{waited}"


def _answer(answer: Answer) -> str:
    if answer.left_out:
        return "not sent: the transaction has failed"
    if answer.error is not None:
        return f"{answer.error} {answer.message or ''}".strip()
    if answer.rows is not None:
        return _rows(answer.rows)
    if answer.changed is not None:
        return f"{answer.changed} row{'' if answer.changed == 1 else 's'}"
    return answer.ended or "ok"


def _rows(rows: Rows) -> str:
    return " ".join(f"({id}, {value})" for id, value in rows) or "no rows"


# --- the document --------------------------------------------------------------------------------


def _entry(outcome: Outcome) -> dict[str, Any]:
    cell = outcome.cell
    return {
        "name": cell.name,
        "server": outcome.server,
        "level": cell.level,
        "anomaly": cell.anomaly,
        "variant": cell.variant,
        "expected": cell.expected,
        "found": outcome.found,
        "met": outcome.met,
        "mechanism": outcome.mechanism,
        "expected_mechanism": cell.mechanism,
        "seconds": round(outcome.seconds, 4),
        "reason": outcome.reason,
        "final": outcome.final,
        "steps": [_step(said) for said in outcome.said],
    }


def _step(said: Said) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.to_builtins(said.answer)
    told = {"session": said.step.session, "statement": said.step.text, **answer}
    return {**told, "waited": True} if said.waited else told
