"""Registers: one value that is read, written and compared; or several, in transactions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ...harness.errors import UsageError
from ...harness.history import Operation
from ...harness.interning import vectors
from ..wording import freeze, label, plain, show, titled
from .keyed import Group, Keyed, is_pair

UNSEEN = object()
"""Stands for every value that a crashed operation may have left and that nobody asked about."""


class Register(Keyed):
    """A register with `read` and `write`; starts as `initial`."""

    name = "register"
    functions: tuple[str, ...] = ("read", "write")
    reads = ("read",)

    def __init__(self, initial: Any = None) -> None:
        """`initial` is the value before any write, nil unless told."""
        self.initial = freeze(initial)

    def init(self) -> Hashable:
        """The value before any operation."""
        return self.initial

    def step(self, state: Hashable, operation: Operation) -> Iterable[Hashable]:
        """Reads must see the state, writes become it."""
        if operation.f == "read":
            return (state,) if operation.type == "info" or operation.value == state else ()
        return (operation.value,)

    def signature(self, operation: Operation) -> Hashable:
        """Function and value decide, and whether the answer was a refusal or unknown."""
        unheard = operation.f == "read" and operation.type == "info"
        return operation.f, operation.value, operation.type == "fail", unheard

    def looks_keyed(self, operations: Sequence[Operation]) -> bool:
        """As `looks_keyed` finds in what was written and read."""
        said = [op for op in operations if op.f != "read" or op.type == "ok"]
        values = [op.value if op.type == "ok" else op.asked for op in said]
        return looks_keyed(values, [v for op, v in zip(said, values, strict=True) if op.f == "cas"])

    def divided(self, key: Hashable, group: list[Operation]) -> Iterator[Group]:
        """A bare read whose completion has no value did not tell what it read (as in Knossos)."""
        yield key, [op for op in group if key is not None or not _says_nothing(op)]

    def tell(self, operation: Operation) -> str:
        """What a read, write or cas claims."""
        if operation.f == "read":
            return f"read {show(operation.value)}"
        return f"wrote {show(operation.value)}"

    def shown(self, state: Hashable) -> Any:
        """The value, or that nobody saw it."""
        return "another value that nobody saw" if state is UNSEEN else plain(state)


class CasRegister(Register):
    """A register with `read`, `write` and `cas [old, new]`; a refused cas saw another value."""

    name = "cas-register"
    functions = ("read", "write", "cas")
    refusals = ("cas",)

    def step(self, state: Hashable, operation: Operation) -> Iterable[Hashable]:
        """A cas needs its old value; one that was refused needs any other."""
        if operation.f != "cas":
            return super().step(state, operation)
        old, new = pair(operation.index, operation.value)
        if operation.type == "fail":
            return () if state == old else (state,)
        return (new,) if state == old else ()

    def tell(self, operation: Operation) -> str:
        """What a read, write or cas claims."""
        if operation.f != "cas":
            return super().tell(operation)
        old, new = pair(operation.index, operation.value)
        swap = f"its compare-and-set from {show(old)} to {show(new)}"
        return f"{'was refused' if operation.type == 'fail' else 'succeeded with'} {swap}"


class MultiRegister(Keyed):
    """Several registers, read and written together by `txn`; `initial` maps keys to values."""

    name = "multi-register"
    functions = ("txn",)
    reads = ("read",)

    def __init__(self, initial: Mapping[Any, Any] | None = None) -> None:
        """Registers that `initial` does not name start at nil."""
        if not isinstance(initial, Mapping | None):
            raise UsageError(
                f"the registers begin with a map of keys to values, not with {show(initial)}"
            )
        self.initial = frozenset(
            (label(key), freeze(value)) for key, value in (initial or {}).items()
        )

    def init(self) -> Hashable:
        """The values before any operation, without those that are nil."""
        return self.initial

    def partition(
        self, operations: Sequence[Operation], keyed: bool | None = None
    ) -> Iterator[Group]:
        """All registers together; a transaction that writes nothing is called `read`."""
        self.check(operations)
        group = []
        for op in operations:
            mops = _mops(op)
            f = "txn" if any(kind == "w" for kind, _, _ in mops) else "read"
            group.append(msgspec.structs.replace(op, f=f, value=mops))
        if group:
            yield None, group

    def step(self, state: Any, operation: Operation) -> Iterable[Hashable]:
        """Each read must see what is there, own writes included."""
        values = dict(state)
        for kind, key, value in operation.value:
            if kind == "w":
                values[key] = value
            elif operation.type == "ok" and values.get(key) != value:
                return ()
        return (frozenset((k, v) for k, v in values.items() if v is not None),)

    def signature(self, operation: Operation) -> Hashable:
        """The reads and writes decide, and whether what was read is known."""
        return operation.value, operation.type == "ok"

    def tell(self, operation: Operation) -> str:
        """What a transaction claims."""
        parts = [
            f"{'read' if kind == 'r' else 'wrote'} {show(value)} {'of' if kind == 'r' else 'to'} "
            f"{titled(key)}"
            for kind, key, value in operation.value
        ]
        return ", ".join(parts) or "did nothing"

    def shown(self, state: Any) -> Any:
        """The values by key."""
        return dict(sorted((key, plain(value)) for key, value in state))


def _says_nothing(op: Operation) -> bool:
    return op.f == "read" and op.type == "ok" and op.value is None


_KINDS = {"r": "r", "read": "r", "w": "w", "write": "w"}


def _mops(op: Operation) -> tuple[tuple[str, Hashable, Hashable], ...]:
    """The micro-operations of a transaction, as (r or w, key, value)."""
    value = op.value if op.type == "ok" else op.asked
    mops = value if isinstance(value, list | tuple) else [None]
    found: list[tuple[str, Hashable, Hashable]] = []
    for mop in mops:
        if not isinstance(mop, list | tuple) or len(mop) != 3 or mop[0] not in _KINDS:
            raise UsageError(
                f'operation {op.index}: a txn carries [["r" or "w", key, value], ...], '
                f"not {value!r}"
            )
        found.append((_KINDS[mop[0]], label(mop[1]), freeze(mop[2])))
    return tuple(found)


def looks_keyed(values: Sequence[Any], swaps: Sequence[Any]) -> bool:
    """Whether everything written or read is `[key, value]` and every cas `[key, [old, new]]`."""
    return bool(values) and pairs(values) and pairs([value for _, value in swaps])


def pairs(values: Sequence[Any]) -> bool:
    """Whether all of them are vectors of two."""
    return vectors(values, 2)


def pair(index: int, value: Any) -> tuple[Any, Any]:
    """The two values of a cas; raise `UsageError` if it does not carry two."""
    if not is_pair(value):
        raise UsageError(f"operation {index}: a cas carries [old, new], not {value!r}")
    return value[0], value[1]
