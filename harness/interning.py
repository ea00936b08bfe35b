"""Values as numbers: equal ones alike, from 0, in the order of first appearance."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import itemgetter
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


def numbered(codes: I64) -> tuple[I64, I64]:
    """Codes as numbers from 0 in the order of first appearance; and where each first appears."""
    _, first, of = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    return number[of], first[order]


@dataclass(frozen=True, slots=True)
class Spoken:
    """What the events of a history carry, as numbers: `names` is the value of each number.

    `value` and `result` have a row for each event, and a last one for an event that never came;
    `nil` is the number of None, which stands where an event carries nothing. `halves` are the
    first and the second of each name that is a vector of two, -1 for other names.
    """

    value: I64
    result: I64
    names: list[Hashable]
    nil: int
    halves: tuple[Numbers, Numbers]


def spoken(values: Sequence[Any], results: Mapping[int, Any]) -> Spoken:
    """Number the values of all events, and their results by event."""
    if len(values) and not results and vectors(values, 2):
        return _pairs(values)
    numbers = interned([*values, None, *results.values()])
    said, nil = numbers.of[: len(values) + 1], int(numbers.of[len(values)])
    result = np.full(len(said), nil, dtype=np.int64)
    result[list(results)] = numbers.of[len(said) :]
    two = [name for name in numbers.values if type(name) is tuple and len(name) == 2]
    whole = np.array(
        [type(name) is tuple and len(name) == 2 for name in numbers.values], dtype=np.bool_
    )
    return Spoken(said, result, numbers.values, nil, (_half(two, 0, whole), _half(two, 1, whole)))


def _half(two: Sequence[Any], at: int, whole: npt.NDArray[np.bool_]) -> Numbers:
    """The first or the second of vectors, -1 for names that are none."""
    numbers = interned([name[at] for name in two])
    of = np.full(len(whole), -1, dtype=np.int64)
    of[whole] = numbers.of
    return Numbers(of, numbers.values)


def _pairs(values: Sequence[Any]) -> Spoken:
    """Vectors of two, by their halves: much faster than one by one."""
    first, second = (interned(list(map(itemgetter(at), values))) for at in (0, 1))
    of, at = numbered(first.of * len(second.values) + second.of)
    one, two = (Numbers(np.append(half.of[at], -1), half.values) for half in (first, second))
    named = ([half.values[i] for i in half.of[:-1].tolist()] for half in (one, two))
    names: list[Hashable] = [*zip(*named, strict=True), None]
    nil = len(names) - 1
    said = np.append(of, nil)
    return Spoken(said, np.full_like(said, nil), names, nil, (one, two))


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


def freeze_all(values: Sequence[Any]) -> Sequence[Hashable]:
    """Values as hashable ones; where all are atoms they are so already."""
    kinds = set(map(type, values))
    if kinds <= _ATOMS:
        return values
    if kinds <= {*_ATOMS, bool}:
        return [_TRUTHS[value] if type(value) is bool else value for value in values]
    return list(map(freeze, values))
