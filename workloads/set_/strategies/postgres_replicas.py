"""Sets in PostgreSQL with standbys: what is left of acknowledged elements after a failover."""

from __future__ import annotations

from ....harness.context import Context
from .postgres import Insert


class AsyncFailover(Insert):
    """D06: the primary acknowledges before any standby has the element, and then is lost.

    Cut off from its standbys it goes on acknowledging; the standby that is promoted never had
    those elements. Mend it with synchronous replication (`sync-failover`).
    """

    needs = ("postgres:replicas",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("partition-primary+failover",)


class SyncFailover(Insert):
    """D07: a commit is acknowledged only when a standby has it, and that standby is promoted.

    Cut off from its standbys the primary acknowledges nothing any more. It holds as long as the
    primary is not restarted before the promotion: then what waited becomes visible, and is lost.
    """

    needs = ("postgres:sync",)
    expect = "safe"
    faults = ("partition-primary+failover",)


class SplitBrain(Insert):
    """D09: the old primary comes back and takes writes, although another one was promoted.

    Sessions that were connected to it go on there, and what they add is gone when it is made a
    standby. Mend it by fencing the old primary before promoting another.
    """

    needs = ("postgres:replicas",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("failover-resumed",)


class CommitWaitCancelled(Insert):
    """D08s: a commit whose wait for a standby was cancelled is of unknown outcome.

    The server answers such a COMMIT with success and a warning. Whoever looks at warnings knows
    that the element is on the primary alone.
    """

    needs = ("postgres:sync",)
    expect = "safe"
    faults = ("partition-primary+cancel-waits+failover",)
    warnings: list[str]

    def open(self, ctx: Context) -> None:
        """Keep the connection, and what the server warns of."""
        super().open(ctx)
        self.warnings = []
        self.postgres.add_notice_handler(
            lambda notice: self.warnings.append(notice.message_primary or "")
        )

    def add(self, x: int) -> None:
        """One statement; a warning at its commit is not swallowed."""
        self.warnings.clear()
        super().add(x)
        if self.warnings:
            raise NotReplicated(self.warnings[0])


class CommitWarningIgnored(Insert):
    """D08: the same, and nobody looks at the warning.

    The caller is told that the element is there, and after the failover it is not. Mend it by
    treating a warning at COMMIT as an unknown outcome (`commit-wait-cancelled`).
    """

    needs = ("postgres:sync",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("partition-primary+cancel-waits+failover",)


class NotReplicated(Exception):
    """The element is on the primary, and perhaps nowhere else."""
