"""The worker's side of Valkey: redis-py's own client over connections that record what they send.

Everything is seen on the wire, so pipelines, transactions, scripts and locks of redis-py are
traced and accounted alike. The driver's hidden retries are off, and a connection that was lost is
never silently made again: the command raises instead, and the client is opened anew.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from ..harness.errors import Broken
from ..harness.protocols import ClientOptions
from .valkey_commands import DEFINITE, reply_code
from .valkey_wires import (
    Ledger,
    NotSent,
    NotSentTimeout,
    TracedAsyncConnection,
    TracedAsyncSSLConnection,
    TracedConnection,
    TracedSSLConnection,
)


def open_client(arguments: Mapping[str, Any], options: ClientOptions) -> Any:
    """Connect; a `Client`, or an awaitable of one where asynchronous clients were asked for."""
    ledger = Ledger(options.tracer, arguments.get("node", "valkey"))
    if options.asynchronous:
        return _open_async(str(arguments["dsn"]), ledger, options.timeout_s)
    kind = TracedSSLConnection if _is_tls(arguments["dsn"]) else TracedConnection
    pool = redis.ConnectionPool.from_url(
        _driver_url(arguments["dsn"]),
        connection_class=kind,
        retry=Retry(NoBackoff(), 0),
        **_pool_options(ledger, options.timeout_s),
    )
    handle = redis.Redis(connection_pool=pool)
    try:
        number = handle.client_id()
    except BaseException:
        pool.disconnect()
        raise
    ledger.muted = False
    return ValkeyClient(handle, number, ledger)


async def _open_async(dsn: str, ledger: Ledger, timeout_s: float) -> AsyncValkeyClient:
    kind = TracedAsyncSSLConnection if _is_tls(dsn) else TracedAsyncConnection
    pool = redis.asyncio.ConnectionPool.from_url(
        _driver_url(dsn),
        connection_class=kind,
        retry=AsyncRetry(NoBackoff(), 0),
        **_pool_options(ledger, timeout_s),
    )
    handle = redis.asyncio.Redis(connection_pool=pool)
    try:
        number = await handle.client_id()
    except BaseException:
        await pool.disconnect()
        raise
    ledger.muted = False
    return AsyncValkeyClient(handle, number, ledger)


def _pool_options(ledger: Ledger, timeout_s: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "ledger": ledger,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
    }
    base: Any = redis.connection.AbstractConnection
    if "maint_notifications_config" in inspect.signature(base.__init__).parameters:
        # A cloud provider's notices, which would move the client to another connection by itself.
        from redis.maint_notifications import MaintNotificationsConfig

        options["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
    return options


def _is_tls(dsn: str) -> bool:
    return dsn.startswith(("rediss://", "valkeys://"))


def _driver_url(dsn: str) -> str:
    """The address under the only name that redis-py knows."""
    return "redis" + dsn.removeprefix("valkey") if dsn.startswith("valkey") else dsn


class _Base:
    """What both kinds of client share."""

    recorded_in = frozenset({TracedConnection.__module__})

    def __init__(self, handle: Any, number: int, ledger: Ledger) -> None:
        self.handle = handle
        self.conn: str | int | None = number
        self._ledger = ledger

    def begin(self) -> None:
        """A new operation starts."""
        self._ledger.forget()

    def definite(self, error: BaseException) -> bool:
        """Whether this error is in Valkey's table of definite errors."""
        if isinstance(error, NotSent | NotSentTimeout):
            return True
        if isinstance(error, redis.WatchError):  # redis-py raises it for a lost connection, too
            return "occurred while watching" not in str(error)
        return reply_code(error) in DEFINITE

    def may_have_written(self) -> bool:
        """Whether this operation has written, or lost a connection after sending."""
        return self._ledger.wrote or self._ledger.lost

    def suspicions(self) -> Sequence[str]:
        """Nothing that Valkey answers to a success is suspicious."""
        return ()

    def left_open(self) -> bool:
        """Whether a connection is in the middle of a MULTI."""
        return any(wire.multi for wire in self._ledger.wires)

    def shutdown(self) -> None:
        """Shut all sockets down: a call that waits on one raises at once."""
        for wire in list(self._ledger.wires):
            wire.shutdown()

    def _left_open(self) -> list[Any]:
        """The connections in the middle of a MULTI or with a WATCH."""
        for wire in self._ledger.wires:
            if wire.dead or wire.pending:
                raise Broken("a connection was lost, or has answers that nobody read")
        return [wire for wire in self._ledger.wires if wire.multi or wire.watching]


class ValkeyClient(_Base):
    """A `redis.Redis` over traced connections."""

    def settle(self) -> bool:
        """Discard a MULTI and forget a WATCH that the operation left; True if there was one."""
        left = self._left_open()
        for wire in left:
            wire.send_command("DISCARD" if wire.multi else "UNWATCH")
            wire.read_response()
        return bool(left)

    def close(self) -> None:
        """Close all connections."""
        self.handle.connection_pool.disconnect()


class AsyncValkeyClient(_Base):
    """A `redis.asyncio.Redis` over traced connections."""

    async def settle(self) -> bool:
        """Discard a MULTI and forget a WATCH that the operation left; True if there was one."""
        left = self._left_open()
        for wire in left:
            await wire.send_command("DISCARD" if wire.multi else "UNWATCH")
            await wire.read_response()
        return bool(left)

    async def close(self) -> None:
        """Close all connections."""
        await self.handle.connection_pool.disconnect()
