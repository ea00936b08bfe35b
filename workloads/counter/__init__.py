"""counter: workers add to a few counters and read them; no acknowledged add may be lost.

Every read lies between the sums of acknowledged and attempted adds, and the final read is the
acknowledged sum plus some of the indeterminate adds.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.counter import CounterChecker
from ...checkers.progress import ProgressChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Answer, Ask, Checker, Script, Session
from ..session import Method, MethodSession, integer

_HERE = "dokkaebi.workloads.counter.strategies"


class Counter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`keys` counters that start at `start`; a tenth of the operations are reads."""

    name: ClassVar[str] = "counter"
    functions: ClassVar[frozenset[str]] = frozenset({"add", "read"})
    methods: ClassVar[tuple[str, ...]] = ("add", "read")
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ()
    default: ClassVar[str] = "update-in-place"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {
        "select-then-update": f"{_HERE}.postgres:SelectThenUpdate",
        "update-in-place": f"{_HERE}.postgres:UpdateInPlace",
        "advisory-lock-first": f"{_HERE}.postgres:AdvisoryLockFirst",
        "advisory-lock-in-the-statement": f"{_HERE}.postgres:AdvisoryLockInTheStatement",
        "advisory-lock-through-pooler": f"{_HERE}.postgres_pooler:AdvisoryLockThroughPooler",
        "advisory-lock-with-the-pooled-read": (
            f"{_HERE}.postgres_pooler:AdvisoryLockWithThePooledRead"
        ),
        "repeatable-read-retry": f"{_HERE}.postgres:RepeatableReadRetry",
        "for-update": f"{_HERE}.postgres:ForUpdate",
        "for-update-on-most-paths": f"{_HERE}.postgres:ForUpdateOnMostPaths",
        "for-update-autocommit": f"{_HERE}.postgres:ForUpdateAutocommit",
        "optimistic-version": f"{_HERE}.postgres:OptimisticVersion",
        "version-compared-in-app": f"{_HERE}.postgres:VersionComparedInApp",
        "version-without-row-count": f"{_HERE}.postgres:VersionWithoutRowCount",
        "retry-with-the-old-value": f"{_HERE}.postgres:RetryWithTheOldValue",
        "retry-in-the-same-snapshot": f"{_HERE}.postgres:RetryInTheSameSnapshot",
        "timestamp-as-version": f"{_HERE}.postgres:TimestampAsVersion",
        "optimistic-version-sqlite": f"{_HERE}.sqlite:OptimisticVersion",
        "version-compared-in-app-sqlite": f"{_HERE}.sqlite:VersionComparedInApp",
        "select-then-update-mariadb": f"{_HERE}.mariadb:SelectThenUpdate",
        "select-then-update-repeatable-read": f"{_HERE}.mariadb:SelectThenUpdateRepeatableRead",
        "snapshot-isolation-retry": f"{_HERE}.mariadb:SnapshotIsolationRetry",
        "update-in-place-mariadb": f"{_HERE}.mariadb:UpdateInPlace",
        "for-update-mariadb": f"{_HERE}.mariadb:ForUpdate",
        "for-update-on-one-path": f"{_HERE}.mariadb:ForUpdateOnOnePath",
        "for-update-autocommit-mariadb": f"{_HERE}.mariadb:ForUpdateAutocommit",
        "optimistic-version-mariadb": f"{_HERE}.mariadb:OptimisticVersion",
        "version-compared-in-app-mariadb": f"{_HERE}.mariadb:VersionComparedInApp",
        "version-without-row-count-mariadb": f"{_HERE}.mariadb:VersionWithoutRowCount",
        "retry-without-reread": f"{_HERE}.mariadb:RetryWithoutReread",
        "optimistic-version-in-one-snapshot": f"{_HERE}.mariadb:OptimisticVersionInOneSnapshot",
        "updated-at-as-version": f"{_HERE}.mariadb:UpdatedAtAsVersion",
        "version-without-row-count-sqlite": f"{_HERE}.sqlite:VersionWithoutRowCount",
        "retry-with-the-old-value-sqlite": f"{_HERE}.sqlite:RetryWithTheOldValue",
        "timestamp-as-version-sqlite": f"{_HERE}.sqlite:TimestampAsVersion",
        "multi-without-watch": f"{_HERE}.valkey:MultiWithoutWatch",
        "watch-multi": f"{_HERE}.valkey:WatchMulti",
    }

    keys: Annotated[int, msgspec.Meta(ge=1)] = 4
    start: int = 0
    read_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1

    def initial(self) -> Mapping[Any, Any]:
        """Keys 0 to `keys`-1, and one more for the dry run."""
        return dict.fromkeys(range(self.keys + 1), self.start)

    def dry(self) -> Script:
        """Add and read once, on the dry key."""
        yield Ask("add", [self.keys, 1])
        yield Ask("read", [self.keys, None])

    def main(self, rng: random.Random, process: int) -> Script:
        """Adds of 1 to 5, and reads, of keys drawn evenly."""
        while True:
            key = rng.randrange(self.keys)
            if rng.random() < self.read_share:
                yield Ask("read", [key, None])
            else:
                yield Ask("add", [key, rng.randint(1, 5)])

    def final(self, worker: int, workers: int) -> Script:
        """Each key is read by one worker."""
        for key in range(worker, self.keys, workers):
            yield Ask("read", [key, None])

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The sums, and progress."""
        return [CounterChecker(initial=self.start), ProgressChecker(workload=self.name)]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """Adds write their key."""
        return operation.asked[0], operation.f == "add"

    def remedy(self, anomaly: str) -> str:
        """How a counter is mended."""
        if anomaly == "livelock":
            return (
                "Roll the whole transaction back before you try again: at repeatable read a "
                "snapshot lasts as long as its transaction, and in it nothing ever changes."
            )
        return (
            "Let the database do the arithmetic (UPDATE ... SET n = n + 1), or lock the row while "
            "you compute (SELECT ... FOR UPDATE in the same transaction), or update only if the "
            "version is still the one you read (WHERE version = ...) and read again when it is not."
        )


def _added(asked: Any, returned: Any) -> Answer:
    if returned is None or isinstance(returned, bool):
        return Answer(type="ok")
    return Answer(type="ok", result=integer(returned, "add(key, delta)"))


def _read(asked: Any, returned: Any) -> Answer:
    value = 0 if returned is None else integer(returned, "read(key)")
    return Answer(type="ok", value=[asked[0], value])


_METHODS: Mapping[str, Method] = {
    "add": Method(lambda strategy, value: strategy.add(*value), _added),
    "read": Method(lambda strategy, value: strategy.read(value[0]), _read),
}
