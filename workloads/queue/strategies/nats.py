"""A queue in a stream of NATS JetStream, whose messages have their effects in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ....harness.context import Context
from .effects import Effects

STREAM, SUBJECT, CONSUMER = "jobs", "jobs.new", "workers"
ACK_WAIT_S = 1.0
"""A message that was not acknowledged for so long is delivered again."""

REDELIVERY_S = 2 * ACK_WAIT_S
"""Until it has certainly come again: a consumer that has a new leader counts anew."""

BACKLOG: Mapping[str, float] = MappingProxyType({"redelivery": REDELIVERY_S, "enqueue_share": 0.6})
"""More is enqueued than consumed: there is always something that can be lost."""


class _Stream:
    """A stream on three servers with one consumer for all; each message is acknowledged."""

    workload = "queue"
    needs = ("nats", "postgres")
    params: Mapping[str, float] = MappingProxyType({"redelivery": REDELIVERY_S})
    storage = "file"
    replicas = 3
    nats: Any
    effects_had: Effects
    point: Callable[[str], None]

    def setup(self, ctx: Context) -> None:
        """The stream, its consumer, and a table for the effects."""
        Effects.make(ctx)
        ctx.nats.add_stream(
            STREAM,
            [SUBJECT],
            replicas=self.replicas,
            storage=self.storage,
            retention="workqueue",
        )
        ctx.nats.add_consumer(STREAM, CONSUMER, ack_wait_s=ACK_WAIT_S, max_ack_pending=10_000)

    def open(self, ctx: Context) -> None:
        """Keep the connections."""
        self.nats, self.point = ctx.nats, ctx.point
        self.effects_had = Effects(ctx.postgres)

    def enqueue(self, message: Any) -> None:
        """Publish, and wait until the stream has it."""
        self.nats.publish(SUBJECT, json.dumps(message))

    def consume(self) -> Any:
        """Take the next message, have its effect, acknowledge it."""
        taken = self.nats.fetch(STREAM, CONSUMER)
        if taken is None:
            return None
        self._work(taken, taken.data.decode())
        return json.loads(taken.data)

    def effects(self) -> list[Any]:
        """All that was had."""
        return self.effects_had.all()

    def _work(self, taken: Any, text: str) -> None:
        self.effects_had.have(text)
        self.point("had")
        self.nats.ack(taken)


class EffectThenAck(_Stream):
    """E01: have the effect, then acknowledge; nobody looks whether it was had before.

    A consumer that dies between the two leaves a message that is delivered again, and has its
    effect again. Mend it with the message's id, UNIQUE, beside the effect (`nats-dedupe-row`).
    """

    expect = "unsafe"
    anomaly: str | None = "duplicate-effect"
    faults: tuple[str, ...] = ("kill-client",)


class AckThenEffect(_Stream):
    """E02: acknowledge, then have the effect.

    A consumer that dies between the two takes its message with it. Mend it by acknowledging last.
    """

    expect = "unsafe"
    anomaly = "lost-message"
    faults = ("kill-client",)

    def _work(self, taken: Any, text: str) -> None:
        self.nats.ack(taken)
        self.point("acknowledged")
        self.effects_had.have(text)


class DedupeRow(_Stream):
    """E03: the message's id, UNIQUE, in the transaction of the effect; acknowledged last.

    What is delivered again has no effect any more, and nothing that was acknowledged is lost.
    """

    expect = "safe"
    faults = ("none", "kill-client", "kill", "partition")
    lasts = 6.0
    """Longer than servers wait before they elect another leader."""

    def setup(self, ctx: Context) -> None:
        """A message may have one effect."""
        super().setup(ctx)
        ctx.postgres.execute("CREATE UNIQUE INDEX ON effect (message)")
        ctx.postgres.commit()

    def _work(self, taken: Any, text: str) -> None:
        self.effects_had.have_once(text)
        self.point("had")
        self.nats.ack(taken)


class AtLeastOnce(_Stream):
    """J14: three replicas, and what was acknowledged is delivered, if more than once.

    Servers that are killed and cut off lose nothing of it.
    """

    expect = "safe"
    faults = ("kill", "rolling-restart", "partition-primary")
    delivery = "at-least"
    lasts = 6.0


class MemoryStream(_Stream):
    """E10: one replica, kept in memory: what is in it when its server is killed is gone.

    Mend it with file storage and three replicas (`nats-at-least-once`).
    """

    expect = "unsafe"
    anomaly = "lost-message"
    faults = ("kill-primary",)
    storage = "memory"
    replicas = 1
    params = BACKLOG


class PublishUnconfirmed(_Stream):
    """E10: publish and go on, without waiting for the stream's acknowledgement.

    While the stream has no leader nobody takes what is published, and the caller is told that all
    is well. Mend it by waiting for the acknowledgement (`nats-at-least-once`).
    """

    expect = "unsafe"
    anomaly = "lost-message"
    faults = ("kill-primary",)
    delivery = "at-least"

    def enqueue(self, message: Any) -> None:
        """Send, and hope."""
        self.nats.send(SUBJECT, json.dumps(message))
