"""Queues: every acknowledged message takes effect as often as was promised, and in order where
order was promised.

A message whose enqueueing has an unknown outcome is delivered any number of times, or never. A
consumption of unknown outcome may have been of any message. Nothing is called lost before the
queue was drained, or its effects were read, at the end (Jepsen's total-queue).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ..harness.errors import UsageError
from ..harness.history import FOREVER, History, Operation
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .orders import inversions, out_of_order
from .wording import counted, freeze, plain, show

Delivery = Literal["exactly", "at-least", "at-most"]
Order = Literal["key", "all"]


@dataclass
class _Queue:
    """What went in, what came out, and in which sequences; everything by message."""

    enqueues: dict[Hashable, list[Operation]] = field(default_factory=dict)
    deliveries: dict[Hashable, list[Operation]] = field(default_factory=dict)
    sequences: list[tuple[Operation, list[Hashable]]] = field(default_factory=list)
    unheard: int = 0
    """Consumptions whose answer nobody knows; each may have taken a message."""
    unheard_since: int = FOREVER
    """When the first of them was asked for."""
    drained: int = -1
    """When the last look at everything was begun; -1 if there was none."""


class TotalQueueChecker:
    """Judges `enqueue x`, `dequeue nil` or `consume nil` -> x, `drain nil` and `effects nil` -> [x, ...].

    Where effects are read, the last list of them says what took effect, instead of the deliveries.
    """

    name = "total-queue"

    def __init__(self, *, delivery: Delivery = "exactly", ordered: Order | None = None) -> None:
        """`ordered` by `key` is the order of messages `[key, n]` of one key; `all` of all."""
        if delivery not in ("exactly", "at-least", "at-most"):
            raise UsageError(f"delivery is exactly, at-least or at-most, not {delivery!r}")
        if ordered not in (None, "key", "all"):
            raise UsageError(f"order is by key or all, not {ordered!r}")
        self._delivery = delivery
        self._ordered = ordered

    def check(self, history: History) -> Verdict:
        """Judge every message that was acknowledged or delivered; count them."""
        queue = _queue(history)
        findings = list(_strange(queue))
        if self._delivery != "at-least":
            findings += _repeated(queue)
        missing = [] if self._delivery == "at-most" else _missing(queue)
        judgeable = queue.drained >= 0 or self._delivery == "at-most"
        if judgeable and len(missing) > queue.unheard:
            findings.append(_tell_lost(missing, queue))
        if self._ordered:
            # Where a message may come again, its first delivery may have been to somebody of whom
            # nothing was heard: only what came out before him is certain.
            again = self._delivery == "at-least"
            certain = queue.unheard_since if again else FOREVER
            findings += _disordered(queue, certain, by_key=self._ordered == "key")
        judged = len(queue.enqueues.keys() | queue.deliveries.keys())
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        if not judged:
            return unknown("nothing was enqueued")
        if missing and not judgeable:
            return unknown(
                f"{counted(len(missing), 'acknowledged message')} not delivered, but the queue was "
                "never drained",
                judged=judged,
            )
        return Verdict(verdict="holds", judged=judged)


def _queue(history: History) -> _Queue:
    queue = _Queue()
    effects: Operation | None = None
    for op in history.operations("enqueue", "dequeue", "consume", "drain", "effects"):
        if op.f == "enqueue":
            queue.enqueues.setdefault(freeze(op.asked), []).append(op)
        elif op.f == "effects":
            if op.type == "ok" and (effects is None or op.call > effects.call):
                effects = op
        elif op.type == "ok":
            _deliver(queue, op)
        elif op.type == "info":
            # A drain may have taken everything.
            queue.unheard += 1 if op.f != "drain" else len(history)
            queue.unheard_since = min(queue.unheard_since, op.call)
    if effects is not None:
        queue.deliveries, queue.sequences, queue.unheard = {}, [], 0
        queue.unheard_since = FOREVER
        queue.drained = effects.call
        _list(queue, effects)
    return queue


def _deliver(queue: _Queue, op: Operation) -> None:
    if op.f == "drain":
        queue.drained = max(queue.drained, op.call)
        _list(queue, op)
    elif op.value is not None:
        queue.deliveries.setdefault(freeze(op.value), []).append(op)


def _list(queue: _Queue, op: Operation) -> None:
    if not isinstance(op.value, list | tuple):
        raise UsageError(f"operation {op.index}: {op.f} answers a list, not {show(op.value)}")
    messages = [freeze(message) for message in op.value]
    queue.sequences.append((op, messages))
    for message in messages:
        queue.deliveries.setdefault(message, []).append(op)


def _missing(queue: _Queue) -> list[Operation]:
    """Acknowledged before the last look at everything began, and never delivered."""
    before = queue.drained if queue.drained >= 0 else FOREVER
    return [
        op
        for message, ops in queue.enqueues.items()
        if message not in queue.deliveries
        for op in ops[:1]
        if any(each.type == "ok" and each.ret < before for each in ops)
    ]


def _strange(queue: _Queue) -> Iterator[Anomaly]:
    garbage, ghosts = [], []
    for message, ops in queue.deliveries.items():
        sources = queue.enqueues.get(message, [])
        first = min(ops, key=lambda op: op.ret)
        if all(source.call > first.ret for source in sources):
            garbage.append((message, first))
        elif all(source.type == "fail" for source in sources):
            ghosts.append((message, first))
    for name, found, why in (
        ("garbage-read", garbage, "which nobody had enqueued by then"),
        ("ghost-effect", ghosts, "whose enqueueing had failed"),
    ):
        if found:
            message, op = found[0]
            yield Anomaly(
                type=name,
                sentence=f"Process {op.process} got message {show(plain(message))}, {why}.",
                ops=(op.index,),
                count=len(found),
                evidence={"kind": "ladder", "message": plain(message), "deliveries": [op.index]},
            )


def _repeated(queue: _Queue) -> Iterator[Anomaly]:
    """Delivered more often than it was enqueued, where no outcome is unknown."""
    for message, ops in queue.deliveries.items():
        sources = queue.enqueues.get(message, [])
        sent = sum(source.type == "ok" for source in sources)
        if sent and len(ops) > sent and all(source.type != "info" for source in sources):
            who = " and ".join(str(op.process) for op in ops[:2])
            yield Anomaly(
                type="duplicate-effect",
                sentence=f"Message {show(plain(message))} took effect {len(ops)} times "
                f"(processes {who}), although it was enqueued {counted(sent, 'time')}.",
                ops=tuple(dict.fromkeys([sources[0].index, *(op.index for op in ops[:2])])),
                evidence={
                    "kind": "ladder",
                    "message": plain(message),
                    "deliveries": [op.index for op in ops],
                },
            )


def _tell_lost(missing: Sequence[Operation], queue: _Queue) -> Anomaly:
    op = missing[0]
    excused = (
        f" ({counted(queue.unheard, 'consumption')} of unknown outcome can have taken "
        f"{queue.unheard} of {len(missing)} such messages at the most)"
        if queue.unheard
        else ""
    )
    return Anomaly(
        type="lost-message",
        sentence=f"Process {op.process} was told that message {show(op.asked)} is enqueued, but it "
        f"never took effect{excused}.",
        ops=(op.index,),
        count=len(missing) - queue.unheard,
        evidence={
            "kind": "ladder",
            "message": plain(freeze(op.asked)),
            "missing": [each.index for each in missing[:100]],
        },
    )


def _disordered(queue: _Queue, certain: int, *, by_key: bool) -> Iterator[Anomaly]:
    """Messages that took effect before one that had been enqueued before they were."""
    sources = {
        message: ops[0]
        for message, ops in queue.enqueues.items()
        if len(ops) == 1 and ops[0].type != "fail"
    }
    groups: defaultdict[Hashable, list[Hashable]] = defaultdict(list)
    listed = {message for _, messages in queue.sequences for message in messages}
    for message in queue.deliveries.keys() & sources.keys() - listed:
        groups[_lane(message, by_key)].append(message)
    for lane in groups.values():
        # In the order of enqueueing, so that the same history always gets the same witness.
        lane.sort(key=lambda message: sources[message].index)
        puts = [sources[message] for message in lane]
        gets = [min(queue.deliveries[message], key=lambda op: op.ret) for message in lane]
        first = [min(op.call for op in queue.deliveries[message]) for message in lane]
        count, pair = inversions(
            _times(op.call for op in puts),
            _times(op.ret for op in puts),
            _times(first),
            _times(op.ret if op.ret < certain else FOREVER for op in gets),
        )
        if pair:
            a, b = pair
            yield _tell_order(lane[a], lane[b], (puts[a], puts[b], gets[b], gets[a]), count)
    for op, messages in queue.sequences:
        if op.ret >= certain:
            continue
        yield from _disordered_list(op, messages, sources, by_key)


def _disordered_list(
    op: Operation,
    messages: Sequence[Hashable],
    sources: dict[Hashable, Operation],
    by_key: bool,
) -> Iterator[Anomaly]:
    lanes: defaultdict[Hashable, list[Hashable]] = defaultdict(list)
    for message in dict.fromkeys(messages):
        if message in sources:
            lanes[_lane(message, by_key)].append(message)
    for lane in lanes.values():
        puts = [sources[message] for message in lane]
        pair = out_of_order([put.call for put in puts], [put.ret for put in puts])
        if pair:
            a, b = pair
            yield _tell_order(lane[a], lane[b], (puts[a], puts[b], op), 1)


def _lane(message: Hashable, by_key: bool) -> Hashable:
    """What must keep the order among itself: messages `[key, n]` of one key, or all."""
    if by_key and isinstance(message, tuple) and len(message) == 2:
        key: Hashable = message[0]
        return key
    return None


def _times(values: Any) -> Any:
    return np.fromiter(values, dtype=np.int64)


def _tell_order(a: Hashable, b: Hashable, ops: tuple[Operation, ...], count: int) -> Anomaly:
    return Anomaly(
        type="order-violation",
        sentence=f"Message {show(plain(a))} was enqueued before {show(plain(b))} was, but took "
        "effect after it.",
        ops=tuple(dict.fromkeys(op.index for op in ops)),
        count=count,
        evidence={"kind": "ladder", "first": plain(a), "second": plain(b)},
    )
