"""A queue of jobs in a PostgreSQL table: how a job is claimed, carried out and taken away.

The effect of a job is a row in a table of effects, so that what was done twice stands there twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg import Connection

from ....harness.context import Context

LEASE_S = 1.0


class _Table:
    """The tables that all of these share."""

    workload = "queue"
    needs = ("postgres",)
    postgres: Connection[Any]
    point: Callable[[str], None]

    def setup(self, ctx: Context) -> None:
        """Jobs in the order of their ids; effects in the order in which they were had."""
        for statement in (
            "CREATE TABLE job (id bigserial PRIMARY KEY, message bigint NOT NULL,"
            " status text NOT NULL DEFAULT 'new',"
            " taken_until timestamptz NOT NULL DEFAULT '-infinity')",
            "CREATE TABLE effect (id bigserial PRIMARY KEY, message bigint NOT NULL)",
        ):
            ctx.postgres.execute(statement)
        ctx.postgres.commit()

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.postgres, self.point = ctx.postgres, ctx.point

    def enqueue(self, message: int) -> None:
        """One row."""
        self.postgres.execute("INSERT INTO job (message) VALUES (%s)", (message,))
        self.postgres.commit()

    def effects(self) -> list[int]:
        """One statement, one snapshot."""
        rows = self.postgres.execute("SELECT message FROM effect ORDER BY id").fetchall()
        self.postgres.commit()
        return [message for (message,) in rows]

    def _next(self, more: str = "") -> tuple[int, int] | None:
        """The oldest job that is new: its id and its message."""
        row: Any = self.postgres.execute(
            f"SELECT id, message FROM job WHERE status = 'new' ORDER BY id LIMIT 1 {more}"
        ).fetchone()
        return row  # type: ignore[no-any-return]

    def _carry_out(self, job: tuple[int, int]) -> int:
        """The effect, and the end of the job, in the transaction that is open."""
        number, message = job
        self.postgres.execute("INSERT INTO effect (message) VALUES (%s)", (message,))
        self.postgres.execute("DELETE FROM job WHERE id = %s", (number,))
        return message


class SkipLocked(_Table):
    """A26: claim with SKIP LOCKED, have the effect and delete the job in one transaction.

    A consumer that dies lets go of its job, and nothing of what it did remains.
    """

    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")

    def consume(self) -> int | None:
        """Claim, carry out, delete, commit."""
        job = self._next("FOR UPDATE SKIP LOCKED")
        message = self._carry_out(job) if job else None
        self.postgres.commit()
        return message


class ClaimWithoutStatus(_Table):
    """A27: read the oldest new job, then mark it taken by its id alone.

    Two consumers read the same job, both mark it, and both carry it out. Mend it with the status
    in the UPDATE's WHERE and a look at the row count, or with FOR UPDATE SKIP LOCKED.
    """

    expect = "unsafe"
    anomaly = "duplicate-effect"

    def consume(self) -> int | None:
        """Read, mark, commit; carry out, delete, commit."""
        job = self._next()
        if job:
            self.postgres.execute("UPDATE job SET status = 'taken' WHERE id = %s", (job[0],))
        self.postgres.commit()
        message = self._carry_out(job) if job else None
        self.postgres.commit()
        return message


class ClaimThenWork(_Table):
    """A28: claim with SKIP LOCKED, commit the claim, then work; nobody looks after old claims.

    What a consumer had claimed when it died stays claimed for ever. Mend it with a lease that brings
    it back (`lease-and-unique`), or by working in the transaction of the claim (`skip-locked`).
    """

    expect = "unsafe"
    anomaly = "lost-message"
    faults = ("kill-client",)

    def consume(self) -> int | None:
        """Claim, commit; carry out, delete, commit."""
        job = self._next("FOR UPDATE SKIP LOCKED")
        if job:
            self.postgres.execute("UPDATE job SET status = 'taken' WHERE id = %s", (job[0],))
        self.postgres.commit()
        if job is None:
            return None
        self.point("claimed")
        message = self._carry_out(job)
        self.postgres.commit()
        return message


class _Leased(_Table):
    """A claim ends by itself: then somebody else may take the job."""

    def _claim(self) -> tuple[int, int] | None:
        row: Any = self.postgres.execute(
            "UPDATE job SET taken_until = clock_timestamp() + %s * interval '1 s' WHERE id ="
            " (SELECT id FROM job WHERE taken_until < clock_timestamp()"
            " ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, message",
            (LEASE_S,),
        ).fetchone()
        self.postgres.commit()
        return row  # type: ignore[no-any-return]

    def consume(self) -> int | None:
        """Claim, commit; carry out, delete, commit."""
        job = self._claim()
        if job is None:
            return None
        self.point("claimed")
        message = self._carry_out(job)
        self.postgres.commit()
        return message


class LeaseAndUnique(_Leased):
    """Claims are leases, and an effect that was had already is not had again.

    Consumers may die, or outlive their lease: the job comes back, and the message's UNIQUE id beside
    the effect, in the transaction that ends the job, lets it count once.
    """

    expect = "safe"
    faults = ("none", "kill", "kill-client", "pause-client")
    lasts = 2 * LEASE_S

    def setup(self, ctx: Context) -> None:
        """A message may have one effect."""
        super().setup(ctx)
        ctx.postgres.execute("CREATE UNIQUE INDEX ON effect (message)")
        ctx.postgres.commit()

    def _carry_out(self, job: tuple[int, int]) -> int:
        number, message = job
        self.postgres.execute(
            "INSERT INTO effect (message) VALUES (%s) ON CONFLICT DO NOTHING", (message,)
        )
        self.postgres.execute("DELETE FROM job WHERE id = %s", (number,))
        return message


class LeaseOnly(_Leased):
    """Claims are leases, and a consumer that was stopped for longer goes on where it was.

    The job has come back meanwhile and somebody else has carried it out. Mend it by making the
    effect idempotent (`lease-and-unique`).
    """

    expect = "unsafe"
    anomaly = "duplicate-effect"
    faults = ("pause-client",)
    lasts = 2 * LEASE_S


class SkipLockedAsFifo(SkipLocked):
    """A29: SKIP LOCKED by several consumers, taken for a queue that keeps the order.

    Who claims the second job may be done before the one who claimed the first. Mend it by letting
    one consumer at a time work (`one-at-a-time`).
    """

    expect = "unsafe"
    anomaly = "order-violation"
    faults = ()  # type: ignore[assignment]
    ordered = "all"


class OneAtATime(_Table):
    """The same with an advisory lock that a consumer holds until its transaction ends.

    The lock is a statement of its own, so that the job is looked for after it was taken.
    """

    expect = "safe"
    faults = ("none", "kill", "kill-client")
    ordered = "all"

    def consume(self) -> int | None:
        """Lock; claim, carry out, delete, commit."""
        self.postgres.execute("SELECT pg_advisory_xact_lock(26)")
        job = self._next()
        message = self._carry_out(job) if job else None
        self.postgres.commit()
        return message
