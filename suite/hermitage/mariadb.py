"""MariaDB, by PyMySQL: who waits is read in InnoDB's own monitor.

`information_schema.innodb_trx` is renewed every tenth of a second only, and not while it is being
read more often than that. The monitor is written at the moment it is asked for, but does not say
whom a transaction waits for; that is asked of `innodb_lock_waits`, where two wait at once.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

import pymysql

from ...harness.errors import Broken
from .interpreter import Answer
from .monitor import waiting_in
from .places import CONTENTS, TABLE
from .schedules import Rows

_LOST = frozenset({0, 1053, 1927, *range(2000, 3000)})
"""The server or the session has ended; or an error of the driver's own, as no answer came."""

_WAITS_FOR = (
    "SELECT waiter.trx_mysql_thread_id, blocker.trx_mysql_thread_id"
    " FROM information_schema.innodb_lock_waits AS waits"
    " JOIN information_schema.innodb_trx AS waiter ON waiter.trx_id = waits.requesting_trx_id"
    " JOIN information_schema.innodb_trx AS blocker ON blocker.trx_id = waits.blocking_trx_id"
)
_RENEWED_S = 0.11
"""How long nobody may have read InnoDB's tables for them to be renewed."""


class MariaDBLine:
    """One session; its level and variant are settings of its own."""

    def __init__(self, arguments: Mapping[str, Any], level: str, variant: str) -> None:
        self._connection = _connect(arguments)
        self._failed = False
        self.number: int = self._connection.thread_id()
        snapshot = "ON" if variant == "snapshot" else "OFF"
        _ask(self._connection, f"SET SESSION innodb_snapshot_isolation = {snapshot}")
        _ask(self._connection, f"SET SESSION TRANSACTION ISOLATION LEVEL {level.upper()}")

    def send(self, text: str) -> Answer:
        """Send a statement and wait for its answer.

        After an error a commit is sent as a rollback: some errors (a wait that took too long) undo
        the statement alone, and a commit would keep half of the transaction.
        """
        if text == "commit" and self._failed:
            text = "rollback"
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(text)
                return _answer(text, cursor)
        except pymysql.err.MySQLError as error:
            if _number(error) in _LOST:
                raise _broken(error) from error
            self._failed = True
            return Answer(error=str(_number(error)), message=str(error.args[-1]))

    def close(self) -> None:
        """Roll back what is open, so that the next table is not kept waiting, and close."""
        try:
            self._connection.rollback()
            self._connection.close()
        except pymysql.err.MySQLError:
            pass  # it was lost before


def _answer(text: str, cursor: Any) -> Answer:
    if cursor.description is not None:
        return Answer(rows=tuple(sorted(cursor.fetchall())))
    match text:
        case "begin":
            return Answer()
        case "commit" | "rollback":
            return Answer(ended=text)
    return Answer(changed=cursor.rowcount)


class MariaDBPlace:
    """A run's database on a MariaDB server of ours.

    What is asked of the server, its administrator asks: a run's user does not see others' locks.
    """

    def __init__(self, backend: Any, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments
        self._connection = _connect({**arguments, **backend.address()})

    def renew(self) -> None:
        """Make the table anew."""
        for statement in TABLE:
            _ask(self._connection, statement)

    def open(self, level: str, variant: str) -> MariaDBLine:
        """A session whose transactions have this level."""
        return MariaDBLine(self._arguments, level, variant)

    def contents(self) -> Rows:
        """The table's rows now."""
        return tuple(_ask(self._connection, CONTENTS))

    def waiting(self, numbers: Collection[int]) -> set[int]:
        """Those of these sessions that wait for a lock at this moment."""
        ((_, _, monitor),) = _ask(self._connection, "SHOW ENGINE INNODB STATUS")
        return waiting_in(monitor) & set(numbers)

    def waits_for(self, numbers: Collection[int]) -> dict[int, set[int]]:
        """Whom each of these sessions waits for at this moment."""
        time.sleep(_RENEWED_S)
        found: dict[int, set[int]] = {number: set() for number in numbers}
        for waiter, blocker in _ask(self._connection, _WAITS_FOR):
            found.setdefault(waiter, set()).add(blocker)
        return found

    def expel(self, numbers: Collection[int]) -> None:
        """End these sessions, whatever they are at."""
        for number in numbers:
            try:
                _ask(self._connection, f"KILL HARD CONNECTION {number}")
            except Broken:
                continue  # it has ended meanwhile

    def close(self) -> None:
        """Close the connection on which all this is asked."""
        self._connection.close()


def _connect(arguments: Mapping[str, Any]) -> Any:
    given = {name: value for name, value in arguments.items() if name != "node"}
    try:
        return pymysql.connect(**given, autocommit=True)
    except pymysql.err.MySQLError as error:
        raise _broken(error) from error


def _ask(connection: Any, question: str) -> Any:
    try:
        with connection.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchall()
    except pymysql.err.MySQLError as error:
        raise _broken(error) from error


def _number(error: pymysql.err.MySQLError) -> int:
    """The error's number; 0, the driver's own, where it has none."""
    first = error.args[0] if error.args else 0
    return first if isinstance(first, int) else 0


def _broken(error: pymysql.err.MySQLError) -> Broken:
    return Broken(f"mariadb: {' '.join(map(str, error.args))}")
