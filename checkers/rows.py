"""The operations of some functions as rows of columns, with what they asked and were told in lists.

No object is made for an operation here: that costs more than judging it.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..harness.columns import INFO
from ..harness.history import History
from ..harness.interning import I64, Numbers, interned
from .wording import label

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """Numpy columns of equal length and nothing else, one row for each thing that they tell of."""

    def of(self, chosen: I64 | Mask | slice) -> Self:
        """Only these rows."""
        return replace(self, **{f.name: getattr(self, f.name)[chosen] for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Rows(Columns):
    """Operations in the order of invocation, as in `harness.columns.Operations`.

    `f` is the place of the operation's function among those that were asked for.
    """

    index: I64
    end: I64
    type: npt.NDArray[np.int8]
    f: npt.NDArray[np.int8]
    call: I64
    ret: I64

    def __len__(self) -> int:
        return len(self.index)


def rows(history: History, *functions: str) -> Rows:
    """The clients' operations of these functions."""
    table = history.table
    place = np.full(len(history.functions), -1, dtype=np.int8)
    for code, name in enumerate(history.functions):
        if name in functions:
            place[code] = functions.index(name)
    f = place[table.f]
    every = Rows(table.index, table.end, table.type, f, table.call, table.ret)
    return every if (f >= 0).all() else every.of(f >= 0)


def asked(history: History, chosen: Rows) -> list[Any]:
    """What each operation asked."""
    return history.values(chosen.index.tolist())


def told(history: History, chosen: Rows) -> list[Any]:
    """The value of each operation: what it was told, or what it asked where nobody knows."""
    return history.values(np.where(chosen.type == INFO, chosen.index, chosen.end).tolist())


def results(history: History, chosen: Rows) -> list[Any]:
    """What each operation answered besides its value."""
    return history.results(chosen.end.tolist())


def labelled(names: Sequence[Any]) -> Numbers:
    """Number keys by their labels, so that 1 and "1" are one key."""
    kinds = set(map(type, names))
    if kinds <= {int} or kinds <= {str}:
        # Then different keys have different labels.
        keys = interned(names)
        return Numbers(keys.of, list(map(label, keys.values)))
    return interned(list(map(label, names)))


def groups(key: I64, keys: int) -> list[I64]:
    """The rows of each key, in order."""
    ends = np.cumsum(np.bincount(key, minlength=keys))
    return np.split(np.argsort(key, kind="stable"), ends)[:keys]


def lengths(lists: Sequence[Sized]) -> I64:
    """How long each of them is."""
    return np.fromiter(map(len, lists), np.int64, len(lists))
