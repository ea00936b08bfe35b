"""Servers that somebody else runs, by their address (`--dsn`): nothing but a run's own place is touched.

They can neither be killed nor paused: these classes lack the powers.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ..harness.errors import Broken, Unavailable, UsageError
from ..harness.household import Household
from ..harness.spec import redact
from .postgres_runs import PostgresRuns, run_dsn
from .valkey_runs import ValkeyRuns

OWNER = "dokkaebi:owner"


def external(dsn: str, household: Household | None = None) -> ExternalPostgres | ExternalValkey:
    """The backend at an address; its scheme says which kind it is.

    With a household, what the run makes there is removed even if the harness is killed.
    """
    scheme = urlsplit(dsn).scheme
    if scheme in ("postgres", "postgresql"):
        return ExternalPostgres(dsn, household)
    if scheme in ("redis", "rediss", "valkey", "valkeys"):
        return ExternalValkey(dsn, household)
    raise UsageError(
        f"--dsn {redact(dsn)}: its scheme must be postgresql, postgres, valkey or redis"
    )


def without_password(dsn: str) -> str:
    """The address as it may be written to disk."""
    parts = urlsplit(dsn)
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    netloc = f"{name}@{host}" if name else host
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


class _Undo:
    """What to do about a run's place if the harness dies; nothing without a household."""

    def __init__(self, household: Household | None, dsn: str) -> None:
        self._household = household
        self._dsn = dsn
        self._number: int | None = None

    def announce(self, function: str, **arguments: Any) -> None:
        if self._household is not None:
            self._number = self._household.undo_on_death(
                f"{__name__}:{function}",
                {"dsn": without_password(self._dsn), **arguments},
                secret={"dsn": self._dsn},
            )

    def done(self) -> None:
        if self._household is not None and self._number is not None:
            self._household.undone(self._number)
        self._number = None


class ExternalPostgres(PostgresRuns):
    """A PostgreSQL server of somebody else's: each run makes its own database and drops it."""

    def __init__(self, dsn: str, household: Household | None = None) -> None:
        super().__init__()
        self._dsn = dsn
        self._undo = _Undo(household, dsn)
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
        self._undo.announce("drop_database", database=database)
        super()._create(database)

    def _admin_dsn(self) -> str:
        database = urlsplit(self._dsn).path.strip("/") or "postgres"
        return run_dsn(self._dsn, database=database, session="dokkaebi", isolation=None)


class ExternalValkey(ValkeyRuns):
    """A Valkey or Redis server of somebody else's: a run claims one empty database number."""

    def __init__(self, dsn: str, household: Household | None = None) -> None:
        super().__init__()
        self._dsn = dsn
        self._undo = _Undo(household, dsn)
        self._run: str | None = None
        self.version = "unknown"

    def start(self) -> None:
        """See that it answers."""
        try:
            with self._admin() as server:
                info = server.info("server")
        except Broken as error:
            raise Unavailable(f"{redact(self._dsn)} does not answer: {error}") from None
        self.version = str(info.get("valkey_version") or info.get("redis_version", "unknown"))

    def stop(self) -> None:
        """Remove this run's place, if it is still there."""
        self.finish()

    def _claim(self, run_id: str) -> None:
        with self._admin() as server:
            holds = server.dbsize()
            if holds:
                owner = server.get(OWNER)
                raise UsageError(
                    f"{redact(self._dsn)}: this database number must be empty, but holds {holds} "
                    f"keys{f' of run {owner}' if owner else ''}; choose another (…/5)"
                )
            self._undo.announce("empty_database", run_id=run_id)
            if not server.set(OWNER, run_id, nx=True):
                self._undo.done()
                raise UsageError(f"{redact(self._dsn)}: another run has just claimed it")
        self._run = run_id

    def _empty(self) -> None:
        if self._run is None:
            return
        run, self._run = self._run, None
        with self._admin() as server:
            mine = _empty_if_ours(server, run)
        self._undo.done()
        if not mine:
            raise Broken(
                f"{redact(self._dsn)}: {OWNER} is no longer this run's, so nothing was deleted"
            )

    def _server_dsn(self) -> str:
        return self._dsn


def _empty_if_ours(server: Any, run_id: str) -> bool:
    """FLUSHDB, if the claim is still this run's."""
    if server.get(OWNER) != run_id:
        return False
    server.flushdb()
    return True


# --- called when a harness died ------------------------------------------------------------------


def drop_database(*, dsn: str, database: str) -> str:
    """Drop what a dead run made on a PostgreSQL server; a sentence."""
    if not database.startswith("dokkaebi_"):
        raise ValueError(f"{database} is no run's database")
    server = ExternalPostgres(dsn)
    server._database = database
    server.finish()
    return f"dropped database {database} at {redact(dsn)}"


def empty_database(*, dsn: str, run_id: str) -> str:
    """Empty the database number that a dead run claimed; a sentence."""
    server = ExternalValkey(dsn)
    with server._admin() as connection:
        mine = _empty_if_ours(connection, run_id)
    return f"emptied {redact(dsn)}, which run {run_id} had claimed" if mine else ""
