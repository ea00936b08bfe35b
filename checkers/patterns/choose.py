"""Which pattern check applies to a model's operations, if any.

Only to the models that ship with the checker, exactly: a class that a user made of one may step
otherwise. Values become numbers here; what each operation says is what its model's `signature` says.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from itertools import chain
from typing import Any

import numpy as np

from ...harness.history import History
from ...harness.interning import Numbers, Truth, interned, numbered, renumbered
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
from ..models.collections import contained, shown_elements
from ..models.keyed import Keyed, Named, is_pair
from .bag import unordered_queue
from .decision import LOWEST, Column, Decision, Mask, undecided
from .elements import ABSENT, INSERT, PRESENT, REMOVE, elements
from .growing import growing_set
from .lifetimes import EMPTY, PUT, TAKE
from .locks import ACQUIRE, RELEASE, mutex, semaphore
from .priority import priority_queue
from .queue import fifo_queue
from .register import READ, register
from .said import Said, said_in
from .stack import stack
from .tokens import fenced_mutex


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


def decide(model: object, said: Said, key: Column) -> Decision | None:
    """Decide what operations said, with the number of each one's object.

    None: no pattern check is for this model, or for these operations. Rows of the decision are
    places in the columns.
    """
    check = _CHECKS.get(type(model))
    return None if check is None else check(model, said, key)


def legal(history: History, model: object) -> int:
    """How many operations were judged where patterns find all of a history legal, else 0.

    Straight from the history's columns; values carry no keys.
    """
    if type(model) not in _CHECKS or not isinstance(model, Keyed):
        return 0
    functions = [name for name in model.functions if name != "drain"]
    said = said_in(history, functions, model.refusals)
    if said is None:
        return 0
    named = isinstance(model, Named)
    key = said.asked if named else np.zeros(len(said), dtype=np.int64)
    decision = decide(model, said, key)
    return int((~said.crashed).sum()) if decision is not None and decision.legal else 0


def _paired(key: Column, number: Column) -> Column:
    """A number for each pair, in the order of first appearance."""
    if not key.any():
        return number
    return numbered(key * (number.max(initial=0) + 1) + number)[0]


def _ordered(numbers: Numbers) -> Column | None:
    """Numbers in the order of the values, None (the value) as 0; None if they do not compare."""
    named: Any = [(value, i) for i, value in enumerate(numbers.values) if value is not None]
    try:
        named.sort()
    except TypeError:
        return None
    rank = np.zeros(len(numbers.values), dtype=np.int64)
    rank[[i for _, i in named]] = np.arange(len(named))
    return rank[numbers.of]


# --- sets ----------------------------------------------------------------------------------------


def _set(model: Set, said: Said, key: Column) -> Decision | None:
    if model.initial:
        return None
    reads, adds = said.does("read"), said.does("add")
    if reads.any():
        if not (reads | (adds & ~said.failed)).all():
            return None
        shown = {row: _shown(said, row) for row in np.flatnonzero(reads).tolist()}
        if None in shown.values():
            return None
        return _each(key, lambda rows: _growing(said, shown, rows[reads[rows]], rows[adds[rows]]))
    kinds, element = _asked_of_elements(said, adds, said.does("contains"))
    return elements(said.call, said.ret, kinds, _paired(key, element), blind=True)


def _asked_of_elements(said: Said, adds: Mask, looks: Mask) -> tuple[Column, Column]:
    """What each operation on one element did or saw, and the number of that."""
    there = np.ones(len(said), dtype=np.bool_)
    names = list(said.names)
    element = said.asked.copy()
    for row in _odd(said, looks).tolist():
        there[row] = contained(names[said.result[row]], names[said.value[row]])
        asked: Any = names[element[row]]
        if is_pair(asked) and asked[1] is None:
            element[row] = len(names)
            names.append(asked[0])
    seen = np.where(there & ~said.failed, PRESENT, ABSENT)
    added = np.where(said.failed, PRESENT, INSERT)
    removed = np.where(said.failed, ABSENT, REMOVE)
    kinds = np.where(looks, seen, np.where(adds, added, removed))
    return kinds, element if len(names) == len(said.names) else interned(names).of[element]


def _odd(said: Said, looks: Mask) -> Column:
    """The rows of looks that say more than which element they are about."""
    plain = np.array([not isinstance(name, tuple | Truth) for name in said.names], dtype=np.bool_)
    silent = plain[said.asked] & plain[said.value] & plain[said.result]
    return np.flatnonzero(looks & ~silent)


def _shown(said: Said, row: int) -> frozenset[Hashable] | None:
    """The elements that a read showed; None where they are none, which the search tells of."""
    return frozenset() if said.crashed[row] else shown_elements(said.names[said.value[row]])


def _growing(
    said: Said, shown: Mapping[int, frozenset[Hashable] | None], reads: Column, adds: Column
) -> Decision:
    contents = [list(shown[row] or ()) for row in reads.tolist()]
    numbers = interned(
        [*(said.names[i] for i in said.asked[adds].tolist()), *chain.from_iterable(contents)]
    ).of
    decision = growing_set(
        said.call[adds],
        said.ret[adds],
        numbers[: len(adds)],
        said.call[reads],
        said.ret[reads],
        np.cumsum([0, *map(len, contents)], dtype=np.int64),
        numbers[len(adds) :],
    )
    return _moved(decision, np.concatenate((adds, reads)))


# --- queues and stacks -----------------------------------------------------------------------------


def _box(
    decider: Callable[[Column, Column, Column, Column], Decision],
) -> Callable[[Any, Said, Column], Decision | None]:
    def check(model: FifoQueue, said: Said, key: Column) -> Decision | None:
        kinds, values = _moves(model, said)
        numbers = values.of
        if isinstance(model, PriorityQueue):
            ordered = _ordered(values)
            if ordered is None:
                return None
            numbers = ordered.max(initial=0) - ordered if model.smallest else ordered
        elif isinstance(model, UnorderedQueue) and not (kinds == EMPTY).any():
            # Nothing ties its values together, nor those of different parts.
            numbers = _paired(key, values.of)
            key = np.zeros(len(key), dtype=np.int64)

        def judge(rows: Column) -> Decision:
            decision = decider(said.call[rows], said.ret[rows], kinds[rows], numbers[rows])
            return _moved(decision, rows)

        return _each(key, judge)

    return check


def _moves(model: FifoQueue, said: Said) -> tuple[Column, Numbers]:
    """Whether each operation put, took or found nothing, and the value."""
    puts = said.does(model.puts)
    silent = said.failed | said.crashed
    answered = np.where(said.value == said.nil, said.result, said.value)
    carried = np.where(puts, said.asked, np.where(silent, said.nil, answered))
    found_nothing = (carried == said.nil) & ~said.crashed
    kinds = np.where(puts, PUT, np.where(found_nothing, EMPTY, TAKE))
    return kinds, renumbered(carried, said.names)


# --- locks ---------------------------------------------------------------------------------------


def _turns(said: Said) -> tuple[Column, Column, Column, Column] | None:
    """Times, kinds and processes; None where refusals count."""
    if said.failed.any():
        return None
    kinds = np.where(said.does("acquire"), ACQUIRE, RELEASE)
    return said.call, said.ret, kinds, said.process


def _mutex(model: Mutex, said: Said, key: Column) -> Decision | None:
    turns = _turns(said)
    return turns and mutex(*turns, key=key, owned=isinstance(model, OwnerMutex))


def _semaphore(model: Semaphore, said: Said, key: Column) -> Decision | None:
    turns = _turns(said)
    return turns and semaphore(*turns, model.k, key=key)


def _fenced(model: FencedMutex, said: Said, key: Column) -> Decision | None:
    turns = _turns(said)
    told = said.does("acquire") & ~said.crashed & ~said.failed
    # As `token_told` has it.
    from_value = (said.result == said.nil) & (said.value != said.asked)
    token = np.where(told, np.where(from_value, said.value, said.result), said.nil)
    tokens = renumbered(token, said.names)
    numbers = _ordered(tokens)
    numeric = all(name is None or isinstance(name, int | float) for name in tokens.values)
    if turns is None or numbers is None or not numeric:
        return None
    return fenced_mutex(*turns, np.where(token == said.nil, LOWEST, numbers), key=key)


# --- several objects -----------------------------------------------------------------------------


def _each(key: Column, judge: Callable[[Column], Decision]) -> Decision:
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


_CHECKS: dict[type, Callable[[Any, Said, Column], Decision | None]] = {
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
