"""What the worker's sides of servers that know no open transactions have in common.

A client is one connection: what is lost is never made again, and every further call raises.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic_ns
from typing import Any, ClassVar

from ..harness.errors import Broken
from ..harness.protocols import ClientOptions
from ..harness.trace import Tracer


class NotSent(OSError):
    """There is no connection: nothing was sent."""


class Refused(Exception):
    """What a server answered instead, with its own code for it."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(message)


class Ledger:
    """What this operation may have written, and the trace of what it asked."""

    def __init__(self, tracer: Tracer, node: str) -> None:
        self.tracer = tracer
        self.node = node
        self.wrote = False

    def forget(self) -> None:
        """A new operation begins."""
        self.wrote = False

    def written(self) -> bool:
        """Whether this operation has written, or sent a write of which nothing was heard."""
        return self.wrote

    def told(
        self,
        name: str,
        asked: Any,
        call: Callable[[], Any],
        *,
        writes: bool,
        definite: Callable[[BaseException], bool],
        wrote: Callable[[Any], bool] | None = None,
        shown: Callable[[Any], Any] = lambda value: value,
    ) -> Any:
        """Answer what `call` answers: recorded, and accounted as a write until it is known better.

        `definite` are the errors that are raised only where nothing was done, `wrote` tells of an
        answer whether something was written; the trace has what `shown` makes of both sides.
        """
        started = monotonic_ns()
        said: str | None = "no answer"
        told: Any = None
        before, self.wrote = self.wrote, self.wrote or writes
        try:
            told = call()
            said = None
            if wrote is not None:
                self.wrote = before or wrote(told)
            return told
        except BaseException as error:
            said = _said(error)
            if definite(error):
                self.wrote = before
            raise
        finally:
            self.tracer.record(
                self.node, name, shown(asked), started, monotonic_ns(), shown(told), said
            )


def _said(error: BaseException) -> str:
    if isinstance(error, Refused):
        return f"{error.code}: {error}"
    return str(error) if isinstance(error, NotSent) else f"{type(error).__name__}: {error}"


class Worker:
    """What the harness has of a client without transactions; a subclass knows its errors."""

    server: ClassVar[str]
    """What its users call it."""
    handle: Any
    conn: str | int | None

    def __init__(self, handle: Any, ledger: Any, conn: str | int | None) -> None:
        self.handle = handle
        self.conn = conn
        self._ledger = ledger
        self._guard = threading.Lock()

    # --- for the subclass ------------------------------------------------------------------------

    def definite(self, error: BaseException) -> bool:
        """Whether this error is in the server's table of definite errors."""
        raise NotImplementedError

    def lost(self) -> bool:
        """Whether its connection ended."""
        raise NotImplementedError

    def line(self) -> socket.socket | None:
        """Its connection."""
        raise NotImplementedError

    # --- what the harness asks -------------------------------------------------------------------

    def begin(self) -> None:
        """A new operation starts."""
        self._ledger.forget()

    def may_have_written(self) -> bool:
        """Whether this operation has written, or sent a write of which nothing was heard."""
        return bool(self._ledger.written())

    def suspicions(self) -> Sequence[str]:
        """Nothing that these servers answer to a success is suspicious."""
        return ()

    def left_open(self) -> bool:
        """There are no transactions that could stay open."""
        return False

    def settle(self) -> bool:
        """There is nothing to roll back; a connection that was lost cannot be used again."""
        if self.lost():
            raise Broken(f"the connection to {self.server} was lost")
        return False

    def shutdown(self) -> None:
        """Shut the socket down: whoever waits for an answer raises at once."""
        with self._guard:
            line = self.line()
            if line is not None:
                try:
                    line.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it is shut already


def in_turn(arguments: Mapping[str, Any], options: ClientOptions) -> Iterator[int]:
    """The servers' ports, beginning with another for each worker."""
    ports: Sequence[int] = arguments["ports"]
    turn = options.tracer.process % len(ports)
    yield from ports[turn:]
    yield from ports[:turn]


def plainly(options: ClientOptions, server: str) -> None:
    """Refuse asynchronous methods, for which there is no client."""
    if options.asynchronous:
        raise Broken(f"there is no asynchronous client of {server}: declare the methods plainly")
