"""Transfers between rows of a PostgreSQL table."""

from __future__ import annotations

from typing import Any

from psycopg import Connection, errors

from ....harness.context import Context

RETRIES = 20


class _Accounts:
    """The table that all of these share, and the plain way to move money within it."""

    workload = "bank"
    needs = ("postgres",)
    postgres: Connection[Any]
    lock = ""

    def setup(self, ctx: Context) -> None:
        """One row per account."""
        with ctx.postgres.transaction(), ctx.postgres.cursor() as cursor:
            cursor.execute("CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL)")
            cursor.executemany("INSERT INTO account VALUES (%s, %s)", ctx.initial.items())

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.postgres = ctx.postgres

    def balances(self) -> dict[int, int]:
        """One statement, one snapshot."""
        rows = self.postgres.execute("SELECT id, balance FROM account ORDER BY id").fetchall()
        self.postgres.commit()
        return dict(rows)

    def transfer(self, src: int, dst: int, amount: int) -> bool:
        """Read both balances, compute, write both back; False when the money is not there."""
        rows = self.postgres.execute(
            f"SELECT id, balance FROM account WHERE id IN (%s, %s) ORDER BY id {self.lock}",
            (src, dst),
        )
        balance: dict[int, int] = dict(rows.fetchall())
        if balance[src] < amount:
            self.postgres.rollback()
            return False
        # Written in the order of the ids, so that two transfers never wait for each other in turn.
        changed = {src: balance[src] - amount, dst: balance[dst] + amount}
        for account in sorted(changed):
            self.postgres.execute(
                "UPDATE account SET balance = %s WHERE id = %s", (changed[account], account)
            )
        self.postgres.commit()
        return True


class ReadCommitted(_Accounts):
    """A01 with two rows: read, compute, write at read committed, without locks.

    Two transfers that touch one account both start from its old balance, and money appears or
    vanishes. Mend it with `for-update-ordered` or `serializable-retry`.
    """

    expect = "unsafe"
    anomaly = "conservation"


class ForUpdateOrdered(_Accounts):
    """A07 with two rows: lock both, in the order of their ids, before reading them."""

    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")
    lock = "FOR UPDATE"


class ForUpdateUnordered(_Accounts):
    """A12: lock both rows, but first the payer's and then the payee's.

    Two transfers against each other each hold one row and wait for the other. After its
    deadlock_timeout, a second, the server ends one of them with 40P01: the money is right, but
    everybody has waited, and the caller is turned away. Mend it by locking in the order of the ids
    (`for-update-ordered`).
    """

    expect = "live"
    anomaly = "deadlock"

    def transfer(self, src: int, dst: int, amount: int) -> bool:
        """Lock one after the other, in the caller's order, then as always."""
        for account in (src, dst):
            self.postgres.execute("SELECT FROM account WHERE id = %s FOR UPDATE", (account,))
        return super().transfer(src, dst, amount)


class SerializableRetry(_Accounts):
    """A24: no locks in the code; at serializable, and the whole transaction again on 40001."""

    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")
    isolation = "serializable"

    def balances(self) -> dict[int, int]:
        """Read, from the beginning if the database says so."""
        balances: dict[int, int] = self._again(super().balances)
        return balances

    def transfer(self, src: int, dst: int, amount: int) -> bool:
        """Move money, from the beginning if the database says so."""
        moved: bool = self._again(super().transfer, src, dst, amount)
        return moved

    def _again(self, transaction: Any, *args: Any) -> Any:
        for attempt in range(RETRIES):
            try:
                return transaction(*args)
            except (errors.SerializationFailure, errors.DeadlockDetected):
                self.postgres.rollback()
                if attempt == RETRIES - 1:
                    raise
        raise RuntimeError("unreachable")
