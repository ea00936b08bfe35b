"""PostgreSQL, started by us: one server with a fresh database for each run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..harness.errors import UsageError
from ..harness.household import Household
from .local import Found
from .postgres_found import DEFAULT, MISSING, choose, found
from .postgres_runs import PostgresRuns
from .postgres_server import LOCAL, PostgresServer

DURABLE = "durable"
"""The topology that syncs what it writes, and so survives a power loss."""


class Postgres(PostgresRuns, PostgresServer):
    """One PostgreSQL server of ours."""

    clusters: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("replicas", "sync", "delayed"), "dokkaebi.backends.postgres_cluster:PostgresCluster"
        ),
        "pgbouncer": "dokkaebi.backends.pgbouncer:PostgresBehindPooler",
    }
    """Topologies that are classes of their own."""

    def __init__(
        self, household: Household, version: str | None = None, topology: str | None = None
    ) -> None:
        if topology not in (None, DURABLE):
            known = ", ".join((DURABLE, *self.clusters))
            raise UsageError(f"postgres has no topology {topology!r}; it has {known}")
        PostgresRuns.__init__(self)
        settings = {"fsync": "on"} if topology == DURABLE else {}
        PostgresServer.__init__(self, household, choose(version or DEFAULT), settings=settings)

    @classmethod
    def available(cls) -> list[Found]:
        """The PostgreSQL servers on this machine."""
        return found()

    @classmethod
    def missing(cls) -> str:
        """How to get one."""
        return MISSING

    def start(self) -> None:
        """Make a data folder and start the server on it; wait until it answers."""
        self.make()
        self.launch()

    def stop(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""
        PostgresServer.stop(self)
        self._database = None

    def _admin_dsn(self) -> str:
        return self.dsn()

    def _extra_arguments(self) -> dict[str, Any]:
        return dict(LOCAL)
