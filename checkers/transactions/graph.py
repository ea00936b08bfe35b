"""The dependencies between transactions, as rows of numbers, and how they are gathered.

Beside transactions there are nodes that stand for a moment or for a set of transactions, so that
"everybody here before everybody there" needs as many edges as there are transactions, not as many
as there are pairs. A path through such nodes is one dependency; it is told as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...harness.columns import INFO, OK
from ...harness.transactions import Transactions

DEPENDS, ANTI, PASSES = 0, 1, 2
"""How an edge counts in a cycle: a dependency, an anti-dependency, or the way out of a node that
stands for others, which continues the edge that led there."""

PLAIN, PROCESS, REALTIME = 0, 1, 2
"""What an edge rests on: what was read and written, the order of each process, or real time."""

WW, WR, RW, BY_PROCESS, BY_TIME, UNSEEN = 0, 1, 2, 3, 4, 5
"""Why an edge is there; `UNSEEN`: a write by one that had read the key without the other's."""

RELATIONS = ("ww", "wr", "rw", "process", "realtime", "ww")

Rows = npt.NDArray[Any]

_FEW = 2
"""Sources among their own group's targets that get edges to all of them."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Edges in columns of equal length, over `nodes` nodes of which the first are transactions.

    `count` (int8) is `DEPENDS`, `ANTI` or `PASSES`; `rests` (int8) `PLAIN`, `PROCESS` or
    `REALTIME`; `grade` (int8) says from which class of cycles on an edge may be used: 0 all, 1 from
    G1c on, 2 from G-single on; `why` (int8) is an index of `RELATIONS`; `step` (int32) the
    micro-operation that makes the edge, -1 without one.
    """

    transactions: int
    nodes: int
    source: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]
    count: npt.NDArray[np.int8]
    rests: npt.NDArray[np.int8]
    grade: npt.NDArray[np.int8]
    why: npt.NDArray[np.int8]
    step: npt.NDArray[np.int32]


class Builder:
    """Gathers edges; a transaction never depends on itself."""

    def __init__(self, transactions: int) -> None:
        self.transactions = transactions
        self.nodes = transactions
        self._parts: list[tuple[Rows, Rows, tuple[Rows, ...]]] = []

    def more(self, number: int) -> int:
        """Make nodes that are no transactions; the first of them."""
        first = self.nodes
        self.nodes += number
        return first

    def add(
        self,
        source: Rows,
        target: Rows,
        *,
        count: int,
        why: int,
        rests: int = PLAIN,
        grade: int | Rows = 0,
        step: Rows | int = -1,
    ) -> None:
        """Add edges, all of one kind."""
        keep = source != target
        number = int(np.count_nonzero(keep))
        if not number:
            return

        def column(value: int | Rows, kind: type[np.signedinteger[Any]]) -> Rows:
            if isinstance(value, int | np.integer):
                return np.full(number, value, dtype=kind)
            picked: Rows = value[keep].astype(kind)
            return picked

        columns = (
            column(count, np.int8),
            column(rests, np.int8),
            column(grade, np.int8),
            column(why, np.int8),
            column(step, np.int32),
        )
        ends = (source[keep].astype(np.int32), target[keep].astype(np.int32))
        self._parts.append((*ends, columns))

    def add_through(
        self,
        group: Rows,
        source: Rows,
        goal_group: Rows,
        target: Rows,
        *,
        step: Rows,
        writes: Rows,
        rests: int = PLAIN,
        grade: int = 0,
    ) -> None:
        """Add anti-dependencies from each source of a group to each target of the same group.

        `step` is the targets'. A group with several targets gets a node through which all sources
        pass, but those that are among the targets themselves, and would come back to themselves:
        they get edges of their own, or, where they are many, two chains of nodes, forwards and
        backwards, which they enter beside their own place. `writes` says which sources write the key
        themselves: from G-single on theirs are dependencies, for were their own version the later
        one, they lost the other's update.
        """
        _, kept = np.unique(_pairs(goal_group, target), return_index=True)
        goal_group, target, step = goal_group[kept], target[kept], step[kept]
        for chosen, count, why, least in (
            (np.ones(len(source), dtype=np.bool_), ANTI, RW, grade),
            (writes, DEPENDS, UNSEEN, 2),
        ):
            self._through(
                group[chosen], source[chosen], goal_group, target, step,
                {"count": count, "why": why, "rests": rests, "grade": least},
            )  # fmt: skip

    def _through(
        self,
        group: Rows,
        source: Rows,
        goal_group: Rows,
        target: Rows,
        step: Rows,
        ways: dict[str, Any],
    ) -> None:
        low = np.searchsorted(goal_group, group, side="left")
        high = np.searchsorted(goal_group, group, side="right")
        one = high - low == 1
        at = low[one]
        self.add(source[one], target[at], step=step[at], **ways)
        many = high - low > 1
        if not np.any(many):
            return
        group, source, low, high = group[many], source[many], low[many], high[many]
        # Where each source is itself among the targets; at `high` or another's place if not.
        own = np.searchsorted(_pairs(goal_group, target), _pairs(group, source))
        inside = (own < high) & (target[np.minimum(own, len(target) - 1)] == source)
        crowded = np.bincount(low[inside], minlength=len(target))[low] > _FEW
        lone = inside & ~crowded
        at = spans(low[lone], high[lone])
        mine = np.repeat(source[lone], high[lone] - low[lone])
        self.add(mine, target[at], step=step[at], **ways)
        for some, lead in ((~inside & ~crowded, self._hub), (crowded, self._chains)):
            if np.any(some):
                lead(source[some], low[some], high[some], own[some], inside[some],
                     goal_group, target, step, ways)  # fmt: skip

    def _hub(
        self,
        source: Rows,
        low: Rows,
        high: Rows,
        own: Rows,
        inside: Rows,
        goal_group: Rows,
        target: Rows,
        step: Rows,
        ways: dict[str, Any],
    ) -> None:
        """One node for each group: its sources lead there, and from there to all its targets."""
        begins, ends = (_each_once(each, len(target)) for each in (low, high))
        place = np.zeros(len(target) + 1, dtype=np.int64)
        place[begins] = self.more(len(begins)) + np.arange(len(begins))
        self.add(source, place[low], **ways)
        at = spans(begins, ends)
        node = np.repeat(place[begins], ends - begins)
        self.add(node, target[at], step=step[at], **(ways | {"count": PASSES}))

    def _chains(
        self,
        source: Rows,
        low: Rows,
        high: Rows,
        own: Rows,
        inside: Rows,
        goal_group: Rows,
        target: Rows,
        step: Rows,
        ways: dict[str, Any],
    ) -> None:
        """Two chains of nodes for each group: to all targets from one on, and up to one."""
        used = spans(*(_each_once(each, len(target)) for each in (low, high)))
        place = np.zeros(len(target) + 1, dtype=np.int64)
        place[used] = np.arange(len(used))
        forward, backward = self.more(len(used)), self.more(len(used))
        here = np.arange(len(used))
        for first, move in ((forward, 1), (backward, -1)):
            passing = ways | {"count": PASSES}
            self.add(first + here, target[used], step=step[used], **passing)
            after = here + move
            fits = (after >= 0) & (after < len(used))
            fits[fits] = goal_group[used[after[fits]]] == goal_group[used[here[fits]]]
            self.add(first + here[fits], first + after[fits], **passing)
        self.add(source[~inside], forward + place[low[~inside]], **ways)
        right = inside & (own + 1 < high)
        self.add(source[right], forward + place[own[right] + 1], **ways)
        left = inside & (own > low)
        self.add(source[left], backward + place[own[left] - 1], **ways)

    def finished(self) -> Graph:
        """Everything that was added."""
        parts = self._parts

        def joined(columns: list[Rows], kind: type[np.signedinteger[Any]]) -> Any:
            return np.concatenate(columns) if columns else np.zeros(0, dtype=kind)

        kinds: tuple[type[np.signedinteger[Any]], ...] = (
            np.int8,
            np.int8,
            np.int8,
            np.int8,
            np.int32,
        )
        source = joined([part[0] for part in parts], np.int32)
        target = joined([part[1] for part in parts], np.int32)
        rest = [joined([part[2][i] for part in parts], kind) for i, kind in enumerate(kinds)]
        self._parts = []
        return Graph(
            transactions=self.transactions,
            nodes=self.nodes,
            source=source,
            target=target,
            count=rest[0],
            rests=rest[1],
            grade=rest[2],
            why=rest[3],
            step=rest[4],
        )


def spans(low: Rows, high: Rows) -> npt.NDArray[np.int64]:
    """The numbers from each low to its high, one span after another."""
    sizes = (high - low).astype(np.int64)
    total = int(sizes.sum())
    begins = np.repeat(np.cumsum(sizes) - sizes, sizes)
    numbers: npt.NDArray[np.int64] = np.arange(total, dtype=np.int64)
    numbers += np.repeat(low, sizes) - begins
    return numbers


def _each_once(numbers: Rows, most: int) -> Rows:
    """Numbers up to `most` in order, none twice."""
    there = np.zeros(most + 1, dtype=np.bool_)
    there[numbers] = True
    return np.flatnonzero(there)


def _pairs(group: Rows, node: Rows) -> Rows:
    return group.astype(np.int64) << 32 | node.astype(np.int64)


def add_orders(builder: Builder, txns: Transactions, taking_part: npt.NDArray[np.bool_]) -> None:
    """Add the order of each process, and real time, for the transactions that take part.

    A transaction that never answered comes after others and before none.
    """
    rows = np.flatnonzero(taking_part)
    _add_processes(builder, txns, rows)
    _add_time(builder, txns, rows)


def _add_processes(builder: Builder, txns: Transactions, rows: Rows) -> None:
    rows = rows[np.argsort(txns.process[rows], kind="stable")]
    process = txns.process[rows]
    place = np.arange(len(rows))
    # The last one before this that answered; it is of this process or it is none.
    answered = np.where(txns.type[rows] == OK, place, -1)
    before = np.concatenate(([-1], np.maximum.accumulate(answered)[:-1])) if len(rows) else place
    linked = before >= 0
    linked[linked] = process[before[linked]] == process[linked]
    builder.add(
        rows[before[linked]],
        rows[linked],
        count=DEPENDS,
        why=BY_PROCESS,
        rests=PROCESS,
    )


def _add_time(builder: Builder, txns: Transactions, rows: Rows) -> None:
    """Interval order with a node for each moment of return: three edges a transaction."""
    done = rows[txns.type[rows] != INFO]
    moments, moment = np.unique(txns.ret[done], return_inverse=True)
    if not len(moments):
        return
    first = builder.more(len(moments))
    builder.add(done, first + moment, count=DEPENDS, why=BY_TIME, rests=REALTIME)
    chain = first + np.arange(len(moments))
    builder.add(chain[:-1], chain[1:], count=PASSES, why=BY_TIME, rests=REALTIME)
    # Closed intervals: equal times are concurrent.
    latest = np.searchsorted(moments, txns.call[rows], side="left") - 1
    after = latest >= 0
    builder.add(first + latest[after], rows[after], count=PASSES, why=BY_TIME, rests=REALTIME)
