"""redis-py's own connections, recording what goes over the wire and what it may have written.

One private name of redis-py is overridden: `Connection._connect`, which makes the socket.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Sequence
from time import monotonic_ns
from typing import Any

import redis
import redis.asyncio

from ..harness.trace import Tracer
from .valkey_commands import PROVEN_OF_SCRIPTS, Kind, did_nothing, kind_of, reply_code


class NotSent(redis.ConnectionError):
    """No connection, and so nothing was sent."""


class NotSentTimeout(redis.TimeoutError):
    """No connection in time, and so nothing was sent."""


class Ledger:
    """What this operation may have written, over all connections of one client."""

    def __init__(self, tracer: Tracer, node: str) -> None:
        self.tracer = tracer
        self.node = node
        self.muted = True
        """Our own commands are neither recorded nor accounted."""
        self.wrote = False
        self.lost = False
        self.wires: list[Wire] = []

    def forget(self) -> None:
        """A new operation begins."""
        self.wrote = self.lost = False

    def answered(self, wire: Wire, args: tuple[Any, ...], reply: Any) -> None:
        """The server answered a command with something else than an error."""
        kind = kind_of(args[0])
        if kind is Kind.READ:
            return
        if kind is Kind.EXEC:
            # Nil: a watched key had changed. Errors within the answer do not undo the others.
            self.wrote = self.wrote or (reply is not None and wire.queued_writes)
        if kind in (Kind.WRITE, Kind.SCRIPT):
            if wire.multi:
                wire.queued_writes = True
            elif not self.wrote:
                self.wrote = kind is Kind.SCRIPT or not did_nothing(args, reply)
            return
        wire.follow(kind)

    def refused(self, wire: Wire, args: tuple[Any, ...], error: BaseException) -> None:
        """The server answered a command with an error."""
        kind = kind_of(args[0])
        proven = reply_code(error) in PROVEN_OF_SCRIPTS
        if kind is Kind.EXEC:
            self.wrote = self.wrote or (wire.queued_writes and not proven)
            wire.follow(kind)
        elif kind is Kind.SCRIPT and not wire.multi and not proven:
            self.wrote = True


class Wire:
    """What one connection has under way; mixed into the drivers' connections."""

    def __init__(self, *args: Any, ledger: Ledger, **kwargs: Any) -> None:
        self.ledger = ledger
        self.pending: deque[tuple[tuple[Any, ...], int]] = deque()
        self.multi = self.watching = self.subscribed = False
        self.queued_writes = False
        self.dead = False
        """It was lost; a new one would be another session, so it is not made."""
        self._shaking_hands = False
        self._packed: list[tuple[Any, ...]] | None = None
        self._rescue: socket.socket | None = None
        self._guard = threading.Lock()
        ledger.wires.append(self)
        super().__init__(*args, **kwargs)

    def follow(self, kind: Kind) -> None:
        """Keep track of what the session is in the middle of."""
        if kind is Kind.MULTI:
            self.multi, self.queued_writes = True, False
        elif kind in (Kind.EXEC, Kind.DISCARD):
            self.multi = self.watching = self.queued_writes = False
        elif kind is Kind.WATCH:
            self.watching = True
        elif kind is Kind.UNWATCH:
            self.watching = False

    def shutdown(self) -> None:
        """Shut the socket down; safe from any thread."""
        with self._guard:
            if self._rescue is not None:
                try:
                    self._rescue.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it is shut already

    def _refuse_second(self) -> None:
        if self.dead:
            raise NotSent("the connection to the server was lost; nothing was sent")

    def _connected(self, sock: Any) -> None:
        # A descriptor of our own: the driver's may be closed, and its number taken, at any time.
        with self._guard:
            self._rescue = None if sock is None else sock.dup()

    def _disconnected(self) -> None:
        if self.pending:  # whoever waits for the answer raises next, and says why
            self.dead = self.ledger.lost = True
        self.multi = self.watching = self.subscribed = self.queued_writes = False
        with self._guard:
            if self._rescue is not None:
                self._rescue.close()
                self._rescue = None

    def _sending(self, commands: Sequence[tuple[Any, ...]]) -> None:
        if self._shaking_hands:
            return
        started = monotonic_ns()
        for args in commands:
            self.subscribed = self.subscribed or kind_of(args[0]) is Kind.SUBSCRIBE
            if self.subscribed:  # from now on what comes is messages, not answers
                self._record(tuple(args), started, None, None)
            else:
                self.pending.append((tuple(args), started))

    def _received(self, reply: Any) -> None:
        if not self.pending:
            return  # a handshake, or a message of a subscription
        args, started = self.pending.popleft()
        if not self.ledger.muted:
            self.ledger.answered(self, args, reply)
            self._record(args, started, reply, None)

    def _raised(self, error: BaseException) -> None:
        """Reading an answer raised: an error reply, or no answer at all."""
        if not self.pending:
            return
        if reply_code(error) is None:
            self._lose(f"{type(error).__name__}: {error}")
            return
        args, started = self.pending.popleft()
        if not self.ledger.muted:
            self.ledger.refused(self, args, error)
            self._record(args, started, None, f"{reply_code(error)}: {error}")
        if not isinstance(error, redis.ResponseError):
            self.dead = True  # the driver has closed the connection for it

    def _lose(self, why: str) -> None:
        self.dead = True
        self.ledger.lost = True
        while self.pending:
            args, started = self.pending.popleft()
            self._record(args, started, None, why)

    def _record(self, args: tuple[Any, ...], started: int, got: Any, error: str | None) -> None:
        name = args[0] if isinstance(args[0], str) else str(args[0], "utf-8", "replace")
        ledger = self.ledger
        ledger.tracer.record(ledger.node, name, args[1:], started, monotonic_ns(), got, error)


class _SyncWire(Wire):
    def connect(self) -> None:
        self._shaking_hands = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._shaking_hands = False

    def _connect(self) -> Any:
        self._refuse_second()
        try:
            sock = super()._connect()  # type: ignore[misc]
        except TimeoutError as error:
            raise NotSentTimeout("Timeout connecting to server") from error
        except OSError as error:
            raise NotSent(f"Error connecting to server: {error}") from error
        self._connected(sock)
        return sock

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        super().disconnect(*args, **kwargs)  # type: ignore[misc]
        self._disconnected()

    def can_read(self, *args: Any, **kwargs: Any) -> bool:
        try:
            ready = bool(super().can_read(*args, **kwargs))  # type: ignore[misc]
        except BaseException:
            self.dead = True
            raise
        if ready and not self.subscribed and not self.pending:
            self.dead = True  # something to read where nothing was asked: its end
        return ready

    def pack_commands(self, commands: Any) -> Any:
        self._packed = list(commands)
        return super().pack_commands(self._packed)  # type: ignore[misc]

    def send_command(self, *args: Any, **kwargs: Any) -> None:
        self._sending((args,))
        super().send_command(*args, **kwargs)  # type: ignore[misc]

    def send_packed_command(self, command: Any, *args: Any, **kwargs: Any) -> None:
        packed, self._packed = self._packed, None
        if packed:
            self._sending(packed)
        try:
            super().send_packed_command(command, *args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            self._raised(error)
            raise

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            reply = super().read_response(*args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            self._raised(error)
            raise
        self._received(reply)
        return reply


class TracedConnection(_SyncWire, redis.Connection):
    """`redis.Connection` that records what goes over the wire."""


class TracedSSLConnection(_SyncWire, redis.SSLConnection):
    """`redis.SSLConnection` that records what goes over the wire."""


class _AsyncWire(Wire):
    async def connect(self) -> None:
        self._shaking_hands = True
        try:
            await super().connect()  # type: ignore[misc]
        finally:
            self._shaking_hands = False

    async def _connect(self) -> None:
        self._refuse_second()
        try:
            await super()._connect()  # type: ignore[misc]
        except TimeoutError as error:
            raise NotSentTimeout("Timeout connecting to server") from error
        except OSError as error:
            raise NotSent(f"Error connecting to server: {error}") from error
        self._connected(self._writer.get_extra_info("socket"))  # type: ignore[attr-defined]

    async def disconnect(self, *args: Any, **kwargs: Any) -> None:
        try:
            await super().disconnect(*args, **kwargs)  # type: ignore[misc]
        finally:
            self._disconnected()

    async def can_read(self) -> bool:
        return self._looked(await super().can_read())  # type: ignore[misc]

    async def can_read_destructive(self) -> bool:
        return self._looked(await super().can_read_destructive())  # type: ignore[misc]

    def _looked(self, ready: Any) -> bool:
        if ready and not self.subscribed and not self.pending:
            self.dead = True  # something to read where nothing was asked: its end
        return bool(ready)

    def pack_commands(self, commands: Any) -> Any:
        self._packed = list(commands)
        return super().pack_commands(self._packed)  # type: ignore[misc]

    async def send_command(self, *args: Any, **kwargs: Any) -> None:
        self._sending((args,))
        await super().send_command(*args, **kwargs)  # type: ignore[misc]

    async def send_packed_command(self, command: Any, *args: Any, **kwargs: Any) -> None:
        packed, self._packed = self._packed, None
        if packed:
            self._sending(packed)
        try:
            await super().send_packed_command(command, *args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            self._raised(error)
            raise

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            reply = await super().read_response(*args, **kwargs)  # type: ignore[misc]
        except BaseException as error:
            self._raised(error)
            raise
        self._received(reply)
        return reply


class TracedAsyncConnection(_AsyncWire, redis.asyncio.Connection):
    """`redis.asyncio.Connection` that records what goes over the wire."""


class TracedAsyncSSLConnection(_AsyncWire, redis.asyncio.SSLConnection):
    """`redis.asyncio.SSLConnection` that records what goes over the wire."""
