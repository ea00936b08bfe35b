"""set: workers add elements to one set and read all of it; it only grows.

No acknowledged element is lost, none is invented. A read that is late is told, and is a violation
where linearizable is demanded.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.progress import ProgressChecker
from ...checkers.set_full import SetFullChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Answer, Ask, Checker, Script, Session
from ..session import Method, MethodSession, done, plain_value

_HERE = "dokkaebi.workloads.set_.strategies"
_BLOCK = 10_000_000
"""Elements are process * _BLOCK + counter: never the same twice."""

_GROWTH = 32
"""A process reads the set again when it has added a 32nd of what it last saw."""


class Set(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Adds of elements that are never repeated; reads grow rare as the set grows.

    `level` is none, or `linearizable`: then a read must not be late.
    """

    name: ClassVar[str] = "set"
    functions: ClassVar[frozenset[str]] = frozenset({"add", "read"})
    methods: ClassVar[tuple[str, ...]] = ("add", "members")
    levels: ClassVar[tuple[str, ...]] = ("linearizable",)
    traits: ClassVar[tuple[str, ...]] = ()
    default: ClassVar[str] = "insert"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {
        "insert": f"{_HERE}.postgres:Insert",
        "conflict-swallowed": f"{_HERE}.postgres:ConflictSwallowed",
        "asynchronous-commit": f"{_HERE}.postgres:AsynchronousCommit",
        "insert-synced": f"{_HERE}.postgres:InsertSynced",
        "async-failover": f"{_HERE}.postgres_replicas:AsyncFailover",
        "sync-failover": f"{_HERE}.postgres_replicas:SyncFailover",
        "split-brain": f"{_HERE}.postgres_replicas:SplitBrain",
        "commit-wait-cancelled": f"{_HERE}.postgres_replicas:CommitWaitCancelled",
        "commit-warning-ignored": f"{_HERE}.postgres_replicas:CommitWarningIgnored",
        "insert-mariadb": f"{_HERE}.mariadb:Insert",
        "insert-unflushed": f"{_HERE}.mariadb:InsertUnflushed",
        "insert-synced-mariadb": f"{_HERE}.mariadb:InsertSynced",
        "insert-synced-each-second": f"{_HERE}.mariadb:InsertSyncedEachSecond",
        "async-failover-mariadb": f"{_HERE}.mariadb_replicas:AsyncFailover",
        "semisync-failover": f"{_HERE}.mariadb_replicas:Semisync",
        "semisync-wait-cancelled": f"{_HERE}.mariadb_replicas:SemisyncWaitCancelled",
        "async-replication": f"{_HERE}.valkey_replicas:AsyncReplication",
        "wait-elsewhere": f"{_HERE}.valkey_replicas:WaitElsewhere",
        "async-failover-valkey": f"{_HERE}.valkey_replicas:AsyncFailover",
        "wait-here": f"{_HERE}.valkey_replicas:WaitHere",
        "wait-for-the-wrong-one": f"{_HERE}.valkey_replicas:WaitForTheWrongOne",
        "etcd-guarded": f"{_HERE}.etcd:EtcdGuarded",
        "etcd-guarded-by-client": f"{_HERE}.etcd:EtcdGuardedByClient",
        "sadd": f"{_HERE}.valkey:Sadd",
        "sadd-without-file": f"{_HERE}.valkey:SaddWithoutFile",
        "sadd-synced": f"{_HERE}.valkey:SaddSynced",
        "sadd-every-second": f"{_HERE}.valkey:SaddEverySecond",
        "members-then-set": f"{_HERE}.valkey:MembersThenSet",
    }

    every: Annotated[int, msgspec.Meta(ge=1)] = 5
    level: str | None = None

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: the set is empty at first."""
        return {}

    def dry(self) -> Script:
        """One add and one read, judged like all others."""
        yield Ask("add", 1)
        yield Ask("read")

    def main(self, rng: random.Random, process: int) -> Script:
        """A read after `every` adds, and more seldom the larger the set is."""
        fresh = itertools.count(process * _BLOCK + 1)
        size = 0
        while True:
            for _ in range(rng.randint(1, 2 * self.every) + size // _GROWTH):
                yield Ask("add", next(fresh))
            answer = yield Ask("read")
            if answer.type == "ok":
                size = len(answer.value)

    def final(self, worker: int, workers: int) -> Script:
        """One last read by each of two workers."""
        if worker < 2:
            yield Ask("read")

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The elements, and progress."""
        return [
            SetFullChecker(linearizable=self.level == "linearizable"),
            ProgressChecker(workload=self.name),
        ]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """There is one set; adds write it."""
        return "set", operation.f == "add"

    def remedy(self, anomaly: str) -> str:
        """How a set is mended."""
        return (
            "Let each add be a write of its own (one row, one SADD) that needs nothing read "
            "before, and report success only when its commit has been acknowledged: an error at "
            "COMMIT means that nothing was saved. A failover keeps only what the replica that takes "
            "over had acknowledged (synchronous commits, or WAIT on the connection that wrote), a "
            "power loss only what was synced."
        )


def elements(returned: Any, what: str) -> list[Any]:
    """What a method answered as a list; raise TypeError naming what was expected."""
    if isinstance(returned, str | bytes | Mapping) or not isinstance(returned, Iterable):
        raise TypeError(f"{what} must answer elements, not {returned!r}")
    return [plain_value(element) for element in returned]


def _read(asked: Any, returned: Any) -> Answer:
    return Answer(type="ok", value=elements(returned, "members()"))


_METHODS: Mapping[str, Method] = {
    "add": Method(lambda strategy, value: strategy.add(value), done),
    "read": Method(lambda strategy, value: strategy.members(), _read),
}
