"""The worker's side of ZooKeeper: kazoo's own client, recording what it sends.

All of kazoo's requests pass `KazooClient._call`, and all answers the object that is given to it,
so recipes, transactions and asynchronous calls are traced and accounted alike. kazoo would connect
anew by itself, to the next server, and let requests wait meanwhile: here a connection that was lost
is never made again, and requests raise at once. The client is opened anew, with a new session.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from time import monotonic_ns
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadArgumentsError,
    BadVersionError,
    ConnectionClosedError,
    EphemeralOnLocalSessionError,
    InvalidACLError,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    NotReadOnlyCallError,
    RolledBackError,
    UnimplementedError,
    ZookeeperError,
)
from kazoo.handlers.threading import AsyncResult, KazooTimeoutError, SequentialThreadingHandler
from kazoo.protocol import serialization
from kazoo.protocol.states import KeeperState
from kazoo.retry import KazooRetry

from ..harness.protocols import ClientOptions
from ..harness.trace import Tracer
from .worker import Worker, plainly

DEFINITE: Mapping[type[ZookeeperError], str] = {
    NoNodeError: "there is no such znode",
    NodeExistsError: "the znode exists already",
    BadVersionError: "the znode has another version",
    NotEmptyError: "the znode has children",
    NoChildrenForEphemeralsError: "an ephemeral znode may not have children",
    EphemeralOnLocalSessionError: "a local session may not have ephemeral znodes",
    NoAuthError: "not permitted",
    InvalidACLError: "the ACL was refused",
    BadArgumentsError: "the arguments were refused",
    UnimplementedError: "the server does not know this request",
    NotReadOnlyCallError: "the server is read-only",
    RolledBackError: "the transaction was rolled back",
}
"""What the server answers when it did nothing, and why."""

_READS = (
    serialization.Exists,
    serialization.GetData,
    serialization.GetACL,
    serialization.GetChildren,
    serialization.GetChildren2,
    serialization.Sync,
    serialization.CheckVersion,
    serialization.Auth,
)

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())
_log.propagate = False


class NotSent(ConnectionClosedError):  # type: ignore[misc]
    """The connection was lost before: nothing was sent."""


class Ledger:
    """What this operation may have written."""

    def __init__(self, tracer: Tracer, node: str) -> None:
        self.tracer = tracer
        self.node = node
        self.muted = True
        """What happens before the client is ready is neither recorded nor accounted."""
        self.wrote = False
        self.unanswered = 0

    def forget(self) -> None:
        """A new operation begins."""
        self.wrote = False
        self.unanswered = 0

    def written(self) -> bool:
        """Whether this operation has written, or sent a write that was not answered."""
        return self.wrote or self.unanswered > 0

    def sent(self, request: Any) -> None:
        """A request goes out."""
        self.unanswered += _writes(request)

    def answered(self, request: Any, started: int, value: Any, error: Any) -> None:
        """It was answered, or never will be."""
        if self.muted:
            return
        if _writes(request) and (error is None or is_definite(error)):
            self.unanswered -= 1
            self.wrote = self.wrote or (error is None and not _rolled_back(value))
        said = None if error is None else f"{type(error).__name__}: {error}"
        name = type(request).__name__
        self.tracer.record(
            self.node, name, _arguments(request), started, monotonic_ns(), value, said
        )


def _writes(request: Any) -> bool:
    if isinstance(request, serialization.Transaction):
        return any(not isinstance(step, _READS) for step in request.operations)
    return not isinstance(request, _READS)


def _rolled_back(value: Any) -> bool:
    """Whether this is what a transaction answers of which nothing was done."""
    return isinstance(value, list) and any(isinstance(each, Exception) for each in value)


def _arguments(request: Any) -> Any:
    if isinstance(request, serialization.Transaction):
        return [[type(step).__name__, *step] for step in request.operations]
    # Watchers and access lists say nothing about what happened.
    return [
        value
        for name, value in zip(request._fields, request, strict=True)
        if name not in ("watcher", "acl", "acls")
    ]


def is_definite(error: BaseException) -> bool:
    """Whether ZooKeeper answers this only when it did nothing."""
    return type(error) in DEFINITE


class _Answer(AsyncResult):  # type: ignore[misc]
    """What a request will be answered; accounted the moment it is, before anybody hears of it."""

    request: Any = None
    started = 0
    ledger: Ledger | None = None

    def set(self, value: Any = None) -> None:
        self._account(value, None)
        super().set(value)

    def set_exception(self, error: BaseException) -> None:
        self._account(None, error)
        super().set_exception(error)

    def _account(self, value: Any, error: BaseException | None) -> None:
        ledger, self.ledger = self.ledger, None
        if ledger is not None:
            ledger.answered(self.request, self.started, value, error)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """As kazoo's: an error that is raised here is one of this client."""
        return super().get(block, timeout)


class _Handler(SequentialThreadingHandler):  # type: ignore[misc]
    def async_result(self) -> _Answer:
        """What kazoo hands out for each request."""
        return _Answer(self)


class TracedClient(KazooClient):  # type: ignore[misc]
    """A `KazooClient` of one connection and one session."""

    hosts: Any

    def __init__(self, hosts: str, ledger: Ledger, *, session_s: float, turn: int) -> None:
        self._ledger = ledger
        self.lost = False
        """Its connection ended; there will be no other."""
        handler = _Handler()
        super().__init__(
            hosts=hosts,
            timeout=session_s,
            handler=handler,
            randomize_hosts=False,
            connection_retry=KazooRetry(max_tries=1, sleep_func=handler.sleep_func),
            command_retry=KazooRetry(max_tries=1, sleep_func=handler.sleep_func),
            logger=_log,
        )
        # Each worker begins with another server.
        turn %= len(self.hosts)
        self.hosts = [*self.hosts[turn:], *self.hosts[:turn]]

    def _call(self, request: Any, answer: _Answer) -> Any:
        if self.lost or not self.connected:
            answer.set_exception(NotSent("the connection to ZooKeeper was lost; nothing was sent"))
            return False
        if not self._ledger.muted:
            answer.request, answer.started = request, monotonic_ns()
            self._ledger.sent(request)
            answer.ledger = self._ledger
        return super()._call(request, answer)

    def _session_callback(self, state: Any) -> None:
        if self.connected and state != KeeperState.CONNECTED:
            self.lost = True
            self._stopped.set()  # or it would go on to the next server
        super()._session_callback(state)

    def leave(self) -> None:
        """End the session, if it still stands, and let go of everything."""
        self.stop()
        self._safe_close()
        self.close()


def open_client(arguments: Mapping[str, Any], options: ClientOptions) -> ZooKeeperClient:
    """Connect; raises where no server of the ensemble takes a session."""
    plainly(options, "ZooKeeper")
    ledger = Ledger(options.tracer, str(arguments["node"]))
    handle = TracedClient(
        str(arguments["hosts"]),
        ledger,
        session_s=float(arguments["session_s"]),
        turn=options.tracer.process,
    )
    connected = handle.start_async()
    try:
        # One that finds no server stops by itself, long before the end of this wait.
        deadline = monotonic_ns() + options.timeout_s * 1e9
        while not connected.wait(0.05):
            stopped = handle._connection.connection_stopped.is_set()
            if stopped or monotonic_ns() > deadline:
                raise KazooTimeoutError("no server of the ensemble took a session")
    except BaseException:
        handle._stopped.set()
        handle._safe_close()
        handle.close()
        raise
    ledger.muted = False
    return ZooKeeperClient(handle, ledger)


class ZooKeeperClient(Worker):
    """A traced `KazooClient`."""

    server = "ZooKeeper"
    recorded_in = frozenset({__name__})

    def __init__(self, handle: TracedClient, ledger: Ledger) -> None:
        super().__init__(handle, ledger, f"{handle.client_id[0] & (1 << 64) - 1:#x}")

    def definite(self, error: BaseException) -> bool:
        """Whether this error is in ZooKeeper's table of definite errors."""
        return isinstance(error, NotSent) or is_definite(error)

    def lost(self) -> bool:
        """Whether its connection ended."""
        return bool(self.handle.lost)

    def line(self) -> socket.socket | None:
        """Its connection, where it has one."""
        line: socket.socket | None = self.handle._connection._socket
        return line

    def close(self) -> None:
        """End the session and the connection."""
        self._ledger.muted = True
        self.handle.leave()
