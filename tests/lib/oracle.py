"""Deliberately naive oracles: they try everything, and anyone can read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dokkaebi.harness.history import Operation


def linearizable(operations: Sequence[Operation], model: Any) -> bool:
    """Whether some order of the operations is legal: try every next operation, again and again.

    An operation may come next if no other one still to be placed returned before it was called.
    Crashed operations may be left out; closed intervals that touch are concurrent.
    """

    def rest(state: Any, left: frozenset[int]) -> bool:
        if all(operations[i].type == "info" for i in left):
            return True
        for i in left:
            if any(operations[j].ret < operations[i].call for j in left if j != i):
                continue
            for after in model.step(state, operations[i]):
                if rest(after, left - {i}):
                    return True
        return False

    return rest(model.init(), frozenset(range(len(operations))))
