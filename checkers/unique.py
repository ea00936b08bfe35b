"""Names that only one may have: at most one claim succeeds, one row is there, and it stays.

A refused claim proves nothing: the name may have been on its way to somebody else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Any

from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.interning import freeze_all, vectors
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .presence import Missing, Presence, Things, presence
from .wording import freeze, plain, show, span

_Row = tuple[Hashable, Hashable]
_Double = tuple[Operation, list[Hashable]]


class UniqueChecker:
    """Judges `claim [key, owner]` and `read nil` -> [[key, owner], ...]."""

    name = "unique"

    def check(self, history: History) -> Verdict:
        """Judge every acknowledged claim and every row that was read; count the claims."""
        claims: defaultdict[Hashable, list[Operation]] = defaultdict(list)
        things = Things()
        double: dict[Hashable, _Double] = {}
        for op in history.operations("claim", "read"):
            if op.f == "claim":
                key, owner = _pair(op, op.asked)
                things.insert((key, owner), op)
                if op.type == "ok":
                    claims[key].append(op)
            elif op.type == "ok":
                rows = _rows(op)
                things.read(op, rows)
                _collect(double, op, rows)
        findings = [*_tell_successes(claims), *_tell_double(double), *_tell(presence(things))]
        judged = sum(map(len, claims.values()))
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        if not judged:
            return unknown("no claim succeeded")
        return Verdict(verdict="holds", judged=judged)


def _pair(op: Operation, value: Any) -> _Row:
    if isinstance(value, list | tuple) and len(value) == 2:
        return freeze(value[0]), freeze(value[1])
    raise UsageError(f"operation {op.index}: expected [key, owner], not {show(value)}")


def _rows(op: Operation) -> list[_Row]:
    if isinstance(op.value, list | tuple):
        if not vectors(op.value, 2):
            return [_pair(op, row) for row in op.value]
        keys = freeze_all([key for key, _ in op.value])
        return list(zip(keys, freeze_all([owner for _, owner in op.value]), strict=True))
    raise UsageError(f"operation {op.index}: expected a list of claims, not {show(op.value)}")


# --- how it is told ------------------------------------------------------------------------------


def _tell_successes(claims: dict[Hashable, list[Operation]]) -> Iterator[Anomaly]:
    both = [(key, ops) for key, ops in claims.items() if len(ops) > 1]
    if not both:
        return
    key, ops = both[0]
    yield Anomaly(
        type="double-success",
        sentence=f"Processes {ops[0].process} and {ops[1].process} were both told that "
        f"{show(plain(key))} is theirs.",
        ops=(ops[0].index, ops[1].index),
        count=len(both),
        evidence={"kind": "ladder", "key": plain(key), "claims": [op.index for op in ops]},
    )


def _collect(double: dict[Hashable, _Double], read: Operation, rows: list[_Row]) -> None:
    """Note the names that this read showed more than one row of."""
    if len(dict(rows)) == len(rows):
        return
    owners: defaultdict[Hashable, list[Hashable]] = defaultdict(list)
    for key, owner in rows:
        owners[key].append(owner)
    for key, some in owners.items():
        if len(some) > 1:
            double.setdefault(key, (read, some))


def _tell_double(double: dict[Hashable, _Double]) -> Iterator[Anomaly]:
    if not double:
        return
    key, (read, some) = next(iter(double.items()))
    yield Anomaly(
        type="duplicate",
        sentence=f"Process {read.process} saw {len(some)} rows for {show(plain(key))}: "
        f"of {', '.join(show(plain(owner)) for owner in some[:5])}.",
        ops=(read.index,),
        count=len(double),
        evidence={"kind": "ladder", "read": read.index, "key": plain(key), "owners": plain(some)},
    )


def _tell(found: Presence) -> Iterator[Anomaly]:
    for name, sightings, why in (
        ("garbage-read", found.strange, "which nobody had claimed by then"),
        ("ghost-effect", found.ghosts, "although that claim had been refused or had failed"),
    ):
        if sightings:
            row, op = sightings[0]
            yield Anomaly(
                type=name,
                sentence=f"Process {op.process} saw {_words(row)}, {why}.",
                ops=(op.index,),
                count=len({row for row, _ in sightings}),
                evidence={"kind": "ladder", "read": op.index, "row": plain(row)},
            )
    if found.lost_first is not None:
        yield _tell_lost(found.lost_first, len(found.lost))


def _tell_lost(missing: Missing, count: int) -> Anomaly:
    known, read = missing.known, missing.read
    how = "was acknowledged" if known.f == "claim" else "had been read"
    return Anomaly(
        type="lost-write",
        sentence=f"The claim of {_words(missing.element)} {how} (process {known.process}), but "
        f"process {read.process}, {span(read.call - missing.since)} later, and all after it do "
        "not see it.",
        ops=(known.index, read.index),
        count=count,
        evidence={
            "kind": "ladder",
            "row": plain(missing.element),
            "known": known.index,
            "read": read.index,
        },
    )


def _words(row: Any) -> str:
    key, owner = row
    return f"{show(plain(key))} by {show(plain(owner))}"
