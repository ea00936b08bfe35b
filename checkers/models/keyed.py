"""What the models share: their functions, and objects that are told apart by a key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from ...harness.errors import UsageError
from ...harness.history import Operation
from ..wording import freeze

Group = tuple[Hashable, list[Operation]]


class Keyed:
    """A model of objects whose values read `[key, value]` where there are several of them."""

    name = "model"
    functions: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    def partition(
        self, operations: Sequence[Operation], keyed: bool | None = None
    ) -> Iterator[Group]:
        """One object per key, its operations freed of the key and their values frozen.

        `keyed` says whether values read `[key, value]`; None: as `looks_keyed` finds.
        """
        self.check(operations)
        if keyed is None:
            keyed = self.looks_keyed(operations)
        groups: defaultdict[Hashable, list[Operation]] = defaultdict(list)
        for op in operations:
            key, asked, value = _split(op) if keyed else (None, op.asked, op.value)
            said = value if op.type == "ok" else asked
            groups[key].append(
                msgspec.structs.replace(
                    op, asked=freeze(asked), value=freeze(said), result=freeze(op.result)
                )
            )
        for key, group in groups.items():
            yield from self.divided(key, group)

    def divided(self, key: Hashable, group: list[Operation]) -> Iterator[Group]:
        """Parts of one object that can be judged apart, where there are any."""
        yield key, group

    def looks_keyed(self, operations: Sequence[Operation]) -> bool:
        """Whether the values are seen to carry keys."""
        return False

    def check(self, operations: Iterable[Operation]) -> None:
        """Raise `UsageError` for a function that the model does not have."""
        for op in operations:
            if op.f not in self.functions:
                raise no_such_function(self, op.index, op.f)


class Named(Keyed):
    """A model of objects that are asked for by name."""

    def partition(
        self, operations: Sequence[Operation], keyed: bool | None = None
    ) -> Iterator[Group]:
        """One object per name."""
        self.check(operations)
        groups: defaultdict[Hashable, list[Operation]] = defaultdict(list)
        for op in operations:
            groups[freeze(op.asked)].append(op)
        yield from groups.items()


def no_such_function(model: Any, index: int, f: str) -> UsageError:
    """The error for an operation that a model does not have."""
    has = ", ".join(model.functions)
    return UsageError(f"operation {index}: a {model.name} has no {f!r}, only {has}")


def is_pair(value: Any) -> bool:
    """Whether this is a vector of two."""
    return isinstance(value, list | tuple) and len(value) == 2


def _split(op: Operation) -> tuple[Hashable, Any, Any]:
    """Key, what was asked of it, what it answered."""
    key, value = split_key(op.index, op.asked, op.value if op.type == "ok" else op.asked)
    return freeze(key), op.asked[1] if is_pair(op.asked) else op.asked, value


def split_key(index: int, asked: Any, said: Any) -> tuple[Any, Any]:
    """Key and value of what was said; raise `UsageError` where there is no key."""
    if is_pair(said):
        return said[0], said[1]
    if is_pair(asked):
        # An answer without its key: nothing but the value that was read.
        return asked[0], said
    raise UsageError(f"operation {index} should carry [key, value], not {said!r}")
