"""How anomalies of transactions are told: each arrow of a cycle with its reason, in Elle's form.

Works from rows of numbers; only what is told is looked up in the history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...harness.history import FOREVER, History
from ...harness.transactions import APPEND, READ, Transactions
from ...harness.verdict import Anomaly
from ..wording import plain, show, span
from .cycles import Cycle
from .findings import Finding
from .graph import BY_PROCESS, BY_TIME, PROCESS, REALTIME, RELATIONS, RW, UNSEEN, WR, Graph

_MOST = 12
"""Micro-operations of one transaction that a sentence shows."""
_ENDS = 3
"""Elements at the end of a long list that are told: there is what was seen, and what was not."""

_JUST = 1_000
"""Nanoseconds: what ended so shortly before ended just before."""

Name = Callable[[int], str]


class Teller:
    """Tells the findings of one history."""

    def __init__(self, history: History, txns: Transactions) -> None:
        self._history = history
        self._txns = txns
        self._owner = txns.owners()

    def cycle(self, cycle: Cycle, graph: Graph) -> Anomaly:
        """A cycle: who the transactions are, why each came before the next, the contradiction."""
        arrows = list(self._arrows(cycle, graph))
        members = list(
            dict.fromkeys(end for source, target, *_ in arrows for end in (source, target))
        )
        names = {txn: f"T{number}" for number, txn in enumerate(members, start=1)}
        edges = [self._edge(*arrow, names.__getitem__) for arrow in arrows]
        parts = [f"{e['before']} came before {e['after']}, because {e['why']}" for e in edges]
        parts[-1] = f"but {parts[-1]}: a contradiction"
        return Anomaly(
            type=cycle.name,
            sentence=f"{self.let(members)} {'; '.join(parts)}.",
            ops=self.indices(members),
            count=cycle.count,
            evidence={
                "kind": "cycle",
                "transactions": [self.shown(txn) for txn in members],
                "edges": [
                    {key: value for key, value in e.items() if key not in ("before", "after")}
                    for e in edges
                ],
            },
        )

    def _arrows(self, cycle: Cycle, graph: Graph) -> list[tuple[int, int, int, int, int]]:
        """The dependencies of a cycle from transaction to transaction: source, target, why, what
        that rests on, and the micro-operation."""
        edges = [int(edge) for edge in cycle.edges]
        solid = [i for i, edge in enumerate(edges) if graph.source[edge] < graph.transactions]
        edges = edges[solid[0] :] + edges[: solid[0]]
        arrows: list[tuple[int, int, int, int, int]] = []
        begin = -1
        for edge in edges:
            source, target = int(graph.source[edge]), int(graph.target[edge])
            if source < graph.transactions:
                begin, why, rests = source, int(graph.why[edge]), int(graph.rests[edge])
            if target < graph.transactions:
                arrows.append((begin, target, why, rests, int(graph.step[edge])))
        # An anti-dependency is told last: it is what nobody sees without thinking.
        turn = next((i for i, arrow in enumerate(arrows) if arrow[2] == RW), -1) + 1
        return arrows[turn:] + arrows[:turn]

    def _edge(
        self, source: int, target: int, why: int, rests: int, step: int, name: Name
    ) -> dict[str, Any]:
        txns = self._txns
        relation = RELATIONS[why]
        edge: dict[str, Any] = {
            "from": int(txns.index[source]),
            "to": int(txns.index[target]),
            "rel": relation,
            "kind": relation,
            "before": name(source),
            "after": name(target),
        }
        if step >= 0:
            edge["key"] = plain(txns.keys[txns.key[step]])
            edge["value"] = self._value(step)
        shown = {PROCESS: " (later, as the order of a process shows)"}
        shown[REALTIME] = " (later, as real time shows)"
        by = shown.get(rests, "") if step >= 0 else ""
        return edge | {"why": self._why(source, target, why, step, name) + by}

    def _why(self, source: int, target: int, why: int, step: int, name: Name) -> str:
        one, two = name(source), name(target)
        if why == BY_PROCESS:
            return f"process {int(self._txns.process[source])} ran {one} before {two}"
        if why == BY_TIME:
            return f"{one} had completed{self._earlier(source, target)} before {two} was invoked"
        what = self._did(step)
        if why == WR:
            return f"{two} saw {one}'s {self._wrote(source, step)}"
        if why == RW:
            return f"{one} did not see {two}'s {what}"
        if why == UNSEEN:
            return f"{one} wrote the same key and had not seen {two}'s {what}"
        return f"{two}'s {what} came after what {one} had written there"

    def _earlier(self, source: int, target: int) -> str:
        gap = int(self._txns.call[target]) - int(self._txns.ret[source])
        timed = self._history.time[self._txns.index[source]] >= 0
        if not timed or gap >= FOREVER:
            return ""
        return " just" if gap < _JUST else f" {span(gap)}"

    def _did(self, step: int) -> str:
        """A write as a noun: `append of 5 to key 3`."""
        txns = self._txns
        noun = "append" if txns.kind[step] == APPEND else "write"
        return f"{noun} of {show(self._value(step))} to key {show(txns.keys[txns.key[step]])}"

    def _wrote(self, writer: int, read: int) -> str:
        """What of a writer a read saw: the last of its writes among what was read."""
        txns = self._txns
        mine = range(int(txns.offset[writer]), int(txns.offset[writer + 1]))
        seen = self.seen(read)
        steps = [
            step
            for step in mine
            if txns.kind[step] != READ
            and txns.key[step] == txns.key[read]
            and int(txns.value[step]) in seen
        ]
        return self._did(max(steps, key=lambda step: seen.index(int(txns.value[step]))))

    def seen(self, read: int) -> list[int]:
        """The numbers of the values that a read saw."""
        txns = self._txns
        if not txns.lists:
            return [int(txns.value[read])]
        odd = int(txns.odd[read])
        if odd >= 0:
            return list(txns.odd_value[txns.odd_offset[odd] : txns.odd_offset[odd + 1]].tolist())
        begin = int(txns.order_offset[txns.key[read]])
        return list(txns.order_value[begin : begin + int(txns.length[read])].tolist())

    def _value(self, step: int) -> Any:
        txns = self._txns
        if txns.kind[step] != READ:
            return plain(txns.values[txns.value[step]])
        seen = [plain(txns.values[each]) if each >= 0 else None for each in self.seen(step)]
        return seen if txns.lists else seen[0]

    # --- without a cycle -------------------------------------------------------------------------

    def finding(self, finding: Finding) -> Anomaly:
        """An anomaly that a few micro-operations show."""
        steps = finding.steps
        members = list(dict.fromkeys(int(self._owner[step]) for step in steps))
        names = {txn: f"T{number}" for number, txn in enumerate(members, start=1)}
        who = [names[int(self._owner[step])] for step in steps]
        value = None if finding.value < 0 else show(plain(self._txns.values[finding.value]))
        evidence: dict[str, Any] = {
            "kind": "transactions",
            "transactions": [self.shown(txn) for txn in members],
            "key": plain(self._txns.keys[self._txns.key[steps[0]]]),
        }
        if finding.value >= 0:
            evidence["value"] = plain(self._txns.values[finding.value])
        guilty = (
            steps[1] if finding.name in ("internal", "lost-write", "dirty-update") else steps[0]
        )
        evidence["op"] = int(self._txns.index[self._owner[guilty]])
        return Anomaly(
            type=finding.name,
            sentence=f"{self.let(members)} {self._said(finding, who, value)}.",
            ops=self.indices(members),
            count=finding.count,
            evidence=evidence,
        )

    def _said(self, finding: Finding, who: Sequence[str], value: str | None) -> str:
        steps, name = finding.steps, finding.name.removesuffix("-process").removesuffix("-realtime")
        txns = self._txns
        one, two = steps[0], steps[-1]
        first, last = who[0], who[-1]
        key = f"key {show(txns.keys[txns.key[one]])}"
        if name == "garbage-read":
            return f"{first} read {value} from {key}, which nobody ever wrote"
        if name == "duplicate-elements":
            return f"{first} read {self._read(one)}, in which {value} stands more than once"
        if name == "G1a":
            return f"{first} saw {last}'s {self._did(two)}, but {last} failed"
        if name == "G1b":
            return f"{first} saw {last}'s {self._did(two)}, which {last} itself followed by another"
        if name == "dirty-update":
            return f"{last}'s {self._did(two)} stands on {first}'s {self._did(one)}, which failed"
        if name == "incompatible-order":
            return f"{first} read {self._read(one)}, {last} read {self._read(two)}: no one order has both"
        if name == "future-read":
            return f"{first} read {self._read(one)} and only then did its {self._did(two)}"
        if name == "lost-update":
            return (
                f"{first} and {last} both read {self._read(one)} and then both wrote {key}: "
                "one of them did not see the other"
            )
        if name == "lost-write":
            return (
                f"{first}'s {self._did(one)} was acknowledged, but {last}, a final read, "
                f"found {self._read(two)}"
            )
        if name == "cyclic-versions":
            return self._versions(finding, who)
        return self._internal(first, one, two)

    def _versions(self, finding: Finding, who: Sequence[str]) -> str:
        told = _and(
            [
                f"{name}'s {self._did(step)}"
                if self._txns.kind[step] != READ
                else f"{name}'s read of {self._read(step)}"
                for name, step in zip(who, finding.steps, strict=True)
            ]
        )
        order = "come before each other" if len(who) == 2 else "follow one another in a circle"
        return f"{told} would have to {order}, by what was read of them and when"

    def _internal(self, who: str, before: int, read: int) -> str:
        if self._txns.kind[read] != READ:
            return (
                f"{who}'s {self._did(before)} came before its {self._did(read)}, "
                "but it is not seen before that one"
            )
        earlier = (
            f"had read {self._read(before)}"
            if self._txns.kind[before] == READ
            else f"had done its {self._did(before)}"
        )
        return f"{who} {earlier}, and then read {self._read(read)}"

    def _read(self, step: int) -> str:
        key = show(self._txns.keys[self._txns.key[step]])
        return f"{_seen(self._value(step))} from key {key}"

    # --- transactions ----------------------------------------------------------------------------

    def indices(self, members: Sequence[int]) -> tuple[int, ...]:
        return tuple(int(self._txns.index[txn]) for txn in members)

    def let(self, members: Sequence[int]) -> str:
        """Who is who: `Let T1 = r x [1 2], append y 3 (process 0).`"""
        told = [
            f"T{number} = {self._told(txn)} (process {int(self._txns.process[txn])})"
            for number, txn in enumerate(members, start=1)
        ]
        return f"Let {_and(told)}."

    def _told(self, txn: int) -> str:
        mops = self._mops(txn)
        told = [f"{f} {show(key)} {_seen(value)}" for f, key, value in mops[:_MOST]]
        if len(mops) > _MOST:
            told.append(f"and {len(mops) - _MOST} more")
        return f"[{', '.join(told)}]"

    def shown(self, txn: int) -> dict[str, Any]:
        operation = self._history.operation(int(self._txns.index[txn]))
        return {
            "op": int(self._txns.index[txn]),
            "process": operation.process,
            "type": operation.type,
            "value": [[f, plain(key), plain(value)] for f, key, value in self._mops(txn)],
        }

    def _mops(self, txn: int) -> list[Any]:
        operation = self._history.operation(int(self._txns.index[txn]))
        value: Any = operation.value if operation.type == "ok" else operation.asked
        return [tuple(mop) for mop in value]


def _and(told: Sequence[str]) -> str:
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)


def _seen(value: Any) -> str:
    if isinstance(value, list | tuple):
        shown = [show(each) for each in value]
        if len(shown) > 2 * _ENDS:
            shown = [f"… {len(shown) - _ENDS} elements …", *shown[-_ENDS:]]
        return f"[{' '.join(shown)}]"
    return show(value)
