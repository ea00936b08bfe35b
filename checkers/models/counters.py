"""A counter. For bounds that need no search use the `counter` checker."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from ...harness.errors import UsageError
from ...harness.history import Operation
from ..wording import show
from .keyed import Keyed, is_pair


class Counter(Keyed):
    """A number with `add` and `read`; an add may answer the new value. Starts as `initial`."""

    name = "counter"
    functions = ("add", "read")
    reads = ("read",)

    def __init__(self, initial: int = 0) -> None:
        """`initial` is the value before any add."""
        if type(initial) is not int:
            raise UsageError(f"a counter begins with a whole number, not with {show(initial)}")
        self.initial = initial

    def init(self) -> Hashable:
        """The value before any operation."""
        return self.initial

    def step(self, state: Any, operation: Operation) -> Iterable[Hashable]:
        """Reads must see the state; an add that answers must answer what it left."""
        if operation.f == "read":
            return (state,) if operation.type == "info" or operation.value == state else ()
        after = state + _delta(operation)
        told = operation.type == "ok" and operation.result is not None
        return (after,) if not told or operation.result == after else ()

    def signature(self, operation: Operation) -> Hashable:
        """What was added or read, and what was answered."""
        answer = operation.result if operation.type == "ok" else None
        value = operation.value if operation.f == "read" else _delta(operation)
        return operation.f, value, answer, operation.type == "info" and operation.f == "read"

    def looks_keyed(self, operations: Sequence[Operation]) -> bool:
        """Whether every add and every ok read carries `[key, value]`."""
        said = [
            op.value if op.type == "ok" and op.f == "read" else op.asked
            for op in operations
            if op.f == "add" or op.type == "ok"
        ]
        return bool(said) and all(map(is_pair, said))

    def tell(self, operation: Operation) -> str:
        """What a read or an add claims."""
        if operation.f == "read":
            return f"read {show(operation.value)}"
        answer = "" if operation.result is None else f" and was told {show(operation.result)}"
        return f"added {show(_delta(operation))}{answer}"


def _delta(operation: Operation) -> Any:
    if not isinstance(operation.asked, int | float):
        raise UsageError(
            f"operation {operation.index}: a counter adds numbers, not {operation.asked!r}"
        )
    return operation.asked
