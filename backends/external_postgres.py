"""A PostgreSQL server that somebody else runs."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..harness.errors import Broken, Unavailable, UsageError
from ..harness.household import Household
from ..harness.spec import redact
from .external_undo import Undo
from .postgres_runs import PostgresRuns, run_dsn


class ExternalPostgres(PostgresRuns):
    """A PostgreSQL server of somebody else's: each run makes its own database and drops it."""

    def __init__(self, dsn: str, household: Household | None = None) -> None:
        super().__init__()
        self._dsn = dsn
        self._undo = Undo(household, dsn)
        self.version = "unknown"

    def start(self) -> None:
        """See that it answers and that we may create databases there."""
        try:
            self.version = str(self._ask("SHOW server_version")[0][0]).split()[0]
        except Broken as error:
            raise Unavailable(f"{redact(self._dsn)} does not answer: {error}") from None
        may = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        if not self._ask(may)[0][0]:
            raise UsageError(
                f"{redact(self._dsn)}: this user may not create databases (CREATEDB), "
                "and each run needs one of its own"
            )

    def stop(self) -> None:
        """Remove this run's place, if it is still there."""
        self.finish()

    def finish(self) -> None:
        """Drop this run's database, and whoever is still in it."""
        super().finish()
        self._undo.done()

    def _create(self, database: str) -> None:
        self._undo.announce(f"{__name__}:drop_database", database=database)
        super()._create(database)

    def _admin_dsn(self) -> str:
        database = urlsplit(self._dsn).path.strip("/") or "postgres"
        return run_dsn(self._dsn, database=database, session="dokkaebi", isolation=None)


def drop_database(*, dsn: str, database: str) -> str:
    """Called when a harness died: drop what its run made; a sentence."""
    if not database.startswith("dokkaebi_"):
        raise ValueError(f"{database} is no run's database")
    server = ExternalPostgres(dsn)
    server._database = database
    server.finish()
    return f"dropped database {database} at {redact(dsn)}"
