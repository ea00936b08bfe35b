"""Names that only one may have: at most one claim succeeds, one row is there, and it stays.

A refused claim proves nothing: the name may have been on its way to somebody else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import numpy as np

from ..harness.columns import OK
from ..harness.errors import UsageError
from ..harness.history import History
from ..harness.interning import I64, interned, numbered, vectors
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .presence import Missing, Presence, Sightings, once, remaining
from .rows import Rows, asked, lengths, rows, told
from .wording import freeze, plain, show, span


class UniqueChecker:
    """Judges `claim [key, owner]` and `read nil` -> [[key, owner], ...]."""

    name = "unique"

    def check(self, history: History) -> Verdict:
        """Judge every acknowledged claim and every row that was read; count the claims."""
        claims, reads = rows(history, "claim"), rows(history, "read")
        reads = reads.of(reads.type == OK)
        names, answers = asked(history, claims), told(history, reads)
        _refuse_others(claims, reads, names, answers)
        pairs = [*names, *chain.from_iterable(answers)]
        parts = [*chain.from_iterable(pairs)]
        keys, owners = interned(parts[::2]), interned(parts[1::2])
        row, first = numbered(keys.of * len(owners.values) + owners.of)
        which = np.repeat(np.arange(len(reads)), lengths(answers))
        seen_by, seen, _ = once(which, row[len(claims) :])
        found = remaining(
            Sightings(
                inserts=claims,
                element=row[: len(claims)],
                reads=reads,
                which=seen_by,
                who=seen,
                name=lambda number: _frozen(pairs[first[number]]),
                operation=history.operation,
            )
        )
        won = claims.type == OK
        findings = [
            *_tell_successes(history, claims.index[won], keys.of[: len(claims)][won]),
            *_tell_double(history, reads, which, keys.of[len(claims) :]),
            *_tell(found),
        ]
        judged = int(np.count_nonzero(won))
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        if not judged:
            return unknown("no claim succeeded")
        return Verdict(verdict="holds", judged=judged)


def _frozen(pair: Sequence[Any]) -> tuple[Hashable, Hashable]:
    return freeze(pair[0]), freeze(pair[1])


def _refuse_others(claims: Rows, reads: Rows, names: Sequence[Any], answers: Sequence[Any]) -> None:
    """Raise `UsageError` at the first operation that is not about pairs of a key and an owner."""
    wrong = _no_pairs(names, claims.index.tolist())
    for index, answer in zip(reads.index.tolist(), answers, strict=True):
        if isinstance(answer, list | tuple):
            wrong += _no_pairs(answer, repeat(index))
        else:
            wrong.append((index, f"a list of claims, not {show(answer)}"))
    if wrong:
        index, why = min(wrong, key=itemgetter(0))
        raise UsageError(f"operation {index}: expected {why}")


def _no_pairs(values: Sequence[Any], indices: Iterable[int]) -> list[tuple[int, str]]:
    """The first of these values that is no pair, with the operation that it belongs to."""
    if vectors(values, 2):
        return []
    for index, value in zip(indices, values, strict=False):
        if not (isinstance(value, list | tuple) and len(value) == 2):
            return [(index, f"[key, owner], not {show(value)}")]
    return []


# --- how it is told ------------------------------------------------------------------------------


def _tell_successes(history: History, index: I64, key: I64) -> Iterator[Anomaly]:
    """Of the claims that were acknowledged (places in the history), those of the same key."""
    times = np.bincount(key)
    both = np.flatnonzero(times[key] > 1)
    if not len(both):
        return
    mine = index[key == key[both[0]]].tolist()
    one, other = map(history.operation, mine[:2])
    name = plain(freeze(one.asked[0]))
    yield Anomaly(
        type="double-success",
        sentence=f"Processes {one.process} and {other.process} were both told that "
        f"{show(name)} is theirs.",
        ops=(one.index, other.index),
        count=int(np.count_nonzero(times > 1)),
        evidence={"kind": "ladder", "key": name, "claims": mine},
    )


def _tell_double(history: History, reads: Rows, which: I64, key: I64) -> Iterator[Anomaly]:
    """Of the rows that reads (`which`) showed, those of the same key."""
    size = int(key.max(initial=0)) + 1
    code = np.sort(which * size + key)
    double = code[1:][code[1:] == code[:-1]]
    if not len(double):
        return
    read = history.operation(reads.index.item(double[0] // size))
    owners: defaultdict[Hashable, list[Hashable]] = defaultdict(list)
    for name, owner in map(_frozen, read.value):
        owners[name].append(owner)
    name, some = next((name, some) for name, some in owners.items() if len(some) > 1)
    yield Anomaly(
        type="duplicate",
        sentence=f"Process {read.process} saw {len(some)} rows for {show(plain(name))}: "
        f"of {', '.join(show(plain(owner)) for owner in some[:5])}.",
        ops=(read.index,),
        count=len(np.unique(double % size)),
        evidence={"kind": "ladder", "read": read.index, "key": plain(name), "owners": plain(some)},
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
                count=len(sightings),
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
