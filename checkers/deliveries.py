"""What is known of a queue: what went in and what came out, as columns. Accuses nobody."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..harness.columns import INFO, OK
from ..harness.errors import UsageError
from ..harness.history import FOREVER, History
from ..harness.interning import I64, freeze, interned
from .rows import Mask, Rows, asked, rows, told
from .wording import show

_ENQUEUE, _DRAIN, _EFFECTS = 0, 3, 4
_FUNCTIONS = ("enqueue", "dequeue", "consume", "drain", "effects")


@dataclass(frozen=True, slots=True)
class Queue:
    """What went in and what came out; messages are numbers, and `names` tells them.

    `enqueues` and the message of each (`sent`) are in the order of invocation. So are the deliveries
    `got`: `by` is the operation of each, and `got_name` the message as it was delivered. An answer
    that lists messages gives one delivery for each: `sequences` has the operation (a row of `every`)
    with the slice of `got` that it fills.
    """

    every: Rows
    names: Sequence[Hashable]
    enqueues: Rows
    sent: I64
    got: I64
    by: Rows
    raw: Sequence[Any]
    sequences: Sequence[tuple[int, slice]]
    unheard: int
    """Consumptions whose answer nobody knows; each may have taken a message."""
    unheard_since: int
    """When the first of them was asked for."""
    drained: int
    """When the last look at everything was begun; -1 if there was none."""

    def times(self, chosen: Mask | None = None) -> I64:
        """How often each message was enqueued by these."""
        sent = self.sent if chosen is None else self.sent[chosen]
        return np.bincount(sent, minlength=len(self.names))

    def delivered(self) -> I64:
        """How often each message was delivered."""
        return np.bincount(self.got, minlength=len(self.names))

    def name(self, delivery: int) -> Hashable:
        """The message of a delivery, as it was delivered."""
        return freeze(self.raw[delivery])

    def earliest(self, message: int) -> int:
        """The place in the history of the delivery of this message that returned first."""
        mine = np.flatnonzero(self.got == message)
        return self.by.index.item(mine[np.argmin(self.by.ret[mine])])

    def least(self, column: I64, values: I64) -> I64:
        """The least of these values for each message; `FOREVER` where there is none."""
        least = np.full(len(self.names), FOREVER, dtype=np.int64)
        np.minimum.at(least, column, values)
        return least


def queue(history: History) -> Queue:
    """What is known; where effects were read, the last list of them says what came out.

    Raises `UsageError` where a drain or the effects are no list.
    """
    every = rows(history, *_FUNCTIONS)
    ok = every.type == OK
    drains = np.flatnonzero(ok & (every.f == _DRAIN))
    _refuse_others(history, every.of(drains), "drain")
    consumed = (every.f != _ENQUEUE) & (every.f != _EFFECTS)
    taken = np.flatnonzero(ok & consumed)
    unheard = np.flatnonzero((every.type == INFO) & consumed)
    # A drain may have taken everything.
    weight = np.where(every.f[unheard] == _DRAIN, len(history), 1).sum()
    since, drained = every.call[unheard].min(initial=FOREVER), every.call[drains].max(initial=-1)
    looks = np.flatnonzero(ok & (every.f == _EFFECTS))
    if len(looks):
        taken = drains = looks[[np.argmax(every.call[looks])]]
        _refuse_others(history, every.of(drains), "effects")
        weight, since, drained = 0, FOREVER, every.call[drains[0]]
    raw, size = _messages(told(history, every.of(taken)), np.isin(taken, drains))
    ends = np.cumsum(size)
    enqueues = every.of(every.f == _ENQUEUE)
    messages = interned([*asked(history, enqueues), *raw])
    places = np.searchsorted(taken, drains)
    starts = (ends - size)[places].tolist()
    return Queue(
        every=every,
        names=messages.values,
        enqueues=enqueues,
        sent=messages.of[: len(enqueues)],
        got=messages.of[len(enqueues) :],
        by=every.of(np.repeat(taken, size)),
        raw=raw,
        sequences=[
            (row, slice(start, end))
            for row, start, end in zip(drains.tolist(), starts, ends[places].tolist(), strict=True)
        ],
        unheard=int(weight),
        unheard_since=int(since),
        drained=int(drained),
    )


def _messages(answers: list[Any], lists: Mask) -> tuple[list[Any], I64]:
    """All messages that were delivered, and how many each answer has: nil is none."""
    size = np.fromiter((answer is not None for answer in answers), np.int64, len(answers))
    raw: list[Any] = []
    begin = 0
    for row in (*np.flatnonzero(lists).tolist(), len(answers)):
        raw += [answer for answer in answers[begin:row] if answer is not None]
        if row < len(answers):
            raw += answers[row]
            size[row] = len(answers[row])
        begin = row + 1
    return raw, size


def _refuse_others(history: History, chosen: Rows, function: str) -> None:
    """Raise `UsageError` at the first answer that is no list."""
    for index, answer in zip(chosen.index.tolist(), told(history, chosen), strict=True):
        if not isinstance(answer, list | tuple):
            raise UsageError(f"operation {index}: {function} answers a list, not {show(answer)}")
