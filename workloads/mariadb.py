"""What strategies on MariaDB share: a transaction again where the database rolled it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pymysql.connections import Connection

RETRIES = 20
"""Attempts before a strategy gives up and tells its caller so."""

DEADLOCK, RECORD_CHANGED = 1213, 1020
"""After either the whole transaction was rolled back; after 1205, only its last statement was."""

T = TypeVar("T")


def again(connection: Connection, transaction: Callable[[], T]) -> T:
    """Carry a transaction out, from the beginning where the database rolled it back."""
    for attempt in range(RETRIES):
        try:
            return transaction()
        except connection.OperationalError as error:
            if error.args[0] not in (DEADLOCK, RECORD_CHANGED) or attempt == RETRIES - 1:
                raise
            connection.rollback()
    raise RuntimeError("unreachable")
