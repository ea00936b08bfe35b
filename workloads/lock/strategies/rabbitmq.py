"""A lock that is a message: who has taken it from its queue has the lock."""

from __future__ import annotations

from typing import Any

from ....harness.context import Context

SERVERS = 3


class OneMessage:
    """E13, J13: a mirrored queue with one message, which its holder takes and gives back.

    Cut off from each other, both sides of the cluster have a queue with the message in it, and each
    gives it to those who ask there; and a message whose holder's connection is lost comes back,
    whatever he is at. A queue is no lock: mend it with a store that is consistent when it is cut
    off, and fencing at the resource.
    """

    workload = "lock"
    needs = ("rabbitmq:autoheal",)
    expect = "unsafe"
    anomaly = "double-hold"
    faults = ("partition-halves",)
    lasts = 10.0
    lease = None
    channel: Any

    def setup(self, ctx: Context) -> None:
        """A queue for each name, with one message."""
        from pika import BasicProperties

        channel = ctx.rabbitmq.channel()
        channel.confirm_delivery()
        for name in ctx.keys:
            channel.queue_declare(_queue(name), durable=True)
            channel.basic_publish("", _queue(name), b"lock", BasicProperties(delivery_mode=2))

    def open(self, ctx: Context) -> None:
        """A channel at the worker's own server, as applications have that run beside one."""
        self.channel = ctx.node("rabbitmq", f"n{ctx.worker % SERVERS + 1}").channel()

    def acquire(self, name: Any, ttl: float) -> int | None:
        """Take the message, if it is there; the token is its delivery tag."""
        method, _, _ = self.channel.basic_get(_queue(name))
        return None if method is None else int(method.delivery_tag)

    def release(self, name: Any, token: int) -> None:
        """Give it back."""
        self.channel.basic_nack(token, requeue=True)


def _queue(name: Any) -> str:
    return f"mirrored-lock-{name}"
