"""Bounded staleness: no read is older than was declared; at rest a cache agrees with its source.

Every write has a value of its own. A read is at least as old as the time since some write returned
that had begun after the write of what it saw was over (Golab, Li & Shah 2011). A write of unknown
outcome may take effect at any time, so that what it wrote is never old, and it makes nothing else old.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..harness.errors import UsageError
from ..harness.history import FOREVER, History, Operation
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .wording import freeze, label, plain, show, span

SECOND = 1_000_000_000


@dataclass
class _Key:
    """Everything that was asked of one key."""

    name: Any
    writes: list[Operation] = field(default_factory=list)
    reads: list[Operation] = field(default_factory=list)
    sources: list[Operation] = field(default_factory=list)


class StalenessChecker:
    """Judges `write [key, value]`, `read [key, nil]` and `source [key, nil]` -> [key, value]."""

    name = "staleness"

    def __init__(self, *, bound: float, initial: Mapping[Any, Any] | None = None) -> None:
        """A read may be `bound` seconds old; `initial` are the values before any write, nil else."""
        if bound < 0:
            raise UsageError(f"the bound is a time in seconds, not {bound}")
        self._bound = round(bound * SECOND)
        self._initial = {label(k): freeze(value) for k, value in (initial or {}).items()}

    def check(self, history: History) -> Verdict:
        """Judge every read; count them."""
        keys: dict[str, _Key] = {}
        for op in history.operations("write", "read", "source"):
            if not isinstance(op.value, list) or len(op.value) != 2:
                raise UsageError(
                    f"operation {op.index}: expected [key, value], not {show(op.value)}"
                )
            name = label(op.asked[0])
            key = keys.get(name)
            if key is None:
                key = keys[name] = _Key(op.asked[0])
            if op.f == "write":
                key.writes.append(op)
            elif op.type == "ok":
                (key.reads if op.f == "read" else key.sources).append(op)
        findings = [f for name, key in keys.items() for f in self._judge(name, key)]
        judged = sum(len(key.reads) + len(key.sources) for key in keys.values())
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        return Verdict(verdict="holds", judged=judged) if judged else unknown("nothing was read")

    def _judge(self, name: str, key: _Key) -> Iterator[Anomaly]:
        initial = self._initial.get(name)
        origin = _origins(key)
        newer = _Newer(key.writes)
        stale: list[tuple[int, Operation, Operation]] = []
        for op in [*key.reads, *key.sources]:
            value = freeze(op.value[1])
            write = origin.get(value)
            unborn = write is None or write.call > op.ret
            if unborn and value != initial:
                yield _tell_wrong(op, "garbage-read", "which nobody had written by then")
            elif write is not None and write.type == "fail" and value != initial:
                yield _tell_wrong(op, "ghost-effect", "a write that had failed")
            else:
                settled = -1 if write is None else write.ret
                if value == initial and write is not None:
                    settled = FOREVER  # it may have been written again
                replaced = newer.first(settled)
                if replaced and op.call - replaced.ret > self._bound:
                    stale.append((op.call - replaced.ret, op, replaced))
        if stale:
            yield self._tell_stale(stale)
        yield from _diverged(key)

    def _tell_stale(self, stale: list[tuple[int, Operation, Operation]]) -> Anomaly:
        age, read, write = max(stale, key=lambda each: each[0])
        return Anomaly(
            type="stale-beyond-bound",
            sentence=f"Process {read.process} read {show(read.value[1])} from key "
            f"{show(read.value[0])} {span(age)} after process {write.process} had replaced it "
            f"by {show(write.asked[1])}; at most {span(self._bound)} are allowed.",
            ops=(read.index, write.index),
            count=len(stale),
            evidence={"kind": "ladder", "read": read.index, "write": write.index, "age": age},
        )


def _origins(key: _Key) -> dict[Hashable, Operation]:
    """The write of each value; `UsageError` where two wrote the same."""
    origins: dict[Hashable, Operation] = {}
    for op in key.writes:
        value = freeze(op.asked[1])
        if value in origins:
            raise UsageError(
                f"operation {op.index}: {show(op.asked[1])} is written to key {show(key.name)} "
                "twice; staleness can be told only where every write has a value of its own"
            )
        origins[value] = op
    return origins


class _Newer:
    """Finds the acknowledged write, called after a moment, that returned first."""

    def __init__(self, writes: list[Operation]) -> None:
        self._ok = sorted((op for op in writes if op.type == "ok"), key=lambda op: op.call)
        self._calls: npt.NDArray[np.int64] = np.array([op.call for op in self._ok], dtype=np.int64)
        # From the back: the number of the least return from here on.
        self._first: list[int] = [0] * len(self._ok)
        for i in range(len(self._ok) - 1, -1, -1):
            later = self._first[i + 1] if i + 1 < len(self._ok) else i
            self._first[i] = i if self._ok[i].ret <= self._ok[later].ret else later

    def first(self, moment: int) -> Operation | None:
        """None where nothing was certainly written after that."""
        i = int(np.searchsorted(self._calls, moment, side="right"))
        return self._ok[self._first[i]] if i < len(self._ok) else None


def _diverged(key: _Key) -> Iterator[Anomaly]:
    """At rest the last read and the last look at the source differ."""
    settled = max((op.ret for op in key.writes if op.type == "ok"), default=-1)
    opened = any(op.type == "info" for op in key.writes)
    read, source = (
        max(
            (op for op in ops if op.call > settled and (not opened or op.phase == "final")),
            key=lambda op: (op.call, op.index),
            default=None,
        )
        for ops in (key.reads, key.sources)
    )
    if read and source and freeze(read.value[1]) != freeze(source.value[1]):
        yield Anomaly(
            type="divergence",
            sentence=f"At rest key {show(key.name)} is {show(read.value[1])} for process "
            f"{read.process}, but {show(source.value[1])} at the source.",
            ops=(read.index, source.index),
            evidence={"kind": "ladder", "read": read.index, "source": source.index},
        )


def _tell_wrong(op: Operation, name: str, why: str) -> Anomaly:
    return Anomaly(
        type=name,
        sentence=f"Process {op.process} read {show(op.value[1])} from key {show(op.value[0])}, "
        f"{why}.",
        ops=(op.index,),
        evidence={"kind": "ladder", "read": op.index, "value": plain(freeze(op.value))},
    )
