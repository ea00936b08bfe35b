"""Which pattern check applies to a model's operations, if any.

Only to the models that ship with the checker, exactly: a class that a user made of one may step
otherwise. Values become numbers here; what each operation says is what its model's `signature` says.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from ...harness.history import Operation
from ..models import (
    FencedMutex,
    FifoQueue,
    Mutex,
    OwnerMutex,
    PriorityQueue,
    Semaphore,
    Set,
    Stack,
    UnorderedQueue,
)
from .bag import unordered_queue
from .decision import FOREVER, LOWEST, Column, Decision, undecided
from .elements import ABSENT, INSERT, PRESENT, REMOVE, elements
from .growing import growing_set
from .lifetimes import EMPTY, PUT, TAKE
from .locks import ACQUIRE, RELEASE, mutex, semaphore
from .priority import priority_queue
from .queue import fifo_queue
from .register import READ, register
from .stack import stack
from .tokens import fenced_mutex

Operations = Sequence[Operation]


def registers(
    call: Column,
    ret: Column,
    kind: Column,
    sees: Column,
    leaves: Column,
    *,
    key: Column,
    initial: int,
) -> Decision:
    """Decide registers from the columns of `linear.registers.Rows`, garbage reads left out."""
    value = np.where(kind == READ, sees, leaves)
    return register(
        call, ret, kind, np.maximum(value, 0), old=np.maximum(sees, 0), key=key, initial=initial
    )


def decide(model: object, operations: Operations, key: Column) -> Decision | None:
    """Decide what a model's `partition` gave: operations, and the number of each one's part.

    None: no pattern check is for this model, or for these operations. Rows of the decision are
    places in `operations`.
    """
    check = _CHECKS.get(type(model))
    return None if check is None else check(model, operations, key)


def _times(operations: Operations) -> tuple[Column, Column]:
    """Call and return; what crashed never returned."""
    call = np.array([op.call for op in operations], dtype=np.int64)
    ret = np.array([FOREVER if op.type == "info" else op.ret for op in operations], dtype=np.int64)
    return call, ret


def _numbers(values: Iterable[Hashable]) -> Column:
    """Equal values alike, from 0."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)


def _ordered(values: Sequence[Any]) -> Column | None:
    """Numbers in the order of the values, None (the value) as 0; None if they do not compare."""
    try:
        known = {value: i for i, value in enumerate(sorted({v for v in values if v is not None}))}
    except TypeError:
        return None
    return np.array([0 if v is None else known[v] for v in values], dtype=np.int64)


# --- sets ----------------------------------------------------------------------------------------


def _set(model: Set, operations: Operations, key: Column) -> Decision | None:
    if model.initial:
        return None
    said: list[Any] = [model.signature(op) for op in operations]
    if any(op.f == "read" for op in operations):
        growing = all(op.f == "read" or (op.f == "add" and op.type != "fail") for op in operations)
        return _each(operations, key, lambda rows: _growing(operations, said, rows)) if growing else None  # fmt: skip
    kinds = [_saw(f, kind, answer) for f, kind, _, answer in said]
    names = _numbers(zip(key.tolist(), (element for _, _, element, _ in said), strict=True))
    return elements(*_times(operations), np.array(kinds, dtype=np.int64), names, blind=True)


def _saw(f: str, kind: str, answer: bool) -> int:
    """What an operation on one element did or saw."""
    if f == "contains":
        return PRESENT if answer else ABSENT
    if f == "add":
        return PRESENT if kind == "fail" else INSERT
    return ABSENT if kind == "fail" else REMOVE


def _growing(operations: Operations, said: Sequence[Any], rows: Column) -> Decision:
    adds = [row for row in rows.tolist() if operations[row].f == "add"]
    reads = [row for row in rows.tolist() if operations[row].f == "read"]
    contents: list[list[Hashable]] = [list(said[row][2] or ()) for row in reads]
    numbers = _numbers(
        [*(said[row][2] for row in adds), *(element for shown in contents for element in shown)]
    )
    decision = growing_set(
        *_times([operations[row] for row in adds]),
        numbers[: len(adds)],
        *_times([operations[row] for row in reads]),
        np.cumsum([0, *map(len, contents)], dtype=np.int64),
        numbers[len(adds) :],
    )
    return _moved(decision, np.array(adds + reads, dtype=np.int64))


# --- queues and stacks -----------------------------------------------------------------------------


def _box(
    decider: Callable[[Column, Column, Column, Column], Decision],
) -> Callable[[Any, Operations, Column], Decision | None]:
    def check(model: FifoQueue, operations: Operations, key: Column) -> Decision | None:
        kinds, values = _moves(model, operations)
        if isinstance(model, PriorityQueue):
            numbers = _ordered(values)
            if numbers is None:
                return None
            numbers = numbers.max(initial=0) - numbers if model.smallest else numbers
        elif isinstance(model, UnorderedQueue) and not (kinds == EMPTY).any():
            # Nothing ties its values together, nor those of different parts.
            numbers = _numbers(zip(key.tolist(), values, strict=True))
            key = np.zeros(len(key), dtype=np.int64)
        else:
            numbers = _numbers(values)
        call, ret = _times(operations)

        def judge(rows: Column) -> Decision:
            decision = decider(call[rows], ret[rows], kinds[rows], numbers[rows])
            return _moved(decision, rows)

        return _each(operations, key, judge)

    return check


def _moves(model: FifoQueue, operations: Operations) -> tuple[Column, list[Any]]:
    """Whether each operation put, took or found nothing, and the value."""
    kinds: list[int] = []
    values: list[Any] = []
    for op in operations:
        said: Any = model.signature(op)
        values.append(said[-1])
        if op.f == model.puts:
            kinds.append(PUT)
        else:
            kinds.append(EMPTY if said[-1] is None and op.type != "info" else TAKE)
    return np.array(kinds, dtype=np.int64), values


# --- locks ---------------------------------------------------------------------------------------


def _turns(operations: Operations) -> tuple[Column, Column, Column, Column] | None:
    """Times, kinds and processes; None where refusals count."""
    if any(op.type == "fail" for op in operations):
        return None
    kinds = [ACQUIRE if op.f == "acquire" else RELEASE for op in operations]
    processes = [op.process for op in operations]
    return (
        *_times(operations),
        np.array(kinds, dtype=np.int64),
        np.array(processes, dtype=np.int64),
    )


def _mutex(model: Mutex, operations: Operations, key: Column) -> Decision | None:
    turns = _turns(operations)
    return turns and mutex(*turns, key=key, owned=isinstance(model, OwnerMutex))


def _semaphore(model: Semaphore, operations: Operations, key: Column) -> Decision | None:
    turns = _turns(operations)
    return turns and semaphore(*turns, model.k, key=key)


def _fenced(model: FencedMutex, operations: Operations, key: Column) -> Decision | None:
    turns = _turns(operations)
    said: list[Any] = [model.signature(op) for op in operations]
    tokens = [token for _, _, token in said]
    numbers = _ordered(tokens)
    if turns is None or numbers is None:
        return None
    silent = np.array([token is None for token in tokens], dtype=np.bool_)
    return fenced_mutex(*turns, np.where(silent, LOWEST, numbers), key=key)


# --- several objects -----------------------------------------------------------------------------


def _each(operations: Operations, key: Column, judge: Callable[[Column], Decision]) -> Decision:
    """Decide the parts one by one, up to the first illegal one."""
    order = np.argsort(key, kind="stable")
    cuts = np.flatnonzero(np.diff(key[order])) + 1
    rest: list[Column] = []
    for rows in np.split(order, cuts) if len(order) else []:
        decision = judge(rows)
        if decision.legal is False:
            return decision
        rest.append(decision.rest)
    return undecided(np.concatenate(rest) if rest else order)


def _moved(decision: Decision, rows: Column) -> Decision:
    """The decision of some rows, in the numbers of all."""
    return Decision(
        decision.legal,
        decision.pattern,
        tuple(int(rows[row]) for row in decision.rows),
        rows[decision.rest],
    )


_CHECKS: dict[type, Callable[[Any, Operations, Column], Decision | None]] = {
    Set: _set,
    FifoQueue: _box(fifo_queue),
    UnorderedQueue: _box(unordered_queue),
    Stack: _box(stack),
    PriorityQueue: _box(priority_queue),
    Mutex: _mutex,
    OwnerMutex: _mutex,
    Semaphore: _semaphore,
    FencedMutex: _fenced,
}
