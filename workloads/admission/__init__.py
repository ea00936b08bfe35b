"""admission: users come in and go, and only so many may be inside at once.

Never more inside than `limit`, no ticket in two hands, and first come first served where that is
declared. No strategy is built in yet.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.admission import AdmissionChecker
from ...checkers.progress import ProgressChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Answer, Ask, Checker, Rest, Script, Session
from ..session import REFUSED, Method, MethodSession, done, plain_value

_BLOCK = 100_000
"""Users are process * _BLOCK + counter: never the same twice, and small enough for an int4."""


class Admission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everybody sends one user after another in, lets them stay a moment, and out.

    `limit`, `ttl` (seconds that a ticket is good for, where it expires) and `ordered` (who asked
    first is let in first) are the strategy's own promises. Who is refused asks `patience` times.
    """

    name: ClassVar[str] = "admission"
    functions: ClassVar[frozenset[str]] = frozenset({"enter", "leave"})
    methods: ClassVar[tuple[str, ...]] = ("enter", "leave")
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ("limit", "ttl", "ordered")
    default: ClassVar[str] = ""
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {}

    limit: Annotated[int, msgspec.Meta(ge=1)] = 3
    ttl: Annotated[float, msgspec.Meta(gt=0)] | None = None
    ordered: bool = False
    stay: Annotated[float, msgspec.Meta(ge=0)] = 0.01
    patience: Annotated[int, msgspec.Meta(ge=1)] = 100

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: nobody is inside at first."""
        return {}

    def dry(self) -> Script:
        """One user in and out, judged like all others."""
        answer = yield Ask("enter", 1)
        if answer.type == "ok":
            yield Ask("leave", answer.result)

    def main(self, rng: random.Random, process: int) -> Script:
        """One user after another; each stays up to `stay` seconds."""
        count = 1
        while True:
            count += 1
            ticket = yield from self._let_in(process * _BLOCK + count, rng)
            if ticket is not None:
                yield Rest(rng.uniform(0, self.stay))
                yield Ask("leave", ticket)

    def _let_in(self, user: int, rng: random.Random) -> Generator[Ask | Rest, Answer, Any]:
        for _ in range(self.patience):
            answer = yield Ask("enter", user)
            if answer.type == "ok":
                return answer.result
            yield Rest(rng.uniform(0, self.stay))
        return None

    def final(self, worker: int, workers: int) -> Script:
        """Nobody comes in the end."""
        return
        yield

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """Who is inside, and progress."""
        return [
            AdmissionChecker(limit=self.limit, ttl=self.ttl, ordered=self.ordered),
            ProgressChecker(workload=self.name),
        ]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """There is one room; everybody changes who is in it."""
        return "room", True

    def remedy(self, anomaly: str) -> str:
        """How a room is kept from overflowing."""
        if anomaly == "order-violation":
            return "Give out numbers in the step that takes the request, and admit by them."
        return (
            "Count and let in in one step that nobody can come between: a Lua script, or a row that "
            "is locked while it is counted; a count that was read before is out of date."
        )


def _entered(asked: Any, returned: Any) -> Answer:
    if returned is None:
        return Answer(type="fail", error=REFUSED)
    return Answer(type="ok", result=plain_value(returned))


_METHODS: Mapping[str, Method] = {
    "enter": Method(lambda strategy, value: strategy.enter(value), _entered),
    "leave": Method(lambda strategy, value: strategy.leave(value), done),
}
