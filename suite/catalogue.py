"""The built-in suite: every strategy in the code, held to the verdict that it declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..harness.choosing import Wish, choose
from ..harness.faults import shortest
from ..harness.plugins import strategies
from ..harness.spec import parse_duration
from .cases import Case, Cell, Suite, cells_of

BRIEF = "3s"
"""How long a strategy runs in a cell where that is enough; all others take as long as usual."""

BUDGET = "3m"
"""How long a violation is looked for: the slowest clusters take a minute for a run."""


def catalogue() -> Suite:
    """The suite `catalogue`."""
    return Suite(name="catalogue", cells=tuple(_cells()))


def _cells() -> Iterator[Cell]:
    for name, strategy in strategies().items():
        yield from cells_of(case_of(name, strategy))


def case_of(name: str, strategy: type[Any]) -> Case:
    """The case that a strategy's own declaration makes."""
    time = _time(name, strategy)
    if strategy.expect == "safe":
        known = getattr(strategy, "known", None) or {}
        return Case(name=name, strategy=name, must_hold=True, known=dict(known), time=time)
    return Case(
        name=name,
        strategy=name,
        must_catch=(strategy.anomaly,),
        budget=BUDGET,
        require_progress=strategy.expect == "live",
        time=time,
    )


def _time(name: str, strategy: type[Any]) -> str | None:
    """What is enough: BRIEF, but not for clusters, locks, a lack of progress or long faults."""
    slow = strategy.workload == "lock" or strategy.expect == "live"
    if slow or ":" in "".join(strategy.needs):
        return None
    faults = getattr(strategy, "faults", ())
    specs = [choose(Wish(strategy=name, faults=[fault]))[0] for fault in faults]
    most = max((shortest(len(spec.faults), spec.lasts) for spec in specs), default=0)
    return BRIEF if most <= parse_duration(BRIEF) else None
