"""Collections: a set, queues in and out of order, a stack, a priority queue.

Taking from an empty one answers nil, or is refused; both say that it was empty.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from ...harness.errors import UsageError
from ...harness.history import FOREVER, Operation
from ...harness.interning import Truth
from ..wording import freeze, plain, show
from .keyed import Group, Keyed, is_pair


class Set(Keyed):
    """A set with `add`, `remove`, `contains` and whole `read`; starts as `initial`.

    A refused add found the element there, a refused remove or contains did not.
    """

    name = "set"
    functions = ("add", "remove", "contains", "read")
    reads = ("contains", "read")
    refusals = ("add", "remove", "contains")

    def __init__(self, initial: Sequence[Any] = ()) -> None:
        """`initial` are the elements before any operation."""
        if not isinstance(initial, list | tuple | set | frozenset):
            raise UsageError(f"a set begins with a list of elements, not with {show(initial)}")
        self.initial = frozenset(map(freeze, initial))

    def init(self) -> Hashable:
        """The elements before any operation."""
        return self.initial

    def divided(self, key: Hashable, group: list[Operation]) -> Iterator[Group]:
        """Each element by itself, where nobody read the whole set."""
        if any(op.f == "read" for op in group):
            yield key, group
            return
        parts: defaultdict[Hashable, list[Operation]] = defaultdict(list)
        for op in group:
            parts[_element(op)].append(op)
        for element, part in parts.items():
            yield element if key is None else (key, element), part

    def step(self, state: Any, operation: Operation) -> Iterable[Hashable]:
        """Add and remove always succeed unless refused; the others must see what is there."""
        known = operation.type != "info"
        if operation.f == "read":
            return (state,) if not known or _elements(operation) == state else ()
        element = _element(operation)
        if operation.f == "contains":
            return (state,) if not known or _contained(operation) == (element in state) else ()
        if operation.type == "fail":
            return (state,) if (element in state) == (operation.f == "add") else ()
        return (state | {element} if operation.f == "add" else state - {element},)

    def signature(self, operation: Operation) -> Hashable:
        """The function, the elements, and what was answered."""
        if operation.f == "read":
            return "read", operation.type, _elements(operation) if operation.type == "ok" else None
        answer = operation.f == "contains" and _contained(operation)
        return operation.f, operation.type, _element(operation), answer

    def tell(self, operation: Operation) -> str:
        """What an operation on a set claims."""
        if operation.f == "read":
            return f"read {show(plain(_elements(operation)))}"
        element = show(plain(_element(operation)))
        if operation.f == "contains":
            return f"found {element} {'there' if _contained(operation) else 'missing'}"
        done = {"add": "added", "remove": "removed"}[operation.f]
        return (
            f"was refused to {operation.f} {element}"
            if _refused(operation)
            else (f"{done} {element}")
        )


class FifoQueue(Keyed):
    """A queue with `enqueue` and `dequeue`, first in, first out; `drain` dequeues many."""

    name = "fifo-queue"
    functions: tuple[str, ...] = ("enqueue", "dequeue", "drain")
    refusals: tuple[str, ...] = ("dequeue",)
    puts, takes = "enqueue", "dequeue"

    def init(self) -> Hashable:
        """Empty."""
        return ()

    def divided(self, key: Hashable, group: list[Operation]) -> Iterator[Group]:
        """All together, each drain as dequeues of its whole interval."""
        puts = sum(op.f == self.puts for op in group)
        yield key, [part for op in group for part in _drained(op, puts)]

    def step(self, state: Any, operation: Operation) -> Iterable[Hashable]:
        """What is put goes in; what is taken must be what would come out next."""
        if operation.f == self.puts:
            return (self.put(state, operation.asked),)
        if operation.type == "info":
            return [after for _, after in self.take(state)]
        taken = _taken(operation)
        if taken is None:
            return () if state else (state,)
        return [after for value, after in self.take(state) if value == taken]

    def put(self, state: Any, value: Hashable) -> Hashable:
        """The state with a value more."""
        return (*state, value)

    def take(self, state: Any) -> Iterable[tuple[Hashable, Hashable]]:
        """The values that may come out next, each with the state that it leaves."""
        return ((state[0], state[1:]),) if state else ()

    def signature(self, operation: Operation) -> Hashable:
        """What was put or taken, if that is known."""
        if operation.f == self.puts:
            return operation.f, operation.asked
        unknown = operation.type == "info"
        return operation.f, unknown, None if unknown else _taken(operation)

    def tell(self, operation: Operation) -> str:
        """What a put or a take claims."""
        if operation.f == self.puts:
            return f"{_PAST[operation.f]} {show(operation.asked)}"
        taken = _taken(operation)
        return "found it empty" if taken is None else f"{_PAST[operation.f]} {show(taken)}"


class UnorderedQueue(FifoQueue):
    """A queue with `enqueue` and `dequeue` in any order."""

    name = "unordered-queue"

    def init(self) -> Hashable:
        """Empty."""
        return frozenset()

    def divided(self, key: Hashable, group: list[Operation]) -> Iterator[Group]:
        """Each value by itself, where it is known what every dequeue took."""
        ((_, group),) = super().divided(key, group)
        takes = [op for op in group if op.f == self.takes]
        if any(op.type == "info" or _taken(op) is None for op in takes):
            yield key, group
            return
        parts: defaultdict[Hashable, list[Operation]] = defaultdict(list)
        for op in group:
            parts[op.asked if op.f == self.puts else _taken(op)].append(op)
        for value, part in parts.items():
            yield value if key is None else (key, value), part

    def put(self, state: Any, value: Hashable) -> Hashable:
        """One more of this value."""
        counts = Tally(dict(state))
        counts[value] += 1
        return frozenset(counts.items())

    def take(self, state: Any) -> Iterable[tuple[Hashable, Hashable]]:
        """One less of any value."""
        for value, count in state:
            rest = state - {(value, count)}
            yield value, rest | {(value, count - 1)} if count > 1 else rest

    def shown(self, state: Any) -> Any:
        """The values, each as often as it is there."""
        return sorted((plain(v) for v, count in state for _ in range(count)), key=repr)


class Stack(FifoQueue):
    """A stack with `push` and `pop`: last in, first out."""

    name = "stack"
    functions = ("push", "pop")
    refusals = ("pop",)
    puts, takes = "push", "pop"

    def take(self, state: Any) -> Iterable[tuple[Hashable, Hashable]]:
        """The value that was pushed last."""
        return ((state[-1], state[:-1]),) if state else ()


class PriorityQueue(FifoQueue):
    """A queue with `insert` and `poll`, the greatest value first; or the `smallest`."""

    name = "priority-queue"
    functions = ("insert", "poll")
    refusals = ("poll",)
    puts, takes = "insert", "poll"

    def __init__(self, smallest: bool = False) -> None:
        """`smallest`: a poll takes the smallest value."""
        self.smallest = smallest

    def put(self, state: Any, value: Hashable) -> Hashable:
        """The values in ascending order."""
        values: list[Any] = [*state]
        try:
            insort(values, value)
        except TypeError:
            raise UsageError(
                f"the values of a priority-queue must compare, and {show(value)} does not"
            ) from None
        return tuple(values)

    def take(self, state: Any) -> Iterable[tuple[Hashable, Hashable]]:
        """The greatest value, or the smallest."""
        if not state:
            return ()
        return ((state[0], state[1:]),) if self.smallest else ((state[-1], state[:-1]),)


_PAST = {
    "enqueue": "enqueued", "dequeue": "dequeued", "push": "pushed", "pop": "popped",
    "insert": "inserted", "poll": "polled",
}  # fmt: skip


def _refused(operation: Operation) -> bool:
    return operation.type == "fail"


def _elements(operation: Operation) -> frozenset[Hashable]:
    """The elements that a whole read saw."""
    elements = shown_elements(operation.value)
    if elements is None:
        raise UsageError(
            f"operation {operation.index}: a read of a set carries its elements, "
            f"not {operation.value!r}"
        )
    return elements


def shown_elements(value: Any) -> frozenset[Hashable] | None:
    """The elements in a frozen list or set; None if it is neither."""
    return frozenset(value) if isinstance(value, tuple | frozenset) else None


def _element(operation: Operation) -> Hashable:
    """The one element that an operation is about; `contains` may carry `[element, nil]`."""
    asked: Any = operation.asked
    if operation.f == "contains" and is_pair(asked) and asked[1] is None:
        asked = asked[0]
    element: Hashable = asked
    return element


def _contained(operation: Operation) -> bool:
    """What `contains` answered: its result, the second of its value, or that it was refused."""
    return operation.type != "fail" and contained(operation.result, operation.value)


def contained(result: Any, value: Any) -> bool:
    """What a `contains` that was not refused answered; yes where it says neither."""
    for answer in (result, value[1] if is_pair(value) else None):
        if isinstance(answer, bool | Truth):
            return answer in (True, Truth.true)
    return True


def _taken(operation: Operation) -> Hashable:
    """The value that was taken, None if there was none."""
    if operation.type == "fail":
        return None
    taken: Hashable = operation.result if operation.value is None else operation.value
    return taken


def _drained(operation: Operation, puts: int) -> Iterable[Operation]:
    """A drain as single dequeues, in any order; a crashed one may have taken everything."""
    if operation.f != "drain":
        return [operation]
    if operation.type == "info":
        return [msgspec.structs.replace(operation, f="dequeue", value=None, ret=FOREVER)] * puts
    values: Any = operation.value
    if not isinstance(values, tuple):
        raise UsageError(f"operation {operation.index}: a drain carries what it took, in a list")
    return [msgspec.structs.replace(operation, f="dequeue", value=value) for value in values]
