"""The worker's side of NATS: a small synchronous client of JetStream, over one connection.

It records what it sends, tries nothing twice, and stays with the server it was opened on: when the
connection is lost every further call raises, and the client is opened anew. (nats-py connects anew
by itself, to another server, and sends again what was not answered.)
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..harness.protocols import ClientOptions
from .nats_wire import Delivery, Wire, packed
from .network import LOOPBACK, Address
from .worker import Ledger, NotSent, Refused, Worker, in_turn, plainly

DEFINITE: Mapping[int, str] = {
    10013: "there is a consumer of that name, with another configuration",
    10014: "there is no such consumer",
    10025: "the request was not understood",
    10054: "the message is larger than the stream takes",
    10058: "there is a stream of that name, with another configuration",
    10059: "there is no such stream",
    10060: "the message was meant for another stream",
    10070: "the stream's last message has another id",
    10071: "the stream's last message has another number",
    10164: "the stream's last message of that subject has another number",
}
"""JetStream's error code -> why nothing was done. What it says when it has no leader (10008), or
could not store something (10077), is not here: it may be said of a message that was proposed."""

NOBODY = 503
"""The status of a request that was delivered to nobody: nothing was done."""

OPEN_S = 2.0
"""How long a server may take to greet."""

_READS = ("$JS.API.STREAM.INFO", "$JS.API.STREAM.NAMES", "$JS.API.CONSUMER.INFO", "$JS.API.INFO")
_REFUSED = (404, 408)
"""The statuses by which a consumer says that it has no message."""


class NatsError(Refused):
    """What JetStream answered instead; `code` is its own error code, or a status."""


class Stored(msgspec.Struct, frozen=True):
    """Where a stream keeps a message that was published."""

    stream: str
    sequence: int
    duplicate: bool
    """The stream had a message of this id already."""


class Message(msgspec.Struct, frozen=True):
    """A message that a consumer was given; it comes again if it is not acknowledged in time."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    sequence: int
    """Its number in the stream."""
    delivered: int
    """How often it was delivered, this time included."""
    reply: str


class Nats:
    """`ctx.nats`: streams, consumers and messages. No call is retried.

    Payloads are bytes or text; everything is answered before a call returns, unless it says `send`.
    """

    def __init__(self, wire: Wire, ledger: Ledger, *, timeout_s: float) -> None:
        self._wire = wire
        self._ledger = ledger
        self._timeout_s = timeout_s
        self._inbox = f"_INBOX.{secrets.token_hex(8)}"
        self._asked = 0

    @property
    def lost(self) -> bool:
        """Its connection ended; there will be no other."""
        return self._wire.lost

    # --- messages --------------------------------------------------------------------------------

    def publish(
        self, subject: str, data: bytes | str, *, headers: Mapping[str, str] | None = None
    ) -> Stored:
        """Publish to the stream of this subject, and wait until it is stored there."""
        stored: Stored = self._exchange(subject, _bytes(data), headers or {}, _stored)
        return stored

    def send(self, subject: str, data: bytes | str) -> None:
        """Publish, and do not wait for anything: nobody may ever have it."""
        self._told(subject, _bytes(data), lambda: self._wire.publish(subject, _bytes(data)))

    def fetch(self, stream: str, consumer: str, *, wait_s: float = 0.0) -> Message | None:
        """The next message for this consumer; None if there is none, or none came within `wait_s`."""
        asked: dict[str, Any] = {"batch": 1}
        asked |= {"expires": round(wait_s * 1e9)} if wait_s else {"no_wait": True}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        found: Message | None = self._exchange(subject, json.dumps(asked).encode(), {}, _message)
        return found

    def ack(self, message: Message) -> None:
        """Say that a message was carried out, and wait until the consumer knows it."""
        self._exchange(message.reply, b"+ACK", {}, lambda delivery: None)

    def send_ack(self, message: Message) -> None:
        """Say so, and do not wait."""
        self._told(message.reply, b"+ACK", lambda: self._wire.publish(message.reply, b"+ACK"))

    def nak(self, message: Message) -> None:
        """Give a message back, and wait until the consumer knows it."""
        self._exchange(message.reply, b"-NAK", {}, lambda delivery: None)

    # --- streams and consumers -------------------------------------------------------------------

    def add_stream(
        self,
        name: str,
        subjects: Sequence[str],
        *,
        replicas: int = 3,
        storage: str = "file",
        **more: Any,
    ) -> None:
        """Make a stream; `more` is as JetStream's API has it (`retention`, `max_msgs` ...)."""
        asked = {"name": name, "subjects": list(subjects), "num_replicas": replicas}
        self._api(f"STREAM.CREATE.{name}", **asked, storage=storage, **more)

    def add_consumer(
        self, stream: str, name: str, *, ack_wait_s: float = 30.0, **more: Any
    ) -> None:
        """Make a durable consumer that is asked for messages, each of which is acknowledged."""
        config = {
            "durable_name": name,
            "ack_policy": "explicit",
            "ack_wait": round(ack_wait_s * 1e9),
        }
        asked = {"stream_name": stream, "config": {**config, **more}}
        self._api(f"CONSUMER.DURABLE.CREATE.{stream}.{name}", **asked)

    def delete_stream(self, name: str) -> None:
        """Remove a stream and all it has."""
        self._api(f"STREAM.DELETE.{name}")

    def streams(self) -> list[str]:
        """The names of all streams."""
        return list(self._api("STREAM.NAMES").get("streams") or ())

    def stream_info(self, name: str) -> Mapping[str, Any]:
        """What JetStream says of a stream."""
        return self._api(f"STREAM.INFO.{name}")

    def consumer_info(self, stream: str, name: str) -> Mapping[str, Any]:
        """What JetStream says of a consumer."""
        return self._api(f"CONSUMER.INFO.{stream}.{name}")

    def _api(self, path: str, **asked: Any) -> Mapping[str, Any]:
        data = json.dumps(asked).encode() if asked else b""
        told: Mapping[str, Any] = self._exchange(f"$JS.API.{path}", data, {}, _json)
        return told

    # --- the wire --------------------------------------------------------------------------------

    def _exchange(self, subject: str, data: bytes, headers: Mapping[str, str], read: Any) -> Any:
        """A request and what its answer means; recorded and accounted."""
        return self._told(subject, data, lambda: read(self._answer(subject, data, headers)))

    def _told(self, subject: str, data: bytes, exchange: Any) -> Any:
        return self._ledger.told(
            subject,
            data,
            exchange,
            writes=not subject.startswith(_READS),
            definite=is_definite,
            shown=_shown,
        )

    def _answer(self, subject: str, data: bytes, headers: Mapping[str, str]) -> Delivery:
        self._asked += 1
        number, deadline = self._asked, time.monotonic() + self._timeout_s
        self._wire.request(subject, data, packed(headers), f"{self._inbox}.{number}", number)
        while True:
            said = self._wire.receive(deadline)
            if isinstance(said, str):
                if said.startswith("-ERR"):
                    raise NatsError(0, said)
                continue
            if said.subscription != number:
                continue  # the answer to something that was given up
            if said.status == NOBODY:
                raise NatsError(NOBODY, "nobody listens to this subject")
            return said


def open_client(arguments: Mapping[str, Any], options: ClientOptions) -> NatsWorker:
    """Connect to the first server, beginning with another for each worker, that greets."""
    plainly(options, "NATS")
    error: Exception = NotSent("there are no servers")
    for port in in_turn(arguments, options):
        try:
            return connect((LOOPBACK, port), options, node=str(arguments["node"]))
        except OSError as why:
            error = why
    raise error


def connect(address: Address, options: ClientOptions, *, node: str) -> NatsWorker:
    """Connect to one server; raises `OSError`."""
    line = socket.create_connection(address, timeout=OPEN_S)
    try:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire = Wire(line)
        deadline = time.monotonic() + OPEN_S
        greeting = wire.receive(deadline)
        if not isinstance(greeting, str) or not greeting.startswith("INFO "):
            raise ConnectionRefusedError(f"NATS said {greeting!r} instead of a greeting")
        about: dict[str, Any] = {
            "verbose": False,
            "pedantic": False,
            "headers": True,
            "no_responders": True,
        }
        about |= {"name": "dokkaebi", "lang": "python", "version": "1", "protocol": 1}
        wire.send(f"CONNECT {json.dumps(about)}\r\nPING\r\n".encode())
        while (said := wire.receive(deadline)) != "PONG":
            if isinstance(said, str) and said.startswith("-ERR"):
                raise ConnectionRefusedError(said)
    except BaseException:
        line.close()
        raise
    ledger = Ledger(options.tracer, node)
    handle = Nats(wire, ledger, timeout_s=options.timeout_s)
    return NatsWorker(handle, wire, ledger, json.loads(greeting[5:]).get("client_id"))


class NatsWorker(Worker):
    """What the harness has of a `Nats`."""

    server = "NATS"
    recorded_in = frozenset({__name__})

    def __init__(self, handle: Nats, wire: Wire, ledger: Ledger, conn: int | None) -> None:
        super().__init__(handle, ledger, conn)
        self._wire = wire

    def definite(self, error: BaseException) -> bool:
        """Whether this error is in the table of definite errors."""
        return is_definite(error)

    def lost(self) -> bool:
        """Whether its connection ended."""
        return self._wire.lost

    def line(self) -> socket.socket:
        """Its connection."""
        return self._wire.socket

    def close(self) -> None:
        """Close the connection."""
        with self._guard:
            self._wire.lost = True
            self._wire.socket.close()


def is_definite(error: BaseException) -> bool:
    """Whether this is raised only where nothing was done."""
    if isinstance(error, NatsError):
        return error.code == NOBODY or error.code in DEFINITE
    return isinstance(error, NotSent)


# --- how JetStream writes things -----------------------------------------------------------------


def _json(delivery: Delivery) -> Mapping[str, Any]:
    told: Mapping[str, Any] = json.loads(delivery.data)
    error = told.get("error")
    if error:
        code = int(error.get("err_code") or error.get("code") or 0)
        raise NatsError(code, str(error.get("description", "no reason was given")))
    return told


def _stored(delivery: Delivery) -> Stored:
    told = _json(delivery)
    return Stored(told["stream"], int(told["seq"]), bool(told.get("duplicate")))


def _message(delivery: Delivery) -> Message | None:
    """None where the consumer says that it has none; a message with what its address for acknowledgements says of it:
    `$JS.ACK[.domain.account].stream.consumer.delivered.sequence.number.time.pending[.token]`."""
    if delivery.status:
        if delivery.status in _REFUSED:
            return None
        raise NatsError(delivery.status, "the consumer gave no message")
    words = delivery.reply.split(".")
    shift = 2 if len(words) >= 11 else 0
    return Message(
        delivery.subject,
        delivery.data,
        delivery.headers,
        sequence=int(words[5 + shift]),
        delivered=int(words[4 + shift]),
        reply=delivery.reply,
    )


def _bytes(data: bytes | str) -> bytes:
    return data if isinstance(data, bytes) else data.encode()


def _shown(value: Any) -> Any:
    """What goes into the trace."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Message):
        return {"data": _shown(value.data), "sequence": value.sequence, "again": value.delivered}
    if isinstance(value, Stored):
        return {"stream": value.stream, "sequence": value.sequence, "duplicate": value.duplicate}
    return value
