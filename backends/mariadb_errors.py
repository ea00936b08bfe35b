"""MariaDB's definite errors: numbers after which the failed statement certainly did nothing.

The table speaks of InnoDB's tables (our servers make no others), and of the statement that failed.
Few errors end the transaction as well; after all others it stays open, with what it wrote before,
and a COMMIT would keep that. That, and errors that reach a statement while its commit is on its
way, are the ledger's business. What is not listed here proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

NOT_SENT = 0
"""The driver's own: the connection was closed before, nothing was sent."""

ROLLED_BACK: Mapping[int, str] = {
    1020: "the row changed after the snapshot was taken: the transaction was rolled back",
    1213: "deadlock: this side was chosen and rolled back",
}
"""The whole transaction is gone, and nothing is open any more."""

INTERRUPTED: Mapping[int, str] = {
    1053: "the server shuts down",
    1317: "the statement was interrupted and rolled back",
    1927: "the session was ended",
    1969: "the statement took too long and was rolled back",
}
"""Where the statement is a transaction of its own, the commit may have come first."""

STATEMENT: Mapping[int, str] = {
    1205: "no lock was given in time: the statement was rolled back, its transaction stays open",
    # Constraints.
    1022: "there is such a key already",
    1048: "a column may not be null",
    1062: "there is such a key already",
    1169: "there is such a key already",
    1216: "a foreign key refused it",
    1217: "a foreign key refused it",
    1364: "a column has no default",
    1369: "a view's check option refused it",
    1451: "a foreign key refused it",
    1452: "a foreign key refused it",
    1526: "no partition takes this value",
    1586: "there is such a key already",
    4025: "a constraint refused it",
    # Values.
    1264: "a value is out of range",
    1265: "a value was refused",
    1292: "a value was refused",
    1365: "division by zero",
    1366: "a value was refused",
    1406: "a value is too long",
    1411: "a value was refused",
    1690: "a value is out of range",
    # What is wrong with the statement.
    1046: "no database was chosen",
    1049: "no such database",
    1050: "there is such a table already",
    1051: "no such table",
    1052: "a column is ambiguous",
    1054: "no such column",
    1055: "a column is not grouped by",
    1064: "the statement is wrong",
    1065: "the statement is empty",
    1093: "a table is read and written at once",
    1109: "no such table",
    1110: "a column is named twice",
    1136: "as many values as columns are needed",
    1146: "no such table",
    1193: "no such variable",
    1231: "the variable takes no such value",
    1242: "a subquery gave more than one row",
    1305: "no such function or procedure",
    1318: "a procedure was given the wrong number of arguments",
    1568: "this cannot be changed within a transaction",
    1644: "an error raised by SIGNAL",
    # What the server may not, or cannot do now.
    1040: "too many connections",
    1044: "not allowed",
    1045: "not allowed to connect",
    1114: "the table is full",
    1142: "not allowed",
    1143: "not allowed",
    1203: "too many connections",
    1227: "not allowed",
    1290: "the server's options forbid it: it is read-only, for instance",
    1370: "not allowed",
    1412: "the table's definition changed after the snapshot was taken",
    1792: "the transaction is read-only",
    1836: "the server is read-only",
}
"""The statement did nothing; a transaction that was open stays open."""


def reason(number: int | None) -> str | None:
    """Why this number is definite; None where it proves nothing."""
    if number is None:
        return None
    if number == NOT_SENT:
        return "the connection was closed before: nothing was sent"
    return ROLLED_BACK.get(number) or INTERRUPTED.get(number) or STATEMENT.get(number)
