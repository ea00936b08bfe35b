"""Sets that only grow: no acknowledged element is lost, none is invented, none is there twice.

After Jepsen's set-full. An element that a read missed and a later one saw was stale; that is told,
and is a violation only where linearizable is demanded.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.interning import freeze_all
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .presence import Missing, Presence, Things, presence
from .wording import counted, freeze, plain, show, span


class SetFullChecker:
    """Judges `add x` and `read nil` -> [elements]; or `add [key, x]` and `read [key, nil]`."""

    name = "set-full"

    def __init__(self, *, linearizable: bool = False) -> None:
        """With `linearizable` a stale read is a violation."""
        self._linearizable = linearizable

    def check(self, history: History) -> Verdict:
        """Judge every element that some read saw or had to see; count them."""
        findings: list[Anomaly] = []
        judged = late = 0
        latest: Missing | None = None
        sets, twice = _sets(history)
        for name, things in sets.items():
            of = f" of set {show(plain(name))}" if name is not None else ""
            found = presence(things)
            judged += found.judged
            findings += _tell(found, of, self._linearizable)
            late += len(found.stale)
            latest = latest or found.stale_first
        findings += [_tell_twice(element, op) for element, op in twice]
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


def _sets(
    history: History,
) -> tuple[Mapping[Hashable, Things], list[tuple[Hashable, Operation]]]:
    """Each set's insertions and reads; and the elements that a read showed more than once."""
    keyed = _keyed(history)
    sets: dict[Hashable, Things] = {}
    twice: list[tuple[Hashable, Operation]] = []
    for op in history.operations("add", "read"):
        name, value = (freeze(op.asked[0]), op.asked[1]) if keyed else (None, op.asked)
        things = sets.get(name)
        if things is None and (op.f == "add" or op.type == "ok"):
            things = sets[name] = Things()
        if things is not None and op.f == "add":
            things.insert(freeze(value), op)
        elif things is not None and op.type == "ok":
            repeated = things.read(op, freeze_all(_elements(op, keyed)))
            twice += [(element, op) for element in repeated]
    return sets, twice


def _keyed(history: History) -> bool:
    """Whether every add and every ok read names its set: `[key, element]`, `[key, elements]`."""
    some = False
    for op in history.operations("add", "read"):
        if op.f == "read" and op.type != "ok":
            continue
        if not (isinstance(op.asked, list) and len(op.asked) == 2):
            return False
        if op.f == "read" and not _is_keyed(op.value, op.asked[0]):
            return False
        some = True
    return some


def _is_keyed(value: Any, key: Any) -> bool:
    pair = isinstance(value, list) and len(value) == 2 and value[0] == key
    return pair and isinstance(value[1], list | tuple | set | frozenset)


def _elements(op: Operation, keyed: bool) -> list[Any]:
    """What a read saw."""
    value = op.value[1] if keyed else op.value
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    raise UsageError(f"operation {op.index}: a read of a set answers elements, not {show(value)}")


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
                count=len({element for element, _ in found.strange}),
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
                count=len({element for element, _ in found.ghosts}),
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


def _tell_twice(element: Hashable, op: Operation) -> Anomaly:
    return Anomaly(
        type="duplicate",
        sentence=f"Process {op.process} saw element {show(plain(element))} more than once.",
        ops=(op.index,),
        evidence={"kind": "ladder", "read": op.index, "element": plain(element)},
    )
