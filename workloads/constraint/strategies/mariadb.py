"""Groups and their members in MariaDB (InnoDB): at least one must stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....harness.context import Context
from ...mariadb import again

if TYPE_CHECKING:
    from pymysql.connections import Connection


class CheckThenLeave:
    """A23 on MariaDB: count the others, then leave, at repeatable read.

    Two members count at the same time, each sees the other one, and both leave. Mend it with
    serializable, or by locking the group's row before counting.
    """

    workload = "constraint"
    needs = ("mariadb",)
    expect = "unsafe"
    anomaly = "G2-item"
    faults: tuple[str, ...] = ()
    isolation = "repeatable read"
    mariadb: Connection

    def setup(self, ctx: Context) -> None:
        """One row per group, one per member."""
        with ctx.mariadb.cursor() as cursor:
            cursor.execute("CREATE TABLE team (id int PRIMARY KEY)")
            cursor.execute("CREATE TABLE member (team int, id int, PRIMARY KEY (team, id))")
            for team, members in ctx.initial.items():
                cursor.execute("INSERT INTO team VALUES (%s)", (team,))
                cursor.executemany(
                    "INSERT INTO member VALUES (%s, %s)", [(team, member) for member in members]
                )
        ctx.mariadb.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection; how many must stay is the workload's to say."""
        self.mariadb = ctx.mariadb
        self.least = int(ctx.params["least"])

    def join(self, group: int, member: int) -> None:
        """One statement."""
        with self.mariadb.cursor() as cursor:
            cursor.execute("INSERT IGNORE INTO member VALUES (%s, %s)", (group, member))
        self.mariadb.commit()

    def leave(self, group: int, member: int) -> bool:
        """Count, then delete."""
        left = False
        with self.mariadb.cursor() as cursor:
            self.before_counting(cursor, group)
            cursor.execute("SELECT count(*) FROM member WHERE team = %s", (group,))
            if cursor.fetchone()[0] > self.least:
                left = (
                    cursor.execute(
                        "DELETE FROM member WHERE team = %s AND id = %s", (group, member)
                    )
                    == 1
                )
        self.mariadb.commit()
        return left

    def before_counting(self, cursor: Any, group: int) -> None:
        """Nothing keeps the others away."""

    def members(self, group: int) -> list[int]:
        """One statement, one snapshot."""
        with self.mariadb.cursor() as cursor:
            cursor.execute("SELECT id FROM member WHERE team = %s", (group,))
            found = [member for (member,) in cursor.fetchall()]
        self.mariadb.commit()
        return found


class Serializable(CheckThenLeave):
    """A24 on MariaDB: the code of A23 at serializable, and all of it again on 1213.

    The count locks the rows it counts: of two who would both leave one is ended by a deadlock.
    """

    expect = "safe"
    anomaly = ""
    faults = ("none", "kill", "pause", "kill-client")
    isolation = "serializable"

    def join(self, group: int, member: int) -> None:
        """From the beginning if the database says so."""
        join = super().join
        again(self.mariadb, lambda: join(group, member))

    def leave(self, group: int, member: int) -> bool:
        """From the beginning if the database says so."""
        leave = super().leave
        return again(self.mariadb, lambda: leave(group, member))


class LockParent(CheckThenLeave):
    """A24 with a lock on MariaDB: FOR UPDATE of the group's row, then count, at repeatable read.

    What PostgreSQL forbids (A24b) is sound here: a locking read takes no snapshot, so the first
    one is the count's, after the lock was given.
    """

    expect = "safe"
    anomaly = ""
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")

    def before_counting(self, cursor: Any, group: int) -> None:
        """Wait for all others of this group."""
        cursor.execute("SELECT id FROM team WHERE id = %s FOR UPDATE", (group,))


class LockParentAfterRead(LockParent):
    """A24b on MariaDB: a plain read comes before the lock, and takes the snapshot.

    After the wait the count still sees who has left meanwhile. Mend it by locking first, with read
    committed, or by counting with a locking read.
    """

    expect = "unsafe"
    anomaly = "G2-item"
    faults = ()

    def before_counting(self, cursor: Any, group: int) -> None:
        """Look the group up, then wait for all others of it."""
        cursor.execute("SELECT id FROM team WHERE id = %s", (group,))
        super().before_counting(cursor, group)
