"""Long forks: two reads that saw two writes in opposite orders.

Every key is written once. A read of several keys that has one and not the other, and another read
that has the other and not the one, contradict each other wherever there is one order of commits
(Sovran et al. 2011: parallel snapshot isolation allows it, snapshot isolation does not).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.interning import vectors
from ..harness.verdict import Anomaly, Verdict, unknown
from .wording import freeze, plain, show


class LongForkChecker:
    """Judges `write [["w", key, 1]]` and `read [["r", key, nil], ...]`; reads see nil or the value."""

    name = "long-fork"

    def check(self, history: History) -> Verdict:
        """Compare every two reads on every two keys; count the reads."""
        writes = _writes(history)
        reads = [op for op in history.operations("read") if op.type == "ok"]
        ahead: dict[tuple[Hashable, Hashable], Operation] = {}
        forks: list[tuple[Hashable, Hashable, Operation, Operation]] = []
        strange: list[tuple[str, Hashable, Any, Operation]] = []
        for op in reads:
            seen = _seen(op)
            have = [key for key, value in seen.items() if value is not None]
            # Of a history that recorded no writes only the reads can be compared.
            for key in have if writes else ():
                if wrong := _wrong(writes.get(key), seen[key], op):
                    strange.append((wrong, key, seen[key], op))
            if len(have) == len(seen):
                continue
            lack = [key for key, value in seen.items() if value is None]
            for pair in product(have, lack):
                if pair not in ahead:
                    one, other = pair
                    if (other, one) in ahead:
                        forks.append((other, one, ahead[other, one], op))
                    ahead[pair] = op
        findings = [*_tell_strange(strange), *_tell_forks(forks)]
        if findings:
            return Verdict(verdict="violated", anomalies=tuple(findings), judged=len(reads))
        return Verdict(verdict="holds", judged=len(reads)) if reads else unknown("nothing was read")


class _Written(NamedTuple):
    """The value of a key, when its first write was called, and whether every one had failed."""

    value: Hashable
    call: int
    failed: bool


def _writes(history: History) -> Mapping[Hashable, _Written]:
    """What was written to each key; `UsageError` where a key has two values."""
    writes: dict[Hashable, _Written] = {}
    for op in history.operations("write"):
        for _, key, value in _mops(op, op.asked):
            name, failed = freeze(key), op.type == "fail"
            known = writes.get(name, _Written(freeze(value), op.call, failed))
            if known.value != freeze(value):
                raise UsageError(
                    f"operation {op.index}: key {show(key)} is written with two values, "
                    f"{show(plain(known.value))} and {show(value)}; a long fork needs one"
                )
            writes[name] = _Written(known.value, min(known.call, op.call), known.failed and failed)
    return writes


def _mops(op: Operation, value: Any) -> Sequence[Any]:
    if isinstance(value, list | tuple) and vectors(value, 3):
        return value
    raise UsageError(f"operation {op.index}: expected [[f, key, value], ...], not {show(value)}")


def _seen(op: Operation) -> dict[Hashable, Hashable]:
    return {freeze(key): freeze(value) for _, key, value in _mops(op, op.value)}


def _wrong(written: _Written | None, value: Hashable, read: Operation) -> str:
    """The anomaly of a value that no snapshot of committed writes can have."""
    if written is None or written.value != value:
        return "garbage-read"
    if written.failed:
        return "G1a"
    return "garbage-read" if written.call > read.ret else ""


# --- how it is told ------------------------------------------------------------------------------


def _tell_forks(
    forks: list[tuple[Hashable, Hashable, Operation, Operation]],
) -> Iterator[Anomaly]:
    if not forks:
        return
    x, y, one, two = forks[0]
    first, second = show(plain(x)), show(plain(y))
    yield Anomaly(
        type="long-fork",
        sentence=f"Process {one.process} saw the write of key {first} and not that of key "
        f"{second}; process {two.process} saw that of {second} and not that of {first}: they "
        "disagree about which came first.",
        ops=(one.index, two.index),
        count=len(forks),
        evidence={"kind": "ladder", "keys": [plain(x), plain(y)], "reads": [one.index, two.index]},
    )


def _tell_strange(strange: list[tuple[str, Hashable, Any, Operation]]) -> Iterator[Anomaly]:
    for name, why in (
        ("garbage-read", "which nobody had written there by then"),
        ("G1a", "although every write of it had failed"),
    ):
        mine = [each for each in strange if each[0] == name]
        if mine:
            _, key, value, op = mine[0]
            yield Anomaly(
                type=name,
                sentence=f"Process {op.process} saw {show(plain(value))} in key "
                f"{show(plain(key))}, {why}.",
                ops=(op.index,),
                count=len(mine),
                evidence={"kind": "ladder", "read": op.index, "key": plain(key)},
            )
