"""long-fork: each key is written once; reads of several keys must agree which came first.

No two reads order two writes differently.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.long_fork import LongForkChecker
from ...checkers.progress import ProgressChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Answer, Ask, Checker, Script, Session
from ..session import Method, MethodSession, done, plain_value

_HERE = "dokkaebi.workloads.long_fork.strategies"

DRY_KEY = -1


class LongFork(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Groups of `keys` keys, one after another: everybody writes one of the group and reads it
    until all of it is written. A key may be written by several, always with the value 1.
    """

    name: ClassVar[str] = "long-fork"
    functions: ClassVar[frozenset[str]] = frozenset({"write", "read"})
    methods: ClassVar[tuple[str, ...]] = ("write", "read")
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ()
    default: ClassVar[str] = "one-statement"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {
        "one-statement": f"{_HERE}.postgres:OneStatement",
        "one-by-one": f"{_HERE}.postgres:OneByOne",
        "primary-only": f"{_HERE}.postgres_replicas:PrimaryOnly",
        "primary-and-replica": f"{_HERE}.postgres_replicas:PrimaryAndReplica",
        "mget": f"{_HERE}.valkey:Mget",
    }

    keys: Annotated[int, msgspec.Meta(ge=2)] = 3
    write_share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.2

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: no key is written at first."""
        return {}

    def dry(self) -> Script:
        """One write and one read, of a key of its own."""
        yield Ask("write", [["w", DRY_KEY, 1]])
        yield Ask("read", [["r", DRY_KEY, None]])

    def main(self, rng: random.Random, process: int) -> Script:
        """Writes and reads of the group at hand; a full one is left, many full ones are skipped."""
        group, step = 0, 1
        while True:
            keys = [group * self.keys + i for i in range(self.keys)]
            if rng.random() < self.write_share:
                yield Ask("write", [["w", rng.choice(keys), 1]])
                step = 1
                continue
            rng.shuffle(keys)
            answer = yield Ask("read", [["r", key, None] for key in keys])
            if answer.type == "ok" and all(value is not None for _, _, value in answer.value):
                group, step = group + step, min(2 * step, 64)
            else:
                step = 1

    def final(self, worker: int, workers: int) -> Script:
        """Nothing is read in the end: all is written by then, and nobody can disagree."""
        return
        yield

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The order of the writes, and progress."""
        return [LongForkChecker(), ProgressChecker(workload=self.name)]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """All keys of a group belong together; writes write it."""
        key = operation.asked[0][1]
        return (key // self.keys if type(key) is int else key), operation.f == "write"

    def remedy(self, anomaly: str) -> str:
        """How forks are kept away."""
        return (
            "Read what belongs together in one snapshot of one copy: one statement, or one "
            "transaction at repeatable read, and not one half of it from a replica."
        )


def _values(asked: Any, returned: Any) -> Answer:
    if not isinstance(returned, list | tuple) or len(returned) != len(asked):
        raise TypeError(f"read(keys) must answer one value for each key, not {returned!r}")
    found = zip(asked, returned, strict=True)
    return Answer(type="ok", value=[["r", key, plain_value(value)] for (_, key, _), value in found])


_METHODS: Mapping[str, Method] = {
    "write": Method(lambda strategy, value: strategy.write(value[0][1]), done),
    "read": Method(lambda strategy, value: strategy.read([key for _, key, _ in value]), _values),
}
