"""The worker's side of MariaDB: PyMySQL's own connections, recording what they send.

`ctx.mariadb` is a `pymysql.connections.Connection` in every respect but two: on an autocommit
connection, a `commit()` that would silently do nothing raises; and a connection that was lost is
never made again.
"""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from pymysql.err import MySQLError

from ..harness.errors import Broken, UsageError
from ..harness.protocols import ClientOptions
from .mariadb_errors import reason
from .mariadb_ledger import Ledger
from .mariadb_recording import TracedConnection, number_of


def open_client(arguments: Mapping[str, Any], options: ClientOptions) -> MariaDBClient:
    """Connect; `UsageError` where an asynchronous client is asked for."""
    if options.asynchronous:
        raise UsageError(
            "mariadb has only a synchronous client: write plain methods, not coroutines"
        )
    given = dict(arguments)
    ledger = Ledger(options.tracer, str(given.pop("node", "mariadb")))
    patience = max(2, math.ceil(options.timeout_s))
    connection = TracedConnection(
        ledger=ledger,
        autocommit=bool(options.autocommit),
        connect_timeout=patience,
        # A server that stands still is connected to, and never says anything.
        read_timeout=patience,
        **given,
    )
    # From here on the deadline of the operation holds.
    connection._read_timeout = None
    ledger.muted = False
    return MariaDBClient(connection)


class MariaDBClient:
    """A traced `pymysql.connections.Connection`."""

    recorded_in = frozenset({TracedConnection.__module__})

    def __init__(self, handle: TracedConnection) -> None:
        self.handle: Any = handle
        self.conn: str | int | None = handle.thread_id()
        self._ledger = handle.ledger
        self._guard = threading.Lock()
        # A descriptor of our own: the driver's may be closed, and its number taken, at any time.
        line: Any = self.handle._sock
        self._socket: socket.socket | None = socket.socket(fileno=os.dup(line.fileno()))

    def begin(self) -> None:
        """A new operation starts."""
        self._ledger.forget()

    def definite(self, error: BaseException) -> bool:
        """Whether this error is in MariaDB's table of definite errors."""
        return isinstance(error, MySQLError) and reason(number_of(error)) is not None

    def may_have_written(self) -> bool:
        """Whether this operation may have written for good."""
        return self._ledger.may_have_written()

    def suspicions(self) -> Sequence[str]:
        """What makes an `ok` of this operation suspicious."""
        return self._ledger.suspicions

    def left_open(self) -> bool:
        """Whether a transaction is open right now."""
        return bool(self.handle.open and self._ledger.open)

    def settle(self) -> bool:
        """Roll back what the operation left open; True if there was something."""
        if not self.handle.open:
            raise Broken("the connection to MariaDB was lost")
        if not self._ledger.open:
            return False
        self.handle.rollback()
        return True

    def shutdown(self) -> None:
        """Shut the socket down: a call that waits on it raises at once."""
        with self._guard:
            if self._socket is not None:
                try:
                    self._socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it is shut already

    def close(self) -> None:
        """Close the connection."""
        try:
            if self.handle.open:
                self.handle.close()
        finally:
            with self._guard:
                if self._socket is not None:
                    self._socket.close()
                    self._socket = None
