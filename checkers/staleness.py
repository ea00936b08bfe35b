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

from ..harness.columns import FAIL, INFO, OK
from ..harness.errors import UsageError
from ..harness.history import FOREVER, History, Operation
from ..harness.interning import I64, Numbers
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .patterns.placing import side_by_side
from .rows import Mask, Rows, labelled, rows
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

    def __init__(self, *, bound: float | None, initial: Mapping[Any, Any] | None = None) -> None:
        """A read may be `bound` seconds old, or any time; `initial` are the values before any write,
        nil else."""
        if bound is not None and bound < 0:
            raise UsageError(f"the bound is a time in seconds, not {bound}")
        self._bound = FOREVER if bound is None else round(bound * SECOND)
        self._initial = {label(k): freeze(value) for k, value in (initial or {}).items()}

    def check(self, history: History) -> Verdict:
        """Judge every read; count them."""
        every = rows(history, "write", "read", "source")
        carried = history.spoken
        first, second = carried.halves
        answer = np.where(every.type == INFO, every.index, every.end)
        wanted, values = carried.value[every.index], carried.value[answer]
        for number, place in ((wanted, every.index), (values, answer)):
            _check_pairs(every, place, first.of[number] >= 0, history)
        names = labelled(first.values)
        keys = Numbers(names.of[first.of[wanted]], names.values)
        doubtful = self._doubtful(
            every, keys, second.of[wanted], Numbers(second.of[values], second.values)
        )
        findings = [
            finding
            for name, key in _closely(history, every, keys, doubtful).items()
            for finding in self._judge(name, key)
        ]
        judged = int(((every.f > 0) & (every.type == OK)).sum())
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        return Verdict(verdict="holds", judged=judged) if judged else unknown("nothing was read")

    def _doubtful(self, every: Rows, keys: Numbers, wanted: I64, values: Numbers) -> Mask:
        """The keys that have to be looked at closely: in all others nothing is wrong."""
        write, read = (
            np.flatnonzero(every.f == 0),
            np.flatnonzero((every.f > 0) & (every.type == OK)),
        )
        number = dict(zip(values.values, range(len(values.values)), strict=True))
        initial = [number.get(self._initial.get(str(name)), -1) for name in keys.values]
        first = np.array(initial, dtype=np.int64)
        written, seen = wanted[write], values.of[read]
        source, twice = _sources(
            keys.of[write] * len(number) + written,
            keys.of[read] * len(number) + seen,
        )
        known, opening = source >= 0, seen == first[keys.of[read]]
        call, ret, failed = (
            np.append(column[write], nothing)[source]
            for column, nothing in ((every.call, FOREVER), (every.ret, -1), (every.type == FAIL, 0))
        )
        unborn = call > every.ret[read]
        # What was there at first may have been written again.
        settled = np.where(known & opening, FOREVER, ret)
        doubtful = np.zeros(len(keys.values), dtype=np.bool_)
        doubtful[keys.of[write[twice]]] = True
        doubtful[keys.of[read[(unborn | (failed > 0)) & ~opening]]] = True
        doubtful[keys.of[read[_stale(every, keys.of, read, settled, self._bound)]]] = True
        return doubtful | _at_odds(every, keys.of, read, seen, len(doubtful))

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


def _check_pairs(every: Rows, place: I64, fine: Mask, history: History) -> None:
    """Raise `UsageError` at the first operation whose event at `place` has no `[key, value]`."""
    for row in np.flatnonzero(~fine)[:1].tolist():
        (value,) = history.values([int(place[row])])
        raise UsageError(f"operation {every.index[row]}: expected [key, value], not {show(value)}")


def _sources(written: I64, seen: I64) -> tuple[I64, I64]:
    """Which of the writes each read saw, -1 for none; and those that write what another one wrote."""
    order = np.argsort(written, kind="stable")
    inorder = written[order]
    twice = order[1:][inorder[1:] == inorder[:-1]]
    if not len(order):
        return np.full(len(seen), -1, dtype=np.int64), twice
    at = np.minimum(np.searchsorted(inorder, seen), len(order) - 1)
    return np.where(inorder[at] == seen, order[at], -1), twice


def _stale(every: Rows, key: I64, read: I64, settled: I64, bound: int) -> Mask:
    """Reads called later than the bound allows after the return of some write that was called
    after what they saw was settled."""
    ok = np.flatnonzero((every.f == 0) & (every.type == OK))
    count = len(ok)
    (moments,) = side_by_side(
        np.concatenate((key[ok], key[read])), np.concatenate((every.call[ok], settled))
    )
    order = np.argsort(moments[:count], kind="stable")
    at = np.searchsorted(moments[:count][order], moments[count:], side="right")
    later = at < count
    later[later] = key[ok[order[at[later]]]] == key[read[later]]
    # Of those called from there on, the first to return: of a greater key all come later.
    by_ret = np.argsort(every.ret[ok], kind="stable")
    rank = np.empty(count, dtype=np.int64)
    rank[by_ret] = np.arange(count)
    least = np.minimum.accumulate((key[ok] * count + rank)[order][::-1])[::-1] % max(count, 1)
    old = np.zeros(len(read), dtype=np.bool_)
    replaced = every.ret[ok[by_ret[least[at[later]]]]]
    old[later] = every.call[read[later]] - replaced > bound
    return old


def _at_odds(every: Rows, key: I64, read: I64, seen: I64, keys: int) -> Mask:
    """Keys whose last read and last look at the source may differ at rest."""
    source = every.f[read] == 2
    if not source.any():
        return np.zeros(keys, dtype=np.bool_)
    ok = (every.f == 0) & (every.type == OK)
    settled = np.full(keys, -1, dtype=np.int64)
    np.maximum.at(settled, key[ok], every.ret[ok])
    last = np.full((2, keys), -1, dtype=np.int64)
    rest = np.flatnonzero(every.call[read] > settled[key[read]])
    rest = rest[np.argsort(every.call[read[rest]], kind="stable")]
    for place, chosen in enumerate((rest[~source[rest]], rest[source[rest]])):
        last[place, key[read[chosen]]] = seen[chosen]
    both = (last[0] >= 0) & (last[1] >= 0)
    apart: Mask = both & (last[0] != last[1])
    # An unknown outcome may come late: then only final reads tell, which the columns do not know.
    opened = key[(every.f == 0) & (every.type == INFO)]
    apart[opened] |= both[opened]
    return apart


def _closely(history: History, every: Rows, keys: Numbers, chosen: Mask) -> dict[str, _Key]:
    """Everything that was asked of some keys."""
    found: dict[str, _Key] = {}
    for row in np.flatnonzero(chosen[keys.of]).tolist():
        op = history.operation(int(every.index[row]))
        name = str(keys.values[keys.of[row]])
        key = found.setdefault(name, _Key(op.asked[0]))
        if op.f == "write":
            key.writes.append(op)
        elif op.type == "ok":
            (key.reads if op.f == "read" else key.sources).append(op)
    return found


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
