"""A queue of RabbitMQ, whose messages have their effects in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ....harness.context import Context
from .effects import Effects

SERVERS = 3
TRANSIENT, PERSISTENT = 1, 2
"""Delivery modes."""

BACKLOG: Mapping[str, float] = MappingProxyType({"enqueue_share": 0.6})
"""More is enqueued than consumed: there is always something that can be lost."""


class _Broker:
    """A durable queue with persistent messages; publishes are confirmed, deliveries acknowledged."""

    workload = "queue"
    needs: tuple[str, ...] = ("rabbitmq", "postgres")
    params: Mapping[str, float] = MappingProxyType({})
    queue = "jobs"
    durable = True
    kind = "classic"
    mode = PERSISTENT
    confirmed = True
    channel: Any
    properties: Any
    effects_had: Effects
    point: Callable[[str], None]

    def setup(self, ctx: Context) -> None:
        """The queue, and a table for the effects."""
        Effects.make(ctx)
        ctx.rabbitmq.channel().queue_declare(
            self.queue, durable=self.durable, arguments={"x-queue-type": self.kind}
        )

    def open(self, ctx: Context) -> None:
        """Keep the connections; one channel."""
        from pika import BasicProperties

        self.point, self.effects_had = ctx.point, Effects(ctx.postgres)
        self.properties = BasicProperties(delivery_mode=self.mode)
        self.channel = self._server(ctx).channel()
        if self.confirmed:
            self.channel.confirm_delivery()

    def enqueue(self, message: Any) -> None:
        """Publish, and wait until it is confirmed; to no queue at all is an error."""
        self.channel.basic_publish(
            "", self.queue, json.dumps(message), self.properties, mandatory=self.confirmed
        )

    def consume(self) -> Any:
        """Take the next message, have its effect, acknowledge it."""
        method, _, body = self.channel.basic_get(self.queue)
        if method is None:
            return None
        self._work(method.delivery_tag, body.decode())
        return json.loads(body)

    def effects(self) -> list[Any]:
        """All that was had."""
        return self.effects_had.all()

    def _server(self, ctx: Context) -> Any:
        """Whom this worker asks."""
        return ctx.rabbitmq

    def _work(self, tag: int, text: str) -> None:
        self.effects_had.have(text)
        self.point("had")
        self.channel.basic_ack(tag)


class EffectThenAck(_Broker):
    """E01: have the effect, then acknowledge; nobody looks whether it was had before.

    A consumer that dies between the two leaves a message that is delivered again, and has its
    effect again. Mend it with the message's id, UNIQUE, beside the effect (`rabbitmq-dedupe-row`).
    """

    expect = "unsafe"
    anomaly = "duplicate-effect"
    faults = ("kill-client",)


class AutoAck(_Broker):
    """E02: the delivery acknowledges itself (`auto_ack`), then the effect is had.

    A consumer that dies after the delivery takes its message with it. Mend it by acknowledging
    last.
    """

    expect = "unsafe"
    anomaly = "lost-message"
    faults = ("kill-client",)

    def consume(self) -> Any:
        """Take the next message for good, have its effect."""
        method, _, body = self.channel.basic_get(self.queue, auto_ack=True)
        if method is None:
            return None
        self.point("delivered")
        self.effects_had.have(body.decode())
        return json.loads(body)


class DedupeRow(_Broker):
    """E03: the message's id, UNIQUE, in the transaction of the effect; acknowledged last.

    What is delivered again has no effect any more, and nothing that was confirmed is lost.
    """

    expect = "safe"
    faults = ("none", "kill-client", "kill")

    def setup(self, ctx: Context) -> None:
        """A message may have one effect."""
        super().setup(ctx)
        ctx.postgres.execute("CREATE UNIQUE INDEX ON effect (message)")
        ctx.postgres.commit()

    def _work(self, tag: int, text: str) -> None:
        self.effects_had.have_once(text)
        self.point("had")
        self.channel.basic_ack(tag)


class Transient(_Broker):
    """E10: a durable queue, but messages that are not persistent: a server that dies forgets them.

    It confirms them all the same. Mend it with `delivery_mode=2` (`rabbitmq-dedupe-row`).
    """

    expect = "unsafe"
    anomaly = "lost-message"
    faults = ("kill",)
    params = BACKLOG
    mode = TRANSIENT


class Unconfirmed(_Broker):
    """E10: persistent messages, but nobody waits for the server to confirm them.

    What it had not written yet when it died is gone. Mend it with publisher confirms
    (`rabbitmq-dedupe-row`).
    """

    expect = "unsafe"
    anomaly = "lost-message"
    faults = ("kill",)
    params = BACKLOG
    confirmed = False


class Quorum(_Broker):
    """E12: a quorum queue on three servers, publisher confirms, acknowledged last.

    A minority that is cut off loses nothing. A message may be delivered again, and has its
    effect again.
    """

    needs = ("rabbitmq:three", "postgres")
    expect = "safe"
    faults: tuple[str, ...] = ("partition-node", "partition-halves")
    lasts = 8.0
    """Longer than it takes a server to notice that it is alone."""
    delivery = "at-least"
    params = MappingProxyType({"redelivery": 2.0})
    kind = "quorum"


class QuorumKilled(Quorum):
    """E12: the same; a minority is killed, and takes its time to come back."""

    faults = ("kill-minority",)
    lasts = 3.0


class Mirrored(_Broker):
    """E11: a classic queue that is mirrored on three servers, which heal partitions by themselves.

    Cut off from each other, both sides go on and confirm what they are sent; afterwards one side
    forgets all that it did. Mend it with a quorum queue (`rabbitmq-quorum`).
    """

    needs = ("rabbitmq:autoheal", "postgres")
    expect = "unsafe"
    anomaly = "lost-message"
    faults = ("partition-halves",)
    lasts = 10.0
    delivery = "at-least"
    queue = "mirrored-jobs"
    params = BACKLOG

    def _server(self, ctx: Context) -> Any:
        """A server of its own, as applications have that run beside one."""
        return ctx.node("rabbitmq", f"n{ctx.worker % SERVERS + 1}")
