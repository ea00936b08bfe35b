"""What operations said, in columns: read off a history, or off operations that a model partitioned."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ...harness.columns import FAIL, INFO, OK
from ...harness.history import FOREVER, History, Operation
from ...harness.interning import spoken
from .decision import Column, Mask


@dataclass(frozen=True, slots=True)
class Said:
    """One row for each operation that a model has to explain.

    `f` is an index of `functions`; `ret` is `FOREVER` for what crashed; what `failed` was refused.
    `asked`, `value` (the completion's where it succeeded, else what was asked) and `result` are
    numbers of `names`, which are frozen; `nil` is the number of None.
    """

    functions: Sequence[str]
    f: Column
    call: Column
    ret: Column
    process: Column
    failed: Mask
    crashed: Mask
    asked: Column
    value: Column
    result: Column
    names: Sequence[Hashable]
    nil: int

    def __len__(self) -> int:
        return len(self.f)

    def does(self, function: str) -> Mask:
        """Which rows are of a function."""
        named = np.array([name == function for name in self.functions], dtype=np.bool_)
        return named[self.f] if len(named) else np.zeros(len(self), dtype=np.bool_)


def said_by(operations: Sequence[Operation]) -> Said:
    """The columns of operations as a model's `partition` gave them."""
    codes: dict[str, int] = {}
    f = [codes.setdefault(op.f, len(codes)) for op in operations]
    crashed = np.array([op.type == "info" for op in operations], dtype=np.bool_)
    ret = np.array([op.ret for op in operations], dtype=np.int64)
    many = len(operations)
    carried = spoken(
        [*(op.asked for op in operations), *(op.value for op in operations)],
        {row: op.result for row, op in enumerate(operations)},
    )
    return Said(
        functions=tuple(codes),
        f=np.array(f, dtype=np.int64),
        call=np.array([op.call for op in operations], dtype=np.int64),
        ret=np.where(crashed, FOREVER, ret),
        process=np.array([op.process for op in operations], dtype=np.int64),
        failed=np.array([op.type == "fail" for op in operations], dtype=np.bool_),
        crashed=crashed,
        asked=carried.value[:many],
        value=carried.value[many:-1],
        result=carried.result[:many],
        names=carried.names,
        nil=carried.nil,
    )


def said_in(history: History, functions: Sequence[str], refusals: Sequence[str]) -> Said | None:
    """The columns of a history, failures left out but refusals of these functions.

    None if it has operations of other functions.
    """
    table = history.table
    known, observing = (
        np.array([name in names for name in history.functions] or [False], dtype=np.bool_)[table.f]
        for names in (functions, refusals)
    )
    observed = (table.type != FAIL) | (table.refused & observing)
    if (observed & ~known).any():
        return None
    rows = np.flatnonzero(observed)
    kind, index, end = table.type[rows], table.index[rows], table.end[rows]
    carried = history.spoken
    return Said(
        functions=history.functions,
        f=table.f[rows].astype(np.int64),
        call=table.call[rows],
        ret=table.ret[rows],
        process=table.process[rows].astype(np.int64),
        failed=kind == FAIL,
        crashed=kind == INFO,
        asked=carried.value[index],
        value=carried.value[np.where(kind == OK, end, index)],
        result=carried.result[end],
        names=carried.names,
        nil=carried.nil,
    )
