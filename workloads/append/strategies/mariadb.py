"""Lists in MariaDB (InnoDB), as text in one row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ....harness.context import Context
from ...mariadb import again

if TYPE_CHECKING:
    from pymysql.connections import Connection

MOST = 10_000
"""Lists that are there from the beginning, empty: what is not there makes InnoDB lock gaps."""


class Concat:
    """A list is a text; an append is one statement that concatenates, at serializable.

    Serializable is two-phase locking here: every plain SELECT locks the rows that it reads, and of
    two that wait for each other one is ended with a deadlock (1213), to begin again.
    """

    workload = "append"
    needs = ("mariadb",)
    expect = "safe"
    anomaly = ""
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    isolation = "serializable"
    mariadb: Connection

    def setup(self, ctx: Context) -> None:
        """One row per list, as many as most runs need."""
        with ctx.mariadb.cursor() as cursor:
            cursor.execute("CREATE TABLE list (id int PRIMARY KEY, elements text NOT NULL)")
            cursor.execute("INSERT INTO list SELECT seq, '' FROM seq_0_to_%s", (MOST,))
        ctx.mariadb.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.mariadb = ctx.mariadb

    def txn(self, mops: list[Any]) -> list[Any]:
        """One transaction, one statement for each step; from the beginning after a deadlock."""
        return again(self.mariadb, lambda: self._steps(mops))

    def _steps(self, mops: list[Any]) -> list[Any]:
        done = [list(mop) for mop in mops]
        with self.mariadb.cursor() as cursor:
            for mop in done:
                if mop[0] == "r":
                    mop[2] = self.elements(cursor, mop[1])
                else:
                    self.append(cursor, mop[1], mop[2])
        self.mariadb.commit()
        return done

    def elements(self, cursor: Any, key: int) -> list[int] | None:
        """The list as it is now; None where nothing is in it."""
        cursor.execute("SELECT elements FROM list WHERE id = %s", (key,))
        row = cursor.fetchone()
        return [int(element) for element in row[0].split(",")] if row and row[0] else None

    def append(self, cursor: Any, key: int, element: int) -> None:
        """One statement, whether the list exists or not."""
        cursor.execute(
            "INSERT INTO list VALUES (%s, %s) ON DUPLICATE KEY UPDATE"
            " elements = concat_ws(',', nullif(elements, ''), values(elements))",
            (key, str(element)),
        )


class ConcatRepeatableRead(Concat):
    """A05 with lists: the statements of `concat-mariadb` at repeatable read, MariaDB's default.

    Reads see the snapshot, writes see the newest row: a transaction that has written reads half of
    what others did meanwhile, and two that read before they write never hear of each other. Mend
    it with serializable.
    """

    expect = "unsafe"
    anomaly = "G-single"
    faults = ()
    isolation = "repeatable read"


class ConcatReadCommitted(Concat):
    """The same at read committed, where each statement sees another moment.

    A transaction sees one half of another one and not the other. Mend it with serializable.
    """

    expect = "unsafe"
    anomaly = "G-single"
    faults = ()
    isolation = "read committed"


class ConcatReadUncommitted(Concat):
    """The same at read uncommitted, where everybody sees what is not committed yet.

    Two transactions each see what the other one has written so far. Mend it with read committed
    at least, which costs InnoDB nothing.
    """

    expect = "unsafe"
    anomaly = "G1c"
    faults = ()
    isolation = "read uncommitted"


class ConcatSnapshotIsolation(Concat):
    """A06 with lists: repeatable read with `innodb_snapshot_isolation = ON`, and again on 1020.

    That is snapshot isolation, and held to no more than that.
    """

    faults: tuple[str, ...] = ("none", "kill", "kill-client")
    isolation = "repeatable read"
    params: ClassVar[dict[str, Any]] = {"level": "snapshot-isolation"}

    def open(self, ctx: Context) -> None:
        """Keep the connection, and ask for the setting."""
        super().open(ctx)
        with self.mariadb.cursor() as cursor:
            cursor.execute("SET SESSION innodb_snapshot_isolation = ON")


class ConcatSnapshotWriteSkew(ConcatSnapshotIsolation):
    """The same, held to what snapshot isolation does not promise: that it is as if one ran after
    another.

    Two transactions each read what the other one is about to append to. Mend it with serializable.
    """

    expect = "unsafe"
    anomaly = "G2-item"
    faults = ()
    params: ClassVar[dict[str, Any]] = {}
