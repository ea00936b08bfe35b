"""ids: workers ask for identifiers; none is handed out twice."""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from ...checkers.ids import IdsChecker
from ...checkers.progress import ProgressChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Answer, Ask, Checker, Script, Session
from ..session import Method, MethodSession, plain_value

_HERE = "dokkaebi.workloads.ids.strategies"


class Ids(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing but requests for the next identifier."""

    name: ClassVar[str] = "ids"
    functions: ClassVar[frozenset[str]] = frozenset({"generate"})
    methods: ClassVar[tuple[str, ...]] = ("next_id",)
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ()
    default: ClassVar[str] = "sequence"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {
        "sequence": f"{_HERE}.postgres:Sequence",
        "max-plus-one": f"{_HERE}.postgres:MaxPlusOne",
        "incr": f"{_HERE}.valkey:Incr",
        "get-plus-one": f"{_HERE}.valkey:GetPlusOne",
    }

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: no identifier was given yet."""
        return {}

    def dry(self) -> Script:
        """One request, judged like all others."""
        yield Ask("generate")

    def main(self, rng: random.Random, process: int) -> Script:
        """One request after another."""
        while True:
            yield Ask("generate")

    def final(self, worker: int, workers: int) -> Script:
        """Nothing is read in the end: what was given was given."""
        return
        yield

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are one method."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The identifiers, and progress."""
        return [IdsChecker(), ProgressChecker(workload=self.name)]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """All take from the same place."""
        return "ids", True

    def remedy(self, anomaly: str) -> str:
        """How identifiers are kept apart."""
        return (
            "Take the next number in one step on the server (a sequence, INCR), or draw it from a "
            "space so large that chance keeps them apart (UUID); never read the greatest one and "
            "add to it."
        )


def _given(asked: Any, returned: Any) -> Answer:
    if returned is None:
        raise TypeError("next_id() must answer an identifier, not None")
    return Answer(type="ok", value=plain_value(returned))


_METHODS: Mapping[str, Method] = {
    "generate": Method(lambda strategy, value: strategy.next_id(), _given),
}
