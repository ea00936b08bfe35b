"""The smallest part of a history that is still a violation, for the same reason. Pure functions.

Operations are left out as in delta debugging (Zeller & Hildebrandt 2002, algorithm ddmin), and then
micro-operations of the transactions that stay, as long as the checkers still find the same anomaly
and none that the whole history had not. What a write that is left out put into a list is left out of
the lists that were read, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from ..checkers.judge import judge
from ..harness.errors import DokkaebiError, UsageError
from ..harness.history import NEMESIS, History, Op, Operation
from ..harness.interning import freeze
from ..harness.protocols import Workload
from ..harness.verdict import Anomaly, Verdict

Unit = TypeVar("Unit")

Place = tuple[int, int]
"""A micro-operation: the index of its transaction's invocation, and its place there."""

MOST_NAMED = 8
"""Operations that an anomaly names are told as well where that makes no more: they say why."""

MOST_TRIES = 2_000
"""Smaller histories that are judged at the most; then the smallest so far is taken."""


class Shrunk(msgspec.Struct, frozen=True, kw_only=True):
    """A small history with what is found in it."""

    history: History
    anomaly: Anomaly
    operations: tuple[Operation, ...]
    tried: int
    """How many smaller histories were judged."""


def shrink_history(history: History, workload: Workload, name: str | None = None) -> Shrunk:
    """The smallest part that shows the anomaly `name`, by default the first that was found.

    Raises `UsageError` where the history shows no such anomaly.
    """
    whole = _verdict(history, workload)
    found = [each for each in whole.anomalies if name in (None, each.type)]
    if not found:
        there = ", ".join(dict.fromkeys(each.type for each in whole.anomalies)) or "none"
        raise UsageError(f"it has no anomaly{f' {name}' if name else ''}; it has {there}")
    search = _Search(history, workload, found[0], {each.type for each in whole.anomalies})
    kept = search.smallest()
    dropped = search.needless(kept)
    small = part(history, kept, nemesis=search.nemesis, dropped=dropped)
    verdict = _verdict(small, workload)
    return Shrunk(
        history=small,
        anomaly=next(each for each in verdict.anomalies if each.type == found[0].type),
        operations=tuple(small.operations()),
        tried=search.tried,
    )


class _Search:
    """Looks for the smallest part of one history that shows one anomaly."""

    def __init__(
        self, history: History, workload: Workload, anomaly: Anomaly, known: set[str]
    ) -> None:
        self._history = history
        self._workload = workload
        self._anomaly = anomaly
        self._known = known
        self.nemesis = False
        """Whether the faults have to be told as well."""
        self.tried = 0

    def smallest(self) -> list[int]:
        """The operations of the smallest part that was found."""
        named = [self._history.operation(index) for index in self._anomaly.ops]
        for self.nemesis in (False, True):
            for candidates in self._beginnings(named):
                if self._shows(candidates):
                    least = minimised(candidates, self._shows)
                    told = sorted({*least, *(op.index for op in named)})
                    few = len(told) <= MOST_NAMED
                    return told if few and self._shows(told) else least
        raise UsageError("the anomaly does not show again when the history is judged")

    def needless(self, kept: Sequence[int]) -> frozenset[Place]:
        """Micro-operations of these operations that need not be told."""
        every = frozenset(
            (index, place)
            for index in kept
            for place in range(_size(self._history.operation(index).asked))
        )
        if not every:
            return every

        transactions = {index for index, _ in every}

        def shows(told: Sequence[Place]) -> bool:
            whole = {index for index, _ in told} == transactions
            return whole and self._shows(kept, every.difference(told))

        least = minimised(sorted(every), shows)
        return every.difference(least)

    def _beginnings(self, named: Sequence[Operation]) -> Iterator[list[int]]:
        """Ever larger parts: what the anomaly names, what touches the same, all until then, all."""
        yield sorted({op.index for op in named})
        every = list(self._history.operations())
        keys = {self._key(op) for op in named}
        near = [op for op in every if self._key(op) in keys]
        last = max((op.ret for op in named), default=0)
        for some in (near, every):
            yield [op.index for op in some if op.call <= last]
            yield [op.index for op in some]

    def _key(self, op: Operation) -> Any:
        try:
            meeting = self._workload.contends(op)
        except (TypeError, IndexError, KeyError, ValueError):
            return None
        return meeting and freeze(meeting[0])

    def _shows(self, kept: Sequence[int], dropped: Collection[Place] = ()) -> bool:
        if self.tried >= MOST_TRIES:
            return False
        self.tried += 1
        try:
            small = part(self._history, kept, nemesis=self.nemesis, dropped=dropped)
            verdict = _verdict(small, self._workload)
        except DokkaebiError:
            return False  # what is left makes no sense on its own
        found = {each.type for each in verdict.anomalies}
        return self._anomaly.type in found and found <= self._known


def minimised(units: Sequence[Unit], shows: Callable[[Sequence[Unit]], bool]) -> list[Unit]:
    """Units of which none can be left out; `units` themselves must show it."""
    kept, parts = list(units), 2
    while len(kept) > 1:
        size = -(-len(kept) // parts)
        cuts = [kept[:at] + kept[at + size :] for at in range(0, len(kept), size)]
        smaller = next((rest for rest in cuts if rest and shows(rest)), None)
        if smaller is not None:
            kept, parts = smaller, max(parts - 1, 2)
        elif size == 1:
            break
        else:
            parts = min(len(kept), 2 * parts)
    return kept


# --- a part of a history -------------------------------------------------------------------------


def part(
    history: History, kept: Collection[int], *, nemesis: bool, dropped: Collection[Place] = ()
) -> History:
    """The history of these operations alone, some micro-operations left out, and the nemesis'."""
    chosen = set(kept)
    gone = _Gone(history, chosen, set(dropped))
    events = [
        _without(history[index], _first(history, index), gone)
        for index in range(len(history))
        if _first(history, index) in chosen or (nemesis and history[index].process == NEMESIS)
    ]
    renumbered = [msgspec.structs.replace(op, index=place) for place, op in enumerate(events)]
    return History(renumbered, meta=history.meta)


def _first(history: History, index: int) -> int:
    """The index of the invocation that an event belongs to."""
    pair = int(history.pair[index])
    return min(index, pair) if pair >= 0 else index


class _Gone:
    """What is left out of the operations that stay, and what the others had put somewhere."""

    def __init__(
        self, history: History, chosen: Collection[int], dropped: Collection[Place]
    ) -> None:
        self.dropped = dropped
        self.values: set[Any] = set()
        self.appends: set[Any] = set()
        kept: set[Any] = set()
        for op in history.operations():
            wrote = self.values if op.index not in chosen else kept
            if op.asked is not None:
                wrote.add(freeze(op.asked))
            self.appends.update(
                appended
                for place, appended in _appends(op.asked)
                if op.index not in chosen or (op.index, place) in dropped
            )
        self.values -= kept

    def left(self, index: int, mops: Sequence[Any]) -> list[Any]:
        """The micro-operations that stay of a transaction."""
        return [mop for place, mop in enumerate(mops) if (index, place) not in self.dropped]


def _appends(asked: Any) -> Iterable[tuple[int, Any]]:
    """What a transaction appends, and at which of its places."""
    if not _is_transaction(asked):
        return ()
    return [
        (place, (freeze(mop[1]), freeze(mop[2])))
        for place, mop in enumerate(asked)
        if mop[0] == "append"
    ]


def _size(asked: Any) -> int:
    """How many micro-operations this has; 0 where it is no transaction."""
    return len(asked) if _is_transaction(asked) else 0


def _is_transaction(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(mop, list) and len(mop) == 3 and mop[0] in ("r", "w", "append") for mop in value
    )


def _without(op: Op, index: int, gone: _Gone) -> Op:
    value = op.value
    if not isinstance(value, list):
        return op
    if value and _is_transaction(value):
        told = [_heard(mop, gone) for mop in gone.left(index, value)]
    elif op.type == "invoke":
        return op
    else:
        told = [each for each in value if freeze(each) not in gone.values]
    return msgspec.structs.replace(op, value=told)


def _heard(mop: Sequence[Any], gone: _Gone) -> list[Any]:
    """A micro-operation, without what nobody appended any more."""
    f, key, seen = mop
    if f == "r" and isinstance(seen, list):
        seen = [each for each in seen if (freeze(key), freeze(each)) not in gone.appends]
    return [f, key, seen]


def _verdict(history: History, workload: Workload) -> Verdict:
    verdict, _ = judge(history, workload.checkers(history.meta))
    return verdict
