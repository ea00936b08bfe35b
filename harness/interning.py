"""Values as numbers: equal ones alike, from 0, in the order of first appearance."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]

_ATOMS = {int, str, float, type(None)}
"""What is its own number's name; to Python `True` is 1, so truth values are not among them."""

_VECTORS = (list, tuple)
_SPARSE = 4
"""Integers that lie within a stretch so many times longer than they are many need no dictionary."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """`of` is the number of each value, `values` the value of each number."""

    of: I64
    values: list[Hashable]


def interned(values: Sequence[Any]) -> Numbers:
    """Number values of any kind; lists and maps are frozen."""
    kinds = set(map(type, values))
    if kinds <= {int, type(None)} and len(values):
        numbers = _integers(values)
        if numbers is not None:
            return numbers
    values = freeze_all(values)
    known: dict[Hashable, int] = dict.fromkeys(values, 0)
    for number, value in enumerate(known):
        known[value] = number
    return Numbers(np.fromiter(map(known.__getitem__, values), np.int64, len(values)), list(known))


def renumbered(of: I64, values: Sequence[Hashable]) -> Numbers:
    """Some of numbered values, numbered anew: `of` are their numbers among `values`."""
    first = np.full(len(values), len(of), dtype=np.int64)
    # The last assignment to a place counts: backwards, the first appearance.
    first[of[::-1]] = np.arange(len(of) - 1, -1, -1)
    there = np.flatnonzero(first < len(of))
    inorder = there[np.argsort(first[there])]
    number = first
    number[inorder] = np.arange(len(inorder))
    return Numbers(number[of], [values[i] for i in inorder.tolist()])


@dataclass(frozen=True)
class Spoken:
    """What the events of a history carry, as numbers: `names` is the value of each number.

    `value` and `result` have a row for each event, and a last one for an event that never came;
    `nil` is the number of None, which stands where an event carries nothing.
    """

    value: I64
    result: I64
    names: list[Hashable]
    nil: int

    @cached_property
    def halves(self) -> tuple[Numbers, Numbers]:
        """The first and the second of each name that is a vector of two, -1 for other names."""
        named = [name if type(name) is tuple and len(name) == 2 else None for name in self.names]
        of = np.full(len(named), -1, dtype=np.int64)
        two: list[Any] = [name for name in named if name is not None]
        whole = np.array([name is not None for name in named], dtype=np.bool_)
        halves = []
        for at in (0, 1):
            numbers = interned([name[at] for name in two])
            of[whole] = numbers.of
            halves.append(Numbers(of.copy(), numbers.values))
        return halves[0], halves[1]


def spoken(values: Sequence[Any], results: Mapping[int, Any]) -> Spoken:
    """Number the values of all events, and their results by event."""
    numbers = interned([*values, None, *results.values()])
    said, nil = numbers.of[: len(values) + 1], int(numbers.of[len(values)])
    result = np.full(len(said), nil, dtype=np.int64)
    result[list(results)] = numbers.of[len(said) :]
    return Spoken(said, result, numbers.values, nil)


def _integers(values: Sequence[int | None]) -> Numbers | None:
    """Number integers and nil by a table of all integers in between; None where it would be large."""
    try:
        # Only here nil has a number, NaN; integers up to 2^53 are exact.
        told = np.array(values, dtype=np.float64)
    except OverflowError:
        return None
    nil = np.isnan(told)
    low, high = (np.nanmin(told), np.nanmax(told)) if not nil.all() else (0.0, 0.0)
    if max(-low, high) >= 2**53 or high - low > _SPARSE * len(values) + 1024:
        return None
    base, none = int(low), int(high) - int(low) + 1
    place = np.where(nil, none, told - low).astype(np.int64)
    every: list[Hashable] = [*range(base, base + none), None]
    return renumbered(place, every)


@dataclass(frozen=True, slots=True)
class Map:
    """A map as a value: it equals neither the list nor the set of its pairs."""

    items: frozenset[tuple[Hashable, Hashable]]


class Truth(Enum):
    """`true` and `false` as values that equal no number."""

    false = False
    true = True

    def __repr__(self) -> str:
        return self.name


_TRUTHS = {False: Truth.false, True: Truth.true}


def freeze(value: Any) -> Hashable:
    """A JSON value as a hashable one; equal values freeze to equal ones."""
    if type(value) in _ATOMS:
        atom: Hashable = value
        return atom
    if isinstance(value, bool):
        return _TRUTHS[value]
    if isinstance(value, _VECTORS):
        return tuple(map(freeze, value))
    if isinstance(value, dict):
        return Map(frozenset((freeze(k), freeze(v)) for k, v in value.items()))
    if isinstance(value, set | frozenset):
        return frozenset(map(freeze, value))
    other: Hashable = value
    return other


def vectors(values: Sequence[Any], length: int) -> bool:
    """Whether all of them are lists or tuples of this length."""
    return set(map(type, values)) <= {list, tuple} and set(map(len, values)) <= {length}


def _flat(vectors: Sequence[list[Any] | None]) -> bool:
    """Whether all that the lists hold are atoms."""
    return set(map(type, chain.from_iterable(filter(None, vectors)))) <= _ATOMS


def freeze_all(values: Sequence[Any]) -> Sequence[Hashable]:
    """Values as hashable ones; where all are atoms they are so already."""
    kinds = set(map(type, values))
    if kinds <= _ATOMS:
        return values
    if kinds <= {list, type(None)} and _flat(values):
        return [None if value is None else tuple(value) for value in values]
    if kinds <= {*_ATOMS, bool}:
        return [_TRUTHS[value] if type(value) is bool else value for value in values]
    return list(map(freeze, values))
