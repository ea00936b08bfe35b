"""The worker's side of SQLite: `sqlite3`'s own connections, recording what they execute.

`ctx.sqlite` is a `sqlite3.Connection`. Its wait for a lock is the driver's default of 5 s; neither
`shutdown` nor anything else can cut that short.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic_ns
from typing import Any

from ..harness.errors import UsageError
from ..harness.protocols import ClientOptions
from ..harness.trace import MAX_ROWS, Tracer, each

DEFINITE: Mapping[str, str] = {
    "SQLITE_BUSY": "another connection holds the lock: the statement did nothing",
    "SQLITE_LOCKED": "the table is locked: the statement did nothing",
    "SQLITE_CONSTRAINT": "a constraint refused it: the statement was rolled back",
    "SQLITE_READONLY": "the database cannot be written",
    "SQLITE_SCHEMA": "the schema changed under the statement",
    "SQLITE_TOOBIG": "a value is too big",
    "SQLITE_MISMATCH": "a value has the wrong type",
    "SQLITE_RANGE": "a parameter is out of range",
    "SQLITE_ERROR": "the statement is wrong",
}
"""Primary result code -> reason. What a failed statement left open is rolled back by `settle`."""

_READS = re.compile(r"\s*(?:select|values|explain|pragma|attach|detach|begin|savepoint)\b", re.I)
_WRITING_WITH = re.compile(r"\b(?:insert|update|delete|replace)\b", re.I)
_COMMENTS = re.compile(r"\s*(?:--[^\n]*\n|/\*.*?\*/)", re.S)


def open_client(arguments: Mapping[str, Any], options: ClientOptions) -> SqliteClient:
    """Open the file; `UsageError` where an asynchronous client is asked for."""
    if options.asynchronous:
        raise UsageError(
            "sqlite has only a synchronous client: write plain methods, not coroutines"
        )
    mode: dict[str, Any] = {"isolation_level": None} if options.autocommit else {}
    connection = sqlite3.connect(
        str(arguments["path"]), factory=TracedConnection, check_same_thread=False, **mode
    )
    connection.ledger = Ledger(options.tracer, str(arguments.get("node", "sqlite")))
    return SqliteClient(connection)


def reads_only(text: str) -> bool:
    """Whether a statement certainly writes nothing; a rollback counts as writing nothing."""
    while match := _COMMENTS.match(text):
        text = text[match.end() :]
    if _READS.match(text):
        return True
    return text.lstrip()[:4].lower() == "with" and not _WRITING_WITH.search(text)


class Ledger:
    """The account of one connection; what is open is rolled back before the next operation."""

    def __init__(self, tracer: Tracer, node: str) -> None:
        self.tracer = tracer
        self.node = node
        self.wrote = False
        self.open_writes = False

    def ran(self, text: str, was_open: bool, is_open: bool) -> None:
        """A statement succeeded."""
        if was_open and not is_open:
            rolled_back = text.lstrip()[:8].lower() == "rollback"
            self.wrote = self.wrote or (self.open_writes and not rolled_back)
            self.open_writes = False
        elif not reads_only(text):
            self.open_writes = self.open_writes or is_open
            self.wrote = self.wrote or (not is_open and not was_open)

    def failed(self, is_open: bool) -> None:
        """A statement failed: it did nothing; some errors end the transaction as well."""
        self.open_writes = self.open_writes and is_open

    def record(self, text: str, args: Any, started: int, got: Any, error: str | None) -> None:
        """Put a step into the trace."""
        self.tracer.record(self.node, text, args, started, monotonic_ns(), got, error)


class _Step:
    """Around one call: its account and its step in the trace."""

    def __init__(self, connection: TracedConnection, text: str, args: Any) -> None:
        self._connection, self._text, self._args = connection, text, args
        self.got: Any = None

    def __enter__(self) -> _Step:
        self._was_open = self._connection.in_transaction
        self._started = monotonic_ns()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        ledger, is_open = self._connection.ledger, self._connection.in_transaction
        text, started = self._text, self._started
        if is_open and not self._was_open and text.lstrip()[:5].lower() not in ("begin", "savep"):
            ledger.record("BEGIN -- implicit", None, started, None, None)
        if error is None:
            ledger.ran(text, self._was_open, is_open)
            ledger.record(text, self._args, started, self.got, None)
        else:
            ledger.failed(is_open)
            ledger.record(text, self._args, started, None, _describe(error))


def _describe(error: BaseException) -> str:
    return f"{getattr(error, 'sqlite_errorname', type(error).__name__)}: {error}"


class TracedCursor(sqlite3.Cursor):
    """`sqlite3.Cursor` that records what it executes, and the first rows that are fetched."""

    connection: TracedConnection
    _rows: list[Any] | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> TracedCursor:
        """As sqlite3's, recorded."""
        with _Step(self.connection, sql, parameters) as step:
            super().execute(sql, parameters)
            # A SELECT runs while it is fetched: the list is filled then.
            self._rows = step.got = [] if self.description else None
            if self._rows is None and self.rowcount >= 0:
                step.got = f"{self.rowcount} rows"
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> TracedCursor:
        """As sqlite3's, recorded as one step."""
        with _Step(self.connection, sql, each(parameters)) as step:
            super().executemany(sql, parameters)
            step.got = f"{self.rowcount} rows"
        return self

    def executescript(self, sql_script: str, /) -> TracedCursor:
        """As sqlite3's; it commits first, and every statement on its own."""
        self.connection.ledger.wrote = True
        with _Step(self.connection, sql_script, None):
            super().executescript(sql_script)
        return self

    def fetchone(self) -> Any:
        """As sqlite3's."""
        return self._seen(super().fetchone())

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        """As sqlite3's."""
        return [self._seen(row) for row in super().fetchmany(size)]

    def fetchall(self) -> list[Any]:
        """As sqlite3's."""
        rows = super().fetchall()
        for row in rows[:MAX_ROWS]:
            self._seen(row)
        return rows

    def __next__(self) -> Any:
        return self._seen(super().__next__())

    def _seen(self, row: Any) -> Any:
        if row is not None and self._rows is not None and len(self._rows) < MAX_ROWS:
            self._rows.append(tuple(row) if isinstance(row, sqlite3.Row) else row)
        return row


class TracedConnection(sqlite3.Connection):
    """`sqlite3.Connection` that records what it executes."""

    ledger: Ledger

    def cursor(self, factory: Any = TracedCursor) -> Any:
        """As sqlite3's, with a cursor that records."""
        return super().cursor(factory)

    # The driver's own shortcuts would make cursors that do not record.

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """As sqlite3's, recorded."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        """As sqlite3's, recorded as one step."""
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Any:
        """As sqlite3's; it commits first, and every statement on its own."""
        return self.cursor().executescript(sql_script)

    def commit(self) -> None:
        """As sqlite3's; raises where it would silently do nothing under autocommit."""
        self._end("commit", super().commit)

    def rollback(self) -> None:
        """As sqlite3's; raises where it would silently do nothing under autocommit."""
        self._end("rollback", super().rollback)

    def _end(self, method: str, end: Any) -> None:
        if not self.in_transaction:
            if self.isolation_level is None:
                raise UsageError(
                    f"{method}() on an autocommit connection with no open transaction does "
                    "nothing: set `autocommit = False` on the class, or leave it out"
                )
            return
        with _Step(self, method.upper(), None):
            end()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        # The driver's own would go past `commit` and `rollback`.
        if self.in_transaction:
            (self.commit if kind is None else self.rollback)()
        return False

    def blobopen(self, *args: Any, **kwargs: Any) -> Any:
        """As sqlite3's; what is written through it is not seen, so it counts as written."""
        self.ledger.wrote = True
        return super().blobopen(*args, **kwargs)


class SqliteClient:
    """A traced `sqlite3.Connection`."""

    recorded_in = frozenset({__name__})

    def __init__(self, handle: TracedConnection) -> None:
        self.handle: Any = handle
        self.conn: str | int | None = None
        self._ledger = handle.ledger

    def begin(self) -> None:
        """A new operation starts."""
        self._ledger.wrote = False

    def definite(self, error: BaseException) -> bool:
        """Whether this error is in SQLite's table of definite errors."""
        name = (
            getattr(error, "sqlite_errorname", None) if isinstance(error, sqlite3.Error) else None
        )
        return isinstance(name, str) and "_".join(name.split("_")[:2]) in DEFINITE

    def may_have_written(self) -> bool:
        """Whether this operation may have written for good."""
        return self._ledger.wrote

    def suspicions(self) -> Sequence[str]:
        """Nothing that SQLite answers to a success is suspicious."""
        return ()

    def left_open(self) -> bool:
        """Whether a transaction is open right now."""
        return bool(self.handle.in_transaction)

    def settle(self) -> bool:
        """Roll back what the operation left open; True if there was something."""
        if not self.handle.in_transaction:
            return False
        self.handle.rollback()
        return True

    def shutdown(self) -> None:
        """Interrupt the statement under way; a wait for a lock runs to its end."""
        try:
            self.handle.interrupt()
        except sqlite3.Error:
            pass  # it is closed already

    def close(self) -> None:
        """Close the connection."""
        self.handle.close()
