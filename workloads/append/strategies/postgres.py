"""Lists in PostgreSQL: as text in one row, or as rows with positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from psycopg import Connection

from ....harness.context import Context

_READ = "SELECT elements FROM list WHERE id = %s"
_LOCKED_READ = f"{_READ} FOR SHARE"
_ABSENT_READ = "INSERT INTO list VALUES (%s, '') RETURNING elements"
MOST = 10_000
"""Lists that are there from the beginning, empty."""


class Concat:
    """A list is a text; an append is one statement that concatenates, at serializable.

    Reads lock the row that they read, made if there is none, so that what they saw stays true
    until the commit, whatever the server's own tracking of reads misses (`concat-plain-reads`).
    """

    workload = "append"
    needs = ("postgres",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    isolation = "serializable"
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per list, as many as most runs need: what is not there cannot be locked."""
        ctx.postgres.execute("CREATE TABLE list (id int PRIMARY KEY, elements text NOT NULL)")
        ctx.postgres.execute("INSERT INTO list SELECT n, '' FROM generate_series(0, %s) n", (MOST,))
        ctx.postgres.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection; a transaction in a deadlock soon gives up, long before the server
        looks for one."""
        self.postgres = ctx.postgres
        self.postgres.execute("SET lock_timeout = '25ms'")
        self.postgres.commit()

    def txn(self, mops: list[Any]) -> list[Any]:
        """One transaction, one statement for each step."""
        for mop in mops:
            if mop[0] == "r":
                mop[2] = self.elements(mop[1])
            else:
                self.append(mop[1], mop[2])
        self.postgres.commit()
        return mops

    def elements(self, key: int) -> list[int] | None:
        """The list as it is now; None where nothing is in it."""
        row = self.postgres.execute(_LOCKED_READ, (key,)).fetchone()
        return parsed(row or self.postgres.execute(_ABSENT_READ, (key,)).fetchone())

    def append(self, key: int, element: int) -> None:
        """One statement, whether the list exists or not."""
        self.postgres.execute(
            "INSERT INTO list VALUES (%s, %s) ON CONFLICT (id) DO UPDATE"
            " SET elements = concat_ws(',', nullif(list.elements, ''), excluded.elements)",
            (key, str(element)),
        )


class ConcatPlainReads(Concat):
    """The same with plain reads, at serializable, which should be as if one ran after another.

    PostgreSQL 15 to 18 let a rare G2-item through: a transaction becomes visible before its commit
    is entered where conflicts are tracked, and of two that commit within that moment a third may
    see the one and not the other (docs/findings.md).
    """

    known: ClassVar[Mapping[str, str]] = {
        "G2-item": "a race between commits in PostgreSQL's serializable, see docs/findings.md"
    }

    def elements(self, key: int) -> list[int] | None:
        """One statement, no lock."""
        return parsed(self.postgres.execute(_READ, (key,)).fetchone())


class ThreeTables(ConcatPlainReads):
    """J4: lists in three tables, one write to each, plain reads, at serializable.

    The workload with which a G2-item at serializable was reported of PostgreSQL 18.4
    (hackorum.dev/topics/139733); `make hunt` looks for it with 50 connections.
    """

    params: ClassVar[Mapping[str, Any]] = {"writes": 1, "keys": 12}

    def setup(self, ctx: Context) -> None:
        """Three empty tables."""
        for table in range(3):
            ctx.postgres.execute(
                f"CREATE TABLE list{table} (id int PRIMARY KEY, elements text NOT NULL)"
            )
        ctx.postgres.commit()

    def elements(self, key: int) -> list[int] | None:
        """One statement, no lock."""
        row = self.postgres.execute(
            f"SELECT elements FROM list{key % 3} WHERE id = %s", (key,)
        ).fetchone()
        return parsed(row)

    def append(self, key: int, element: int) -> None:
        """One statement, whether the list exists or not."""
        table = f"list{key % 3}"
        self.postgres.execute(
            f"INSERT INTO {table} VALUES (%s, %s) ON CONFLICT (id) DO UPDATE"
            f" SET elements = concat({table}.elements, ',', excluded.elements)",
            (key, str(element)),
        )


class ConcatRepeatableRead(ConcatPlainReads):
    """J2: the statements of `concat` at repeatable read, which is snapshot isolation.

    Two transactions each read what the other one is about to append to. Mend it with
    serializable.
    """

    expect = "unsafe"
    anomaly = "G2-item"
    faults = ()
    isolation = "repeatable read"


class ConcatReadCommitted(ConcatPlainReads):
    """The statements of `concat` at read committed, where each statement sees another moment.

    A transaction sees one half of another one and not the other. Mend it with serializable.
    """

    expect = "unsafe"
    anomaly = "G-single"
    faults = ()
    isolation = "read committed"


class ReadModifyWrite(ConcatPlainReads):
    """The list is read, extended in Python and written back, at read committed.

    Two sessions read the same list, and the second write wipes out the first one's element. Mend
    it by concatenating in the statement, with serializable, or with SELECT ... FOR UPDATE.
    """

    expect = "unsafe"
    anomaly = "lost-update"
    faults = ()
    isolation = "read committed"

    def append(self, key: int, element: int) -> None:
        """Read, extend, write."""
        extended = [*(self.elements(key) or ()), element]
        self.postgres.execute(
            "INSERT INTO list VALUES (%s, %s)"
            " ON CONFLICT (id) DO UPDATE SET elements = excluded.elements",
            (key, ",".join(map(str, extended))),
        )


class RowsByParentLock(Concat):
    """Each element is a row; its position comes from a counter in the list's own row.

    Counting locks that row until the commit, so positions are given in the order of commits. A
    sequence would not do: its numbers are drawn in another order than transactions commit.
    """

    def setup(self, ctx: Context) -> None:
        """One row per list, as many as most runs need, and later one per element."""
        ctx.postgres.execute("CREATE TABLE list (id int PRIMARY KEY, length int NOT NULL)")
        ctx.postgres.execute("INSERT INTO list SELECT n, 0 FROM generate_series(0, %s) n", (MOST,))
        ctx.postgres.execute(
            "CREATE TABLE element (list int, position int, value bigint,"
            " PRIMARY KEY (list, position))"
        )
        ctx.postgres.commit()

    def elements(self, key: int) -> list[int] | None:
        """The rows by position, once nobody can add one any more."""
        locked = self.postgres.execute("SELECT FROM list WHERE id = %s FOR SHARE", (key,))
        if not locked.rowcount:
            self.postgres.execute("INSERT INTO list VALUES (%s, 0)", (key,))
        rows = self.postgres.execute(
            "SELECT value FROM element WHERE list = %s ORDER BY position", (key,)
        ).fetchall()
        return [value for (value,) in rows] or None

    def append(self, key: int, element: int) -> None:
        """Lock and count, then insert."""
        row = self.postgres.execute(
            "INSERT INTO list VALUES (%s, 1)"
            " ON CONFLICT (id) DO UPDATE SET length = list.length + 1 RETURNING length",
            (key,),
        ).fetchone()
        position = row[0] if row else 0
        self.postgres.execute("INSERT INTO element VALUES (%s, %s, %s)", (key, position, element))


def parsed(row: tuple[str] | None) -> list[int] | None:
    """The elements of a list's text; None where there are none."""
    return [int(element) for element in row[0].split(",")] if row and row[0] else None
