"""register: reads, writes and compare-and-set of a few keys; linearizable key by key."""

from __future__ import annotations

import itertools
import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.linearizable import LinearizableChecker
from ...checkers.models import CasRegister
from ...checkers.progress import ProgressChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Ask, Checker, Script, Session
from ..session import Method, MethodSession, done, read_value, yes_or_no

_HERE = "dokkaebi.workloads.register.strategies"
_BLOCK = 10_000_000
"""Written values are process * _BLOCK + counter: never the same twice."""


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`keys` registers that start at `start`: reads, writes and cas in equal parts."""

    name: ClassVar[str] = "register"
    functions: ClassVar[frozenset[str]] = frozenset({"read", "write", "cas"})
    methods: ClassVar[tuple[str, ...]] = ("read", "write", "cas")
    levels: ClassVar[tuple[str, ...]] = ("linearizable",)
    traits: ClassVar[tuple[str, ...]] = ()
    default: ClassVar[str] = "row"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {
        "row": f"{_HERE}.postgres:Row",
        "own-cache": f"{_HERE}.postgres:OwnCache",
        "row-mariadb": f"{_HERE}.mariadb:Row",
        "semisync-after-sync": f"{_HERE}.mariadb:SemisyncAfterSync",
        "semisync-after-commit": f"{_HERE}.mariadb:SemisyncAfterCommit",
        "key": f"{_HERE}.valkey:Key",
        "etcd-key": f"{_HERE}.etcd:EtcdKey",
        "znode": f"{_HERE}.zookeeper:Znode",
    }

    keys: Annotated[int, msgspec.Meta(ge=1)] = 4
    start: int = 0

    def initial(self) -> Mapping[Any, Any]:
        """Keys 0 to `keys`-1, and one more for the dry run."""
        return dict.fromkeys(range(self.keys + 1), self.start)

    def dry(self) -> Script:
        """Each method once, on the dry key."""
        yield Ask("write", [self.keys, 1])
        yield Ask("cas", [self.keys, [1, 2]])
        yield Ask("read", [self.keys, None])

    def main(self, rng: random.Random, process: int) -> Script:
        """A cas expects what this process last saw of the key."""
        fresh = itertools.count(process * _BLOCK + 1)
        seen: dict[int, Any] = {}
        while True:
            key, kind = rng.randrange(self.keys), rng.choice(("read", "write", "cas"))
            if kind == "read":
                answer = yield Ask("read", [key, None])
                if answer.type == "ok":
                    seen[key] = answer.value[1]
            else:
                new = next(fresh)
                asked = new if kind == "write" else [seen.get(key, self.start), new]
                answer = yield Ask(kind, [key, asked])
                if answer.type == "ok":
                    seen[key] = new

    def final(self, worker: int, workers: int) -> Script:
        """Each key is read by one worker."""
        for key in range(worker, self.keys, workers):
            yield Ask("read", [key, None])

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """Linearizable per key, and progress."""
        return [
            LinearizableChecker(CasRegister(initial=self.start), keyed=True),
            ProgressChecker(workload=self.name),
        ]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """Writes and cas write their key."""
        return operation.asked[0], operation.f != "read"

    def remedy(self, anomaly: str) -> str:
        """How a register is mended."""
        return (
            "Read from where the writes go, every time: an answer from a cache, a replica or an "
            "older snapshot can be out of date by the time it is given. Compare and set in one "
            "statement (UPDATE ... WHERE value = old) or one script."
        )


_METHODS: Mapping[str, Method] = {
    "read": Method(lambda strategy, value: strategy.read(value[0]), read_value),
    "write": Method(lambda strategy, value: strategy.write(*value), done),
    "cas": Method(lambda strategy, value: strategy.cas(value[0], *value[1]), yes_or_no),
}
