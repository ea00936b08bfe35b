"""psycopg's own connections and cursors, recording what they send.

Two private names of psycopg are used, both in `Recording`: `_exec_command`, through which it
sends its own BEGIN, COMMIT, ROLLBACK and SAVEPOINT, and `_num_transactions`, to tell the implicit
BEGIN. Whatever reaches the server by another way passes the public `wait` and counts as a write.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from itertools import repeat
from time import monotonic_ns
from typing import Any

import psycopg
from psycopg import pq, sql

from ..harness.errors import UsageError
from ..harness.trace import MAX_ROWS, each
from .postgres_ledger import BEGIN, ESCAPES, IDLE, READ, Ledger
from .postgres_statements import Kind, kind_of

_COMMAND = int(pq.ExecStatus.COMMAND_OK)
_TUPLES = int(pq.ExecStatus.TUPLES_OK)
_MOST_COLUMNS = 20
# The driver's generators that send nothing but `_exec_command`s, or only read what comes.
_LABELLED = frozenset(
    (
        *("_commit_gen", "_rollback_gen", "_enter_gen", "_exit_gen", "_sync_gen", "_fetch_gen"),
        *("_close_gen", "_scroll_gen"),
        *("_set_autocommit_gen", "_set_isolation_level_gen", "_set_read_only_gen"),
        *("_set_deferrable_gen", "_tpc_begin_gen", "_tpc_prepare_gen", "_tpc_finish_gen"),
        "notifies",
    )
)


# --- what connections and cursors share ----------------------------------------------------------


class Recording:
    """Records the driver's own commands; mixed into both kinds of connection."""

    ledger: Ledger
    pgconn: pq.abc.PGconn
    autocommit: bool
    blocking = False
    """Whether a call may wait inside libpq."""
    _pipeline: Any

    def _exec_command(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        ledger = self.ledger
        text = command.decode() if type(command) is bytes else _text(command, self)
        kind = kind_of(text)
        if kind is BEGIN and not self._num_transactions:  # type: ignore[attr-defined]
            text += " -- implicit"
        started = monotonic_ns()
        try:
            if self.blocking and type(command) is bytes and not args and not self._pipeline:
                result = _at_once(self.pgconn, command)
            else:
                send = super()._exec_command(command, *args, **kwargs)  # type: ignore[misc]
                result = yield from send
        except BaseException as error:
            _failed(self, kind, text, None, started, error)
            raise
        ended = ledger.mark = monotonic_ns()
        if result is None:
            ledger.queued(kind, self.autocommit)
            tag = None
        else:
            tag = result.command_status
            ledger.answered(kind, tag, self.pgconn.transaction_status)
        ledger.tracer.record(ledger.node, text, None, started, ended, tag)
        return result

    def refuse_void(self, method: str) -> None:
        """Raise where the driver would return without doing anything."""
        if self.autocommit and self.pgconn.transaction_status == IDLE:
            raise UsageError(
                f"{method}() on an autocommit connection with no open transaction does nothing: "
                "every statement was its own transaction. Set `autocommit = False` on the class, "
                f"open a transaction, or leave {method}() out."
            )


def _at_once(pgconn: pq.abc.PGconn, command: bytes) -> pq.abc.PGresult:
    """Send one of the driver's own commands and wait for the answer inside libpq.

    The driver's own way costs three times the processor time, most of it for the interpreter lock;
    the message sent and the errors raised are the same.
    """
    if pgconn.status != pq.ConnStatus.OK:
        raise psycopg.OperationalError("the connection is closed")
    result = pgconn.exec_(command)
    if pgconn.status != pq.ConnStatus.OK:
        raise psycopg.OperationalError(pgconn.get_error_message())
    if result.status not in (_COMMAND, _TUPLES):
        raise psycopg.errors.error_from_result(result)
    return result


def _text(query: Any, connection: Any) -> str:
    """The statement as text; what cannot be told (a template string) as its repr."""
    if isinstance(query, str):
        return query
    if isinstance(query, bytes):
        return query.decode("utf-8", "replace")
    if isinstance(query, sql.Composable):
        return query.as_string(connection)
    return f"{query!r}"


def _answered(cursor: Any, text: str, args: Any, started: int) -> None:
    """Record a statement that went well, with its first rows; the user's cursor stays as it is."""
    ended = monotonic_ns()
    connection = cursor._conn
    ledger: Ledger = connection.ledger
    if ledger.mark > started:
        started = ledger.mark
    result = cursor.pgresult
    kind = kind_of(text)
    got: Any
    if result is None:  # pipeline mode, or executemany
        tag = got = None
        ledger.queued(kind, connection.autocommit)
    else:
        tag = result.command_status
        got = _rows(result) if result.status == _TUPLES else tag
        ledger.answered(kind, tag, cursor._pgconn.transaction_status)
    ledger.tracer.record(ledger.node, text, args, started, ended, got)


def _rows(result: Any) -> tuple[Any, ...]:
    """The first rows as the server sent them; tuples, which the garbage collector soon forgets."""
    get, count = result.get_value, result.ntuples
    columns = range(min(result.nfields, _MOST_COLUMNS))
    rows = tuple([tuple(map(get, repeat(row), columns)) for row in range(min(count, MAX_ROWS))])
    return rows if count <= MAX_ROWS else (*rows, f"… {count} rows")


def _failed(
    connection: Any, kind: Kind, text: str, args: Any, started: int, error: BaseException
) -> None:
    ended = monotonic_ns()
    ledger: Ledger = connection.ledger
    pgconn = connection.pgconn
    ledger.failed(kind, error, pgconn.transaction_status, pgconn.status)
    ledger.tracer.record(
        ledger.node, text, args, max(started, ledger.mark), ended, None, describe(error)
    )


def describe(error: BaseException) -> str:
    """An error in one line: its SQLSTATE, where it has one, and the server's first line."""
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    state = getattr(error, "sqlstate", None)
    return f"{state}: {first}" if state else f"{type(error).__name__}: {first}"


# --- sync ----------------------------------------------------------------------------------------


class TracedConnection(Recording, psycopg.Connection[Any]):
    """`psycopg.Connection` that records what it sends."""

    blocking = True

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """As psycopg's; what no label is known for counts as a write."""
        if self.ledger.inside or gen.__name__ in _LABELLED:
            return super().wait(gen, *args, **kwargs)
        try:
            return super().wait(gen, *args, **kwargs)
        finally:
            self.ledger.unlabelled(self.pgconn.transaction_status)

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """As psycopg's, which cuts the traceback off: this frame says whose error it is."""
        return super().execute(query, params, **options)

    def commit(self) -> None:
        """As psycopg's; raises where it would silently do nothing."""
        self.refuse_void("commit")
        super().commit()

    def rollback(self) -> None:
        """As psycopg's; raises where it would silently do nothing."""
        self.refuse_void("rollback")
        super().rollback()


class _CursorRecording:
    """What the sync cursors share."""

    __slots__ = ()
    _conn: Any

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """As psycopg's, recorded."""
        text = query if type(query) is str else _text(query, self._conn)
        ledger = self._conn.ledger
        ledger.inside += 1
        started = monotonic_ns()
        try:
            super().execute(query, params, **options)  # type: ignore[misc]
        except BaseException as error:
            _failed(self._conn, kind_of(text), text, params, started, error)
            raise
        finally:
            ledger.inside -= 1
        _answered(self, text, params, started)
        return self

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> Any:
        """As psycopg's, recorded as one step."""
        with _Labelled(self, query, each(params_seq), batch=True):
            super().executemany(query, params_seq, **options)  # type: ignore[misc]


class _Labelled:
    """Around a call: one step in the trace. A `batch` sends its statement more than once."""

    def __init__(self, cursor: Any, query: Any, args: Any, *, batch: bool = False) -> None:
        self._cursor, self._args, self._batch = cursor, args, batch
        self._text = _text(query, cursor._conn)
        self._ledger: Ledger = cursor._conn.ledger
        self._started = monotonic_ns()

    def __enter__(self) -> None:
        self._ledger.inside += 1

    def __exit__(self, _: Any, error: BaseException | None, trace: Any) -> None:
        self._ledger.inside -= 1
        if error is None:
            _answered(self._cursor, self._text, self._args, self._started)
            return
        kind = kind_of(self._text)
        if self._batch and kind is not READ and not self._ledger.open:
            kind = ESCAPES  # an earlier message may have been committed on its own
        _failed(self._cursor._conn, kind, self._text, self._args, self._started, error)


class TracedCursor(_CursorRecording, psycopg.Cursor[Any]):
    """`psycopg.Cursor` that records what it sends."""

    __slots__ = ()

    def stream(self, query: Any, params: Any = None, **options: Any) -> Iterator[Any]:
        """As psycopg's, recorded as one step."""
        with _Labelled(self, query, params):
            yield from super().stream(query, params, **options)

    @contextlib.contextmanager
    def copy(self, statement: Any, params: Any = None, **options: Any) -> Iterator[Any]:
        """As psycopg's, recorded as one step."""
        with _Labelled(self, statement, params), super().copy(statement, params, **options) as copy:
            yield copy


class TracedServerCursor(_CursorRecording, psycopg.ServerCursor[Any]):
    """`psycopg.ServerCursor` whose DECLARE is recorded; its FETCHes are only accounted for."""

    __slots__ = ()


# --- async ---------------------------------------------------------------------------------------


class TracedAsyncConnection(Recording, psycopg.AsyncConnection[Any]):
    """`psycopg.AsyncConnection` that records what it sends."""

    async def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """As psycopg's; what no label is known for counts as a write."""
        if self.ledger.inside or gen.__name__ in _LABELLED:
            return await super().wait(gen, *args, **kwargs)
        try:
            return await super().wait(gen, *args, **kwargs)
        finally:
            self.ledger.unlabelled(self.pgconn.transaction_status)

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """As psycopg's, which cuts the traceback off: this frame says whose error it is."""
        return await super().execute(query, params, **options)

    async def commit(self) -> None:
        """As psycopg's; raises where it would silently do nothing."""
        self.refuse_void("commit")
        await super().commit()

    async def rollback(self) -> None:
        """As psycopg's; raises where it would silently do nothing."""
        self.refuse_void("rollback")
        await super().rollback()


class _AsyncCursorRecording:
    """What the async cursors share."""

    __slots__ = ()
    _conn: Any

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        """As psycopg's, recorded."""
        with _Labelled(self, query, params):
            await super().execute(query, params, **options)  # type: ignore[misc]
        return self

    async def executemany(self, query: Any, params_seq: Any, **options: Any) -> Any:
        """As psycopg's, recorded as one step."""
        with _Labelled(self, query, each(params_seq), batch=True):
            await super().executemany(query, params_seq, **options)  # type: ignore[misc]


class TracedAsyncCursor(_AsyncCursorRecording, psycopg.AsyncCursor[Any]):
    """`psycopg.AsyncCursor` that records what it sends."""

    __slots__ = ()

    async def stream(self, query: Any, params: Any = None, **options: Any) -> AsyncIterator[Any]:
        """As psycopg's, recorded as one step."""
        with _Labelled(self, query, params):
            async for row in super().stream(query, params, **options):
                yield row

    @contextlib.asynccontextmanager
    async def copy(self, statement: Any, params: Any = None, **options: Any) -> AsyncIterator[Any]:
        """As psycopg's, recorded as one step."""
        with _Labelled(self, statement, params):
            async with super().copy(statement, params, **options) as copy:
                yield copy


class TracedAsyncServerCursor(_AsyncCursorRecording, psycopg.AsyncServerCursor[Any]):
    """`psycopg.AsyncServerCursor` whose DECLARE is recorded."""

    __slots__ = ()
