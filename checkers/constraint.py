"""A rule over several rows: at least so many members stay in each group.

Everybody who leaves looks whether enough others are there. Two who look at the same time and both
leave break the rule for each other (write skew). A read of the members is of one moment. Without
any read it is broken, too, where everybody who can be a member has certainly left.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from ..harness.columns import FAIL, OK
from ..harness.errors import UsageError
from ..harness.history import FOREVER, History, Operation
from ..harness.interning import I64, interned
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .patterns.placing import dense, side_by_side
from .presence import once
from .rows import Columns, Mask, Rows, asked, groups, labelled, lengths, rows, told
from .wording import counted, freeze, label, plain, show

_JOIN, _LEAVE, _READ = range(3)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Everything that was asked: operations with the number of their group and of their member.

    A number of a member is of a pair (group, member). `of` is the group of each, `initial` and
    `everybody` tell who was a member at the beginning and who can ever have been one, `told` of
    which groups it is known who was.
    """

    ops: Rows
    group: I64
    member: I64
    names: Sequence[Any]
    of: I64
    initial: Mask
    everybody: Mask
    told: Mask

    def count(self, members: Mask) -> I64:
        """How many of the members are in each group."""
        return np.bincount(self.of[members], minlength=len(self.names))


@dataclass(frozen=True, slots=True)
class _Seen:
    """Ok reads: rows of operations, and how many different members each saw, and how many who can
    never have been one."""

    rows: I64
    members: I64
    strange: I64


@dataclass(frozen=True, slots=True)
class _Absences(Columns):
    """When members had certainly left: closed intervals."""

    member: I64
    begin: I64
    end: I64


class ConstraintChecker:
    """Judges `join [group, member]`, `leave [group, member]`, `read [group, nil]` -> [group, members]."""

    name = "constraint"

    def __init__(self, *, initial: Mapping[Any, Sequence[Any]], least: int = 1) -> None:
        """`initial` are each group's members at the beginning, `least` how many must stay.

        A group that it does not name may have had any; it is judged once a read saw enough of them.
        """
        self._initial = {label(group): set(map(freeze, some)) for group, some in initial.items()}
        self._least = least

    def check(self, history: History) -> Verdict:
        """Judge every read and every leave that succeeded; count both."""
        all_, seen = self._asked(history)
        bound = self._bound(all_, seen)
        findings = list(self._judge(history, all_, seen, bound))
        left = (all_.ops.f == _LEAVE) & (all_.ops.type == OK)
        counts = bound < FOREVER
        judged = int(counts[all_.group[seen.rows]].sum()) + int(counts[all_.group[left]].sum())
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        return Verdict(verdict="holds", judged=judged) if judged else unknown("nobody ever left")

    def _asked(self, history: History) -> tuple[_Asked, _Seen]:
        ops = rows(history, "join", "leave", "read")
        wanted = asked(history, ops)
        if not (set(map(type, wanted)) <= {list} and set(map(len, wanted)) <= {2}):
            _refuse(ops, wanted)
        halves = list(chain.from_iterable(wanted))
        names = halves[::2]
        named = labelled(names)
        first = [
            (number, member)
            for number, name in enumerate(named.values)
            for member in self._initial.get(str(name), ())
        ]
        read = np.flatnonzero((ops.f == _READ) & (ops.type == OK))
        lists = _lists(ops.of(read), told(history, ops.of(read)), named.of[read])
        shown = lengths(lists)
        members = interned(
            [
                *halves[1::2],
                *[member for _, member in first],
                *chain.from_iterable(lists),
            ]
        ).of
        group = np.concatenate(
            (
                named.of,
                np.array([number for number, _ in first], dtype=np.int64),
                np.repeat(named.of[read], shown),
            )
        )
        (pair,), count = dense((group, members))
        mine, opening, saw = np.split(pair, np.cumsum((len(ops), len(first))))
        of = np.zeros(count, dtype=np.int64)
        of[pair] = group
        initial = np.zeros(count, dtype=np.bool_)
        initial[opening] = True
        told_of = np.array([str(name) in self._initial for name in named.values], dtype=np.bool_)
        everybody = initial | ~told_of[of]
        everybody[mine[(ops.f == _JOIN) & (ops.type != FAIL)]] = True
        which, who, _ = once(np.repeat(np.arange(len(read)), shown), saw)
        seen = _Seen(
            read,
            np.bincount(which, minlength=len(read)),
            np.bincount(which[~everybody[who]], minlength=len(read)),
        )
        at = np.unique(named.of, return_index=True)[1]
        called = [names[row] for row in at.tolist()]
        return _Asked(ops, named.of, mine, called, of, initial, everybody, told_of), seen

    def _bound(self, all_: _Asked, seen: _Seen) -> I64:
        """From which moment on each group must have enough members; `FOREVER` where never."""
        enough = seen.rows[seen.members >= self._least]
        bound = np.full(len(all_.told), FOREVER, dtype=np.int64)
        np.minimum.at(bound, all_.group[enough], all_.ops.ret[enough])
        first = all_.count(all_.initial) >= self._least
        return np.where(all_.told, np.where(first, -1, FOREVER), bound)

    def _judge(self, history: History, all_: _Asked, seen: _Seen, bound: I64) -> Iterator[Anomaly]:
        """What is wrong, group by group."""
        deserted = _deserted(all_, all_.count(all_.everybody) - self._least)
        # Who is not known to have been there at first is not known to have been absent.
        deserted = np.where(all_.told & (bound < 0), deserted, FOREVER)
        group = all_.group[seen.rows]
        few_seen = (seen.members < self._least) & (all_.ops.call[seen.rows] > bound[group])
        odd = (seen.strange > 0) | few_seen
        suspects = np.zeros(len(bound), dtype=np.bool_)
        suspects[group[odd]] = True
        suspects |= deserted < FOREVER
        if not suspects.any():
            return
        wrong = np.flatnonzero(odd)
        shown, mine = groups(group[wrong], len(bound)), groups(all_.group, len(bound))
        for number in np.flatnonzero(suspects).tolist():
            few: list[Operation] = []
            for at in wrong[shown[number]].tolist():
                op = history.operation(int(all_.ops.index[seen.rows[at]]))
                if seen.strange[at]:
                    first = self._initial.get(label(all_.names[number]), set())
                    yield _tell_strange(op, _strangers(history, all_, mine[number], op) - first)
                else:
                    few.append(op)
            moment = int(deserted[number]) if deserted[number] < FOREVER else None
            if few or moment is not None:
                until = min([op.ret for op in few[:1]] + ([moment] if moment is not None else []))
                pair = _overlapping(_leaves(history, all_, mine[number], until))
                yield _tell_few(all_.names[number], few, pair, self._least)


def _refuse(ops: Rows, wanted: Sequence[Any]) -> None:
    for index, value in zip(ops.index.tolist(), wanted, strict=True):
        if not isinstance(value, list) or len(value) != 2:
            raise UsageError(f"operation {index}: expected [group, member], not {show(value)}")


def _lists(reads: Rows, values: Sequence[Any], group: I64) -> list[Any]:
    """The members that each read saw; `UsageError` tells of the first group that has no list."""
    # All at once first: one by one is for telling which one is wrong.
    pairs = set(map(type, values)) <= {list} and set(map(len, values)) <= {2}
    members = list(chain.from_iterable(values))[1::2] if pairs else []
    if pairs and set(map(type, members)) <= {list, tuple, set}:
        return members
    wrong = [row for row, value in enumerate(values) if not _is_list(value)]
    if wrong:
        row = min(wrong, key=lambda row: (group[row], row))
        raise UsageError(
            f"operation {reads.index[row]}: a read answers [group, members], not {show(values[row])}"
        )
    return [members for _, members in values]


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], list | tuple | set)


def _members(op: Operation) -> set[Hashable]:
    return set(map(freeze, op.value[1]))


def _strangers(history: History, all_: _Asked, group: I64, read: Operation) -> set[Hashable]:
    """Whom a read saw who can never have joined the group."""
    chosen = group[all_.ops.f[group] == _JOIN]
    joined = chosen[all_.everybody[all_.member[chosen]]]
    known = {freeze(value[1]) for value in history.values(all_.ops.index[joined].tolist())}
    return _members(read) - known


def _leaves(history: History, all_: _Asked, group: I64, until: int) -> list[Operation]:
    """The acknowledged leaves of a group that were called until then, member by member."""
    ops = all_.ops
    left = group[ops.f[group] == _LEAVE]
    order: dict[int, int] = {}
    for member in all_.member[left].tolist():
        order.setdefault(member, len(order))
    done = left[(ops.type[left] == OK) & (ops.call[left] <= until)]
    rank = np.array([order[member] for member in all_.member[done].tolist()], dtype=np.int64)
    chosen = done[np.argsort(rank, kind="stable")]
    return [history.operation(index) for index in ops.index[chosen].tolist()]


# --- who was certainly not there ----------------------------------------------------------------


def _deserted(all_: _Asked, most: I64) -> I64:
    """For each group the first moment at which more than `most` can certainly not have been
    members, whatever is unknown; `FOREVER` where there is none."""
    gone = _merged(_absences(all_))
    group = np.tile(all_.of[gone.member], 2)
    moment = np.concatenate((gone.begin, gone.end))
    change = np.repeat((1, -1), len(gone.begin))
    # Closed intervals: somebody who joins at that very moment may be there.
    order = np.lexsort((change, moment, group))
    # The changes of each group add up to nothing.
    crowd = np.flatnonzero(np.cumsum(change[order]) > most[group[order]])
    found = np.full(len(most), FOREVER, dtype=np.int64)
    np.minimum.at(found, group[order[crowd]], moment[order[crowd]])
    return found


def _absences(all_: _Asked) -> _Absences:
    """When members had certainly left: from a leave's return to the next join's call."""
    ops = all_.ops
    join = np.flatnonzero((ops.f == _JOIN) & (ops.type != FAIL))
    leave = np.flatnonzero((ops.f == _LEAVE) & (ops.type == OK) & all_.everybody[all_.member])
    both, count = np.concatenate((join, leave)), len(join)
    # Of a greater member all times are later.
    call, ret = side_by_side(all_.member[both], ops.call[both], ops.ret[both])
    order = np.argsort(call[:count], kind="stable")
    latest = np.maximum.accumulate(ret[:count][order])
    at = np.searchsorted(call[:count][order], ret[count:], side="right")
    # Who may have joined again after the leave is left out.
    gone = (at == 0) | (np.append(latest, 0)[at - 1] < call[count:])
    leave, at = leave[gone], at[gone]
    again = np.append(all_.member[join[order]], -1)[at] == all_.member[leave]
    back = np.where(again, np.append(ops.call[join[order]], FOREVER)[at], FOREVER)
    first = np.full(len(all_.of), FOREVER, dtype=np.int64)
    np.minimum.at(first, all_.member[join], ops.call[join])
    later = np.flatnonzero(all_.everybody & ~all_.initial)
    return _Absences(
        member=np.concatenate((later, all_.member[leave])),
        begin=np.concatenate((np.full(len(later), -1), ops.ret[leave])),
        end=np.concatenate((first[later], back)),
    )


def _merged(absences: _Absences) -> _Absences:
    """Two leaves without a join between them are one absence."""
    absences = absences.of(np.lexsort((absences.end, absences.begin, absences.member)))
    known, rank = np.unique(absences.end, return_inverse=True)
    latest = np.maximum.accumulate(absences.member * len(known) + rank.reshape(-1))
    reached = np.full(len(latest), -2, dtype=np.int64)
    same = np.flatnonzero(absences.member[1:] == absences.member[:-1])
    reached[same + 1] = known[latest[same] % max(len(known), 1)]
    inner = absences.end > reached
    begin = np.maximum(absences.begin, reached)
    return _Absences(absences.member[inner], begin[inner], absences.end[inner])


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


def _tell_few(
    group: Any, reads: Sequence[Operation], pair: Sequence[Operation], least: int
) -> Anomaly:
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
        sentence=f"{seen} group {show(group)}, where at least {least} must stay.{told}",
        ops=(*(op.index for op in reads[:1]), *(op.index for op in pair)),
        count=max(1, len(reads)),
        evidence={
            "kind": "ladder",
            "group": plain(freeze(group)),
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
