"""Queues: every acknowledged message takes effect as often as was promised, and in order where
order was promised.

A message whose enqueueing has an unknown outcome is delivered any number of times, or never. A
consumption of unknown outcome may have been of any message. Nothing is called lost before the
queue was drained, or its effects were read, at the end (Jepsen's total-queue).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Literal

import numpy as np

from ..harness.columns import FAIL, INFO, OK
from ..harness.errors import UsageError
from ..harness.history import FOREVER, History
from ..harness.interning import I64, interned, numbered
from ..harness.verdict import Anomaly, Verdict, unknown
from .deliveries import Queue, queue
from .findings import merged
from .orders import inversions, out_of_order
from .rows import groups
from .wording import counted, freeze, plain, show

Delivery = Literal["exactly", "at-least", "at-most"]
Order = Literal["key", "all"]


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
        known = queue(history)
        findings = list(_strange(history, known))
        if self._delivery != "at-least":
            findings += _repeated(history, known)
        missing = [] if self._delivery == "at-most" else _missing(known)
        judgeable = known.drained >= 0 or self._delivery == "at-most"
        if judgeable and len(missing) > known.unheard:
            findings.append(_tell_lost(history, missing, known))
        if self._ordered:
            # Where a message may come again, its first delivery may have been to somebody of whom
            # nothing was heard: only what came out before him is certain.
            again = self._delivery == "at-least"
            certain = known.unheard_since if again else FOREVER
            findings += _disordered(known, certain, by_key=self._ordered == "key")
        judged = len(known.names)
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


def _missing(known: Queue) -> list[int]:
    """Acknowledged before the last look at everything began, and never delivered: the first
    enqueueing of each such message, as a place in the history."""
    before = known.drained if known.drained >= 0 else FOREVER
    sent, enqueues = known.sent, known.enqueues
    acknowledged = known.times((enqueues.type == OK) & (enqueues.ret < before)) > 0
    missing = acknowledged & (known.delivered() == 0)
    rows = np.flatnonzero(missing[sent])
    first = rows[np.sort(np.unique(sent[rows], return_index=True)[1])]
    indices: list[int] = enqueues.index[first].tolist()
    return indices


def _strange(history: History, known: Queue) -> Iterator[Anomaly]:
    first = known.least(known.got, known.by.ret)
    early = known.least(known.sent, known.enqueues.call) > first
    nowhere = known.times(known.enqueues.type != FAIL) == 0
    for name, found, why in (
        ("garbage-read", early, "which nobody had enqueued by then"),
        ("ghost-effect", nowhere & ~early, "whose enqueueing had failed"),
    ):
        deliveries = np.flatnonzero(found[known.got])
        if len(deliveries):
            message = plain(known.name(deliveries.item(0)))
            op = history.operation(known.earliest(known.got[deliveries[0]]))
            yield Anomaly(
                type=name,
                sentence=f"Process {op.process} got message {show(message)}, {why}.",
                ops=(op.index,),
                count=len(np.unique(known.got[deliveries])),
                evidence={"kind": "ladder", "message": message, "deliveries": [op.index]},
            )


def _repeated(history: History, known: Queue) -> Iterator[Anomaly]:
    """Delivered more often than it was enqueued, where no outcome is unknown."""
    kind, delivered = known.enqueues.type, known.delivered()
    sent = known.times(kind == OK)
    often = (sent > 0) & (delivered > sent) & (known.times(kind == INFO) == 0)
    deliveries = np.flatnonzero(often[known.got])
    if not len(deliveries):
        return
    number = known.got.item(deliveries[0])
    message = plain(known.name(deliveries.item(0)))
    taken = known.by.index[known.got == number].tolist()
    source = known.enqueues.index[known.sent == number].item(0)
    who = " and ".join(str(history.operation(index).process) for index in taken[:2])
    yield Anomaly(
        type="duplicate-effect",
        sentence=f"Message {show(message)} took effect {len(taken)} times "
        f"(processes {who}), although it was enqueued {counted(sent.item(number), 'time')}.",
        ops=tuple(dict.fromkeys([source, *taken[:2]])),
        count=int(np.count_nonzero(often)),
        evidence={"kind": "ladder", "message": message, "deliveries": taken},
    )


def _tell_lost(history: History, missing: list[int], known: Queue) -> Anomaly:
    op, unheard = history.operation(missing[0]), known.unheard
    looks = [
        look.index for look in history.operations("drain", "effects") if look.call == known.drained
    ]
    excused = (
        f" ({counted(unheard, 'consumption')} of unknown outcome can have taken "
        f"{unheard} of {len(missing)} such messages at the most)"
        if unheard
        else ""
    )
    return Anomaly(
        type="lost-message",
        sentence=f"Process {op.process} was told that message {show(op.asked)} is enqueued, but it "
        f"never took effect{excused}.",
        ops=(op.index, *looks[:1]),
        count=len(missing) - unheard,
        evidence={
            "kind": "ladder",
            "message": plain(freeze(op.asked)),
            "missing": missing[:100],
        },
    )


def _disordered(known: Queue, certain: int, *, by_key: bool) -> Iterator[Anomaly]:
    """Messages that took effect before one that had been enqueued before they were."""
    enqueues, sent = known.enqueues, known.sent
    once = (known.times() == 1)[sent] & (enqueues.type != FAIL)
    source = np.full(len(known.names), -1, dtype=np.int64)
    source[sent[once]] = np.flatnonzero(once)
    lane = _lanes(known, by_key)
    called = known.least(known.got, known.by.call)
    back = known.least(known.got, known.by.ret)
    alone = known.delivered() > 0
    for _, part in known.sequences:
        alone[known.got[part]] = False
    # In the order of enqueueing, so that the same history always gets the same witness.
    puts = np.flatnonzero(once & alone[sent])
    lanes, first = numbered(lane[sent[puts]])
    for mine in groups(lanes, len(first)):
        messages, rows = sent[puts[mine]], puts[mine]
        count, pair = inversions(
            enqueues.call[rows],
            enqueues.ret[rows],
            called[messages],
            np.where(back[messages] < certain, back[messages], FOREVER),
        )
        if pair:
            a, b = pair
            gets = known.earliest(messages[b]), known.earliest(messages[a])
            names = known.names[messages[a]], known.names[messages[b]]
            yield _tell_order(*names, [*enqueues.index[rows[[a, b]]].tolist(), *gets], count)
    for row, part in known.sequences:
        if known.every.ret[row] < certain:
            yield from _disordered_list(known, row, part, source, lane)


def _lanes(known: Queue, by_key: bool) -> I64:
    """What must keep the order among itself: messages `[key, n]` of one key, or all."""
    if not by_key:
        return np.zeros(len(known.names), dtype=np.int64)
    names = known.names
    return interned([n[0] if isinstance(n, tuple) and len(n) == 2 else None for n in names]).of


def _disordered_list(
    known: Queue, row: int, part: slice, source: I64, lane: I64
) -> Iterator[Anomaly]:
    enqueues, got = known.enqueues, known.got[part]
    first = np.sort(np.unique(got, return_index=True)[1])
    first = first[source[got[first]] >= 0]
    lanes = lane[got[first]]
    for each in dict.fromkeys(lanes.tolist()):
        places = first[lanes == each]
        puts = source[got[places]]
        pair = out_of_order(enqueues.call[puts].tolist(), enqueues.ret[puts].tolist())
        if pair:
            a, b = pair
            one, other = (known.name(part.start + places[at]) for at in pair)
            ops = [*enqueues.index[puts[[a, b]]].tolist(), known.every.index.item(row)]
            yield _tell_order(one, other, ops, 1)


def _tell_order(a: Hashable, b: Hashable, ops: list[int], count: int) -> Anomaly:
    return Anomaly(
        type="order-violation",
        sentence=f"Message {show(plain(a))} was enqueued before {show(plain(b))} was, but took "
        "effect after it.",
        ops=tuple(dict.fromkeys(ops)),
        count=count,
        evidence={"kind": "ladder", "first": plain(a), "second": plain(b)},
    )
