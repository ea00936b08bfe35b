"""Long forks: two reads that saw two writes in opposite orders.

Every key is written once. A read of several keys that has one and not the other, and another read
that has the other and not the one, contradict each other wherever there is one order of commits
(Sovran et al. 2011: parallel snapshot isolation allows it, snapshot isolation does not).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Any

import msgspec
import numpy as np

from ..harness.columns import FAIL, OK
from ..harness.errors import UsageError
from ..harness.history import FOREVER, History, Operation
from ..harness.interning import I64, interned, vectors
from ..harness.verdict import Anomaly, Verdict, unknown
from .rows import Mask, asked, rows, told
from .wording import freeze, plain, show

_VECTORS = {list, tuple}


class LongForkChecker:
    """Judges `write [["w", key, 1]]` and `read [["r", key, nil], ...]`; reads see nil or the value."""

    name = "long-fork"

    def check(self, history: History) -> Verdict:
        """Compare every two reads on every two keys; count the reads."""
        reads = rows(history, "read")
        reads = reads.of(reads.type == OK)
        values = told(history, reads)
        firsts, view = _alike(values)
        seen = _Mops(reads.index[firsts], [values[row] for row in firsts.tolist()])
        written, views = _numbered(history, seen)

        def which(chosen: Mask) -> list[Operation]:
            return [history.operation(index) for index in reads.index[chosen].tolist()]

        # Of a history that recorded no writes only the reads can be compared.
        wrong = views.unwritten(written)[view] | (views.latest(written)[view] > reads.ret)
        strange = _strange(which(wrong), written) if (written.value >= 0).any() else []
        forks = _forks(which(views.doubtful()[view]))
        findings = [*_tell_strange(strange), *_tell_forks(forks)]
        if findings:
            return Verdict(verdict="violated", anomalies=tuple(findings), judged=len(reads))
        if not len(reads):
            return unknown("nothing was read")
        return Verdict(verdict="holds", judged=len(reads))


class _Mops:
    """The micro-operations of some operations: which one each belongs to, its key and its value."""

    def __init__(self, index: I64, values: Sequence[Any]) -> None:
        """`index` is where the operations stand, for `UsageError` where one has a strange form."""
        self.index = index
        if not all(map(_VECTORS.__contains__, map(type, values))):
            self._refuse(values)
        mops = list(chain.from_iterable(values))
        if not vectors(mops, 3):
            self._refuse(values)
        self.of = np.repeat(
            np.arange(len(values)), np.fromiter(map(len, values), np.int64, len(values))
        )
        self.keys = [key for _, key, _ in mops]
        self.values = [value for _, _, value in mops]

    def _refuse(self, values: Sequence[Any]) -> None:
        for index, value in zip(self.index.tolist(), values, strict=True):
            if not isinstance(value, list | tuple) or not vectors(value, 3):
                raise UsageError(
                    f"operation {index}: expected [[f, key, value], ...], not {show(value)}"
                )


@dataclass(frozen=True, slots=True)
class _Written:
    """By number of a key: the number of its value (-1: never written), when its first write was
    called, and whether every write of it had failed. `keys` and `values` are what has the numbers.
    """

    keys: Sequence[Hashable]
    values: Sequence[Hashable]
    value: I64
    call: I64
    failed: Mask


@dataclass(frozen=True, slots=True)
class _Views:
    """What reads saw, alike ones once: by micro-operation its view, key and value (0 is nil)."""

    count: int
    of: I64
    key: I64
    value: I64

    def unwritten(self, written: _Written) -> Mask:
        """Which views have a value that was never written there, or whose writes had failed."""
        wrong = (written.value[self.key] != self.value) | written.failed[self.key]
        return self._any(wrong & (self.value > 0))

    def latest(self, written: _Written) -> I64:
        """When the last of the writes that each view has was called."""
        have = self.value > 0
        latest = np.full(self.count, -1, dtype=np.int64)
        np.maximum.at(latest, self.of[have], written.call[self.key[have]])
        return latest

    def doubtful(self) -> Mask:
        """Which views have to be compared one by one.

        Keys are ordered by how often they were there. Views that have nothing behind what they
        lack agree with that order, and so with each other; one that does not can contradict only
        views of the same keys.
        """
        have = self.value > 0
        keys = int(self.key.max(initial=-1)) + 1
        there = np.bincount(self.key[have], minlength=keys)
        share = there / np.maximum(np.bincount(self.key, minlength=keys), 1)
        least, most = np.full(self.count, 2.0), np.full(self.count, -1.0)
        np.minimum.at(least, self.of[have], share[self.key[have]])
        np.maximum.at(most, self.of[~have], share[self.key[~have]])
        mixed = self._any(have) & self._any(~have)
        odd = mixed & ((least <= most) | self._repeating())
        touched = np.zeros(keys, dtype=np.bool_)
        touched[self.key[odd[self.of]]] = True
        return mixed & self._any(touched[self.key])

    def _repeating(self) -> Mask:
        """Which views have a key twice."""
        falls = np.zeros(len(self.of), dtype=np.bool_)
        falls[1:] = (self.of[1:] == self.of[:-1]) & (self.key[1:] <= self.key[:-1])
        some = np.flatnonzero(self._any(falls)[self.of])
        some = some[np.lexsort((self.key[some], self.of[some]))]
        same = (self.of[some[1:]] == self.of[some[:-1]]) & (
            self.key[some[1:]] == self.key[some[:-1]]
        )
        repeating = np.zeros(self.count, dtype=np.bool_)
        repeating[self.of[some[1:][same]]] = True
        return repeating

    def _any(self, chosen: Mask) -> Mask:
        views = np.zeros(self.count, dtype=np.bool_)
        views[self.of[chosen]] = True
        return views


def _alike(values: Sequence[Any]) -> tuple[I64, I64]:
    """The first of all values that are written alike, and for each value the number of its first."""
    try:
        written = list(map(msgspec.msgpack.Encoder().encode, values))
    except (TypeError, ValueError, OverflowError):
        # What cannot be written is like nothing else.
        return np.arange(len(values)), np.arange(len(values))
    numbers: dict[bytes, int] = dict.fromkeys(written, 0)
    for number, text in enumerate(numbers):
        numbers[text] = number
    view = np.fromiter(map(numbers.__getitem__, written), np.int64, len(written))
    first = np.empty(len(numbers), dtype=np.int64)
    first[view[::-1]] = np.arange(len(view) - 1, -1, -1)
    return first, view


def _numbered(history: History, seen: _Mops) -> tuple[_Written, _Views]:
    """What was written and what was seen, by numbers; `UsageError` where a key has two values."""
    writes = rows(history, "write")
    mops = _Mops(writes.index, asked(history, writes))
    keys = interned(mops.keys + seen.keys)
    values = interned([None, *mops.values, *seen.values])
    count = len(mops.of)
    key, value = keys.of[:count], values.of[1 : count + 1]
    first = np.full(len(keys.values), -1, dtype=np.int64)
    first[key[::-1]] = value[::-1]
    twice = np.flatnonzero(first[key] != value)
    if len(twice):
        at = int(twice[0])
        raise UsageError(
            f"operation {writes.index[mops.of[at]]}: key {show(mops.keys[at])} is written with two "
            f"values, {show(plain(values.values[first[key[at]]]))} and {show(mops.values[at])}; "
            "a long fork needs one"
        )
    call = np.full(len(first), FOREVER, dtype=np.int64)
    np.minimum.at(call, key, writes.call[mops.of])
    failed = first >= 0
    failed[key[writes.type[mops.of] != FAIL]] = False
    views = _Views(len(seen.index), seen.of, keys.of[count:], values.of[count + 1 :])
    return _Written(keys.values, values.values, first, call, failed), views


# --- the reads that need a closer look -----------------------------------------------------------


def _seen(op: Operation) -> dict[Hashable, Hashable]:
    return {freeze(key): freeze(value) for _, key, value in op.value}


def _strange(
    reads: Iterable[Operation], written: _Written
) -> list[tuple[str, Hashable, Hashable, Operation]]:
    """Each value that no snapshot of committed writes can have, with its anomaly."""
    number = {key: n for n, key in enumerate(written.keys)}

    def wrong(n: int, value: Hashable, read: Operation) -> str:
        if written.value[n] < 0 or written.values[written.value[n]] != value:
            return "garbage-read"
        if written.failed[n]:
            return "G1a"
        return "garbage-read" if written.call[n] > read.ret else ""

    return [
        (name, key, value, op)
        for op in reads
        for key, value in _seen(op).items()
        if value is not None and (name := wrong(number[key], value, op))
    ]


def _forks(
    reads: Iterable[Operation],
) -> list[tuple[Hashable, Hashable, Operation, Operation]]:
    """Every two keys that were seen in both orders, with the first read of each order."""
    ahead: dict[tuple[Hashable, Hashable], Operation] = {}
    forks: list[tuple[Hashable, Hashable, Operation, Operation]] = []
    for op in reads:
        seen = _seen(op)
        have = [key for key, value in seen.items() if value is not None]
        lack = [key for key, value in seen.items() if value is None]
        for pair in product(have, lack):
            if pair not in ahead:
                one, other = pair
                if (other, one) in ahead:
                    forks.append((other, one, ahead[other, one], op))
                ahead[pair] = op
    return forks


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
