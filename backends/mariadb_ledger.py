"""The account of one MariaDB connection: what this operation may have written for good.

It follows what was sent and what the server answered. In doubt it says that something may have
been written: that makes an operation `info`, never wrong. What an error left open counts as well:
nearly all of MariaDB's errors take back a statement, not the transaction, and until somebody rolls
it back that can still be committed.
"""

from __future__ import annotations

from ..harness.trace import Tracer
from .mariadb_errors import INTERRUPTED, NOT_SENT, ROLLED_BACK, reason
from .postgres_statements import Kind

READ, WRITE, BEGIN, COMMIT = Kind.READ, Kind.WRITE, Kind.BEGIN, Kind.COMMIT
ROLLBACK, SAVEPOINT, PREPARE = Kind.ROLLBACK, Kind.SAVEPOINT, Kind.PREPARE
LOCK, ESCAPES = Kind.LOCK, Kind.ESCAPES


class Ledger:
    """Follows one connection; `forget` at the beginning of each operation."""

    __slots__ = ("inside", "lost", "muted", "node", "open", "open_writes", "suspicions", "tracer", "wrote")  # fmt: skip

    def __init__(self, tracer: Tracer, node: str) -> None:
        self.tracer = tracer
        self.node = node
        self.muted = True
        """What happens before the client is ready is neither recorded nor accounted."""
        self.inside = 0
        """How many labelled calls are under way: what goes over the wire is accounted for."""
        self.open = False
        """A transaction may be open on the server; without autocommit any SELECT opens one."""
        self.open_writes = False
        self.wrote = False
        self.lost = False
        self.suspicions: list[str] = []

    def forget(self) -> None:
        """A new operation begins; a transaction that is still open keeps its writes."""
        self.wrote = self.lost = False
        self.open_writes = self.open_writes and self.open
        if self.suspicions:
            self.suspicions = []

    def may_have_written(self) -> bool:
        """Whether anything that was not rolled back may have been written, or may yet be."""
        return self.wrote or self.lost or self.open_writes

    def answered(
        self, kind: Kind, *, open: bool | None, autocommit: bool, warnings: int = 0
    ) -> None:
        """The server answered; `open` is what it says of the transaction (None: rows came)."""
        alone = autocommit and not self.open
        if kind is WRITE:
            self.wrote, self.open_writes = self.wrote or alone, self.open_writes or not alone
        elif kind is ROLLBACK:
            # It warns where a table that knows no transactions was written as well.
            self.wrote = self.wrote or (self.open_writes and warnings > 0)
            self.open_writes = False
        elif kind is LOCK:
            self.wrote = True
        elif kind is not READ and kind is not SAVEPOINT:
            self._committed(certainly=kind is ESCAPES)
            if warnings and kind is COMMIT:
                self.suspicions.append(f"COMMIT answered with {warnings} warnings")
        if open is None:
            self.open = self.open or not autocommit
        else:
            self.open = open
            if not open and self.open_writes:
                self._committed()

    def failed(self, kind: Kind, number: int | None, *, connected: bool, autocommit: bool) -> None:
        """The call raised; `number` is the error's, None where it is not the server's."""
        alone = autocommit and not self.open
        if number == NOT_SENT:
            self.open = self.open_writes = False
        elif not connected or number is None:
            self.lost = True
            self.open = self.open_writes = False
        elif kind is ESCAPES:
            self._committed(certainly=True)
        elif number in ROLLED_BACK:
            self.open = self.open_writes = False
        else:
            self._refused(kind, number, alone)
            self.open = self.open or not autocommit

    def unlabelled(self) -> None:
        """Something went over the wire that we have no name for: it may have written."""
        self.wrote = True

    def _refused(self, kind: Kind, number: int, alone: bool) -> None:
        """An error that took back the statement, if it is known to."""
        if kind in (COMMIT, PREPARE, BEGIN):
            self._committed()
        elif kind is WRITE and alone:
            self.wrote = self.wrote or number in INTERRUPTED or reason(number) is None
        elif kind is WRITE:
            self.open_writes = self.open_writes or reason(number) is None

    def _committed(self, *, certainly: bool = False) -> None:
        """What was open is kept, or may be."""
        self.wrote = self.wrote or self.open_writes or certainly
        self.open_writes = False
