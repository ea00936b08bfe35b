"""ledger: requests with an id of their own are carried out, and tried again when nobody answers.

One effect for each request id, of the amount that was asked; conservation at rest.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.ledger import LedgerChecker
from ...checkers.progress import ProgressChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Answer, Ask, Checker, Script, Session
from ..session import Method, MethodSession, plain_value, yes_or_no

_HERE = "dokkaebi.workloads.ledger.strategies"
_BLOCK = 100_000
"""Requests are process * _BLOCK + counter: never the same twice, and small enough for an int4."""

_GROWTH = 32


class Ledger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everybody carries out requests; one whose outcome is unknown is tried once more."""

    name: ClassVar[str] = "ledger"
    functions: ClassVar[frozenset[str]] = frozenset({"execute", "read"})
    methods: ClassVar[tuple[str, ...]] = ("execute", "entries")
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ()
    default: ClassVar[str] = "request-id-in-the-transaction"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {
        "retry-after-lost-commit": f"{_HERE}.postgres_replicas:RetryAfterLostCommit",
        "request-id-in-the-transaction": f"{_HERE}.postgres_replicas:RequestIdInTheTransaction",
    }

    every: Annotated[int, msgspec.Meta(ge=1)] = 50
    most: Annotated[int, msgspec.Meta(ge=1)] = 100

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: the ledger is empty at first."""
        return {}

    def dry(self) -> Script:
        """One request and one look at the entries, judged like all others."""
        yield Ask("execute", [1, 1])
        yield Ask("read")

    def main(self, rng: random.Random, process: int) -> Script:
        """Requests of up to `most`; a look at the entries now and then, more seldom as they grow."""
        rest = self.every
        for count in itertools.count(2):
            request = [process * _BLOCK + count, rng.randint(1, self.most)]
            answer = yield Ask("execute", request)
            if answer.type == "info":
                yield Ask("execute", request)
            rest -= 1
            if rest <= 0:
                answer = yield Ask("read")
                size = len(answer.value) if answer.type == "ok" else 0
                rest = self.every + size // _GROWTH

    def final(self, worker: int, workers: int) -> Script:
        """One last look at the entries by each of two workers."""
        if worker < 2:
            yield Ask("read")

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The entries, and progress."""
        return [LedgerChecker(), ProgressChecker(workload=self.name)]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """There is one ledger; requests write it."""
        return "ledger", operation.f == "execute"

    def remedy(self, anomaly: str) -> str:
        """How a request is carried out once."""
        return (
            "An answer that never came may have been a yes: a request that is tried again must find "
            "out. Insert its id into a table with a UNIQUE constraint in the transaction that has "
            "the effect, and take the refusal of the second one for success."
        )


def _rows(asked: Any, returned: Any) -> Answer:
    rows = [list(row) if isinstance(row, list | tuple) else row for row in returned]
    if not all(isinstance(row, list) and len(row) in (2, 3) for row in rows):
        raise TypeError(
            "entries() must answer [request, amount] or [request, account, amount], "
            f"not {returned!r}"
        )
    return Answer(type="ok", value=[[plain_value(part) for part in row] for row in rows])


_METHODS: Mapping[str, Method] = {
    "execute": Method(lambda strategy, value: strategy.execute(*value), yes_or_no),
    "read": Method(lambda strategy, value: strategy.entries(), _rows),
}
