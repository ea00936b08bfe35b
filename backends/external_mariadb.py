"""A MariaDB server that somebody else runs.

A run makes nothing but its database: its sessions are told by being there, and the isolation asked
for is set by each of them (`init_command`), because a server's setting would be everybody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from ..harness.errors import Broken, Unavailable, UsageError
from ..harness.household import Household
from ..harness.spec import redact
from .external_undo import Undo
from .local import within
from .mariadb_runs import MariaDBRuns, expect_level
from .mariadb_server import ask

OPTIONS = ("charset", "ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_cert", "ssl_verify_identity")
"""What may stand behind the question mark of an address: arguments of PyMySQL's `connect`."""

_ACCESS_DENIED = "(1044,"
_LOCK_WAIT_S = 10


class ExternalMariaDB(MariaDBRuns):
    """A MariaDB server of somebody else's: each run makes its own database and drops it."""

    def __init__(self, dsn: str, household: Household | None = None) -> None:
        super().__init__()
        self._dsn = dsn
        self._arguments = arguments(dsn)
        self._undo = Undo(household, dsn)
        self.version = "unknown"

    def start(self) -> None:
        """See that it answers, is MariaDB, and makes tables of InnoDB's."""
        try:
            ((version, engine),) = self.ask("SELECT VERSION(), @@default_storage_engine")
        except Broken as error:
            raise Unavailable(f"{redact(self._dsn)} does not answer: {error}") from None
        self.version, _, kind = version.partition("-")
        if "MariaDB" not in kind:
            raise UsageError(
                f"{redact(self._dsn)} is version {version}, expected MariaDB: "
                "of no other server are its definite errors known"
            )
        if engine != "InnoDB":
            raise UsageError(
                f"{redact(self._dsn)}: its default_storage_engine is {engine}, expected InnoDB"
            )

    def stop(self) -> None:
        """Remove this run's place, if it is still there."""
        self.finish()

    def answers(self) -> bool:
        """Whether the server answers `SELECT 1` within half a second."""
        return within(0.5, lambda: self.ask("SELECT 1"))

    def ask(self, question: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """One statement on a connection of its own, in autocommit; its rows. Raises `Broken`."""
        return [tuple(row) for row in ask(self._arguments, question, parameters)]

    def _servers(self) -> Sequence[ExternalMariaDB]:
        return [self]

    def _create(self, database: str, level: str | None) -> None:
        self._undo.announce(f"{__name__}:drop_database", database=database)
        try:
            self.ask(f"CREATE DATABASE `{database}`")
        except Broken as error:
            self._undo.done()
            if _ACCESS_DENIED not in str(error):
                raise
            raise UsageError(
                f"{redact(self._dsn)}: this user may not create databases, and each run needs one "
                "of its own (GRANT ALL ON `dokkaebi\\_%`.* TO the user)"
            ) from None

    def _drop(self, database: str) -> None:
        # Transactions that were prepared and never decided are not ours to judge: they hold it.
        waits = f"lock_wait_timeout = {_LOCK_WAIT_S}, innodb_lock_wait_timeout = {_LOCK_WAIT_S}"
        self.ask(f"SET STATEMENT {waits} FOR DROP DATABASE `{database}`")
        self._undo.done()

    def _reached(self, database: str, level: str | None) -> tuple[str, dict[str, Any]]:
        given = {**self._arguments, "database": database}
        parts = urlsplit(self._dsn)
        query = dict(parse_qsl(parts.query))
        if level is not None:
            begin = f"SET SESSION TRANSACTION ISOLATION LEVEL {level.upper()}"
            given["init_command"] = query["init_command"] = begin
            ((got,),) = ask(given, "SELECT @@tx_isolation", None)
            expect_level(self.name, level, got)
        text = urlencode(query, quote_via=quote)
        dsn = urlunsplit(("mysql", parts.netloc, f"/{database}", text, ""))
        return dsn, {**given, "node": self.name}


def arguments(dsn: str) -> dict[str, Any]:
    """What PyMySQL's `connect` is given for an address; `UsageError` for an unknown option."""
    parts = urlsplit(dsn)
    try:
        port = parts.port or 3306
    except ValueError:
        raise UsageError(f"--dsn {redact(dsn)}: its port is no number below 65536") from None
    given: dict[str, Any] = {"host": parts.hostname or "localhost", "port": port}
    if parts.username:
        given["user"] = unquote(parts.username)
    if parts.password:
        given["password"] = unquote(parts.password)
    for name, value in parse_qsl(parts.query):
        if name not in OPTIONS:
            raise UsageError(
                f"--dsn {redact(dsn)}: {name!r} is no option of an address of MariaDB; "
                f"there are {', '.join(OPTIONS)}"
            )
        given[name] = value
    return given


def drop_database(*, dsn: str, database: str) -> str:
    """Called when a harness died: drop what its run made; a sentence."""
    if not database.startswith("dokkaebi_"):
        raise ValueError(f"{database} is no run's database")
    server = ExternalMariaDB(dsn)
    if not server.ask("SHOW DATABASES LIKE %s", (database.replace("_", "\\_"),)):
        return ""
    server._database = database
    server.finish()
    return f"dropped database {database} at {redact(dsn)}"
