"""Faults as the history tells them: each injection with its healing and its evidence.

Nemesis events are `info` of process "nemesis": `f` is the fault's name, `value` is
`{"id", "do": "inject" | "heal", "target", "processes"}`, and at the healing `ext` carries
`{"took_effect", "evidence"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .history import FOREVER, NEMESIS, History, Op
from .spec import SECOND


def kinds_of(fault: str) -> list[str]:
    """The kinds that a fault as it was asked for is made of: `partition+kill@postgres` is two."""
    return fault.partition("@")[0].split("+")


def backend_of(fault: str) -> str | None:
    """The backend that a fault as it was asked for strikes; None is the strategy's first."""
    return fault.partition("@")[2] or None


SHORTEST_GAP = SECOND // 5
"""From a healing to the next injection, at the least; in ns."""


def shortest(faults: int, lasts: int) -> int:
    """The shortest time, in ns, in which so many faults of this length each have a turn.

    The first comes at a quarter of the time.
    """
    if not faults:
        return 0
    need = (faults * lasts + (faults - 1) * SHORTEST_GAP) * 4 // 3
    tenth = SECOND // 10
    return -(-need // tenth) * tenth


class FaultRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of a run. Times in ns since the start; `healed` is FOREVER if it never was.

    `processes` are the history's process ids that it struck; empty where it struck a server.
    `overlapped` counts the client operations that were open at some moment of it.
    """

    id: int
    name: str
    target: str
    injected: int
    healed: int = FOREVER
    took_effect: bool = False
    evidence: str = "never healed"
    processes: tuple[int, ...] = ()
    overlapped: int = 0


def inject_event(*, time: int, name: str, number: int, target: str, processes: list[int]) -> Op:
    """The event that says a fault was injected."""
    value = {"id": number, "do": "inject", "target": target, "processes": processes}
    return Op(time=time, process=NEMESIS, type="info", f=name, value=value)


def heal_event(*, time: int, name: str, number: int, took_effect: bool, evidence: str) -> Op:
    """The event that says a fault was healed, and whether it had taken effect."""
    ext = {"took_effect": took_effect, "evidence": evidence}
    value = {"id": number, "do": "heal"}
    return Op(time=time, process=NEMESIS, type="info", f=name, value=value, ext=ext)


def fault_records(history: History) -> list[FaultRecord]:
    """The faults of a history in the order of their injection."""
    begun: dict[int, FaultRecord] = {}
    for op in history.nemesis():
        value: Mapping[str, Any] = op.value if isinstance(op.value, dict) else {}
        number = value.get("id", -1)
        if value.get("do") == "inject":
            begun[number] = FaultRecord(
                id=number,
                name=op.f,
                target=value["target"],
                injected=op.time,
                processes=tuple(value.get("processes", ())),
            )
        elif value.get("do") == "heal" and number in begun:
            ext = op.ext or {}
            begun[number] = msgspec.structs.replace(
                begun[number],
                healed=op.time,
                took_effect=bool(ext.get("took_effect")),
                evidence=str(ext.get("evidence", "")),
            )
    return [_with_overlap(record, history) for record in begun.values()]


def _with_overlap(record: FaultRecord, history: History) -> FaultRecord:
    starts = history.invocations()
    ends = history.pair[starts]
    called = history.time[starts]
    returned = history.time[ends].copy()
    returned[ends < 0] = FOREVER
    overlap = (called <= record.healed) & (returned >= record.injected)
    return msgspec.structs.replace(record, overlapped=int(overlap.sum()))
