"""What the transactional workloads share: which keys are in use, what a transaction asks, how a
strategy's answer is read, and the last look at every key.

Keys are taken into use one after another and left when they have enough writes, so that the
versions of a key stay few. Workers share nothing: each learns from what it reads how far the
others are.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from ..checkers import remedies
from ..harness.history import Operation
from ..harness.protocols import Answer, Ask, Script
from .session import Method, plain_value

LEVELS = (
    "strict-serializable",
    "strong-session-serializable",
    "serializable",
    "strong-snapshot-isolation",
    "strong-session-snapshot-isolation",
    "snapshot-isolation",
    "repeatable-read",
    "consistent-view",
    "cursor-stability",
    "update-atomic",
    "causal-cerone",
    "read-atomic",
    "monotonic-read-committed",
    "read-committed",
    "read-uncommitted",
)
"""The levels that may be demanded, the default first."""

DRY_KEY = -1
"""The dry run's own key."""

_STRIDE = 1_000_000
"""Written values are number * _STRIDE + process: unique in a key, and they tell how many writes
their writer knew of."""

_CHUNK = 16
"""Keys that one final transaction reads."""


class Keys:
    """The keys in use as one process knows them: the `width` lowest that are not full."""

    def __init__(self, *, width: int, most: int, process: int) -> None:
        self._width = width
        self._most = most
        self._process = process
        self._base = 0
        self._written: dict[int, int] = {}

    def draw(self, rng: random.Random) -> int:
        """A key in use; each is half as likely as the one before, so that some are hot."""
        rank = 0
        while rank < self._width - 1 and rng.random() < 0.5:
            rank += 1
        key = self._base
        while True:
            if not self._full(key):
                if rank == 0:
                    return key
                rank -= 1
            key += 1

    def fresh(self, key: int) -> int:
        """A value that nobody ever wrote to this key."""
        number = self._written.get(key, 0) + 1
        self._saw(key, number)
        return number * _STRIDE + self._process

    def learn(self, key: int, value: Any) -> None:
        """Take in what a read answered: how often the key has been written."""
        elements = value if isinstance(value, list) else [value]
        numbers = [e // _STRIDE for e in elements if type(e) is int]
        if numbers:
            self._saw(key, max(len(numbers), *numbers))

    def catch_up(self) -> Script:
        """Find the first key that is not full: a process that begins late has much to skip."""
        step = 1
        while True:
            key = self._base + step - 1
            answer = yield Ask("txn", [["r", key, None]])
            if answer is None or answer.type != "ok":
                return
            self.learn(key, answer.value[0][2])
            if self._full(key):
                self._base, step = key + 1, 2 * step
            elif step == 1:
                return
            else:
                step = 1

    def _saw(self, key: int, number: int) -> None:
        if key < self._base:
            return
        self._written[key] = max(number, self._written.get(key, 0))
        while self._full(self._base):
            self._written.pop(self._base, None)
            self._base += 1

    def _full(self, key: int) -> bool:
        return key < self._base or self._written.get(key, 0) >= self._most


def transactions(rng: random.Random, keys: Keys, *, write: str, most: int) -> Script:
    """Endless transactions of one to `most` reads and writes in equal parts."""
    yield from keys.catch_up()
    while True:
        mops: list[list[Any]] = []
        for _ in range(rng.randint(1, most)):
            key = keys.draw(rng)
            if rng.random() < 0.5:
                mops.append(["r", key, None])
            else:
                mops.append([write, key, keys.fresh(key)])
        answer = yield Ask("txn", mops)
        if answer is not None and answer.type == "ok":
            for f, key, value in answer.value:
                if f == "r":
                    keys.learn(key, value)


def dry(write: str) -> Script:
    """A write and a read, on a key of its own."""
    yield Ask("txn", [[write, DRY_KEY, _STRIDE]])
    yield Ask("txn", [["r", DRY_KEY, None]])


def last_look(worker: int, workers: int) -> Script:
    """Read every key that was ever used, some at a time, until a whole stretch was never written."""
    for first in range(worker * _CHUNK, 10**9, workers * _CHUNK):
        answer = yield Ask("txn", [["r", key, None] for key in range(first, first + _CHUNK)])
        if answer is None or answer.type != "ok":
            return
        if all(value in (None, []) for _, _, value in answer.value):
            return


def contends(operation: Operation) -> tuple[Hashable, bool] | None:
    """A transaction stands for the first key that it writes, else for the first that it reads."""
    if not operation.asked:
        return None
    first = next((mop for mop in operation.asked if mop[0] != "r"), operation.asked[0])
    return first[1], first[0] != "r"


def _call(strategy: Any, mops: Any) -> Any:
    return strategy.txn([list(mop) for mop in mops])


def _filled(asked: Any, returned: Any) -> Answer:
    """The micro-operations again, with what the reads answered."""
    done = [list(mop) if isinstance(mop, list | tuple) else mop for mop in _items(returned)]
    if [_shape(mop) for mop in done] != [_shape(mop) for mop in asked]:
        raise TypeError(f"txn(mops) must answer the same mops, reads filled in, not {returned!r}")
    value = [
        [f, key, _read(found) if f == "r" else mop[2]]
        for mop, (f, key, found) in zip(asked, done, strict=True)
    ]
    return Answer(type="ok", value=value)


def _items(returned: Any) -> Iterator[Any]:
    return iter(returned) if isinstance(returned, list | tuple) else iter(())


def _shape(mop: Any) -> Any:
    """What an answer must repeat of a micro-operation."""
    return mop[:2] if isinstance(mop, list) and len(mop) == 3 else None


def _read(found: Any) -> Any:
    if isinstance(found, list | tuple):
        return [plain_value(element) for element in found]
    return plain_value(found)


METHODS: Mapping[str, Method] = {"txn": Method(_call, _filled)}


_REMEDY = (
    "Run every transaction that takes part, the reading ones too, at serializable and repeat the "
    "whole of it on 40001; or lock what a decision rests on before reading it (SELECT ... FOR "
    "UPDATE, a parent row, BEGIN IMMEDIATE); or let one statement or one script do it all."
)


def remedy(anomaly: str) -> str:
    """What to change about an anomaly; what helps in general where it is not one of transactions."""
    return remedies.remedy(anomaly) or _REMEDY
