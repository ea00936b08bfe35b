"""The worker's side of PostgreSQL: psycopg's own connections, recording what they send.

`ctx.postgres` is a `psycopg.Connection` (`AsyncConnection`) in every respect but one: on an
autocommit connection, a `commit()` that would silently do nothing raises.
"""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import pq

from ..harness.errors import Broken
from ..harness.protocols import Client, ClientOptions
from .postgres_errors import reason
from .postgres_ledger import IDLE, Ledger
from .postgres_recording import (
    TracedAsyncConnection,
    TracedAsyncCursor,
    TracedAsyncServerCursor,
    TracedConnection,
    TracedCursor,
    TracedServerCursor,
)

_IN_TRANSACTION = (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR)


def open_client(arguments: Mapping[str, Any], options: ClientOptions) -> Any:
    """Connect; a `Client`, or an awaitable of one where asynchronous clients were asked for."""
    given = dict(arguments)
    node = given.pop("node", "postgres")
    given.setdefault("connect_timeout", max(2, math.ceil(options.timeout_s)))
    dsn = given.pop("dsn")
    ledger = Ledger(options.tracer, node)
    autocommit = bool(options.autocommit)
    if options.asynchronous:
        return _open_async(dsn, given, ledger, autocommit)
    connection = TracedConnection.connect(dsn, autocommit=autocommit, **given)
    return PostgresClient(_adopt(connection, TracedCursor, TracedServerCursor, ledger), ledger)


async def _open_async(dsn: str, given: dict[str, Any], ledger: Ledger, autocommit: bool) -> Client:
    connection = await TracedAsyncConnection.connect(dsn, autocommit=autocommit, **given)
    _adopt(connection, TracedAsyncCursor, TracedAsyncServerCursor, ledger)
    return AsyncPostgresClient(connection, ledger)


def _adopt(connection: Any, cursor: type, server_cursor: type, ledger: Ledger) -> Any:
    connection.ledger = ledger
    connection.cursor_factory = cursor
    connection.server_cursor_factory = server_cursor
    connection.add_notice_handler(ledger.notice)
    return connection


class _Base:
    """What both kinds of client share."""

    recorded_in = frozenset({TracedConnection.__module__})

    def __init__(self, handle: Any, ledger: Ledger) -> None:
        self.handle = handle
        self.conn: str | int | None = handle.info.backend_pid
        self._ledger = ledger
        self._guard = threading.Lock()
        # A descriptor of our own: the driver's may be closed, and its number taken, at any time.
        self._socket: socket.socket | None = socket.socket(fileno=os.dup(handle.fileno()))

    def begin(self) -> None:
        """A new operation starts."""
        self._ledger.forget(open=self.left_open())

    def definite(self, error: BaseException) -> bool:
        """Whether this error is in PostgreSQL's table of definite errors."""
        return isinstance(error, psycopg.Error) and reason(error.sqlstate) is not None

    def may_have_written(self) -> bool:
        """Whether this operation may have written for good."""
        return self._ledger.may_have_written()

    def suspicions(self) -> Sequence[str]:
        """What makes an `ok` of this operation suspicious."""
        return self._ledger.suspicions

    @property
    def aborts(self) -> int:
        """How often this operation was refused for what others did at the same time."""
        return self._ledger.aborts

    def left_open(self) -> bool:
        """Whether a transaction is open right now."""
        return self.handle.pgconn.transaction_status in _IN_TRANSACTION

    def shutdown(self) -> None:
        """Shut the socket down: a call that waits on it raises at once."""
        with self._guard:
            if self._socket is not None:
                try:
                    self._socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it is shut already

    def _must_roll_back(self) -> bool:
        status = self.handle.pgconn.transaction_status
        if status == IDLE:
            return False
        if status in _IN_TRANSACTION:
            return True
        raise Broken(f"the connection is {pq.TransactionStatus(status).name}, not idle")

    def _let_go(self) -> None:
        with self._guard:
            if self._socket is not None:
                self._socket.close()
                self._socket = None


class PostgresClient(_Base):
    """A traced `psycopg.Connection`."""

    def settle(self) -> bool:
        """Roll back what the operation left open; True if there was something."""
        if not self._must_roll_back():
            return False
        self.handle.rollback()
        return True

    def close(self) -> None:
        """Close the connection, unless a stuck call still uses it: then only its socket."""
        # The lock is held while a call waits; freeing the connection under it would crash libpq.
        if not self.handle.lock.acquire(timeout=0):
            self.shutdown()
            if not self.handle.lock.acquire(timeout=1.0):
                self._let_go()
                return
        try:
            self.handle.close()
        finally:
            self.handle.lock.release()
        self._let_go()


class AsyncPostgresClient(_Base):
    """A traced `psycopg.AsyncConnection`."""

    async def settle(self) -> bool:
        """Roll back what the operation left open; True if there was something."""
        if not self._must_roll_back():
            return False
        await self.handle.rollback()
        return True

    async def close(self) -> None:
        """Close the connection, unless a stuck call still uses it: then only its socket."""
        if self.handle.lock.locked():
            self.shutdown()
        else:
            await self.handle.close()
        self._let_go()
