"""approx-count: visits are counted by their visitors, approximately.

An estimate is within the declared error of how many different users have come; coming again
changes nothing. No strategy is built in yet.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.estimate import EstimateChecker
from ...checkers.progress import ProgressChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Answer, Ask, Checker, Script, Session
from ..session import Method, MethodSession, done, integer

_BLOCK = 100_000
"""Users are process * _BLOCK + counter: never the same twice, and small enough for an int4."""


class ApproxCount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everybody sends visitors, some of them again, and asks how many there were.

    `error`, relative, is the strategy's own promise.
    """

    name: ClassVar[str] = "approx-count"
    functions: ClassVar[frozenset[str]] = frozenset({"visit", "estimate"})
    methods: ClassVar[tuple[str, ...]] = ("visit", "estimate")
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ("error",)
    default: ClassVar[str] = ""
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {}

    error: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0405
    again: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.3
    every: Annotated[int, msgspec.Meta(ge=1)] = 20

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: nobody has come."""
        return {}

    def dry(self) -> Script:
        """One visit and one estimate, judged like all others."""
        yield Ask("visit", 1)
        yield Ask("estimate")

    def main(self, rng: random.Random, process: int) -> Script:
        """New users, a share of old ones, and an estimate now and then."""
        count = 2
        while True:
            for _ in range(self.every):
                if count > 2 and rng.random() < self.again:
                    yield Ask("visit", process * _BLOCK + rng.randrange(2, count))
                else:
                    yield Ask("visit", process * _BLOCK + count)
                    count += 1
            yield Ask("estimate")

    def final(self, worker: int, workers: int) -> Script:
        """One last estimate by each of two workers."""
        if worker < 2:
            yield Ask("estimate")

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The estimates, and progress."""
        return [EstimateChecker(error=self.error), ProgressChecker(workload=self.name)]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """There is one count; visits change it."""
        return "count", operation.f == "visit"

    def remedy(self, anomaly: str) -> str:
        """How visitors are counted once."""
        return (
            "Count users, not visits: a HyperLogLog (PFADD) or a set takes the same user twice "
            "without counting twice, and a request that is tried again does no harm."
        )


def _estimate(asked: Any, returned: Any) -> Answer:
    return Answer(type="ok", value=integer(returned, "estimate()"))


_METHODS: Mapping[str, Method] = {
    "visit": Method(lambda strategy, value: strategy.visit(value), done),
    "estimate": Method(lambda strategy, value: strategy.estimate(), _estimate),
}
