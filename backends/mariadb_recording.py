"""PyMySQL's own connections and cursors, recording what they send.

All of the driver's commands pass `Connection._execute_command`, one of its private names; what goes
there without a label counts as a write. The driver would connect anew where it is asked to
(`ping(reconnect=True)`, `connect()`): here a connection that was lost is never made again.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns
from typing import Any

import pymysql
from pymysql.constants import SERVER_STATUS
from pymysql.cursors import Cursor

from ..harness.errors import UsageError
from ..harness.trace import MAX_ROWS, each
from .mariadb_ledger import Ledger
from .mariadb_statements import kind_of

_MOST_COLUMNS = 20
_OPEN = SERVER_STATUS.SERVER_STATUS_IN_TRANS


class TracedCursor(Cursor):  # type: ignore[misc]
    """`pymysql.cursors.Cursor` whose statements are recorded as they were written, with values."""

    connection: Any
    _many: tuple[str, Any] | None = None

    def execute(self, query: Any, args: Any = None) -> int:
        """As PyMySQL's, recorded."""
        # Of executemany's own texts, with all values in them, the template says as much.
        self.connection.label = self._many or (_text(query), args)
        try:
            affected: int = super().execute(query, args)
            return affected
        finally:
            if self.connection is not None:
                self.connection.label = None

    def executemany(self, query: Any, args: Any) -> int | None:
        """As PyMySQL's, which sends one statement or several."""
        self._many = (_text(query), each(args))
        try:
            affected: int | None = super().executemany(query, args)
            return affected
        finally:
            self._many = None


class TracedConnection(pymysql.Connection):  # type: ignore[misc]
    """`pymysql.Connection` that records what it sends."""

    label: tuple[str, Any] | None = None
    """The statement that a cursor is about to send, before its values are put in."""
    _was_connected = False
    _warnings = 0

    def __init__(self, *, ledger: Ledger, **arguments: Any) -> None:
        self.ledger = ledger
        super().__init__(cursorclass=TracedCursor, **arguments)

    # --- what is sent ----------------------------------------------------------------------------

    def query(self, sql: Any, unbuffered: bool = False) -> int:
        """As PyMySQL's, recorded."""
        text, args = self.label or (_text(sql), None)
        return int(
            self._step(text, args, lambda: super(TracedConnection, self).query(sql, unbuffered))
        )

    def next_result(self, unbuffered: bool = False) -> int:
        """As PyMySQL's: another result of a procedure that was called."""
        return int(
            self._step(
                "CALL -- its next result",
                None,
                lambda: super(TracedConnection, self).next_result(unbuffered),
            )
        )

    def begin(self) -> None:
        """As PyMySQL's, recorded."""
        self._step("BEGIN", None, super().begin)

    def commit(self) -> None:
        """As PyMySQL's; raises where it would silently do nothing."""
        self.refuse_void("commit")
        self._step("COMMIT", None, super().commit)

    def rollback(self) -> None:
        """As PyMySQL's; raises where it would silently do nothing."""
        self.refuse_void("rollback")
        self._step("ROLLBACK", None, super().rollback)

    def select_db(self, db: Any) -> None:
        """As PyMySQL's, recorded."""
        self._step(f"USE {db}", None, lambda: super(TracedConnection, self).select_db(db))

    def show_warnings(self) -> Any:
        """As PyMySQL's, recorded."""
        return self._step("SHOW WARNINGS", None, super().show_warnings)

    def set_character_set(self, charset: Any, collation: Any = None) -> None:
        """As PyMySQL's, recorded."""
        self._step(
            f"SET NAMES {charset}",
            None,
            lambda: super(TracedConnection, self).set_character_set(charset, collation),
        )

    def _send_autocommit_mode(self) -> None:
        mode = int(bool(self.autocommit_mode))
        self._step(f"SET autocommit = {mode}", None, super()._send_autocommit_mode)

    def _execute_command(self, command: Any, sql: Any) -> None:
        if not self.ledger.inside:
            self.ledger.unlabelled()
        super()._execute_command(command, sql)

    def _read_ok_packet(self) -> Any:
        answer = super()._read_ok_packet()
        self._warnings = answer.warning_count
        return answer

    def _step(self, text: str, args: Any, send: Callable[[], Any]) -> Any:
        """One statement: its account, and its step in the trace."""
        ledger, kind = self.ledger, kind_of(text)
        ledger.inside += 1
        started = monotonic_ns()
        try:
            answer = send()
        except BaseException as error:
            self._failed(kind, text, args, started, error)
            raise
        finally:
            ledger.inside -= 1
        if not ledger.muted:
            ended = monotonic_ns()
            result = self._result
            rows = result is not None and result.description is not None
            ledger.answered(
                kind,
                # Only answers without rows say whether a transaction is open.
                open=None if rows else bool(self.server_status & _OPEN),
                autocommit=self.get_autocommit(),
                warnings=self._warnings if result is None else result.warning_count,
            )
            ledger.tracer.record(ledger.node, text, args, started, ended, _got(result))
        return answer

    def _failed(self, kind: Any, text: str, args: Any, started: int, error: BaseException) -> None:
        ledger = self.ledger
        if ledger.muted:
            return
        ended = monotonic_ns()
        ledger.failed(kind, number_of(error), connected=self.open, autocommit=self.get_autocommit())
        ledger.tracer.record(ledger.node, text, args, started, ended, None, describe(error))

    def refuse_void(self, method: str) -> None:
        """Raise where the call would do nothing."""
        ledger = self.ledger
        if self.open and not ledger.muted and not ledger.open and self.get_autocommit():
            raise UsageError(
                f"{method}() on an autocommit connection with no open transaction does nothing: "
                "every statement was its own transaction. Set `autocommit = False` on the class, "
                f"open a transaction, or leave {method}() out."
            )

    # --- what is not done ------------------------------------------------------------------------

    def connect(self, sock: Any = None) -> None:
        """Once: a second connection would hide that the first was lost, and what it had open."""
        if self._was_connected:
            raise pymysql.err.InterfaceError(0, "the connection was lost, and is not made again")
        self._was_connected = True
        super().connect(sock)

    def ping(self, reconnect: bool = False) -> None:
        """As PyMySQL's, without connecting anew."""
        if not self.open:
            raise pymysql.err.InterfaceError(0, "the connection was lost, and is not made again")
        self._step("SELECT 1 -- ping", None, lambda: super(TracedConnection, self).ping(False))


def number_of(error: BaseException) -> int | None:
    """The server's error number, or NOT_SENT; None where the error is somebody else's.

    From 2000 on they are the client's own: the connection was lost, and nobody knows when.
    """
    if not isinstance(error, pymysql.err.MySQLError) or not error.args:
        return None
    number = error.args[0]
    if type(number) is not int or 2000 <= number < 3000:
        return None
    if number == 0 and not isinstance(error, pymysql.err.InterfaceError):
        return None
    return number


def describe(error: BaseException) -> str:
    """An error in one line, its number first."""
    args = error.args
    if len(args) == 2 and type(args[0]) is int:
        return f"{args[0]}: {args[1]}" if args[1] else f"{args[0]}: the connection is closed"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _text(query: Any) -> str:
    if isinstance(query, bytes | bytearray):
        return query.decode("utf-8", "replace")
    return query if isinstance(query, str) else f"{query!r}"


def _got(result: Any) -> Any:
    """The first rows, or how many there were."""
    if result is None:
        return None
    if result.description is None:
        return f"{result.affected_rows} rows"
    rows = result.rows
    if rows is None:  # unbuffered: they come later
        return "rows"
    first = tuple([tuple(row[:_MOST_COLUMNS]) for row in rows[:MAX_ROWS]])
    return first if len(rows) <= MAX_ROWS else (*first, f"… {len(rows)} rows")
