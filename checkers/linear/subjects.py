"""What is to be explained, key by key: registers in columns, or the operations of any model.

Both can be decided by their patterns where those apply, be reduced to some of their rows, and be
made a problem for the search.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ...harness.columns import INFO
from ...harness.history import History, Operation
from ...harness.protocols import Model
from ..patterns import choose
from ..patterns.decision import Decision
from ..patterns.said import said_by
from .kernels import I64
from .operations import stepped
from .problem import Problem
from .registers import Rows, overwritten_before, problem_of


class Subject(Protocol):
    """Operations to explain; `key` numbers the object of each, an index of `keys`."""

    @property
    def key(self) -> I64: ...

    @property
    def keys(self) -> Sequence[Hashable]: ...

    @property
    def answered(self) -> int:
        """How many were answered, and so are judged."""

    def decide(self) -> Decision | None:
        """Decide by patterns; None where there are none for this."""

    def only(self, rows: I64) -> Subject:
        """Some of the rows, numbered anew."""

    def problem(self) -> Problem:
        """The same for the search."""

    def operation(self, row: int) -> Operation:
        """One operation as its model sees it."""

    def newer(self, row: int) -> int | None:
        """A write that surely replaced what this operation read, before it began."""


@dataclass(frozen=True, slots=True)
class Registers:
    """Registers straight from a history's columns, reads of garbage left out."""

    history: History
    rows: Rows

    @property
    def key(self) -> I64:
        return self.rows.key

    @property
    def keys(self) -> Sequence[Hashable]:
        return self.rows.keys

    @property
    def answered(self) -> int:
        return int(np.count_nonzero(self.rows.type != INFO))

    def decide(self) -> Decision | None:
        rows = self.rows
        return choose.registers(
            rows.call,
            rows.ret,
            rows.kind,
            rows.sees,
            rows.leaves,
            key=rows.key,
            initial=rows.initial,
        )

    def only(self, rows: I64) -> Registers:
        gone = np.ones(len(self.rows.index), dtype=np.bool_)
        gone[rows] = False
        return Registers(self.history, self.rows.without(np.flatnonzero(gone)))

    def problem(self) -> Problem:
        return problem_of(self.history, self.rows)

    def operation(self, row: int) -> Operation:
        return self.rows.operation(self.history, row)

    def newer(self, row: int) -> int | None:
        return overwritten_before(self.rows, row)


@dataclass(frozen=True, slots=True)
class Objects:
    """The operations of any model, as its `partition` gave them."""

    model: Model
    operations: Sequence[Operation]
    key: I64
    keys: Sequence[Hashable]

    @property
    def answered(self) -> int:
        return sum(op.type != "info" for op in self.operations)

    def decide(self) -> Decision | None:
        return choose.decide(self.model, said_by(self.operations), self.key)

    def only(self, rows: I64) -> Objects:
        kept = [self.operations[row] for row in rows.tolist()]
        return Objects(self.model, kept, self.key[rows], self.keys)

    def problem(self) -> Problem:
        return stepped(self.model, self.operations, self.key, self.keys)

    def operation(self, row: int) -> Operation:
        return self.operations[row]

    def newer(self, row: int) -> int | None:
        return None


def objects(history: History, model: Model, *, keyed: bool | None) -> Objects:
    """Everything of a history that a model has to explain.

    Failures are left out; a refusal stays where the model says that it observes.
    """
    groups = list(_partition(_observed(history, model), model, keyed))
    sizes: npt.NDArray[np.int64] = np.array([len(group) for _, group in groups], dtype=np.int64)
    return Objects(
        model,
        [op for _, group in groups for op in group],
        np.repeat(np.arange(len(groups), dtype=np.int64), sizes),
        [key for key, _ in groups],
    )


def _observed(history: History, model: Model) -> list[Operation]:
    refusals = getattr(model, "refusals", ())
    return [
        op
        for op in history.operations()
        if op.type != "fail" or (op.error == "refused" and op.f in refusals)
    ]


def _partition(
    operations: Sequence[Operation], model: Model, keyed: bool | None
) -> Iterable[tuple[Hashable, list[Operation]]]:
    split = getattr(model, "partition", None)
    if split is None:
        return [(None, list(operations))] if operations else []
    groups: Iterable[tuple[Hashable, list[Operation]]] = split(operations, keyed)
    return groups
