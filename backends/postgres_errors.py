"""PostgreSQL's definite errors: SQLSTATEs after which the failed transaction certainly did nothing.

The server answers a statement with severity ERROR only after it has decided to roll back, and what
it rolled back stays so. What is not listed here proves nothing. The table speaks of the statement
that failed; what the operation did before, and errors that end the session while a COMMIT is on
its way, are the ledger's business.
"""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "40001": "serialization failure: the transaction was rolled back",
    "40002": "a constraint failed at commit: the transaction was rolled back",
    "40P01": "deadlock: this side was chosen and rolled back",
    "55006": "the object is in use",
    "55P02": "the setting cannot be changed now",
    "55P03": "the lock was not available: nothing was done",
    # A cancel that reaches a commit waiting for its standby is answered with success and a
    # warning, not with this. As an ERROR it came before the commit record.
    "57014": "the statement was cancelled and its transaction rolled back",
    # Answers of a server that ends the session. In the middle of a transaction the work is gone;
    # at COMMIT or in an autocommitted write it may not be: there the ledger overrules this.
    "57P01": "the server ended the session before the commit",
    "57P03": "the server does not accept connections now",
    "25P03": "the session idled too long in its transaction and was ended",
    "25P04": "the transaction took too long and was ended",
}

ABORTS = frozenset({"40001", "40P01", "55P03"})
"""Refused for what others did at the same time: whoever tries again may succeed."""

CLASSES: Mapping[str, str] = {
    "0A": "the server cannot do this",
    "21": "a subquery gave more than one row",
    "22": "a value was refused",
    "23": "a constraint refused it",
    "25": "the transaction is in the wrong state for this",
    "26": "no such prepared statement",
    "28": "not allowed to connect",
    "2B": "others depend on it",
    "34": "no such cursor",
    "3B": "no such savepoint",
    "3D": "no such database",
    "3F": "no such schema",
    "42": "the statement is wrong",
    "44": "a view's check option refused it",
    "53": "the server is short of memory, disk or connections",
    "54": "a limit of the server was exceeded",
    "P0": "an error raised in PL/pgSQL",
}


def reason(sqlstate: str | None) -> str | None:
    """Why this SQLSTATE is definite; None where it proves nothing."""
    if not sqlstate:
        return None
    return CODES.get(sqlstate) or CLASSES.get(sqlstate[:2])
