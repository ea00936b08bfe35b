"""Ledgers: one effect for each request, of the amount that was asked; nothing is made or lost.

A request may be tried several times under the same id. One of unknown outcome has its effect or
not, at any time. Entries are `[request, amount]`, or `[request, account, amount]` where a request
moves money: then the entries of each request add up to zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import msgspec
import numpy as np

from ..harness.columns import OK
from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.interning import I64, interned
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .presence import Presence, Sightings, once, remaining
from .rows import Mask, Rows, asked, lengths, rows, told
from .wording import freeze, plain, show, span

MOST_TRIES = 6
"""Tries of one request that are told."""

_Entry = tuple[Hashable, Hashable, Any]


class LedgerChecker:
    """Judges `execute [request, amount]` and `read nil` -> entries."""

    name = "ledger"

    def check(self, history: History) -> Verdict:
        """Judge every request and every entry that was read; count the requests."""
        executes, reads = rows(history, "execute"), rows(history, "read")
        reads = reads.of(reads.type == OK)
        wanted, lists = asked(history, executes), told(history, reads)
        _check_requests(executes, wanted)
        entries = _entries(reads, lists)
        which = np.repeat(np.arange(len(reads)), lengths(lists))
        numbers = interned([request for request, _ in wanted] + [entry[0] for entry in entries])
        request, who = np.split(numbers.of, [len(executes)])
        saw, what, twice = once(which, who)
        doubtful = _unlike(request, wanted, who, entries)
        doubtful |= np.isin(which, np.unique(twice))
        seen = Sightings(
            inserts=executes,
            element=request,
            reads=reads,
            which=saw,
            who=what,
            name=numbers.values.__getitem__,
            operation=history.operation,
        )
        findings: list[Anomaly] = []
        if doubtful.any():
            amounts = _amounts(request, wanted, who[doubtful])
            for read, few in _by_read(which, entries, doubtful):
                op = history.operation(int(reads.index[read]))
                findings += _tell_entries(op, few, amounts)
        findings += _tell(remaining(seen))
        judged = int(request.max(initial=-1)) + 1 if len(reads) else 0
        if findings:
            found = tuple(_with_tries(each, executes, wanted) for each in merged(findings))
            return Verdict(verdict="violated", anomalies=found, judged=judged)
        return Verdict(verdict="holds", judged=judged) if judged else unknown("no entry was read")


def _check_requests(executes: Rows, wanted: Sequence[Any]) -> None:
    if set(map(type, wanted)) <= {list} and set(map(len, wanted)) <= {2}:
        return
    for index, value in zip(executes.index.tolist(), wanted, strict=True):
        if not isinstance(value, list) or len(value) != 2:
            raise UsageError(f"operation {index}: expected [request, amount], not {show(value)}")


def _entries(reads: Rows, lists: Sequence[Any]) -> list[Any]:
    """All entries that were read, one read after another."""
    if set(map(type, lists)) <= {list, tuple}:
        entries = list(chain.from_iterable(lists))
        if set(map(type, entries)) <= {list, tuple} and set(map(len, entries)) <= {2, 3}:
            return entries
    for index, value in zip(reads.index.tolist(), lists, strict=True):
        for entry in value if isinstance(value, list | tuple) else [None]:
            if not isinstance(entry, list | tuple) or len(entry) not in (2, 3):
                raise UsageError(
                    f"operation {index}: an entry is [request, amount] or "
                    f"[request, account, amount], not {show(entry)}"
                )
    return list(chain.from_iterable(lists))


def _unlike(request: I64, wanted: Sequence[Any], who: I64, entries: Sequence[Any]) -> Mask:
    """Entries that are not plainly what was first asked under their request's id."""
    amounts = interned([amount for _, amount in wanted] + [entry[-1] for entry in entries]).of
    first = np.full(max(int(request.max(initial=-1)), int(who.max(initial=-1))) + 1, -1)
    first[request[::-1]] = amounts[: len(request)][::-1]
    asked_for = first[who]
    unlike: Mask = (asked_for >= 0) & (asked_for != amounts[len(request) :])
    unlike[lengths(entries) == 3] = True
    return unlike


def _amounts(request: I64, wanted: Sequence[Any], some: I64) -> dict[Hashable, set[Any]]:
    """What was asked under each id of some requests."""
    amounts: dict[Hashable, set[Any]] = {}
    for row in np.flatnonzero(np.isin(request, some)).tolist():
        name, amount = wanted[row]
        amounts.setdefault(freeze(name), set()).add(amount)
    return amounts


def _by_read(
    which: I64, entries: Sequence[Any], chosen: Mask
) -> Iterator[tuple[int, list[_Entry]]]:
    """(request, account or None, amount) of some entries, by the read that saw them."""
    by_read: defaultdict[int, list[_Entry]] = defaultdict(list)
    places = np.flatnonzero(chosen)
    for read, place in zip(which[places].tolist(), places.tolist(), strict=True):
        name, *account, amount = entries[place]
        by_read[read].append((freeze(name), freeze(account[0]) if account else None, amount))
    yield from by_read.items()


# --- how it is told ------------------------------------------------------------------------------


def _with_tries(anomaly: Anomaly, executes: Rows, wanted: Sequence[Any]) -> Anomaly:
    """The anomaly with those who asked for its request, so that one sees how often it was tried."""
    request = anomaly.evidence["request"]
    asking = (
        index
        for index, (name, _) in zip(executes.index.tolist(), wanted, strict=True)
        if plain(freeze(name)) == request
    )
    ops = dict.fromkeys([*islice(asking, MOST_TRIES), *anomaly.ops])
    return msgspec.structs.replace(anomaly, ops=tuple(ops))


def _tell_entries(
    op: Operation, entries: Iterable[_Entry], amounts: Mapping[Hashable, set[Any]]
) -> Iterator[Anomaly]:
    booked: defaultdict[Hashable, list[tuple[Hashable, Any]]] = defaultdict(list)
    for request, account, amount in entries:
        booked[request].append((account, amount))
    double = [
        request
        for request, legs in booked.items()
        if len(legs) > 1 and len({account for account, _ in legs}) < len(legs)
    ]
    wrong = [
        (request, legs)
        for request, legs in booked.items()
        if request in amounts and not _adds_up(legs, amounts[request])
    ]
    if double:
        yield Anomaly(
            type="duplicate-effect",
            sentence=f"Process {op.process} saw more than one entry of request "
            f"{show(plain(double[0]))}.",
            ops=(op.index,),
            count=len(double),
            evidence={"kind": "ladder", "read": op.index, "request": plain(double[0])},
        )
    elif wrong:
        request, legs = wrong[0]
        if legs[0][0] is None:
            why = f"{show(legs[0][1])} where {_one_of(amounts[request])} was asked"
        else:
            why = f"entries that add up to {show(sum(amount for _, amount in legs))}, not to 0"
        yield Anomaly(
            type="conservation",
            sentence=f"Process {op.process} saw, of request {show(plain(request))}, {why}.",
            ops=(op.index,),
            count=len(wrong),
            evidence={"kind": "ladder", "read": op.index, "request": plain(request)},
        )


def _adds_up(legs: list[tuple[Hashable, Any]], asked: set[Any]) -> bool:
    if legs[0][0] is None:
        return all(amount in asked for _, amount in legs)
    return bool(sum(amount for _, amount in legs) == 0)


def _one_of(amounts: set[Any]) -> str:
    return " or ".join(sorted(map(show, amounts)))


def _tell(found: Presence) -> Iterator[Anomaly]:
    for name, sightings, why in (
        ("garbage-read", found.strange, "which nobody had made by then"),
        ("ghost-effect", found.ghosts, "which had been refused or had failed"),
    ):
        if sightings:
            request, op = sightings[0]
            yield Anomaly(
                type=name,
                sentence=f"Process {op.process} saw an entry of request "
                f"{show(plain(request))}, {why}.",
                ops=(op.index,),
                count=len(sightings),
                evidence={"kind": "ladder", "read": op.index, "request": plain(request)},
            )
    missing = found.lost_first
    if missing is not None:
        yield Anomaly(
            type="lost-write",
            sentence=f"Request {show(plain(missing.element))} was acknowledged or seen (process "
            f"{missing.known.process}), but process {missing.read.process}, "
            f"{span(missing.read.call - missing.since)} later, and all after it see no entry of it.",
            ops=(missing.known.index, missing.read.index),
            count=len(found.lost),
            evidence={
                "kind": "ladder",
                "request": plain(missing.element),
                "known": missing.known.index,
                "read": missing.read.index,
            },
        )
