"""The protocol of NATS over one socket: lines with arguments, and payloads of announced lengths."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from .worker import NotSent

LINE = b"\r\n"
_LONGEST = 1 << 16


class Delivery(msgspec.Struct, frozen=True):
    """A message as the server passes it on: with headers it may be a status without a payload."""

    subject: str
    subscription: int
    """Which of this connection's subscriptions it is for: consumers deliver messages under the
    subject that they were published to."""
    reply: str
    data: bytes
    headers: Mapping[str, str] = {}
    status: int = 0
    """404 there is none, 408 that was all, 503 nobody listens to this subject; 0 for a message."""


class Wire:
    """One connection; when it is lost there will be no other."""

    def __init__(self, line: socket.socket) -> None:
        self.socket = line
        self.lost = False
        self._read = bytearray()

    def send(self, *parts: bytes) -> None:
        """Send parts as one; raises `NotSent` where the connection was lost before."""
        if self.lost:
            raise NotSent("the connection to NATS was lost; nothing was sent")
        try:
            self.socket.sendall(b"".join(parts))
        except BaseException:
            self.lost = True
            raise

    def publish(self, subject: str, data: bytes) -> None:
        """Send a message."""
        self.send(*_published([subject], data, b""))

    def request(self, subject: str, data: bytes, headers: bytes, inbox: str, number: int) -> None:
        """Send a message, and let one answer come to an inbox of its own."""
        self.send(
            _line("SUB", inbox, str(number)),
            _line("UNSUB", str(number), "1"),
            *_published([subject, inbox], data, headers),
        )

    def receive(self, deadline: float) -> Delivery | str:
        """The next message, or what else the server says (`INFO ...`, `PONG`, `-ERR ...`).

        Raises `TimeoutError` at the deadline (of `time.monotonic`), without a loss.
        """
        while True:
            said = self._line(deadline)
            if said == "PING":
                self.send(_line("PONG"))
                continue
            name, _, rest = said.partition(" ")
            if name not in ("MSG", "HMSG"):
                return said
            return self._message(name, rest.split(), deadline)

    def _message(self, name: str, words: list[str], deadline: float) -> Delivery:
        reply = words[2] if len(words) > (3 if name == "MSG" else 4) else ""
        size = int(words[-1])
        # The line is gone already: its payload follows within the same breath.
        payload = self._exactly(size + len(LINE), max(deadline, time.monotonic() + 1.0))[:size]
        if name == "MSG":
            return Delivery(words[0], int(words[1]), reply, payload)
        split = int(words[-2])
        status, headers = _headers(payload[:split])
        return Delivery(words[0], int(words[1]), reply, payload[split:], headers, status)

    def _line(self, deadline: float) -> str:
        while (end := self._read.find(LINE)) < 0:
            self._more(deadline)
        said = self._read[:end].decode("utf-8", "replace")
        del self._read[: end + len(LINE)]
        return said

    def _exactly(self, size: int, deadline: float) -> bytes:
        while len(self._read) < size:
            try:
                self._more(deadline)
            except TimeoutError:
                self.lost = True  # in the middle of a message
                raise
        data = bytes(self._read[:size])
        del self._read[:size]
        return data

    def _more(self, deadline: float) -> None:
        if self.lost:
            raise ConnectionResetError("the connection to NATS was lost")
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("NATS did not answer in time")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(_LONGEST)
        except TimeoutError:
            raise TimeoutError("NATS did not answer in time") from None
        except BaseException:
            self.lost = True
            raise
        if not data:
            self.lost = True
            raise ConnectionResetError("NATS closed the connection")
        self._read += data


def _published(words: list[str], data: bytes, headers: bytes) -> list[bytes]:
    if not headers:
        return [_line("PUB", *words, str(len(data))), data, LINE]
    size = str(len(headers) + len(data))
    return [_line("HPUB", *words, str(len(headers)), size), headers, data, LINE]


def packed(headers: Mapping[str, str]) -> bytes:
    """Headers as they are sent; empty for none."""
    if not headers:
        return b""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def _headers(raw: bytes) -> tuple[int, dict[str, str]]:
    """The status and the headers."""
    first, *lines = raw.decode("utf-8", "replace").split("\r\n")
    status = first.removeprefix("NATS/1.0").split()
    found = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            found[name] = value.strip()
    return (int(status[0]) if status and status[0].isdigit() else 0), found


def _line(*words: Any) -> bytes:
    return " ".join(words).encode() + LINE
