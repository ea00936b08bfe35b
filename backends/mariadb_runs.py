"""A run's own database and user on a MariaDB server of ours.

Everything a run does happens in `dokkaebi_<run id>`, by a user of the same name; only that user's
sessions are counted and ended. The isolation asked for is what all sessions of the server begin
with, as drivers' own settings would reach neither `ctx.dsn` nor what a strategy opens itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..harness.errors import Broken, UsageError
from ..harness.protocols import ClientSpec, Interruption
from .mariadb_server import MariaDBServer
from .network import Address

ISOLATIONS = ("read uncommitted", "read committed", "repeatable read", "serializable")
FACTORY = "dokkaebi.backends.mariadb_client:open_client"

_SESSIONS = "SELECT id FROM information_schema.processlist WHERE user = %s"
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


class MariaDBRuns:
    """Databases, sessions and settings of MariaDB servers of ours, by questions to them."""

    name = "mariadb"
    version: str

    def __init__(self) -> None:
        self._database: str | None = None
        """This run's, and the name of its user."""

    # --- for the subclass ------------------------------------------------------------------------

    def _servers(self) -> Sequence[MariaDBServer]:
        """Those that run, the one that takes writes first."""
        raise NotImplementedError

    def _entrance(self) -> Address:
        """Where clients reach the one that takes writes."""
        raise NotImplementedError

    # --- a run's place ---------------------------------------------------------------------------

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Make this run's database and user, and say how to reach it; read the isolation back."""
        level = None if isolation is None else isolation_name(isolation)
        self._levels(level)
        database = f"dokkaebi_{run_id}"
        self._create(database)
        self._database = database
        dsn, arguments = reached(self.name, self._entrance(), database=database)
        return ClientSpec(backend=self.name, factory=FACTORY, arguments=arguments, dsn=dsn)

    def _levels(self, level: str | None) -> None:
        for server in self._servers():
            server.level(level)
            ((got,),) = server.ask("SELECT @@tx_isolation")
            if level is not None and got.replace("-", " ").lower() != level:
                raise Broken(f"asked {server.name} for {level}, but its sessions begin with {got}")

    def _create(self, database: str) -> None:
        server = self._servers()[0]
        server.ask(f"CREATE DATABASE `{database}`")
        server.ask(f"CREATE USER `{database}`@`%`")
        server.ask(f"GRANT ALL ON `{database}`.* TO `{database}`@`%`")

    def finish(self) -> None:
        """Drop this run's database and user, and whoever is still in it."""
        if self._database is None:
            return
        database = self._database
        self.terminate_sessions()
        self._database = None
        server = self._servers()[0]
        self._forget_prepared(server)
        server.ask(f"DROP DATABASE IF EXISTS `{database}`")
        server.ask(f"DROP USER IF EXISTS `{database}`@`%`")
        self._levels(None)

    def _forget_prepared(self, server: MariaDBServer) -> None:
        # A transaction that was prepared and never decided keeps its tables from being dropped.
        for _, length, _, gid in server.ask("XA RECOVER"):
            server.ask(f"XA ROLLBACK '{gid[:length]}'")

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

    def _ours(self, server: MariaDBServer, which: str = "") -> list[int]:
        return [number for (number,) in server.ask(_SESSIONS + which, (self._database,))]

    def settings(self) -> dict[str, str]:
        """What decides about isolation, durability and replication."""
        told = self._servers()[0].ask("SHOW GLOBAL VARIABLES")
        return {name: value for name, value in told if name in _TOLD}
