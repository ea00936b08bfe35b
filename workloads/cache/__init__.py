"""cache: keys are written at their source and read through a cache.

At rest the cache agrees with its source; no read is older than is declared, where a bound is. No
strategy is built in yet.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.progress import ProgressChecker
from ...checkers.staleness import StalenessChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Ask, Checker, Script, Session
from ..session import Method, MethodSession, done, read_value

_BLOCK = 100_000
"""Values are process * _BLOCK + counter: never the same twice, and small enough for an int4."""

_BACK = 2
"""Generations of keys after which a key is out of use, unless a process is far behind."""

DRY_KEY = -1


class Cache(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everybody reads and writes the same few keys, `every` times, and then goes on to others; at
    those that are out of use cache and source are compared.

    `bound` (seconds that a read may be out of date) is the strategy's own promise; without one only
    what is there at rest is judged.
    """

    name: ClassVar[str] = "cache"
    functions: ClassVar[frozenset[str]] = frozenset({"read", "write", "source"})
    methods: ClassVar[tuple[str, ...]] = ("read", "write", "source")
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ("bound",)
    default: ClassVar[str] = ""
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {}

    bound: Annotated[float, msgspec.Meta(ge=0)] | None = None
    keys: Annotated[int, msgspec.Meta(ge=1)] = 4
    write_share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.2
    every: Annotated[int, msgspec.Meta(ge=1)] = 40

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: keys come into being when they are first written."""
        return {}

    def dry(self) -> Script:
        """One write, one read and one look at the source, of a key of its own."""
        yield Ask("write", [DRY_KEY, 1])
        yield Ask("read", [DRY_KEY, None])
        yield Ask("source", [DRY_KEY, None])

    def main(self, rng: random.Random, process: int) -> Script:
        """Reads, and a share of writes, of some keys and then of others; a look back at the old ones.

        A key that is written for ever is mended by the next write: what was left wrong shows
        at keys that are out of use.
        """
        count = 1
        for generation in itertools.count():
            for _ in range(self.every):
                key = generation * self.keys + rng.randrange(self.keys)
                if rng.random() < self.write_share:
                    count += 1
                    yield Ask("write", [key, process * _BLOCK + count])
                else:
                    yield Ask("read", [key, None])
            if generation >= _BACK:
                key = (generation - _BACK) * self.keys + rng.randrange(self.keys)
                yield Ask("read", [key, None])
                yield Ask("source", [key, None])

    def final(self, worker: int, workers: int) -> Script:
        """A key of each generation is read through the cache and at its source."""
        unwritten = 0
        for generation in itertools.count():
            key = generation * self.keys + worker % self.keys
            yield Ask("read", [key, None])
            answer = yield Ask("source", [key, None])
            if answer is None or answer.type != "ok":
                return
            unwritten = 0 if answer.value[1] is not None else unwritten + 1
            if unwritten > _BACK:
                return

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """How old reads are, what is there at rest, and progress."""
        return [StalenessChecker(bound=self.bound), ProgressChecker(workload=self.name)]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """Writes write their key."""
        return operation.asked[0], operation.f == "write"

    def remedy(self, anomaly: str) -> str:
        """How a cache is kept from what is out of date."""
        return (
            "Let nothing older overwrite what is newer: store a version with each value and set only "
            "what is greater (a Lua script), or take a lease with the miss and let the write end it; "
            "and give every entry a time to live, which bounds what still goes wrong."
        )


_METHODS: Mapping[str, Method] = {
    "write": Method(lambda strategy, value: strategy.write(*value), done),
    "read": Method(lambda strategy, value: strategy.read(value[0]), read_value),
    "source": Method(lambda strategy, value: strategy.source(value[0]), read_value),
}
