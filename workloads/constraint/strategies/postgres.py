"""Groups and their members in PostgreSQL: at least one must stay."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from ....harness.context import Context

_COUNT = "SELECT count(*) FROM member WHERE team = %s"


class CheckThenLeave:
    """A23: count the others, then leave, at repeatable read.

    Two members count at the same time, each sees the other one, and both leave. Mend it with
    serializable, or by locking the group's row before counting.
    """

    workload = "constraint"
    needs = ("postgres",)
    expect = "unsafe"
    anomaly = "G2-item"
    faults: tuple[str, ...] = ()
    isolation = "repeatable read"
    postgres: Connection[Any]

    def setup(self, ctx: Context) -> None:
        """One row per group, one per member."""
        with ctx.postgres.transaction(), ctx.postgres.cursor() as cursor:
            cursor.execute("CREATE TABLE team (id int PRIMARY KEY)")
            cursor.execute("CREATE TABLE member (team int, id int, PRIMARY KEY (team, id))")
            for team, members in ctx.initial.items():
                cursor.execute("INSERT INTO team VALUES (%s)", (team,))
                cursor.executemany(
                    "INSERT INTO member VALUES (%s, %s)", [(team, member) for member in members]
                )

    def open(self, ctx: Context) -> None:
        """Keep the connection; how many must stay is the workload's to say."""
        self.postgres = ctx.postgres
        self.least = int(ctx.params["least"])

    def join(self, group: int, member: int) -> None:
        """One statement."""
        self.postgres.execute(
            "INSERT INTO member VALUES (%s, %s) ON CONFLICT DO NOTHING", (group, member)
        )
        self.postgres.commit()

    def leave(self, group: int, member: int) -> bool:
        """Count, then delete."""
        self.before_counting(group)
        counted = self.postgres.execute(_COUNT, (group,)).fetchone()
        enough = counted is not None and counted[0] > self.least
        left = False
        if enough:
            deleted = self.postgres.execute(
                "DELETE FROM member WHERE team = %s AND id = %s", (group, member)
            )
            left = deleted.rowcount == 1
        self.postgres.commit()
        return left

    def before_counting(self, group: int) -> None:
        """Nothing keeps the others away."""

    def members(self, group: int) -> list[int]:
        """One statement, one snapshot."""
        rows = self.postgres.execute("SELECT id FROM member WHERE team = %s", (group,)).fetchall()
        self.postgres.commit()
        return [member for (member,) in rows]


class CheckThenLeaveReadCommitted(CheckThenLeave):
    """A23 at read committed, where the count is out of date as soon as it is answered.

    Mend it with serializable, or by locking the group's row before counting.
    """

    isolation = "read committed"


class Serializable(CheckThenLeave):
    """A24: the code of A23 at serializable: of two who would both leave one is refused with 40001."""

    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    isolation = "serializable"


class LockParent(CheckThenLeave):
    """A24 with a lock: SELECT ... FOR UPDATE of the group's row, at read committed, and then count.

    The lock is a statement of its own, so that the count sees what the one before has committed.
    """

    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    isolation = "read committed"

    def before_counting(self, group: int) -> None:
        """Wait for all others of this group."""
        self.postgres.execute("SELECT id FROM team WHERE id = %s FOR UPDATE", (group,))


class LockParentRepeatableRead(LockParent):
    """A24b: the lock of `lock-parent` at repeatable read, where it does not help.

    The snapshot is taken before the lock is waited for: the count still sees who has left
    meanwhile. Mend it with read committed, or by updating the group's row.
    """

    expect = "unsafe"
    anomaly = "G2-item"
    faults = ()
    isolation = "repeatable read"


class OnePathReadCommitted(Serializable):
    """A25: everything at serializable, except that member 0 leaves by another path.

    Serializable protects only from others who are serializable, too. Mend it by giving every
    path the same level.
    """

    expect = "unsafe"
    anomaly = "G2-item"
    faults = ()

    def leave(self, group: int, member: int) -> bool:
        """The old batch job was never changed."""
        if member == 0:
            self.postgres.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        return super().leave(group, member)
