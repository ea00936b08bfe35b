"""session: each process writes keys of its own, with growing numbers, and reads everybody's.

A process is a session: it sees its own writes, sees nothing go back, and whoever sees a write sees
what its writer had written and seen before.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.progress import ProgressChecker
from ...checkers.sessions import GUARANTEES, SessionChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Ask, Checker, Script
from ...harness.protocols import Session as ClientSession
from ..session import Method, MethodSession, done, read_value

_HERE = "dokkaebi.workloads.session_.strategies"


class Session(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Writes, a share of all operations, and reads. Each process has two keys, so that its writes have an order
    that others can see. `guarantees` are those that are demanded.
    """

    name: ClassVar[str] = "session"
    functions: ClassVar[frozenset[str]] = frozenset({"write", "read"})
    methods: ClassVar[tuple[str, ...]] = ("write", "read")
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ("guarantees",)
    default: ClassVar[str] = "row"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "single"
    strategies: ClassVar[Mapping[str, str]] = {
        "row": f"{_HERE}.postgres:Row",
        "private-cache": f"{_HERE}.postgres:PrivateCache",
        "snapshot-kept-open": f"{_HERE}.postgres:SnapshotKeptOpen",
        "read-from-replica": f"{_HERE}.postgres_replicas:ReadFromReplica",
        "read-from-any-replica": f"{_HERE}.postgres_replicas:ReadFromAnyReplica",
        "pinned-after-write": f"{_HERE}.postgres_replicas:PinnedAfterWrite",
        "replica-with-token": f"{_HERE}.postgres_replicas:ReplicaWithToken",
        "key": f"{_HERE}.valkey:Key",
    }

    guarantees: Collection[str] = GUARANTEES
    write_share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: keys come into being when they are first written."""
        return {}

    def dry(self) -> Script:
        """One write and one read, of a key of its own."""
        yield Ask("write", [-1, 1])
        yield Ask("read", [-1, None])

    def main(self, rng: random.Random, process: int) -> Script:
        """Own keys are written in turn; whose keys there are is found out by reading."""
        alive = {2 * process, 2 * process + 1}
        number = 0
        while True:
            if rng.random() < self.write_share:
                number += 1
                yield Ask("write", [2 * process + number % 2, number])
                continue
            if rng.random() < 0.2:
                key = rng.randrange(max(alive) + 16)
            else:
                key = rng.choice(sorted(alive)[-16:])
            answer = yield Ask("read", [key, None])
            if answer.type == "ok" and answer.value[1] is not None:
                alive.add(key)

    def final(self, worker: int, workers: int) -> Script:
        """Nothing is read in the end: a session's guarantees end with it."""
        return
        yield

    def session(self, strategy: Any, ctx: Context) -> ClientSession:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The guarantees, and progress."""
        return [SessionChecker(guarantees=self.guarantees), ProgressChecker(workload=self.name)]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """Writes write their key."""
        return operation.asked[0], operation.f == "write"

    def remedy(self, anomaly: str) -> str:
        """How a session keeps its guarantees."""
        return (
            "Let a session read where it wrote, or let it remember the latest position (LSN, "
            "version) that it has written or read and have each read wait until the copy it asks "
            "has reached it; empty its cache with every write that it learns of."
        )


_METHODS: Mapping[str, Method] = {
    "write": Method(lambda strategy, value: strategy.write(*value), done),
    "read": Method(lambda strategy, value: strategy.read(value[0]), read_value),
}
