"""What is known of one counter: its adds and reads, the bounds of each read, and which returned
new values exclude each other. Says what is, accuses nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..harness.history import Operation
from .sums import reachable
from .wording import show


class Add(msgspec.Struct, frozen=True, gc=False):
    """An add and the amount it adds (negative for a decrement)."""

    op: Operation
    delta: int


class Read(msgspec.Struct, frozen=True, gc=False):
    """An ok read with the bounds it must keep; at `rest` all acknowledged adds lie before it."""

    op: Operation
    value: int
    lower: int
    upper: int
    rest: bool


@dataclass
class Key:
    """Everything that was asked of one counter; `opened` are its indeterminate adds."""

    name: str
    initial: int
    acknowledged: list[Add] = field(default_factory=list)
    opened: list[Add] = field(default_factory=list)
    failed: list[Add] = field(default_factory=list)
    reads: list[Operation] = field(default_factory=list)

    @property
    def called(self) -> str:
        """How sentences name it."""
        return f"counter {show(self.name)}" if self.name else "the counter"

    @cached_property
    def total(self) -> int:
        """The value with exactly the acknowledged adds; asked for when all of them are known."""
        return self.initial + sum(add.delta for add in self.acknowledged)

    def opened_by(self, read: Read) -> list[int]:
        """The amounts of the indeterminate adds that this read may have seen."""
        return [add.delta for add in self.opened if add.op.call <= read.op.ret]


@dataclass(frozen=True, slots=True)
class Clash:
    """Two acknowledged adds that claim to have moved the counter over the same ground."""

    first: Add
    second: Add
    old: tuple[int, int]


def answer(op: Operation) -> Any:
    """What a read answered; a counter that does not exist yet reads 0."""
    value = op.value
    if isinstance(op.asked, list) and isinstance(value, list) and len(value) == 2:
        value = value[1]
    return 0 if value is None else value


def integral(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


def bounded(key: Key) -> Iterator[Read]:
    """The reads with their bounds: acknowledged before the call, attempted before the return."""
    ops = [op for op in key.reads if integral(answer(op))]
    attempted = [*key.acknowledged, *key.opened]
    returns = [add.op.ret for add in key.acknowledged]
    # Closed intervals: what ends when the read begins, or begins when it ends, is concurrent.
    surely = _sums(key.acknowledged, returns, [op.call for op in ops], "left")
    maybe = _sums(attempted, [add.op.call for add in attempted], [op.ret for op in ops], "right")
    settled = max(returns, default=-1)
    for i, op in enumerate(ops):
        lower = key.initial + int(surely[0][i] + maybe[1][i])
        upper = key.initial + int(maybe[0][i] + surely[1][i])
        yield Read(op, int(answer(op)), lower, upper, op.call > settled)


def _sums(
    adds: Sequence[Add], times: Sequence[int], moments: Sequence[int], side: Any
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """At each moment, the sums of the increments and of the decrements whose time lies before it."""
    when = np.array(times, dtype=np.int64)
    order = np.argsort(when, kind="stable")
    # Python's integers: a sum of somebody's deltas must not wrap round.
    deltas = np.array([add.delta for add in adds], dtype=object)[order]
    where = np.searchsorted(when[order], np.array(moments, dtype=np.int64), side=side)
    up = np.concatenate([[0], np.cumsum(np.where(deltas > 0, deltas, 0))])
    down = np.concatenate([[0], np.cumsum(np.where(deltas < 0, deltas, 0))])
    return up[where], down[where]


def gap(key: Key, read: Read) -> int:
    """What the value lacks (negative: has too much); 0 where it can be explained."""
    if read.value < read.lower:
        return read.lower - read.value
    if read.value > read.upper:
        return read.upper - read.value
    if read.rest and not reachable(read.value - key.total, key.opened_by(read)):
        return key.total - read.value
    return 0


def complete(key: Key, read: Read) -> bool:
    """Whether the value proves that no add was lost: all of them, even the open ones, are in it.

    Then values that two adds returned alike were no new values, and accuse nobody.
    """
    return read.value == key.total + sum(key.opened_by(read))


def clashing(adds: Iterable[Add]) -> list[Clash]:
    """Pairs of acknowledged adds whose returned new values cannot both be true.

    An add of d that returned n moved the counter from n - d to n. Where all adds that may have
    happened have one sign the counter passes every value once, so two such moves never overlap.
    With both signs a value may come back, and nothing follows.
    """
    adds = [add for add in adds if add.delta]
    sign = 1 if all(add.delta > 0 for add in adds) else -1
    if any(sign * add.delta < 0 for add in adds):
        return []
    moves = sorted(
        (
            (sign * (add.op.result - add.delta), sign * add.op.result, add.op.index, add)
            for add in adds
            if add.op.type == "ok" and type(add.op.result) is int
        ),
        key=lambda move: move[:3],
    )
    clashes: list[Clash] = []
    furthest = None
    for move in moves:
        if furthest is not None and move[0] < furthest[1]:
            first, second = sorted((furthest, move), key=lambda m: m[2])
            clashes.append(Clash(first[3], second[3], (sign * first[0], sign * second[0])))
        if furthest is None or move[1] > furthest[1]:
            furthest = move
    # The plainest witness first: two adds that started from the same value at the same time.
    clashes.sort(key=lambda c: (c.old[0] != c.old[1], not _overlap(c.first.op, c.second.op)))
    return clashes


def _overlap(first: Operation, second: Operation) -> bool:
    return first.call <= second.ret and second.call <= first.ret
