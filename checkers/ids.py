"""Identifiers: none is handed out twice."""

from __future__ import annotations

import numpy as np

from ..harness.columns import OK
from ..harness.errors import UsageError
from ..harness.history import History
from ..harness.interning import I64, interned
from ..harness.verdict import Anomaly, Verdict, unknown
from .rows import Rows, rows, told
from .wording import show


class IdsChecker:
    """Judges `generate nil` -> id. What an unanswered request was given nobody knows."""

    name = "ids"

    def check(self, history: History) -> Verdict:
        """Judge every identifier that was handed out; count them."""
        given = rows(history, "generate")
        given = given.of(given.type == OK)
        ids = told(history, given)
        if None in ids:
            nil = given.index[ids.index(None)]
            raise UsageError(f"operation {nil}: an identifier was expected, not nil")
        numbers = interned(ids)
        again = len(ids) - len(numbers.values)
        if again:
            return Verdict(
                verdict="violated",
                anomalies=(_tell(history, given, numbers.of, again),),
                judged=len(ids),
            )
        return Verdict(verdict="holds", judged=len(ids)) if ids else unknown("no id was given")


def _tell(history: History, given: Rows, number: I64, count: int) -> Anomaly:
    """The first identifier that was handed out before, and to whom."""
    # Numbers come in the order of first appearance, so each new one is greater than all before.
    fresh = np.ones(len(number), dtype=np.bool_)
    fresh[1:] = number[1:] > np.maximum.accumulate(number)[:-1]
    second = int(np.argmin(fresh))
    first = int(np.argmax(number == number[second]))
    one, two = (history.operation(given.index.item(row)) for row in (first, second))
    return Anomaly(
        type="duplicate",
        sentence=f"Processes {one.process} and {two.process} were both given the identifier "
        f"{show(one.value)}.",
        ops=(one.index, two.index),
        count=count,
        evidence={"kind": "ladder", "id": one.value, "requests": [one.index, two.index]},
    )
