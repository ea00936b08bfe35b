"""Ledgers: one effect for each request, of the amount that was asked; nothing is made or lost.

A request may be tried several times under the same id. One of unknown outcome has its effect or
not, at any time. Entries are `[request, amount]`, or `[request, account, amount]` where a request
moves money: then the entries of each request add up to zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .presence import Presence, Things, presence
from .wording import freeze, plain, show, span

_Entry = tuple[Hashable, Hashable, Any]


class LedgerChecker:
    """Judges `execute [request, amount]` and `read nil` -> entries."""

    name = "ledger"

    def check(self, history: History) -> Verdict:
        """Judge every request and every entry that was read; count the requests."""
        amounts: dict[Hashable, set[Any]] = defaultdict(set)
        things = Things()
        findings: list[Anomaly] = []
        reads: list[tuple[Operation, list[_Entry]]] = []
        for op in history.operations("execute", "read"):
            if op.f == "execute":
                request, amount = _request(op)
                amounts[request].add(amount)
                things.insert(request, op)
            elif op.type == "ok":
                entries = _entries(op)
                reads.append((op, entries))
                things.read(op, dict.fromkeys(request for request, _, _ in entries))
        for op, entries in reads:
            findings += _tell_entries(op, entries, amounts)
        findings += _tell(presence(things))
        judged = len(things.inserts) if reads else 0
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        return Verdict(verdict="holds", judged=judged) if judged else unknown("no entry was read")


def _request(op: Operation) -> tuple[Hashable, Any]:
    if isinstance(op.asked, list) and len(op.asked) == 2:
        return freeze(op.asked[0]), op.asked[1]
    raise UsageError(f"operation {op.index}: expected [request, amount], not {show(op.asked)}")


def _entries(op: Operation) -> list[_Entry]:
    """(request, account or None, amount) of each entry that a read answered."""
    entries = []
    for entry in op.value if isinstance(op.value, list | tuple) else [None]:
        if not isinstance(entry, list | tuple) or len(entry) not in (2, 3):
            raise UsageError(
                f"operation {op.index}: an entry is [request, amount] or "
                f"[request, account, amount], not {show(entry)}"
            )
        account = freeze(entry[1]) if len(entry) == 3 else None
        entries.append((freeze(entry[0]), account, entry[-1]))
    return entries


# --- how it is told ------------------------------------------------------------------------------


def _tell_entries(
    op: Operation, entries: Iterable[_Entry], amounts: dict[Hashable, set[Any]]
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
                count=len({request for request, _ in sightings}),
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
