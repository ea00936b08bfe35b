"""A suite: cases with what must be found of them, read from TOML, and the cells they are made of.

A case is one strategy in one place; a cell is a case under one fault. Whatever makes no sense is
refused here, before anything runs.
"""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..checkers.anomalies import define
from ..checkers.levels import named
from ..harness.choosing import Wish, choose, param_text
from ..harness.errors import UsageError
from ..harness.spec import parse_duration

SEEDS = (1,)
"""What is run where a suite names no seeds."""

BUDGET = "60s"
"""How long a cell looks for an anomaly that must be caught, in all."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", omit_defaults=True):
    """What a case, or the suite for all of its cases, may say of its runs."""

    time: str | None = None
    seeds: tuple[int, ...] | int | None = None
    budget: str | None = None
    """How long a cell tries further seeds for what must be caught."""
    workers: int | None = None
    processes: int | None = None
    every: str | None = None
    for_: str | None = msgspec.field(default=None, name="for")
    op_timeout: str | None = None
    provider: str | None = None
    dsn: tuple[str, ...] | None = None


class Case(Settings, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """One strategy in one place. `must_hold` is true, or the level that must hold; `known` are
    anomalies that are put up with, each with its reason; `must_catch` those that must be found."""

    name: str
    workload: str | None = None
    strategy: str | None = None
    on: str | None = None
    isolation: str | None = None
    faults: tuple[str, ...] | None = None
    level: str | None = None
    params: dict[str, Any] = {}
    rate: float | None = None
    keys: int | None = None
    require_progress: bool = False
    must_hold: bool | str = False
    known: dict[str, str] = {}
    must_catch: tuple[str, ...] = ()


class Header(Settings, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """The `[suite]` table."""

    name: str | None = None


NOTHING = Header()
HERE = Path()


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    suite: Header = Header()
    case: tuple[Case, ...] = ()


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A case under one fault: what is run, with which seeds, and what must come of it.

    Where something must be caught, seeds go on after those named until `budget` (ns) is used up.
    """

    case: str
    fault: str
    wish: Wish
    seeds: tuple[int, ...]
    budget: int
    must_hold: str | None = None
    known: dict[str, str] = {}
    must_catch: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`case/fault`."""
        return f"{self.case}/{self.fault}"


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """The cells of a suite, and where the suite was written down (None: it is built in)."""

    name: str
    cells: tuple[Cell, ...]
    path: Path | None = None


def load_suite(path: Path) -> Suite:
    """Read a suite file; `UsageError` names what is wrong with it."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no suite file {str(path)!r}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    try:
        document = msgspec.convert(raw, _Document)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: {_named(str(error), raw)}") from None
    if not document.case:
        raise UsageError(f"{path}: a suite has cases: [[case]] with a name and a strategy")
    _check_twice(path, document.case)
    cells = [cell for case in document.case for cell in _cells(case, document.suite, path)]
    return Suite(name=document.suite.name or path.stem, cells=tuple(cells), path=path)


def only(suite: Suite, patterns: Sequence[str]) -> Suite:
    """The cells whose name, or whose case's name, fits one of the patterns."""
    if not patterns:
        return suite
    chosen = tuple(
        cell
        for cell in suite.cells
        if any(fnmatch.fnmatchcase(text, p) for p in patterns for text in (cell.name, cell.case))
    )
    if not chosen:
        names = dict.fromkeys(cell.case for cell in suite.cells)
        raise UsageError(
            f"--only {' '.join(patterns)} fits no cell of {suite.name}; its cases are "
            f"{', '.join(names)}"
        )
    return msgspec.structs.replace(suite, cells=chosen)


def with_seeds(suite: Suite, seeds: int | None) -> Suite:
    """The suite with so many seeds for each cell, counted from 1."""
    if seeds is None:
        return suite
    every = tuple(range(1, seeds + 1))
    cells = tuple(msgspec.structs.replace(cell, seeds=every) for cell in suite.cells)
    return msgspec.structs.replace(suite, cells=cells)


def _named(message: str, raw: Any) -> str:
    """A validation error with the name of the case in place of its number."""
    head, _, where = message.partition(" - at `$.case[")
    number = where.partition("]")[0]
    cases = raw.get("case", [])
    if not number.isdecimal() or not isinstance(cases, list) or int(number) >= len(cases):
        return message.replace(" - at `$", ", at `")
    name = cases[int(number)].get("name", f"number {int(number) + 1}")
    field = where.partition("]")[2].rstrip("`").lstrip(".")
    return f"case {name!r}: {head}" + (f", at {field}" if field else "")


def _check_twice(path: Path, cases: Iterable[Case]) -> None:
    seen: set[str] = set()
    for case in cases:
        if case.name in seen:
            raise UsageError(f"{path}: two cases are called {case.name!r}")
        seen.add(case.name)


def _cells(case: Case, header: Header, path: Path) -> Iterator[Cell]:
    try:
        yield from cells_of(case, header, folder=path.parent)
    except UsageError as error:
        raise UsageError(f"{path}: case {case.name!r}: {error}") from None


def cells_of(case: Case, header: Settings = NOTHING, *, folder: Path = HERE) -> Iterator[Cell]:
    """The cells of a case, one for each of its faults; paths are relative to `folder`."""
    if bool(case.must_hold) == bool(case.must_catch):
        raise UsageError(
            'say what must come of it: either must-hold = true (or a level) or must-catch = ["…"]'
        )
    if case.known and case.must_catch:
        raise UsageError("known anomalies belong to must-hold, not to must-catch")
    for anomaly in (*case.known, *case.must_catch):
        define(anomaly)
    for anomaly, reason in case.known.items():
        if not reason.strip():
            raise UsageError(f"known anomaly {anomaly}: a reason is required")
    wish = _wish(case, header, folder)
    _, chosen = choose(msgspec.structs.replace(wish, faults=["none"]))
    faults = case.faults
    if faults is None:
        faults = tuple(getattr(chosen.strategy, "faults", ())) or ("none",)
    for fault in faults:
        told = msgspec.structs.replace(wish, faults=[fault])
        choose(told)
        yield Cell(
            case=case.name,
            fault=fault,
            wish=told,
            seeds=_seeds(_either(case.seeds, header.seeds)),
            budget=parse_duration(_either(case.budget, header.budget) or BUDGET),
            must_hold=_promise(case),
            known=case.known,
            must_catch=case.must_catch,
        )


def _promise(case: Case) -> str | None:
    if not case.must_hold:
        return None
    return case.must_hold if isinstance(case.must_hold, str) else "its promise"


def _wish(case: Case, header: Settings, folder: Path) -> Wish:
    level = case.must_hold if isinstance(case.must_hold, str) else case.level
    if isinstance(case.must_hold, str) and case.level not in (None, case.must_hold):
        raise UsageError(f"must-hold = {case.must_hold!r} and level = {case.level!r}: say one")
    if level is not None:
        level = named(level).name
    given: dict[str, Any] = {
        "target": case.workload,
        "strategy": _placed(case.strategy, folder),
        "on": case.on,
        "isolation": case.isolation,
        "level": level,
        "rate": case.rate,
        "keys": case.keys,
        "require_progress": case.require_progress,
        "params": {name: param_text(value) for name, value in case.params.items()},
    }
    for name in ("workers", "processes", "provider", "dsn"):
        value = _either(getattr(case, name), getattr(header, name))
        if value is not None:
            given[name] = value
    for name, field in (
        ("time", "time"),
        ("every", "every"),
        ("for_", "lasts"),
        ("op_timeout", "op_timeout"),
    ):
        duration = _either(getattr(case, name), getattr(header, name))
        if duration is not None:
            given[field] = parse_duration(duration)
    return Wish(**given)


def _either(own: Any, shared: Any) -> Any:
    return shared if own is None else own


def _placed(strategy: str | None, folder: Path) -> str | None:
    """A strategy's file is named from where the suite file lies."""
    if strategy is None:
        return None
    file, colon, name = strategy.partition(":")
    if not file.endswith(".py"):
        return strategy
    return f"{folder / file}{colon}{name}"


def _seeds(given: tuple[int, ...] | int | None) -> tuple[int, ...]:
    if given is None:
        return SEEDS
    if isinstance(given, int):
        given = tuple(range(1, given + 1))
    if not given:
        raise UsageError("seeds is a list of numbers, or how many from 1 on; it cannot be empty")
    return given
