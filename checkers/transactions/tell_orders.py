"""How circles among forced orders are told, and that no order of versions fits at all."""

from __future__ import annotations

from typing import Any

from ...harness.transactions import Transactions
from ...harness.verdict import Anomaly
from ..wording import plain, show
from .serial import Choice, Serial
from .tell import Teller
from .weak import FORCED, READS, VERSIONS, Circle

MOST_TOLD = 12
"""Transactions that one sentence introduces."""


def told_circle(teller: Teller, txns: Transactions, circle: Circle) -> Anomaly:
    """Who came before whom, and because of which read."""
    named = list(dict.fromkeys([*circle.transactions, *circle.reader]))
    members = [txn for txn in named if txn >= 0]
    names = {txn: f"T{number}" for number, txn in enumerate(members, start=1)}
    names[-1] = "the initial state"
    edges: list[dict[str, Any]] = []
    parts: list[str] = []
    for i, (one, why) in enumerate(zip(circle.transactions, circle.why, strict=True)):
        two = circle.transactions[(i + 1) % len(circle.transactions)]
        because = _because(txns, circle, i, names, one, two)
        parts.append(f"{names[one]} came before {names[two]}, because {because}")
        edges.append(
            {
                "from": _place(txns, one),
                "to": _place(txns, two),
                "rel": ("process", "wr", "ww", "ww")[why],
                "kind": ("process", "wr", "ww", "ww")[why],
                "why": because,
            }
        )
    parts[-1] = f"but {parts[-1]}: a contradiction"
    return Anomaly(
        type=circle.name,
        sentence=f"{teller.let(members)} {'; '.join(parts)}.",
        ops=teller.indices(members),
        count=circle.count,
        evidence={
            "kind": "cycle",
            "transactions": [teller.shown(txn) for txn in members],
            "edges": [edge for edge in edges if edge["from"] >= 0 and edge["to"] >= 0],
        },
    )


def _place(txns: Transactions, txn: int) -> int:
    return int(txns.index[txn]) if txn >= 0 else -1


def _because(
    txns: Transactions, circle: Circle, i: int, names: dict[int, str], one: int, two: int
) -> str:
    if circle.why[i] == READS:
        return f"{names[two]} read from {names[one]}"
    if circle.why[i] == VERSIONS:
        return f"{names[two]}'s append came after {names[one]}'s in one list"
    if circle.why[i] == FORCED:
        key = show(plain(txns.keys[circle.key[i]]))
        reader = names[circle.reader[i]]
        return f"{reader}, to which {names[one]} was visible, read key {key} from {names[two]}"
    if one < 0:
        return "it came before everything"
    return f"process {int(txns.process[one])} ran {names[one]} before {names[two]}"


def told_impossible(
    teller: Teller, txns: Transactions, serial: Serial, rows: Any, *, anomaly: str, level: str
) -> Anomaly:
    """The circles of which one closes whatever the order of versions is."""
    members = list(dict.fromkeys(int(rows[t]) for cycle in serial.cycles for t in cycle))
    names = {txn: f"T{number}" for number, txn in enumerate(members, start=1)}
    ways = [
        _way([names[int(rows[t])] for t in cycle], choices, txns, rows, names)
        for cycle, choices in zip(serial.cycles, serial.choices, strict=True)
    ]
    shown = members[:MOST_TOLD]
    more = f" and {len(members) - len(shown)} more" if len(members) > len(shown) else ""
    sentence = (
        f"{teller.let(shown)[:-1]}{more}. Whatever the order of versions, they are not {level}: "
        f"{'; '.join(ways[:MOST_TOLD])}."
    )
    return Anomaly(
        type=anomaly,
        sentence=sentence,
        ops=teller.indices(members),
        evidence={
            "kind": "transactions",
            "transactions": [teller.shown(txn) for txn in shown],
            "op": int(txns.index[members[0]]),
            "circles": [[int(txns.index[rows[t]]) for t in cycle] for cycle in serial.cycles],
        },
    )


def _way(
    circle: list[str],
    choices: tuple[Choice, ...],
    txns: Transactions,
    rows: Any,
    names: dict[int, str],
) -> str:
    """`if T1 wrote key 3 before T2, then T1, T4, T2 come before each other in a circle`."""
    conditions = [
        f"{_name(names, rows, choice.first)} wrote key {show(plain(txns.keys[choice.key]))} "
        f"before {_name(names, rows, choice.then)}"
        for choice in choices
    ]
    around = f"{', '.join(circle)} come before each other in a circle"
    return f"if {' and '.join(conditions)}, then {around}" if conditions else around


def _name(names: dict[int, str], rows: Any, t: int) -> str:
    return names.get(int(rows[t]), "another")
