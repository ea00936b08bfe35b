"""A run's own database on a PostgreSQL server, whoever started that server.

Everything a run does happens in `dokkaebi_<run id>`, in sessions named `dokkaebi-<run id>`; only
these are counted and terminated. The isolation asked for travels in the connection string,
because drivers' own attributes do not reach single statements and explicit BEGINs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from ..harness.errors import Broken, UsageError
from ..harness.protocols import ClientSpec, Interruption
from .local import within
from .postgres_server import ask

ISOLATIONS = ("read uncommitted", "read committed", "repeatable read", "serializable")
FACTORY = "dokkaebi.backends.postgres_client:open_client"

SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = %s AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = %s AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_INTERRUPT = """
SELECT count(*) FROM (SELECT {call} AS struck FROM pg_stat_activity
WHERE application_name = %s AND backend_type = 'client backend' AND {which}) s WHERE struck
"""
_INTERRUPTIONS: Mapping[Interruption, str] = {
    "terminate": _INTERRUPT.format(call="pg_terminate_backend(pid)", which="true"),
    "cancel": _INTERRUPT.format(call="pg_cancel_backend(pid)", which="state = 'active'"),
    "cancel-waits": _INTERRUPT.format(
        call="pg_cancel_backend(pid)", which="wait_event = 'SyncRep'"
    ),
}
_SETTINGS = """
SELECT name, setting || coalesce(' ' || unit, '') FROM pg_settings
WHERE setting IS DISTINCT FROM boot_val
  AND source NOT IN ('default', 'override', 'client', 'session')
  AND name NOT LIKE '%%\\_file' AND name NOT LIKE '%%director%%'
  AND name NOT LIKE 'lc\\_%%' AND name <> 'port'
ORDER BY name
"""


def isolation_name(asked: str) -> str:
    """The isolation level's name as the server knows it; `UsageError` for an unknown one."""
    name = " ".join(asked.replace("-", " ").replace("_", " ").lower().split())
    if name not in ISOLATIONS:
        raise UsageError(
            f"PostgreSQL has no isolation level {asked!r}; it has {', '.join(ISOLATIONS)}"
        )
    return name


def run_dsn(dsn: str, *, database: str, session: str, isolation: str | None) -> str:
    """The same server's address for another database, with the session's name and isolation."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    query["application_name"] = session
    if isolation is not None:
        level = isolation.replace(" ", "\\ ")
        setting = f"-c default_transaction_isolation={level}"
        query["options"] = " ".join(filter(None, (query.get("options"), setting)))
    path = "/" + quote(database, safe="")
    # Not as '+': libpq reads that as a plus sign.
    text = urlencode(query, quote_via=quote)
    return urlunsplit((parts.scheme, parts.netloc, path, text, ""))


class PostgresRuns:
    """Databases, sessions and settings of one PostgreSQL server, by questions to the server."""

    name = "postgres"
    version: str

    def __init__(self) -> None:
        self._database: str | None = None
        self._session = ""

    def _admin_dsn(self) -> str:
        """How the server is reached for questions that belong to no run."""
        raise NotImplementedError

    def _client_dsn(self) -> str:
        """How clients reach it, where that is another way."""
        return self._admin_dsn()

    def _extra_arguments(self) -> dict[str, Any]:
        """What a worker's connection needs beside the address."""
        return {}

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Make this run's database and say how to reach it; read the isolation back."""
        level = None if isolation is None else isolation_name(isolation)
        self._session = f"dokkaebi-{run_id}"
        database = f"dokkaebi_{run_id}"
        self._create(database)
        self._database = database
        dsn = run_dsn(self._client_dsn(), database=database, session=self._session, isolation=level)
        if level is not None:
            got = self._ask("SHOW default_transaction_isolation", dsn=dsn)[0][0]
            if got != level:
                raise Broken(f"asked the server for {level}, but its sessions start with {got}")
        return ClientSpec(
            backend=self.name,
            factory=FACTORY,
            arguments={"dsn": dsn, "node": self.name, **self._extra_arguments()},
            dsn=dsn,
        )

    def _create(self, database: str) -> None:
        self._ask(_sql("CREATE DATABASE {}", database))

    def finish(self) -> None:
        """Drop this run's database, and whoever is still in it."""
        if self._database is None:
            return
        database, self._database = self._database, None
        self._forget_prepared(database)
        self._ask(_sql("DROP DATABASE IF EXISTS {} WITH (FORCE)", database))

    def _forget_prepared(self, database: str) -> None:
        # A transaction that was prepared and never decided keeps its database from being dropped.
        found = self._ask("SELECT gid FROM pg_prepared_xacts WHERE database = %s", (database,))
        dsn = run_dsn(self._admin_dsn(), database=database, session=self._session, isolation=None)
        for (gid,) in found:
            self._ask(_sql("ROLLBACK PREPARED {}", literal=gid), dsn=dsn)

    def answers(self) -> bool:
        """Whether the server answers `SELECT 1` within half a second."""
        return within(0.5, lambda: self._ask("SELECT 1"))

    def sessions(self) -> int:
        """How many of this run's sessions the server still shows, those in a transaction too."""
        return int(self._ask(SESSIONS, (self._session,))[0][0])

    def terminate_sessions(self) -> None:
        """End this run's sessions on the server."""
        self._ask(TERMINATE, (self._session,))

    def interrupt(self, how: Interruption) -> int:
        """End this run's sessions, or what they are at; how many."""
        return int(self._ask(_INTERRUPTIONS[how], (self._session,))[0][0])

    def settings(self) -> Mapping[str, str]:
        """The server's settings that differ from its defaults; places and ports left out."""
        return dict(self._ask(_SETTINGS, ()))

    def _ask(
        self, question: Any, parameters: Sequence[Any] | None = None, *, dsn: str | None = None
    ) -> list[tuple[Any, ...]]:
        """One statement on a connection of its own, in autocommit; its rows."""
        return ask(dsn or self._admin_dsn(), question, parameters, **self._extra_arguments())


def set_isolation(database: str, level: str) -> Any:
    """The statement that makes a level the default of all sessions of a database."""
    from psycopg import sql

    return sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = {}").format(
        sql.Identifier(database), sql.Literal(level)
    )


def _sql(text: Any, identifier: str | None = None, *, literal: str | None = None) -> Any:
    from psycopg import sql

    filled = sql.Identifier(identifier) if identifier is not None else sql.Literal(literal)
    return sql.SQL(text).format(filled)  # all texts are in this file
