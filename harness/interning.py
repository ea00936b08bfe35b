"""Values as numbers: equal ones alike, from 0, in the order of first appearance."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
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
    first = np.full(none + 1, len(values), dtype=np.int64)
    # The last assignment to a place counts: backwards, the first appearance.
    first[place[::-1]] = np.arange(len(values) - 1, -1, -1)
    there = np.flatnonzero(first < len(values))
    inorder = there[np.argsort(first[there])]
    number = first
    number[inorder] = np.arange(len(inorder))
    names: list[Hashable] = (inorder + base).tolist()
    if nil.any():
        names[int(number[none])] = None
    return Numbers(number[place], names)


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
        # Tagged, so that a map never equals the list of its pairs.
        return ("map", frozenset((freeze(k), freeze(v)) for k, v in value.items()))
    if isinstance(value, set | frozenset):
        return ("set", frozenset(map(freeze, value)))
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
