"""Identifiers: none is handed out twice."""

from __future__ import annotations

from collections.abc import Hashable

from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.verdict import Anomaly, Verdict, unknown
from .wording import freeze, show


class IdsChecker:
    """Judges `generate nil` -> id. What an unanswered request was given nobody knows."""

    name = "ids"

    def check(self, history: History) -> Verdict:
        """Judge every identifier that was handed out; count them."""
        first: dict[Hashable, Operation] = {}
        again: list[tuple[Operation, Operation]] = []
        judged = 0
        for op in history.operations("generate"):
            if op.type != "ok":
                continue
            if op.value is None:
                raise UsageError(f"operation {op.index}: an identifier was expected, not nil")
            judged += 1
            earlier = first.setdefault(freeze(op.value), op)
            if earlier is not op:
                again.append((earlier, op))
        if again:
            return Verdict(
                verdict="violated", anomalies=(_tell(*again[0], len(again)),), judged=judged
            )
        return Verdict(verdict="holds", judged=judged) if judged else unknown("no id was given")


def _tell(one: Operation, two: Operation, count: int) -> Anomaly:
    return Anomaly(
        type="duplicate",
        sentence=f"Processes {one.process} and {two.process} were both given the identifier "
        f"{show(one.value)}.",
        ops=(one.index, two.index),
        count=count,
        evidence={"kind": "ladder", "id": one.value, "requests": [one.index, two.index]},
    )
