"""Sequential specifications that ship with the checker, and what a model may tell beyond `step`.

A user's own model needs only `init` and `step` (harness.protocols.Model). Optional members make
the search faster or the report plainer; none of them may change what is legal:

* `partition(operations, keyed)`: yields (key, operations) that can be judged apart (Herlihy &
  Wing's locality; P-compositionality, Horn & Kroening 2015);
* `reads`: functions that never change any state, so that they may be placed eagerly;
* `refusals`: functions whose refusal (fail with error "refused") is an observation; `step` sees
  such an operation with type "fail";
* `signature(operation)`: all that `step` looks at (never the times); equal signatures are
  interchangeable;
* `tell(operation)`: what the operation claims, in words after "Process 3".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from ..harness.errors import UsageError
from ..harness.history import Operation
from ..harness.protocols import Model
from .wording import freeze, show


class Register:
    """A register with `read` and `write`; starts as `initial`."""

    name = "register"
    functions: tuple[str, ...] = ("read", "write")
    reads = ("read",)
    refusals: tuple[str, ...] = ()

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

    def partition(
        self, operations: Sequence[Operation], keyed: bool | None = None
    ) -> Iterator[tuple[Hashable, list[Operation]]]:
        """One register per key, with values frozen and freed of their key.

        `keyed` says whether values read `[key, value]`; None looks at the operations.
        """
        for op in operations:
            if op.f not in self.functions:
                raise UsageError(
                    f"operation {op.index}: a {self.name} has no {op.f!r}, "
                    f"only {', '.join(self.functions)}"
                )
        keyed = looks_keyed(operations) if keyed is None else keyed
        if not keyed:
            operations = [op for op in operations if not _says_nothing(op)]
        groups: defaultdict[Hashable, list[Operation]] = defaultdict(list)
        for op in operations:
            key, value = _split(op) if keyed else (None, _value(op))
            groups[key].append(msgspec.structs.replace(op, value=freeze(value)))
        for key, group in groups.items():
            yield key, merge_unseen(group)

    def tell(self, operation: Operation) -> str:
        """What a read, write or cas claims."""
        if operation.f == "read":
            return f"read {show(operation.value)}"
        return f"wrote {show(operation.value)}"


class CasRegister(Register):
    """A register with `read`, `write` and `cas [old, new]`; a refused cas saw another value."""

    name = "cas-register"
    functions = ("read", "write", "cas")
    refusals = ("cas",)

    def step(self, state: Hashable, operation: Operation) -> Iterable[Hashable]:
        """A cas needs its old value; one that was refused needs any other."""
        if operation.f != "cas":
            return super().step(state, operation)
        old, new = _pair(operation)
        if operation.type == "fail":
            return () if state == old else (state,)
        return (new,) if state == old else ()

    def tell(self, operation: Operation) -> str:
        """What a read, write or cas claims."""
        if operation.f != "cas":
            return super().tell(operation)
        old, new = _pair(operation)
        swap = f"its compare-and-set from {show(old)} to {show(new)}"
        return f"{'was refused' if operation.type == 'fail' else 'succeeded with'} {swap}"


class Mutex:
    """A lock without owner, one per name: `acquire` needs it free, `release` needs it held.

    For locks with leases, tokens or holders that die use the `lock` checker.
    """

    name = "mutex"
    functions = ("acquire", "release")
    reads = ()
    refusals = ()

    def init(self) -> Hashable:
        """Free."""
        return "free"

    def step(self, state: Hashable, operation: Operation) -> Iterable[Hashable]:
        """Acquire takes a free lock, release frees a held one."""
        if operation.f == "acquire":
            return ("held",) if state == "free" else ()
        return ("free",) if state == "held" else ()

    def signature(self, operation: Operation) -> Hashable:
        """Only the function counts: this lock does not know its owner."""
        return operation.f

    def partition(
        self, operations: Sequence[Operation], keyed: bool | None = None
    ) -> Iterator[tuple[Hashable, list[Operation]]]:
        """One lock per name."""
        groups: defaultdict[Hashable, list[Operation]] = defaultdict(list)
        for op in operations:
            if op.f not in self.functions:
                raise UsageError(f"operation {op.index}: a mutex has no {op.f!r}")
            groups[freeze(op.asked)].append(op)
        yield from groups.items()

    def tell(self, operation: Operation) -> str:
        """What an acquire or release claims."""
        return "acquired it" if operation.f == "acquire" else "released it"


MODELS: dict[str, Callable[..., Model]] = {
    Register.name: Register,
    CasRegister.name: CasRegister,
    Mutex.name: Mutex,
}
"""The models by the name that `--model` takes."""


UNSEEN = ("unseen",)
"""Stands for every value that a crashed operation may have left and that nobody asked about."""


def merge_unseen(group: Sequence[Operation]) -> list[Operation]:
    """Give crashed writes and cas whose new value nobody ever read or expected one such value.

    To every operation these values are the same: not the one it is about. So crashed operations
    that differ in nothing else become interchangeable, and many cost the search little.
    """
    seen = {op.value for op in group if op.f == "read" and op.type == "ok"}
    seen |= {_pair(op)[0] for op in group if op.f == "cas"}
    return [
        op
        if op.type != "info" or op.f == "read" or _new(op) in seen
        else msgspec.structs.replace(
            op, value=UNSEEN if op.f == "write" else (_pair(op)[0], UNSEEN)
        )
        for op in group
    ]


def _new(op: Operation) -> Hashable:
    value: Hashable = op.value
    return _pair(op)[1] if op.f == "cas" else value


def _says_nothing(op: Operation) -> bool:
    """A bare read whose completion has no value did not tell what it read (as in Knossos).

    With a key it is told from a read of nil, which is `[key, null]`.
    """
    return op.f == "read" and op.type == "ok" and op.value is None


def looks_keyed(operations: Iterable[Operation]) -> bool:
    """Whether every write and ok read carries `[key, value]` and every cas `[key, [old, new]]`."""
    some = False
    for op in operations:
        if op.f == "read" and op.type != "ok":
            continue
        value = _value(op)
        if not _is_pair(value) or (op.f == "cas" and not _is_pair(value[1])):
            return False
        some = True
    return some


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


def _value(op: Operation) -> Any:
    # A completion that did not succeed says nothing new, and may not even repeat what was asked.
    return op.value if op.type == "ok" else op.asked


def _split(op: Operation) -> tuple[Hashable, Any]:
    value = _value(op)
    if _is_pair(value):
        return freeze(value[0]), value[1]
    if _is_pair(op.asked):
        # An answer without its key: nothing but the value that was read.
        return freeze(op.asked[0]), value
    raise UsageError(f"operation {op.index}: {op.f} should carry [key, value], not {value!r}")


def _pair(operation: Operation) -> tuple[Hashable, Hashable]:
    value: Any = operation.value
    if not _is_pair(value):
        raise UsageError(f"operation {operation.index}: a cas carries [old, new], not {value!r}")
    return value[0], value[1]
