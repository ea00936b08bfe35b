"""A run's own database on a MariaDB server, whoever started that server.

Everything a run does happens in `dokkaebi_<run id>`; only sessions there are counted and ended. On
servers of ours the run has a user of the same name too, and the isolation asked for is what all
sessions of the server begin with, as drivers' own settings would reach neither `ctx.dsn` nor what a
strategy opens itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from ..harness.errors import Broken, UsageError
from ..harness.protocols import ClientSpec, Interruption
from .mariadb_server import MariaDBServer
from .network import Address

ISOLATIONS = ("read uncommitted", "read committed", "repeatable read", "serializable")
FACTORY = "dokkaebi.backends.mariadb_client:open_client"

_SESSIONS = "SELECT id FROM information_schema.processlist WHERE {whose} = %s"
_WHICH: Mapping[Interruption, str] = {
    "terminate": "",
    "cancel": " AND command = 'Query'",
    "cancel-waits": " AND state LIKE 'Waiting for semi-sync ACK%%'",
}
_TOLD = (
    "innodb_flush_log_at_trx_commit",
    "innodb_rollback_on_timeout",
    "innodb_snapshot_isolation",
    "log_bin",
    "rpl_semi_sync_master_enabled",
    "rpl_semi_sync_master_wait_point",
    "sync_binlog",
    "tx_isolation",
)


def isolation_name(asked: str) -> str:
    """The isolation level's name as the server knows it; `UsageError` for an unknown one."""
    name = " ".join(asked.replace("-", " ").replace("_", " ").lower().split())
    if name not in ISOLATIONS:
        raise UsageError(
            f"MariaDB has no isolation level {asked!r}; it has {', '.join(ISOLATIONS)}"
            " (and for a session that wants it, SET SESSION innodb_snapshot_isolation = ON)"
        )
    return name


def reached(node: str, at: Address, *, database: str) -> tuple[str, dict[str, Any]]:
    """How a run's clients reach a server: a connection string, and the driver's arguments."""
    arguments = {
        "host": at[0],
        "port": at[1],
        "user": database,
        "database": database,
        "ssl_disabled": True,
        "node": node,
    }
    return f"mysql://{database}@{at[0]}:{at[1]}/{database}", arguments


def expect_level(server: str, level: str, got: str) -> None:
    """`Broken` where a server's sessions do not begin with the level that was asked for."""
    if got.replace("-", " ").lower() != level:
        raise Broken(f"asked {server} for {level}, but its sessions begin with {got}")


class Asked(Protocol):
    """A server that answers questions."""

    name: str

    def ask(self, question: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """One statement, in autocommit; its rows. Raises `Broken`."""


class MariaDBRuns:
    """Databases, sessions and settings of MariaDB servers, by questions to them."""

    name = "mariadb"
    version: str

    _whose: ClassVar[str] = "db"
    """The column of the processlist that has a run's name."""

    def __init__(self) -> None:
        self._database: str | None = None
        """This run's."""

    # --- for the subclass ------------------------------------------------------------------------

    def _servers(self) -> Sequence[Asked]:
        """Those that run, the one that takes writes first."""
        raise NotImplementedError

    def _create(self, database: str, level: str | None) -> None:
        """Make a run's database."""
        raise NotImplementedError

    def _drop(self, database: str) -> None:
        """Remove it again."""
        raise NotImplementedError

    def _reached(self, database: str, level: str | None) -> tuple[str, dict[str, Any]]:
        """How a run's clients reach the server that takes writes, as `reached` says it."""
        raise NotImplementedError

    # --- a run's place ---------------------------------------------------------------------------

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Make this run's database and say how to reach it; read the isolation back."""
        level = None if isolation is None else isolation_name(isolation)
        database = f"dokkaebi_{run_id}"
        self._create(database, level)
        self._database = database
        dsn, arguments = self._reached(database, level)
        return ClientSpec(backend=self.name, factory=FACTORY, arguments=arguments, dsn=dsn)

    def finish(self) -> None:
        """Drop this run's database, and whoever is still in it."""
        if self._database is None:
            return
        database = self._database
        self.terminate_sessions()
        self._database = None
        self._drop(database)

    def sessions(self) -> int:
        """How many of this run's sessions the servers still show, those in a transaction too."""
        return sum(len(self._ours(server)) for server in self._servers())

    def terminate_sessions(self) -> None:
        """End this run's sessions on every server."""
        self._strike("terminate")

    def interrupt(self, how: Interruption) -> int:
        """End this run's sessions, or what they are at; how many."""
        return self._strike(how)

    def _strike(self, how: Interruption) -> int:
        kill = "KILL HARD CONNECTION" if how == "terminate" else "KILL HARD QUERY"
        struck = 0
        for server in self._servers():
            for number in self._ours(server, _WHICH[how]):
                try:
                    server.ask(f"{kill} {number}")
                except Broken:
                    continue  # it has ended meanwhile
                struck += 1
        return struck

    def _ours(self, server: Asked, which: str = "") -> list[int]:
        question = _SESSIONS.format(whose=self._whose) + which
        return [number for (number,) in server.ask(question, (self._database,))]

    def settings(self) -> dict[str, str]:
        """What decides about isolation, durability and replication."""
        told = self._servers()[0].ask("SHOW GLOBAL VARIABLES")
        return {name: value for name, value in told if name in _TOLD}


class OwnMariaDBRuns(MariaDBRuns):
    """On servers of ours: with a user for each run, and a level for all sessions."""

    _whose = "user"

    def _servers(self) -> Sequence[MariaDBServer]:
        raise NotImplementedError

    def _entrance(self) -> Address:
        """Where clients reach the one that takes writes."""
        raise NotImplementedError

    def _create(self, database: str, level: str | None) -> None:
        self._levels(level)
        server = self._servers()[0]
        server.ask(f"CREATE DATABASE `{database}`")
        server.ask(f"CREATE USER `{database}`@`%`")
        server.ask(f"GRANT ALL ON `{database}`.* TO `{database}`@`%`")

    def _levels(self, level: str | None) -> None:
        for server in self._servers():
            server.level(level)
            ((got,),) = server.ask("SELECT @@tx_isolation")
            if level is not None:
                expect_level(server.name, level, got)

    def _drop(self, database: str) -> None:
        server = self._servers()[0]
        self._forget_prepared(server)
        server.ask(f"DROP DATABASE IF EXISTS `{database}`")
        server.ask(f"DROP USER IF EXISTS `{database}`@`%`")
        self._levels(None)

    def _forget_prepared(self, server: MariaDBServer) -> None:
        # A transaction that was prepared and never decided keeps its tables from being dropped.
        for _, length, _, gid in server.ask("XA RECOVER"):
            server.ask(f"XA ROLLBACK '{gid[:length]}'")

    def _reached(self, database: str, level: str | None) -> tuple[str, dict[str, Any]]:
        return reached(self.name, self._entrance(), database=database)
