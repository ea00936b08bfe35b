"""Names in a MariaDB table (InnoDB): every usual way to claim one, and what is wrong with some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....harness.context import Context

if TYPE_CHECKING:
    from pymysql.connections import Connection


class _Table:
    """The table that all of these share; what is declared unique differs."""

    workload = "unique"
    needs = ("mariadb",)
    columns: ClassVar[str] = "name int NOT NULL, owner int NOT NULL"
    mariadb: Connection

    def setup(self, ctx: Context) -> None:
        """One row per claim that succeeded."""
        with ctx.mariadb.cursor() as cursor:
            cursor.execute(f"CREATE TABLE claim ({self.columns}, KEY (name))")

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.mariadb = ctx.mariadb

    def claims(self) -> list[Any]:
        """One statement, one snapshot."""
        with self.mariadb.cursor() as cursor:
            cursor.execute("SELECT name, owner FROM claim")
            rows = list(cursor.fetchall())
        self.mariadb.commit()
        return rows


class CheckThenInsert(_Table):
    """A19 on MariaDB: look whether the name is free, then insert; nothing forbids two rows.

    Two sessions look at the same time and both insert. Mend it with a UNIQUE constraint.
    """

    expect = "unsafe"
    anomaly = "double-success"
    lock = ""

    def claim(self, name: int, owner: int) -> bool:
        """Look, then insert."""
        with self.mariadb.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM claim WHERE name = %s {self.lock}", (name,))
            found = cursor.fetchone()
            if found is None:
                cursor.execute("INSERT INTO claim (name, owner) VALUES (%s, %s)", (name, owner))
        self.mariadb.commit()
        return found is None


class ForUpdateOfNothing(CheckThenInsert):
    """A11: the same with FOR UPDATE, which at repeatable read locks the gap where no row is yet.

    Two sessions both lock the gap, both wait to insert into it, and the server ends one with a
    deadlock (1213): there is never a second row, but those who race are turned away. Mend it with a
    UNIQUE constraint.
    """

    expect = "live"
    anomaly = "deadlock"
    isolation = "repeatable read"
    lock = "FOR UPDATE"


class UniqueIndex(_Table):
    """A20 on MariaDB: a UNIQUE constraint, and its error 1062 means that somebody else was first."""

    expect = "safe"
    anomaly = ""
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    columns = "name int NOT NULL UNIQUE, owner int NOT NULL"

    def claim(self, name: int, owner: int) -> bool:
        """Insert, and believe the answer."""
        try:
            with self.mariadb.cursor() as cursor:
                cursor.execute("INSERT INTO claim (name, owner) VALUES (%s, %s)", (name, owner))
            self.mariadb.commit()
        except self.mariadb.IntegrityError:
            self.mariadb.rollback()
            return False
        return True


class UniqueWithNull(UniqueIndex):
    """A21 on MariaDB: the code of A20, but one column of the UNIQUE constraint is NULL.

    NULLs differ from one another. Mend it with NOT NULL and a value that stands for "none".
    """

    expect = "unsafe"
    anomaly = "double-success"
    faults = ()
    columns = "name int NOT NULL, deleted datetime, owner int NOT NULL, UNIQUE (name, deleted)"


class RowCountIgnored(UniqueIndex):
    """A22 on MariaDB: INSERT IGNORE, and everybody is told that the name is theirs.

    There is one row, but two owners. Mend it by looking at the row count.
    """

    expect = "unsafe"
    anomaly = "double-success"
    faults = ()

    def claim(self, name: int, owner: int) -> bool:
        """Insert, and take no error for success."""
        with self.mariadb.cursor() as cursor:
            cursor.execute("INSERT IGNORE INTO claim (name, owner) VALUES (%s, %s)", (name, owner))
        self.mariadb.commit()
        return True
