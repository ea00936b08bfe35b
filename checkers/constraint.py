"""A rule over several rows: at least so many members stay in each group.

Everybody who leaves looks whether enough others are there. Two who look at the same time and both
leave break the rule for each other (write skew). A read of the members is of one moment. Without
any read it is broken, too, where everybody who can be a member has certainly left.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from ..harness.errors import UsageError
from ..harness.history import FOREVER, History, Operation
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .wording import counted, freeze, label, plain, show


@dataclass
class _Group:
    """Everything that was asked of one group."""

    name: Any
    initial: set[Hashable] = field(default_factory=set)
    joins: defaultdict[Hashable, list[Operation]] = field(default_factory=lambda: defaultdict(list))
    leaves: defaultdict[Hashable, list[Operation]] = field(
        default_factory=lambda: defaultdict(list)
    )
    reads: list[Operation] = field(default_factory=list)

    @property
    def everybody(self) -> set[Hashable]:
        """All who can ever have been members."""
        joined = {m for m, ops in self.joins.items() if any(op.type != "fail" for op in ops)}
        return self.initial | joined


class ConstraintChecker:
    """Judges `join [group, member]`, `leave [group, member]`, `read [group, nil]` -> [group, members]."""

    name = "constraint"

    def __init__(self, *, initial: Mapping[Any, Sequence[Any]], least: int = 1) -> None:
        """`initial` are each group's members at the beginning, `least` how many must stay."""
        self._initial = {label(group): set(map(freeze, some)) for group, some in initial.items()}
        self._least = least

    def check(self, history: History) -> Verdict:
        """Judge every read and every leave that succeeded; count both."""
        findings: list[Anomaly] = []
        judged = 0
        for group in self._groups(history).values():
            judged += len(group.reads)
            judged += sum(op.type == "ok" for ops in group.leaves.values() for op in ops)
            findings += self._judge(group)
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        return Verdict(verdict="holds", judged=judged) if judged else unknown("nobody ever left")

    def _groups(self, history: History) -> dict[str, _Group]:
        groups: dict[str, _Group] = {}
        for op in history.operations("join", "leave", "read"):
            if not isinstance(op.asked, list) or len(op.asked) != 2:
                raise UsageError(
                    f"operation {op.index}: expected [group, member], not {show(op.asked)}"
                )
            name, member = op.asked[0], freeze(op.asked[1])
            group = groups.get(label(name))
            if group is None:
                members = self._initial.get(label(name), set())
                group = groups[label(name)] = _Group(name, set(members))
            if op.f == "join":
                group.joins[member].append(op)
            elif op.f == "leave":
                group.leaves[member].append(op)
            elif op.type == "ok":
                group.reads.append(op)
        return groups

    def _judge(self, group: _Group) -> Iterator[Anomaly]:
        everybody = group.everybody
        few = []
        for op in group.reads:
            members = _members(op)
            strange = members - everybody
            if strange:
                yield _tell_strange(op, strange)
            elif len(members) < self._least <= len(group.initial):
                few.append(op)
        deserted = self._deserted(group) if len(group.initial) >= self._least else None
        if few or deserted is not None:
            yield _tell_few(group, few, deserted, self._least)

    def _deserted(self, group: _Group) -> int | None:
        """A moment at which too few can have been members, whatever is unknown."""
        edges: list[tuple[int, int]] = []
        for member in group.everybody:
            for begin, end in _absences(group, member):
                # Closed intervals: somebody who joins at that very moment may be there.
                edges += [(begin, 1), (end, -1)]
        gone, most = 0, len(group.everybody) - self._least
        for moment, change in sorted(edges):
            gone += change
            if gone > most:
                return moment
        return None


def _absences(group: _Group, member: Hashable) -> Iterator[tuple[int, int]]:
    """When a member has certainly left: from a leave's return to the next join's call."""
    joins = sorted((op.call, op.ret) for op in group.joins[member] if op.type != "fail")
    calls = [*(call for call, _ in joins), FOREVER]
    latest = list(accumulate((ret for _, ret in joins), max, initial=-1))
    absences = []
    if member not in group.initial:
        absences.append((-1, calls[0]))
    for leave in group.leaves[member]:
        if leave.type != "ok":
            continue
        called = bisect_right(calls, leave.ret)
        if latest[called] >= leave.call:
            continue  # it may have joined again after that
        absences.append((leave.ret, calls[called]))
    # Two leaves without a join between them are one absence.
    reached = -2
    for begin, end in sorted(absences):
        if end > reached:
            yield max(begin, reached), end
            reached = end


def _members(op: Operation) -> set[Hashable]:
    value = op.value
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], list | tuple | set):
        return set(map(freeze, value[1]))
    raise UsageError(f"operation {op.index}: a read answers [group, members], not {show(value)}")


# --- how it is told ------------------------------------------------------------------------------


def _tell_strange(op: Operation, strange: set[Hashable]) -> Anomaly:
    who = min(strange, key=repr)
    return Anomaly(
        type="garbage-read",
        sentence=f"Process {op.process} saw {show(plain(who))} in group {show(op.value[0])}, "
        "who never joined it.",
        ops=(op.index,),
        evidence={"kind": "ladder", "read": op.index, "member": plain(who)},
    )


def _tell_few(group: _Group, reads: list[Operation], moment: int | None, least: int) -> Anomaly:
    until = min([op.ret for op in reads[:1]] + ([moment] if moment is not None else []))
    pair = _overlapping(
        op for ops in group.leaves.values() for op in ops if op.type == "ok" and op.call <= until
    )
    told = ""
    if pair:
        one, two = pair
        told = (
            f" Processes {one.process} and {two.process} let {show(one.asked[1])} and "
            f"{show(two.asked[1])} leave at the same time, each counting on the other."
        )
    seen = (
        f"Process {reads[0].process} saw {counted(len(_members(reads[0])), 'member')} in"
        if reads
        else "Everybody had left"
    )
    return Anomaly(
        type="G2-item",
        sentence=f"{seen} group {show(group.name)}, where at least {least} must stay.{told}",
        ops=(*(op.index for op in reads[:1]), *(op.index for op in pair)),
        count=max(1, len(reads)),
        evidence={
            "kind": "ladder",
            "group": plain(freeze(group.name)),
            "least": least,
            "read": reads[0].index if reads else None,
            "leaves": [op.index for op in pair],
        },
    )


def _overlapping(leaves: Iterable[Operation]) -> tuple[Operation, ...]:
    """The last two leaves of different members that were under way at the same time."""
    ordered = sorted(leaves, key=lambda op: op.call)
    pairs = [
        (a, b)
        for i, b in enumerate(ordered)
        for a in ordered[max(0, i - 8) : i]
        if b.call <= a.ret and a.asked != b.asked
    ]
    return pairs[-1] if pairs else ()
