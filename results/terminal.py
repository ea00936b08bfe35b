"""What stands in the terminal after a run: the verdict first, then the first anomaly as a ladder.

Colour is never the only sign. Everything that came from a server or from users' code is cleaned
and printed as plain text, never as markup.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..harness.history import History
from ..harness.result import Result
from ..harness.verdict import Anomaly, Verdict
from . import names, repro, store, words
from .ladder import Ladder, Row
from .picture import Lanes, Picture, Prefix, picture

Remedy = Callable[[str], str] | str | None

SIGNS: Final = {"violated": "✖", "holds": "✔", "unknown": "?"}
STYLES: Final = {"violated": "bold red", "holds": "bold green", "unknown": "bold yellow"}
_LABEL: Final = 11
_LEVELS_SHOWN: Final = 3


def make_console(color: str = "auto", *, stderr: bool = False) -> Console:
    """A console that obeys `--color`, `NO_COLOR`, `CI` and `TERM=dumb` (rich knows the last two)."""
    forced = {"always": True, "never": False}.get(color)
    return Console(
        stderr=stderr,
        force_terminal=True if forced else None,
        no_color=True if forced is False else None,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )


def summary(
    result: Result,
    history: History | None,
    console: Console,
    *,
    remedy: Remedy = None,
    report: Path | None = None,
    plain: bool = False,
) -> None:
    """Print the verdict, the facts, the first anomaly as a ladder, and how to repeat it all.

    `report` is the page to point to; None takes the run's own, if it is there. `plain` leaves out
    the ladder.
    """
    console.print(headline(result))
    for label, text in facts(result, report):
        console.print(_fact(label, text, console.width))
    anomalies = result.verdict.anomalies
    if anomalies and history is not None and not plain:
        console.print()
        console.print(explain(anomalies[0], result, history, width=console.width))
        advice = advise(remedy, anomalies[0].type)
        if advice:
            console.print()
            console.print(_fact("to fix it", advice, console.width))
        _others(result, console)
    console.print()
    for label, line in repeat_lines(result):
        console.print(Text.assemble("  ", (f"{label:<24}", "dim"), line), soft_wrap=True)
    if result.spec is not None:
        console.print(_paragraph(repro.CAVEAT, console.width, style="dim"))


def headline(result: Result) -> Text:
    """The verdict in one line."""
    verdict = result.verdict
    sign, style = SIGNS[verdict.verdict], STYLES[verdict.verdict]
    return Text.assemble((f"{sign} {verdict.verdict.upper()}", style), "  ", statement(result))


def statement(result: Result) -> str:
    """What the verdict says, in words."""
    verdict, stats = result.verdict, result.stats
    operations = words.count(stats.ok + stats.fail + stats.info, "operation")
    time = f", {words.span(stats.seconds * 1e9)}" if stats.seconds else ""
    if verdict.verdict == "holds":
        return f"no violation found in {operations}{time}"
    found = words.joined([names.counted(a.type, a.count) for a in verdict.anomalies[:3]])
    more = len(verdict.anomalies) - 3
    if more > 0:
        found += f" and {words.count(more, 'further kind')} of anomaly"
    if verdict.verdict == "unknown":
        reason = words.clean(verdict.reason, 400) or "nothing was proved"
        return f"{reason} (found: {found})" if found else reason
    level = f"not {_fallen(verdict)}: " if verdict.not_ else ""
    return f"{level}{found or words.clean(verdict.reason, 400)} in {operations}{time}"


def _fallen(verdict: Verdict) -> str:
    """The level to name among those that fell.

    Repeatable read is Adya's here, which databases call serializable: the repeatable read that they
    offer is snapshot isolation.
    """
    first = verdict.not_[0]
    if first == "repeatable-read" and "snapshot-isolation" not in verdict.also_not:
        return "serializable"
    return first


def facts(result: Result, report: Path | None = None) -> list[tuple[str, str]]:
    """The labelled lines below the verdict."""
    rows = [
        ("expected", _expected(result)),
        ("found", _found(result)),
        ("but", _weakened(result)),
        ("faults", faults_line(result)),
        ("coverage", coverage_line(result)),
        ("errors", _errors(result)),
        ("warning", _warnings(result)),
        ("look", _look(result, report)),
    ]
    return [(label, text) for label, text in rows if text]


def _expected(result: Result) -> str:
    spec = result.spec
    if spec is None:
        return ""
    asked = f" (isolation asked for: {spec.isolation})" if spec.isolation and spec.level else ""
    if spec.level:
        return f"{spec.level}{asked}"
    if spec.expect is None:
        return ""
    anomaly = f" ({names.noun(spec.anomaly)})" if spec.anomaly else ""
    return f"the strategy declares itself {spec.expect}{anomaly}"


def _found(result: Result) -> str:
    verdict = result.verdict
    if verdict.strongest:
        return f"nothing here contradicts {verdict.strongest}"
    if len(verdict.not_) > 1:
        return "not " + ", not ".join(verdict.not_[:_LEVELS_SHOWN])
    return ""


def _weakened(result: Result) -> str:
    """What a pass leaves out."""
    verdict = result.verdict
    return words.clean(verdict.reason, 400) if verdict.verdict == "holds" else ""


def faults_line(result: Result) -> str:
    """Which faults were injected, and whether they took effect."""
    parts = []
    for fault in result.fault_counts():
        total, took = fault["count"], fault["took_effect"]
        effect = (
            "all took effect" if took == total else "none took effect" if not took
            else f"{took} took effect"
        )  # fmt: skip
        if total == 1:
            effect = "took effect" if took else "did not take effect"
        parts.append(f"{words.clean(str(fault['name']), 40)} ×{total}, {effect}")
    if not parts:
        return "none" if result.spec is not None else ""
    return "; ".join(parts)


def coverage_line(result: Result) -> str:
    """How much was really judged."""
    stats = result.stats
    parts = [
        f"{stats.ok:,} ok",
        f"{stats.fail:,} failed",
        f"{stats.info:,} unknown",
        f"{result.verdict.judged:,} judged",
    ]
    if stats.conflicts:
        parts.append(f"{words.count(stats.conflicts, 'pair')} conflicted at the same time")
    if stats.handovers is not None:
        parts.append(words.count(stats.handovers, "handover"))
    if stats.deadlocks:
        parts.append(f"{words.count(stats.deadlocks, 'deadlock')} resolved by the server")
    return " · ".join(parts)


def _errors(result: Result) -> str:
    said = [f"{n:,} × {words.clean(error, 80)}" for error, n in result.stats.errors.items()]
    return " · ".join(said)


def _warnings(result: Result) -> str:
    stats = result.stats
    left = [
        f"{words.clean(f, 40)} answered ok and left a transaction open {n:,} times"
        for f, n in stats.left_open.items()
    ]
    doubtful = [
        f"{n:,} ok of a doubtful kind: {words.clean(w, 80)}" for w, n in stats.suspicious.items()
    ]
    return "; ".join(left + doubtful)


def _look(result: Result, report: Path | None) -> str:
    page = report or (result.folder / store.REPORT if result.folder else None)
    if page is None or (report is None and not page.is_file()):
        return ""
    return repro.shown_path(page) + ("#anomaly-1" if result.verdict.anomalies else "")


def repeat_lines(result: Result) -> list[tuple[str, str]]:
    """The lines that repeat a result, each with its label."""
    lines = []
    if result.folder is not None:
        lines.append(("check again (exact)", repro.check_line(result.folder)))
    if result.spec is not None:
        lines.append(("run again (may differ)", repro.command_line(result.spec)))
    return lines


def advise(remedy: Remedy, anomaly: str) -> str:
    """What to change, in the workload's words; nothing when nobody can say."""
    try:
        text = remedy(anomaly) if callable(remedy) else remedy
    except Exception:
        return ""
    return words.clean(text or "", 1000)


def _fact(label: str, text: str, width: int) -> Text:
    room = max(width - _LABEL - 2, 20)
    lines = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
    body = ("\n" + " " * (_LABEL + 2)).join(lines)
    return Text.assemble("  ", (f"{label:<{_LABEL}}", "dim"), body)


def _paragraph(text: str, width: int, *, hang: int = 0, style: str = "") -> Text:
    """Text set in by two columns, its further lines by `hang` more."""
    first, rest = "  ", " " * (2 + hang)
    lines = textwrap.wrap(text, max(width - 1, 20), initial_indent=first, subsequent_indent=rest)
    return Text("\n".join(lines), style=style)


def _others(result: Result, console: Console) -> None:
    for number, anomaly in enumerate(result.verdict.anomalies[1:4], start=2):
        text = f"{number}. {names.counted(anomaly.type, anomaly.count)}: "
        console.print()
        console.print(_paragraph(text + words.clean(anomaly.sentence, 400), console.width, hang=3))


# --- the first anomaly ---------------------------------------------------------------------------


def explain(anomaly: Anomaly, result: Result, history: History, *, width: int) -> RenderableType:
    """An anomaly's sentence and its picture, for `width` columns."""
    trace = result.folder / store.TRACE if result.folder else None
    drawn = picture(anomaly, history, trace=trace, faults=result.faults)
    parts: list[RenderableType] = [
        _paragraph(f"{names.noun(anomaly.type)}: {words.clean(anomaly.sentence, 1000)}", width),
        Text(),
    ]
    parts += _pictures(drawn, width)
    return Group(*parts)


def _pictures(drawn: Picture, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if drawn.prefix is not None and drawn.prefix.states:
        parts.append(_prefix(drawn.prefix))
    if drawn.ladder is not None:
        parts.append(ladder_table(drawn.ladder, width=width))
        parts += [
            _paragraph(f"({arrow.number}) {arrow.sentence}", width, hang=4)
            for arrow in drawn.ladder.arrows
        ]
    if drawn.lanes is not None:
        parts.append(_overlap(drawn.lanes))
    parts += [Text(f"  warning: {text}", style="yellow") for text in drawn.warnings]
    return parts


def _prefix(prefix: Prefix) -> Text:
    of = f" of {prefix.key}" if prefix.key else ""
    states = ", ".join(prefix.states)
    return Text(f"  possible values{of} just before: {states}\n")


def _overlap(lanes: Lanes) -> Text:
    if lanes.overlap is None:
        return Text()
    first, last = lanes.overlap
    return Text(
        f"  {lanes.name} was held twice for {words.span(last - first)}, "
        f"from {words.moment(first)} to {words.moment(last)}"
    )


def ladder_table(ladder: Ladder, *, width: int) -> RenderableType:
    """The ladder as a table; a list of lines where the columns would be too narrow."""
    columns = len(ladder.columns)
    room = (width - 14) // max(columns, 1)
    if columns > 1 and room < 20:
        return _lines(ladder, width)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    head = "  after" if ladder.timed else "event"
    table.add_column(head, justify="right", style="dim", no_wrap=True, width=10)
    for column in ladder.columns:
        table.add_column(column.title, no_wrap=True, overflow="fold", max_width=max(room, 20))
    for number, row in enumerate(ladder.rows):
        cells = [Text("") for _ in range(columns)]
        cells[max(row.column, 0)] = _cell(row, _numbers(ladder, number), max(room, 20) - 2)
        table.add_row(ladder.when(row), *cells)
    return table


def _lines(ladder: Ladder, width: int) -> RenderableType:
    """One line after another, each with its process: for narrow terminals and many processes."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=10, justify="right", style="dim", no_wrap=True)
    grid.add_column(width=11, no_wrap=True, style="cyan")
    grid.add_column(no_wrap=True, overflow="fold")
    for number, row in enumerate(ladder.rows):
        who = ladder.columns[row.column].title if row.column >= 0 else "nemesis"
        body = _cell(row, _numbers(ladder, number), max(width - 25, 20))
        grid.add_row(ladder.when(row), Text(who), body)
    return grid


def _numbers(ladder: Ladder, index: int) -> str:
    found = [arrow.number for arrow in ladder.arrows if index in (arrow.source, arrow.target)]
    return "".join(f" ({number})" for number in found)


def _cell(row: Row, numbers: str, width: int) -> Text:
    """A row's text, wrapped to `width` with its continuation lines set in."""
    lines = _wrapped(_line(row) + numbers, width, row)
    note = textwrap.wrap(f"^ {row.note}", width - 4) if row.note else []
    style = "bold red" if row.guilty else _ROW_STYLES.get(row.kind, "")
    text = Text("\n".join(lines), style=style)
    for line in note:
        text.append(f"\n    {line}", style="red")
    return text


_ROW_STYLES: Final = {"call": "bold", "whole": "bold", "event": "magenta", "gap": "dim"}


def _wrapped(text: str, width: int, row: Row) -> list[str]:
    inner = row.kind in ("step", "sent", "got", "gap")
    first = "✖ " if row.guilty else "  " if inner else ""
    return textwrap.wrap(
        first + text, width, subsequent_indent=" " * (4 if inner else 2), drop_whitespace=True,
    )  # fmt: skip


def _line(row: Row) -> str:
    """A row as plain text."""
    label = f"[{row.label}] " if row.label else ""
    got = row.got.removeprefix("→ ")
    if row.kind == "event":
        return f"~ {row.text}"
    if row.kind == "return":
        return f"ok {row.text}" if row.text.startswith("→") else row.text
    if row.kind == "sent":
        return f"{row.text} …"
    if row.kind == "got":
        return f"… after {words.span(row.took)}: {row.text} → {got}" if got else f"… {row.text}"
    return f"{label}{row.text}" + (f" → {got}" if got else "")
