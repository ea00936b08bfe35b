"""Sets that only grow: no acknowledged element is lost, none is invented, none is there twice.

After Jepsen's set-full. An element that a read missed and a later one saw was stale; that is told,
and is a violation only where linearizable is demanded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np

from ..harness.columns import OK
from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.interning import freeze_all, interned
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .presence import Missing, Presence, Sightings, once, remaining
from .rows import Rows, asked, groups, lengths, rows, told
from .wording import counted, plain, show, span

_ADD, _READ = 0, 1


class SetFullChecker:
    """Judges `add x` and `read nil` -> [elements]; or `add [key, x]` and `read [key, nil]`."""

    name = "set-full"

    def __init__(self, *, linearizable: bool = False) -> None:
        """With `linearizable` a stale read is a violation."""
        self._linearizable = linearizable

    def check(self, history: History) -> Verdict:
        """Judge every element that some read saw or had to see; count them."""
        findings: list[Anomaly] = []
        doubled: list[tuple[int, Hashable]] = []
        judged = late = twice = 0
        latest: Missing | None = None
        for each in _sets(history):
            found = remaining(each.seen)
            judged += found.judged
            findings += _tell(found, each.called, self._linearizable)
            late += len(found.stale)
            latest = latest or found.stale_first
            twice += each.twice
            doubled += [each.doubled] if each.twice else []
        if doubled:
            index, element = min(doubled, key=itemgetter(0))
            findings.append(_tell_twice(history.operation(index), element, twice))
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        if not judged:
            return unknown("no read of the set could tell anything")
        reason = (
            f"{counted(late, 'element')} seen late, {show(plain(latest.element))} by "
            f"{span(latest.read.call - latest.since)}; linearizable was not demanded"
            if latest
            else ""
        )
        return Verdict(verdict="holds", reason=reason, judged=judged)


@dataclass(frozen=True, slots=True)
class _Set:
    """One set; `twice` counts what reads showed more than once, of which `doubled` is the first.

    `doubled` is a read's invocation, -1 for none, and an element.
    """

    called: str
    seen: Sightings
    twice: int
    doubled: tuple[int, Hashable]


def _sets(history: History) -> Iterator[_Set]:
    """Each set that was added to or read, in the order of first mention."""
    every = rows(history, "add", "read")
    every = every.of((every.f == _ADD) | (every.type == OK))
    values = asked(history, every)
    reading = every.f == _READ
    reads, answers = np.flatnonzero(reading).tolist(), told(history, every.of(reading))
    if not _keyed(values, [values[row] for row in reads], answers):
        for row, answer in zip(reads, answers, strict=True):
            values[row] = _elements(every.index[row], answer)
        if len(every):
            yield _set(history, "", every, values)
        return
    keys = interned([key for key, _ in values])
    values = [element for _, element in values]
    for row, (_, elements) in zip(reads, answers, strict=True):
        values[row] = elements
    for key, mine in zip(keys.values, groups(keys.of, len(keys.values)), strict=True):
        called = "" if key is None else f" of set {show(plain(key))}"
        yield _set(history, called, every.of(mine), [values[row] for row in mine.tolist()])


def _keyed(asks: Sequence[Any], reads: Sequence[Any], answers: Sequence[Any]) -> bool:
    """Whether every add and every ok read names its set: `[key, element]`, `[key, elements]`."""
    return all(isinstance(ask, list) and len(ask) == 2 for ask in asks) and all(
        isinstance(answer, list)
        and len(answer) == 2
        and answer[0] == ask[0]
        and isinstance(answer[1], list | tuple | set | frozenset)
        for ask, answer in zip(reads, answers, strict=True)
    )


def _elements(index: int, answer: Any) -> Any:
    if isinstance(answer, list | tuple | set | frozenset):
        return answer
    raise UsageError(f"operation {index}: a read of a set answers elements, not {show(answer)}")


def _set(history: History, called: str, every: Rows, values: Sequence[Any]) -> _Set:
    """One set from its operations, with what each added or saw."""
    adds, reads = np.flatnonzero(every.f == _ADD), np.flatnonzero(every.f == _READ)
    shown = [values[row] for row in reads.tolist()]
    numbers = interned([*(values[row] for row in adds.tolist()), *chain.from_iterable(shown)])
    which = np.repeat(np.arange(len(reads)), lengths(shown))
    which, who, twice = once(which, numbers.of[len(adds) :])
    seen = Sightings(
        inserts=every.of(adds),
        element=numbers.of[: len(adds)],
        reads=every.of(reads),
        which=which,
        who=who,
        name=numbers.values.__getitem__,
        operation=history.operation,
    )
    doubled: tuple[int, Hashable] = (-1, None)
    if len(twice):
        times = Counter(freeze_all([*shown[twice[0]]]))
        element = next(element for element, number in times.items() if number > 1)
        doubled = (seen.reads.index.item(twice[0]), element)
    return _Set(called, seen, len(twice), doubled)


# --- how it is told ------------------------------------------------------------------------------


def _tell(found: Presence, of: str, linearizable: bool) -> list[Anomaly]:
    findings = []
    if found.strange:
        element, op = found.strange[0]
        findings.append(
            Anomaly(
                type="garbage-read",
                sentence=f"Process {op.process} saw element {show(plain(element))}{of}, "
                "which nobody had added by then.",
                ops=(op.index,),
                count=len(found.strange),
                evidence={"kind": "ladder", "read": op.index, "element": plain(element)},
            )
        )
    if found.ghosts:
        element, op = found.ghosts[0]
        findings.append(
            Anomaly(
                type="ghost-effect",
                sentence=f"Process {op.process} saw element {show(plain(element))}{of}, "
                "although its add had failed.",
                ops=(op.index,),
                count=len(found.ghosts),
                evidence={"kind": "ladder", "read": op.index, "element": plain(element)},
            )
        )
    if found.lost_first is not None:
        findings.append(_tell_missing("lost-element", found.lost_first, len(found.lost), of))
    if linearizable and found.stale_first is not None:
        findings.append(_tell_missing("stale-read", found.stale_first, len(found.stale), of))
    return findings


def _tell_missing(name: str, missing: Missing, count: int, of: str) -> Anomaly:
    known, read = missing.known, missing.read
    how = "was acknowledged" if known.f == "add" else "had been read"
    after = "later reads saw it again" if name == "stale-read" else "no later read saw it"
    return Anomaly(
        type=name,
        sentence=f"Element {show(plain(missing.element))}{of} {how} (process {known.process}), "
        f"but the read of process {read.process}, {span(read.call - missing.since)} later, "
        f"does not have it; {after}.",
        ops=(known.index, read.index),
        count=count,
        evidence={
            "kind": "ladder",
            "element": plain(missing.element),
            "known": known.index,
            "read": read.index,
        },
    )


def _tell_twice(op: Operation, element: Hashable, count: int) -> Anomaly:
    return Anomaly(
        type="duplicate",
        sentence=f"Process {op.process} saw element {show(plain(element))} more than once.",
        ops=(op.index,),
        count=count,
        evidence={"kind": "ladder", "read": op.index, "element": plain(element)},
    )
