"""Names in a PostgreSQL table: every usual way to claim one, and what is wrong with some of them."""

from __future__ import annotations

from typing import Any, ClassVar

from psycopg import Connection, errors

from ....harness.context import Context


class _Table:
    """The table that all of these share; what is declared unique differs."""

    workload = "unique"
    needs = ("postgres",)
    columns: ClassVar[str] = "name int NOT NULL, owner int NOT NULL"
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per claim that succeeded."""
        ctx.postgres.execute(f"CREATE TABLE claim ({self.columns})")
        ctx.postgres.execute("CREATE INDEX ON claim (name)")
        ctx.postgres.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.postgres = ctx.postgres

    def claims(self) -> list[Any]:
        """One statement, one snapshot."""
        rows = self.postgres.execute("SELECT name, owner FROM claim").fetchall()
        self.postgres.commit()
        return rows


class CheckThenInsert(_Table):
    """A19: look whether the name is free, then insert; nothing in the database forbids two rows.

    Two sessions look at the same time and both insert. Mend it with a UNIQUE constraint.
    """

    expect = "unsafe"
    anomaly = "double-success"
    look: ClassVar[str] = "SELECT 1 FROM claim WHERE name = %s"

    def claim(self, name: int, owner: int) -> bool:
        """Look, then insert."""
        found = self.postgres.execute(self.look, (name,)).fetchone()
        if found is None:
            self.postgres.execute("INSERT INTO claim (name, owner) VALUES (%s, %s)", (name, owner))
        self.postgres.commit()
        return found is None


class CheckThenInsertRepeatableRead(CheckThenInsert):
    """A19 at repeatable read, which hides rows that come later and refuses none.

    Mend it with a UNIQUE constraint, or with serializable.
    """

    isolation = "repeatable read"


class ForUpdateOfNoRow(CheckThenInsert):
    """A10: look with FOR UPDATE whether the name is free, at read committed, then insert.

    It locks the rows that it finds. As long as the name is free it finds none, so nothing is
    locked. Mend it with a UNIQUE constraint, or by locking something that exists.
    """

    isolation = "read committed"
    look = "SELECT 1 FROM claim WHERE name = %s FOR UPDATE"


class UniqueIndex(_Table):
    """A20: a UNIQUE constraint, and its error 23505 means that somebody else was first."""

    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    columns = "name int NOT NULL UNIQUE, owner int NOT NULL"

    def claim(self, name: int, owner: int) -> bool:
        """Insert, and believe the answer."""
        try:
            self.postgres.execute("INSERT INTO claim (name, owner) VALUES (%s, %s)", (name, owner))
            self.postgres.commit()
        except errors.UniqueViolation:
            self.postgres.rollback()
            return False
        return True


class UniqueWithNull(UniqueIndex):
    """A21: the code of A20, but one column of the UNIQUE constraint is NULL, and NULLs differ.

    Mend it with NOT NULL, or with UNIQUE NULLS NOT DISTINCT.
    """

    expect = "unsafe"
    anomaly = "double-success"
    faults = ()
    columns = "name int NOT NULL, deleted timestamp, owner int NOT NULL, UNIQUE (name, deleted)"


class RowCountIgnored(_Table):
    """A22: ON CONFLICT DO NOTHING, and everybody is told that the name is theirs.

    There is one row, but two owners. Mend it by looking at the row count.
    """

    expect = "unsafe"
    anomaly = "double-success"
    columns = "name int NOT NULL UNIQUE, owner int NOT NULL"

    def claim(self, name: int, owner: int) -> bool:
        """Insert, and take no error for success."""
        self.postgres.execute(
            "INSERT INTO claim (name, owner) VALUES (%s, %s) ON CONFLICT DO NOTHING", (name, owner)
        )
        self.postgres.commit()
        return True
