"""unique: users claim names; of all who claim one, one is told that it is theirs.

At most one success and one row per name, and the row stays.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.progress import ProgressChecker
from ...checkers.unique import UniqueChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Answer, Ask, Checker, Script, Session
from ..session import Method, MethodSession, plain_value, yes_or_no

_HERE = "dokkaebi.workloads.unique.strategies"
_BLOCK = 100_000
"""Owners are process * _BLOCK + counter: never the same twice, and small enough for an int4."""

_FAR_BEHIND = 32
"""After so many refusals in a row a process skips ahead to where the others are."""

DRY_NAME = -1
_GROWTH = 32


class Unique(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everybody claims name after name in the same order, so that they meet at each of them."""

    name: ClassVar[str] = "unique"
    functions: ClassVar[frozenset[str]] = frozenset({"claim", "read"})
    methods: ClassVar[tuple[str, ...]] = ("claim", "claims")
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ()
    default: ClassVar[str] = "unique-index"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {
        "check-then-insert": f"{_HERE}.postgres:CheckThenInsert",
        "check-then-insert-repeatable-read": f"{_HERE}.postgres:CheckThenInsertRepeatableRead",
        "for-update-of-no-row": f"{_HERE}.postgres:ForUpdateOfNoRow",
        "unique-index": f"{_HERE}.postgres:UniqueIndex",
        "unique-with-null": f"{_HERE}.postgres:UniqueWithNull",
        "row-count-ignored": f"{_HERE}.postgres:RowCountIgnored",
        "check-then-insert-mariadb": f"{_HERE}.mariadb:CheckThenInsert",
        "for-update-of-nothing": f"{_HERE}.mariadb:ForUpdateOfNothing",
        "unique-index-mariadb": f"{_HERE}.mariadb:UniqueIndex",
        "unique-with-null-mariadb": f"{_HERE}.mariadb:UniqueWithNull",
        "insert-ignore": f"{_HERE}.mariadb:RowCountIgnored",
    }

    every: Annotated[int, msgspec.Meta(ge=1)] = 50

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: no name is taken at first."""
        return {}

    def dry(self) -> Script:
        """One claim and one read, judged like all others."""
        yield Ask("claim", [DRY_NAME, 0])
        yield Ask("read")

    def main(self, rng: random.Random, process: int) -> Script:
        """One name after another; a look at all claims now and then."""
        name, refused, step, rest, count = 0, 0, 1, self.every, 0
        while True:
            count += 1
            answer = yield Ask("claim", [name, process * _BLOCK + count])
            refused = 0 if answer.type == "ok" else refused + 1
            if refused >= _FAR_BEHIND:
                refused, step = 0, 2 * step
            elif answer.type == "ok":
                step = 1
            name += step
            rest -= 1
            if rest <= 0:
                answer = yield Ask("read")
                size = len(answer.value) if answer.type == "ok" else 0
                rest = self.every + size // _GROWTH

    def final(self, worker: int, workers: int) -> Script:
        """One last read by each of two workers."""
        if worker < 2:
            yield Ask("read")

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The claims, and progress."""
        return [UniqueChecker(), ProgressChecker(workload=self.name)]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """Claims write their name."""
        return None if operation.f == "read" else (operation.asked[0], True)

    def remedy(self, anomaly: str) -> str:
        """How names are kept unique."""
        return (
            "Let the database refuse the second one: a UNIQUE constraint (over columns that are "
            "NOT NULL, or with NULLS NOT DISTINCT), and believe its error or the row count: no row "
            "inserted means that the name is somebody else's."
        )


def _rows(asked: Any, returned: Any) -> Answer:
    rows = [list(row) if isinstance(row, list | tuple) else row for row in returned]
    if not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise TypeError(f"claims() must answer pairs of name and owner, not {returned!r}")
    return Answer(type="ok", value=[[plain_value(part) for part in row] for row in rows])


_METHODS: Mapping[str, Method] = {
    "claim": Method(lambda strategy, value: strategy.claim(*value), yes_or_no),
    "read": Method(lambda strategy, value: strategy.claims(), _rows),
}
