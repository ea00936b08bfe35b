"""The worker's side of RabbitMQ: pika's own blocking connection, recording what it sends.

pika connects once and never again by itself: a connection that was lost raises, and the client is
opened anew. What a channel is asked is recorded and accounted, acknowledgements of messages too,
although the server does not answer them.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from typing import Any

import pika
from pika import exceptions
from pika.adapters.blocking_connection import BlockingChannel

from ..harness.errors import Broken
from ..harness.protocols import ClientOptions
from ..harness.trace import Tracer
from .worker import Ledger, Worker, in_turn, plainly

REFUSALS: Mapping[int, str] = {
    403: "not permitted",
    404: "there is no such queue or exchange",
    405: "the queue is another connection's",
    406: "it is there with other properties, or that delivery is not known",
}
"""Why a broker closes a channel instead of doing what was asked of it last."""

_CLOSED = (exceptions.ChannelWrongStateError, exceptions.ConnectionWrongStateError)
"""What pika raises where there is no connection any more: nothing was sent."""

# What pika says there of connections that end is said by our own errors.
logging.getLogger("pika").setLevel(logging.CRITICAL)

OPEN_S = 3.0
"""How long a server may take to let somebody in."""

WRITES = (
    "basic_publish",
    "basic_get",
    "basic_ack",
    "basic_nack",
    "basic_reject",
    "basic_consume",
    "queue_declare",
    "queue_bind",
    "queue_purge",
    "queue_delete",
    "exchange_declare",
    "exchange_delete",
    "tx_commit",
)
"""What may change something on the server: to get a message takes it from others."""
READS = ("confirm_delivery", "basic_qos", "tx_select", "tx_rollback")


class ChannelLedger(Ledger):
    """What this operation may have written on its channels."""

    def __init__(self, tracer: Tracer, node: str) -> None:
        super().__init__(tracer, node)
        self.closed = False
        """The server closed a channel: its strategy still holds it."""

    def ask(self, name: str, arguments: Any, call: Callable[[], Any]) -> Any:
        """Ask the server; recorded and accounted."""
        try:
            return self.told(
                name,
                arguments,
                call,
                writes=name in WRITES,
                definite=is_definite,
                wrote=lambda told: name in WRITES and (name != "basic_get" or told[0] is not None),
                shown=_shown,
            )
        except exceptions.ChannelClosedByBroker:
            self.closed = True
            raise


class TracedChannel(BlockingChannel):  # type: ignore[misc]
    """A `BlockingChannel` whose questions are recorded."""

    ledger: ChannelLedger


def _recorded(name: str) -> Callable[..., Any]:
    real = getattr(BlockingChannel, name)

    def asked(channel: TracedChannel, *args: Any, **options: Any) -> Any:
        arguments = [*args, *options.values()]
        return channel.ledger.ask(name, arguments, lambda: real(channel, *args, **options))

    asked.__name__, asked.__doc__ = name, real.__doc__
    return asked


for _name in (*WRITES, *READS):
    setattr(TracedChannel, _name, _recorded(_name))


class TracedConnection(pika.BlockingConnection):  # type: ignore[misc]
    """A `BlockingConnection` whose channels record."""

    ledger: ChannelLedger

    def channel(self, channel_number: int | None = None) -> Any:
        """A new channel."""
        channel = super().channel(channel_number)
        # pika makes it itself, of its own class.
        channel.__class__ = TracedChannel
        channel.ledger = self.ledger
        return channel


def is_definite(error: BaseException) -> bool:
    """Whether this is raised only where nothing was done."""
    if isinstance(error, exceptions.ChannelClosedByBroker):
        return error.reply_code in REFUSALS
    # A message that is returned was put into no queue.
    return isinstance(error, (*_CLOSED, exceptions.UnroutableError))


def open_client(arguments: Mapping[str, Any], options: ClientOptions) -> RabbitClient:
    """Connect to the first server, beginning with another for each worker, that lets us in."""
    plainly(options, "RabbitMQ")
    error: Exception = Broken("there are no servers")
    for port in in_turn(arguments, options):
        about = pika.ConnectionParameters(
            host="127.0.0.1",
            port=port,
            heartbeat=0,  # it would be sent only while a method of pika's runs
            connection_attempts=1,
            socket_timeout=OPEN_S,
            stack_timeout=OPEN_S,
            blocked_connection_timeout=options.timeout_s,
        )
        try:
            handle = TracedConnection(about)
        except (exceptions.AMQPError, OSError) as why:
            error = why
            continue
        handle.ledger = ChannelLedger(options.tracer, str(arguments["node"]))
        return RabbitClient(handle)
    raise error


class RabbitClient(Worker):
    """A traced `BlockingConnection`; transactions of AMQP belong to a channel, and are not seen."""

    server = "RabbitMQ"
    # pika's own frames: its errors are raised there and nowhere else.
    recorded_in = frozenset({__name__})

    def __init__(self, handle: TracedConnection) -> None:
        self._socket: socket.socket = handle._impl._transport._sock
        super().__init__(handle, handle.ledger, self._socket.getsockname()[1])

    def definite(self, error: BaseException) -> bool:
        """Whether this error is in RabbitMQ's table of definite errors."""
        return is_definite(error)

    def lost(self) -> bool:
        """Whether its connection ended."""
        return not self.handle.is_open

    def line(self) -> socket.socket:
        """Its connection."""
        return self._socket

    def settle(self) -> bool:
        """What was lost or closed cannot be used again."""
        if self.handle.ledger.closed:
            raise Broken("a channel was closed")
        return super().settle()

    def close(self) -> None:
        """End the connection without a word: a server that stands still would not answer one."""
        self.shutdown()
        if self.handle.is_closed:
            return
        try:
            self.handle.process_data_events(0)
        except (exceptions.AMQPError, OSError):
            pass  # that is how pika learns that it is gone
        finally:
            self.handle._cleanup()


def _shown(value: Any) -> Any:
    """What goes into the trace."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str | dict):
        return value
    return str(value)
