"""Requests booked in PostgreSQL, and tried again when the connection is lost.

Commits wait for a standby, and while the primary is cut off from all of them they wait for long:
whose session is ended meanwhile is not told that its commit happened.
"""

from __future__ import annotations

from typing import Any, ClassVar

from psycopg import Connection, OperationalError

from ....harness.context import Context


class RetryAfterLostCommit:
    """D10: when the connection is lost, the request is carried out again on another one.

    Where it is lost between COMMIT and its answer, nobody knows whether the first attempt is in
    the books. Often it is, and the second one books the request once more. Mend it with a row for
    each request in the same transaction (`request-id-in-the-transaction`).
    """

    workload = "ledger"
    needs = ("postgres:sync",)
    expect = "unsafe"
    anomaly: str | None = "duplicate-effect"
    faults: tuple[str, ...] = ("partition-primary+terminate",)
    tables: ClassVar[tuple[str, ...]] = (
        "CREATE TABLE entry (request int NOT NULL, amount int NOT NULL)",
    )
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per entry."""
        for table in self.tables:
            ctx.postgres.execute(table)
        ctx.postgres.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection, and how to get another one."""
        self.postgres = ctx.postgres
        self.node = ctx.node

    def execute(self, request: int, amount: int) -> bool:
        """Book it, and once more if the connection is lost."""
        try:
            self.book(self.postgres, request, amount)
        except OperationalError:
            self.book(self.node("postgres", "primary"), request, amount)
        return True

    def book(self, postgres: Connection[Any], request: int, amount: int) -> None:
        """One entry."""
        postgres.execute("INSERT INTO entry VALUES (%s, %s)", (request, amount))
        postgres.commit()

    def entries(self) -> list[Any]:
        """One statement, one snapshot."""
        rows = self.postgres.execute("SELECT request, amount FROM entry").fetchall()
        self.postgres.commit()
        return rows


class RequestIdInTheTransaction(RetryAfterLostCommit):
    """D11: the request's id is inserted into a table of its own, in the transaction that books it.

    The second attempt finds the id there if the first one was committed, and books nothing.
    """

    expect = "safe"
    anomaly = None
    faults = ("none", "partition-primary+terminate", "terminate", "kill", "partition-clients")
    tables = (*RetryAfterLostCommit.tables, "CREATE TABLE request (id int PRIMARY KEY)")

    def book(self, postgres: Connection[Any], request: int, amount: int) -> None:
        """The id first; the entry only if it was not there."""
        new = postgres.execute("INSERT INTO request VALUES (%s) ON CONFLICT DO NOTHING", (request,))
        if new.rowcount:
            postgres.execute("INSERT INTO entry VALUES (%s, %s)", (request, amount))
        postgres.commit()
