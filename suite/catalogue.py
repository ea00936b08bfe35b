"""The built-in suite: every strategy in the code, held to the verdict that it declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..harness.plugins import strategies
from .cases import Case, Cell, Suite, cells_of

BRIEF = "3s"
"""How long a safe strategy on single servers runs in a cell; all others take as long as usual."""

BUDGET = "3m"
"""How long a violation is looked for: the slowest clusters take a minute for a run."""

LEASED = ("lock",)
"""Workloads whose faults last longer than a lease, and which take their time."""


def catalogue() -> Suite:
    """The suite `catalogue`."""
    return Suite(name="catalogue", cells=tuple(_cells()))


def _cells() -> Iterator[Cell]:
    for name, strategy in strategies().items():
        yield from cells_of(case_of(name, strategy))


def case_of(name: str, strategy: type[Any]) -> Case:
    """The case that a strategy's own declaration makes."""
    if strategy.expect == "safe":
        known = getattr(strategy, "known", None) or {}
        return Case(
            name=name, strategy=name, must_hold=True, known=dict(known), time=_time(strategy)
        )
    return Case(
        name=name,
        strategy=name,
        must_catch=(strategy.anomaly,),
        budget=BUDGET,
        require_progress=strategy.expect == "live",
    )


def _time(strategy: type[Any]) -> str | None:
    clustered = ":" in "".join(strategy.needs)
    return None if clustered or strategy.workload in LEASED else BRIEF
