"""The account of one PostgreSQL connection: what this operation may have written for good.

It follows what was sent and what the server answered. In doubt it says that something may have
been written: that makes an operation `info`, never wrong.
"""

from __future__ import annotations

from typing import Any

from psycopg import Error, pq

from ..harness.trace import Tracer
from .postgres_errors import ABORTS
from .postgres_statements import Kind

# Plain names: looking up an enumeration's member costs more than all the rest of the account.
IDLE = int(pq.TransactionStatus.IDLE)
BAD = int(pq.ConnStatus.BAD)
READ, WRITE, BEGIN, COMMIT = Kind.READ, Kind.WRITE, Kind.BEGIN, Kind.COMMIT
ROLLBACK, SAVEPOINT, PREPARE = Kind.ROLLBACK, Kind.SAVEPOINT, Kind.PREPARE
LOCK, ESCAPES = Kind.LOCK, Kind.ESCAPES


class Ledger:
    """Follows one connection; `forget` at the beginning of each operation."""

    __slots__ = (
        "aborts",
        "inside",
        "lost",
        "mark",
        "node",
        "open",
        "open_writes",
        "suspicions",
        "tracer",
        "warnings",
        "wrote",
    )

    def __init__(self, tracer: Tracer, node: str) -> None:
        self.tracer = tracer
        self.node = node
        self.aborts = 0
        """How often this operation was refused for what others did at the same time."""
        self.inside = 0
        """How many labelled calls are under way: what goes over the wire is accounted for."""
        self.mark = 0
        """When the last of the driver's own commands ended: an implicit BEGIN, mostly."""
        self.open = False
        """A transaction block is open on the server."""
        self.open_writes = False
        self.wrote = False
        self.lost = False
        self.suspicions: list[str] = []
        self.warnings: list[str] = []

    def forget(self, *, open: bool = False) -> None:
        """A new operation begins; a transaction that is still `open` keeps its writes."""
        self.wrote = self.lost = False
        self.aborts = 0
        self.open = open
        self.open_writes = self.open_writes and open
        if self.suspicions or self.warnings:
            self.suspicions, self.warnings = [], []

    def notice(self, diagnostic: Any) -> None:
        """The server said something beside its answer."""
        if diagnostic.severity_nonlocalized == "WARNING":
            self.warnings.append(diagnostic.message_primary or "warning")

    def answered(self, kind: Kind, tag: bytes | None, status: int) -> None:
        """The server answered; `status` is the transaction's now."""
        self.open = status != IDLE
        if self.warnings:
            self._warned(kind)
        if kind is READ or kind is BEGIN or kind is SAVEPOINT:
            return
        if kind is WRITE:
            if self.open:
                self.open_writes = True
            else:
                self.wrote = True
        elif kind is COMMIT or kind is PREPARE:
            self._ended(tag)
        elif kind is ROLLBACK:
            self.open_writes = False
        elif kind is LOCK or kind is ESCAPES:
            self.wrote = True
            self.open_writes = self.open

    def queued(self, kind: Kind, autocommit: bool) -> None:
        """Sent in pipeline mode, where answers come later: count it as done."""
        if kind is READ or kind is BEGIN or kind is SAVEPOINT:
            return
        if kind is WRITE and not autocommit:
            self.open_writes = True
        elif kind is not ROLLBACK:
            self.wrote = True

    def failed(self, kind: Kind, error: BaseException, status: int, connection: int) -> None:
        """The call raised; `status` and `connection` are what the driver knows now."""
        answer = error.sqlstate if isinstance(error, Error) else None
        was_open, self.open = self.open, status != IDLE
        self.aborts += answer in ABORTS
        if connection == BAD:
            self.open = False
            self._cut_off(kind, was_open, answered=answer is not None)
        elif answer is None:
            self._unanswered(kind, was_open)
        elif kind is ESCAPES:
            self.wrote = True
        elif not self.open:
            self.open_writes = False  # an error at COMMIT, too, ends the transaction

    def may_have_written(self) -> bool:
        """Whether anything outside what was (or will be) rolled back may have been written.

        An open transaction does not count: it is rolled back before the next operation.
        """
        return self.wrote or self.lost

    def unlabelled(self, status: int) -> None:
        """Something went over the wire that we have no name for: it may have written."""
        self.open = status != IDLE
        if self.open:
            self.open_writes = True
        else:
            self.wrote = True

    def _ended(self, tag: bytes | None) -> None:
        if tag is not None and tag.startswith(b"ROLLBACK"):
            self.suspicions.append("COMMIT answered ROLLBACK")
        else:
            self.wrote = self.wrote or self.open_writes
        self.open_writes = False

    def _warned(self, kind: Kind) -> None:
        """A warning beside the answer to a commit, an autocommitted write's own too, is suspicious."""
        warnings, self.warnings = self.warnings, []
        if kind is COMMIT or kind is PREPARE or (kind is WRITE and not self.open):
            where = "an autocommitted statement" if kind is WRITE else "COMMIT"
            self.suspicions += [f"{where} answered with a warning: {text}" for text in warnings]

    def _cut_off(self, kind: Kind, was_open: bool, *, answered: bool) -> None:
        """The session ended. Without an answer nobody knows; with one, only a commit is unsure."""
        if not answered:
            self.lost = True
        elif kind in (COMMIT, PREPARE):
            self.wrote = self.wrote or self.open_writes
        elif kind in (ESCAPES, LOCK) or (kind is WRITE and not was_open):
            self.wrote = True
        self.open_writes = False

    def _unanswered(self, kind: Kind, was_open: bool) -> None:
        """Interrupted, or refused by the driver before it was sent: we cannot tell which."""
        if kind in (READ, BEGIN, ROLLBACK, SAVEPOINT):
            return
        if kind is WRITE and was_open:
            self.open_writes = True
        else:
            self.wrote = True
