"""Counters in PostgreSQL behind a pooler that gives sessions out for one transaction at a time."""

from __future__ import annotations

from .postgres import AdvisoryLockFirst, AdvisoryLockInTheStatement


class AdvisoryLockThroughPooler(AdvisoryLockFirst):
    """A31: the lock belongs to the transaction that does the work, and ends with it."""

    needs = ("postgres:pgbouncer",)
    faults = ("none", "kill")


class AdvisoryLockWithThePooledRead(AdvisoryLockInTheStatement):
    """A31b: lock and read in one statement, whose snapshot is older than the wait for the lock.

    Mend it by taking the lock in a statement of its own (`advisory-lock-through-pooler`).
    """

    needs = ("postgres:pgbouncer",)
