"""Transfers between rows of a MariaDB table (InnoDB)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....harness.context import Context
from ...mariadb import again

if TYPE_CHECKING:
    from pymysql.connections import Connection


class _Accounts:
    """The table that all of these share, and the plain way to move money within it."""

    workload = "bank"
    needs = ("mariadb",)
    lock = ""
    mariadb: Connection

    def setup(self, ctx: Context) -> None:
        """One row per account."""
        with ctx.mariadb.cursor() as cursor:
            cursor.execute("CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL)")
            cursor.executemany("INSERT INTO account VALUES (%s, %s)", list(ctx.initial.items()))
        ctx.mariadb.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.mariadb = ctx.mariadb

    def balances(self) -> dict[int, int]:
        """One statement, one snapshot."""
        with self.mariadb.cursor() as cursor:
            cursor.execute("SELECT id, balance FROM account ORDER BY id")
            found: dict[int, int] = dict(cursor.fetchall())
        self.mariadb.commit()
        return found

    def transfer(self, src: int, dst: int, amount: int) -> bool:
        """Read both balances, compute, write both back; False when the money is not there."""
        with self.mariadb.cursor() as cursor:
            balance = self.both(cursor, src, dst)
            if balance[src] < amount:
                self.mariadb.rollback()
                return False
            # Written in the order of the ids, so that two transfers never wait for each other.
            changed = {src: balance[src] - amount, dst: balance[dst] + amount}
            for account in sorted(changed):
                cursor.execute(
                    "UPDATE account SET balance = %s WHERE id = %s", (changed[account], account)
                )
        self.mariadb.commit()
        return True

    def both(self, cursor: Any, src: int, dst: int) -> dict[int, int]:
        """Both balances, locked or not."""
        cursor.execute(
            f"SELECT id, balance FROM account WHERE id IN (%s, %s) ORDER BY id {self.lock}",
            (src, dst),
        )
        return dict(cursor.fetchall())


class ReadCommitted(_Accounts):
    """A01 with two rows on MariaDB: read, compute, write at read committed, without locks.

    Two transfers that touch one account both start from its old balance, and money appears or
    vanishes. Mend it with `for-update-ordered-mariadb`.
    """

    expect = "unsafe"
    anomaly = "conservation"
    isolation = "read committed"


class RepeatableRead(_Accounts):
    """A05 with two rows: the same at repeatable read, MariaDB's default, which does not help.

    The UPDATEs change the newest rows, whatever the snapshot showed. Mend it with FOR UPDATE.
    """

    expect = "unsafe"
    anomaly = "conservation"
    isolation = "repeatable read"


class ForUpdateOrdered(_Accounts):
    """A07 with two rows on MariaDB: lock both, in the order of their ids, before reading them."""

    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")
    lock = "FOR UPDATE"


class ForUpdateInCallersOrder(_Accounts):
    """A12: the account that pays is locked first, then the one that is paid.

    Of two transfers against each other the server ends one with a deadlock (1213): no money is
    lost, and some callers are turned away. Mend it by locking in the order of the ids.
    """

    expect = "live"
    anomaly = "deadlock"
    lock = "FOR UPDATE"

    def both(self, cursor: Any, src: int, dst: int) -> dict[int, int]:
        """One after the other, as the caller names them."""
        found = {}
        for account in (src, dst):
            cursor.execute("SELECT balance FROM account WHERE id = %s FOR UPDATE", (account,))
            found[account] = cursor.fetchone()[0]
        return found


class SerializableRetry(_Accounts):
    """A24 with two rows on MariaDB: no locks in the code; serializable, and all of it again on 1213.

    Every plain SELECT locks what it reads, so two transfers that read the same account end in a
    deadlock, and one of them begins again.
    """

    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")
    isolation = "serializable"

    def balances(self) -> dict[int, int]:
        """Read, from the beginning if the database says so."""
        return again(self.mariadb, super().balances)

    def transfer(self, src: int, dst: int, amount: int) -> bool:
        """Move money, from the beginning if the database says so."""
        transfer = super().transfer
        return again(self.mariadb, lambda: transfer(src, dst, amount))
