"""queue: messages go in and are consumed: taken, carried out and acknowledged in one.

Every acknowledged message takes effect as often as is declared (exactly once unless said
otherwise), and in order where order is declared.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.progress import ProgressChecker
from ...checkers.total_queue import Delivery, Order, TotalQueueChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Answer, Ask, Checker, Rest, Script, Session
from ..session import Method, MethodSession, done, plain_value

_BLOCK = 100_000
"""Messages are process * _BLOCK + counter: never the same twice, and small enough for an int4."""

_HERE = "dokkaebi.workloads.queue.strategies"

_EMPTY = 3
"""The queue is drained when it was found empty so many times, `redelivery` seconds apart."""

_TRIES = 30
"""How often a consumption of the end may go wrong before the queue counts as not drained."""


class Queue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everybody enqueues and consumes; what is left is consumed at the end.

    `delivery` and `ordered` are the strategy's own promises; in order by `key`, messages are
    `[process, counter]`. `redelivery` is how many seconds a message may stay with a consumer that
    died.
    """

    name: ClassVar[str] = "queue"
    functions: ClassVar[frozenset[str]] = frozenset(
        {"enqueue", "consume", "effects", "dequeue", "drain"}
    )
    methods: ClassVar[tuple[str, ...]] = ("enqueue", "consume", "effects")
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ("delivery", "ordered")
    default: ClassVar[str] = "skip-locked"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {
        "skip-locked": f"{_HERE}.postgres:SkipLocked",
        "skip-locked-mariadb": f"{_HERE}.mariadb:SkipLocked",
        "claim-without-status": f"{_HERE}.postgres:ClaimWithoutStatus",
        "claim-then-work": f"{_HERE}.postgres:ClaimThenWork",
        "lease-and-unique": f"{_HERE}.postgres:LeaseAndUnique",
        "lease-only": f"{_HERE}.postgres:LeaseOnly",
        "skip-locked-as-fifo": f"{_HERE}.postgres:SkipLockedAsFifo",
        "one-at-a-time": f"{_HERE}.postgres:OneAtATime",
        "rabbitmq-effect-then-ack": f"{_HERE}.rabbitmq:EffectThenAck",
        "rabbitmq-auto-ack": f"{_HERE}.rabbitmq:AutoAck",
        "rabbitmq-dedupe-row": f"{_HERE}.rabbitmq:DedupeRow",
        "rabbitmq-transient": f"{_HERE}.rabbitmq:Transient",
        "rabbitmq-unconfirmed": f"{_HERE}.rabbitmq:Unconfirmed",
        "rabbitmq-quorum": f"{_HERE}.rabbitmq:Quorum",
        "rabbitmq-quorum-killed": f"{_HERE}.rabbitmq:QuorumKilled",
        "rabbitmq-mirrored": f"{_HERE}.rabbitmq:Mirrored",
        "nats-effect-then-ack": f"{_HERE}.nats:EffectThenAck",
        "nats-ack-then-effect": f"{_HERE}.nats:AckThenEffect",
        "nats-dedupe-row": f"{_HERE}.nats:DedupeRow",
        "nats-at-least-once": f"{_HERE}.nats:AtLeastOnce",
        "nats-memory-stream": f"{_HERE}.nats:MemoryStream",
        "nats-publish-unconfirmed": f"{_HERE}.nats:PublishUnconfirmed",
    }

    delivery: Delivery = "exactly"
    ordered: Order | None = None
    enqueue_share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5
    redelivery: Annotated[float, msgspec.Meta(ge=0)] = 1.0

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: the queue is empty at first."""
        return {}

    def dry(self) -> Script:
        """One message in and out, and one look at the effects, judged like all others."""
        yield Ask("enqueue", self._message(0, 1))
        yield Ask("consume")
        yield Ask("effects")

    def main(self, rng: random.Random, process: int) -> Script:
        """Messages in and out, as many of both."""
        count = 1
        while True:
            if rng.random() < self.enqueue_share:
                count += 1
                yield Ask("enqueue", self._message(process, count))
            else:
                yield Ask("consume")

    def final(self, worker: int, workers: int) -> Script:
        """One worker consumes what is left, longer than a message can stay away, then looks.

        A consumption that went wrong says nothing about what is left, and may have taken a message
        that comes back: then it all begins again. Without an end to that, nothing is looked at.
        """
        if worker:
            return
        empty = wrong = 0
        while empty < _EMPTY and wrong < _TRIES:
            answer = yield Ask("consume")
            if answer is not None and answer.type != "ok":
                empty, wrong = 0, wrong + 1
                yield Rest(self.redelivery)
            elif answer is None or answer.value is None:
                empty += 1
                yield Rest(self.redelivery)
        if empty == _EMPTY:
            yield Ask("effects")

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The messages, and progress."""
        return [
            TotalQueueChecker(delivery=self.delivery, ordered=self.ordered),
            ProgressChecker(workload=self.name),
        ]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """There is one queue; all but a look at the effects change it."""
        return "queue", operation.f != "effects"

    def remedy(self, anomaly: str) -> str:
        """How a queue is mended."""
        if anomaly == "order-violation":
            return (
                "Let one consumer at a time work on what must stay in order: SKIP LOCKED and "
                "several consumers overtake each other. Lock the key, or give each key to one "
                "consumer."
            )
        return (
            "Claim the message, carry it out and delete it in one transaction (SELECT ... FOR "
            "UPDATE SKIP LOCKED), or let a lease bring back what a dead consumer had claimed and "
            "make the effect idempotent: the message's id, UNIQUE, beside the effect."
        )

    def _message(self, process: int, count: int) -> Any:
        return [process, count] if self.ordered == "key" else process * _BLOCK + count


def _plain(message: Any) -> Any:
    if isinstance(message, list | tuple):
        return [plain_value(part) for part in message]
    return plain_value(message)


def _consumed(asked: Any, returned: Any) -> Answer:
    return Answer(type="ok", value=_plain(returned))


def _effects(asked: Any, returned: Any) -> Answer:
    if isinstance(returned, str | bytes) or returned is None:
        raise TypeError(f"effects() must answer messages, not {returned!r}")
    return Answer(type="ok", value=[_plain(message) for message in returned])


_METHODS: Mapping[str, Method] = {
    "enqueue": Method(lambda strategy, value: strategy.enqueue(value), done),
    "consume": Method(lambda strategy, value: strategy.consume(), _consumed),
    "effects": Method(lambda strategy, value: strategy.effects(), _effects),
}
