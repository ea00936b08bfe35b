"""PostgreSQL, by psycopg: who waits is asked of the lock manager itself.

`pg_stat_activity` would be late: it calls a session waiting until that has woken up, while the lock
is granted to it before the one who released it is answered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import psycopg

from ...harness.errors import Broken
from ...harness.protocols import Backend
from .interpreter import Answer
from .places import CONTENTS, TABLE
from .schedules import Rows

_WAITS_FOR = "SELECT pid, pg_blocking_pids(pid) FROM unnest(%s::int[]) AS pid"
_EXPEL = "SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid"


class PostgresLine:
    """One session; a transaction begins with its own level."""

    def __init__(self, arguments: Mapping[str, Any], level: str) -> None:
        self._connection = _connect(arguments)
        self._level = level
        self.number = self._connection.info.backend_pid

    def send(self, text: str) -> Answer:
        """Send a statement and wait for its answer."""
        if text == "begin":
            text = f"begin isolation level {self._level}"
        try:
            cursor = self._connection.execute(text.encode())
        except psycopg.Error as error:
            if error.sqlstate is None or self._connection.closed:
                raise _broken(error) from error
            return Answer(error=error.sqlstate, message=error.diag.message_primary)
        return _answer(cursor)

    def close(self) -> None:
        """Close the connection, and with it the transaction."""
        self._connection.close()


def _answer(cursor: psycopg.Cursor[Any]) -> Answer:
    if cursor.description is not None:
        return Answer(rows=tuple(sorted(cursor.fetchall())))
    # Of a transaction that has failed, COMMIT makes a ROLLBACK, and no error of it.
    match (cursor.statusmessage or "").split():
        case ["COMMIT"]:
            return Answer(ended="commit")
        case ["ROLLBACK"]:
            return Answer(ended="rollback")
        case ["BEGIN"]:
            return Answer()
    return Answer(changed=cursor.rowcount)


class PostgresPlace:
    """A run's database on a PostgreSQL server."""

    def __init__(self, backend: Backend, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments
        self._connection = _connect(arguments)

    def renew(self) -> None:
        """Make the table anew."""
        for statement in TABLE:
            self._ask(statement)

    def open(self, level: str, variant: str) -> PostgresLine:
        """A session whose transactions have this level; there are no variants."""
        return PostgresLine(self._arguments, level)

    def contents(self) -> Rows:
        """The table's rows now."""
        return tuple(self._ask(CONTENTS).fetchall())

    def waiting(self, numbers: Collection[int]) -> set[int]:
        """Those of these sessions that wait for a lock at this moment."""
        return {number for number, others in self.waits_for(numbers).items() if others}

    def waits_for(self, numbers: Collection[int]) -> dict[int, set[int]]:
        """Whom each of these sessions waits for at this moment."""
        rows = self._ask(_WAITS_FOR, list(numbers)).fetchall()
        return {number: set(others) for number, others in rows}

    def expel(self, numbers: Collection[int]) -> None:
        """End these sessions, whatever they are at."""
        self._ask(_EXPEL, list(numbers))

    def close(self) -> None:
        """Close the connection on which all this is asked."""
        self._connection.close()

    def _ask(self, question: str, *parameters: Any) -> psycopg.Cursor[Any]:
        try:
            return self._connection.execute(question.encode(), parameters or None)
        except psycopg.Error as error:
            raise _broken(error) from error


def _connect(arguments: Mapping[str, Any]) -> psycopg.Connection[tuple[Any, ...]]:
    given = {name: value for name, value in arguments.items() if name not in ("dsn", "node")}
    try:
        return psycopg.connect(arguments["dsn"], autocommit=True, prepare_threshold=None, **given)
    except psycopg.Error as error:
        raise _broken(error) from error


def _broken(error: psycopg.Error) -> Broken:
    return Broken(f"postgres: {' '.join(str(error).split())}")
