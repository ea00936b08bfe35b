"""One MariaDB server process of ours: its data folder made or copied, started, replicating, stopped.

What it acknowledged survives a SIGKILL, because the kernel has it; a power loss is survived only
where syncing is asked for. Tables are InnoDB's: of no other engine could be said what an error took
back.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..harness.errors import Broken
from ..harness.household import Household
from .local import Found, LocalServer, within
from .mariadb_found import program
from .network import Address, Site

_LOG_SIZE = "32M"
_OPTIONS: Mapping[str, str] = {
    "character-set-server": "utf8mb4",
    "enforce-storage-engine": "InnoDB",
    "innodb-buffer-pool-dump-at-shutdown": "OFF",
    "innodb-buffer-pool-load-at-startup": "OFF",
    "innodb-buffer-pool-size": "64M",
    "innodb-flush-log-at-trx-commit": "2",
    "innodb-log-file-size": _LOG_SIZE,
    "innodb-use-native-aio": "OFF",
    "max-connections": "300",
    "skip-name-resolve": "ON",
}
_INSTALL = ("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
# Whatever is written before the server starts is synced, or lost, as a whole.
_QUICK = (f"--innodb-log-file-size={_LOG_SIZE}", "--innodb-flush-method=nosync")

REPLICATION: Mapping[str, str] = {
    "binlog-format": "ROW",
    "gtid-strict-mode": "ON",
    "log-bin": "binlog",
    "log-slave-updates": "ON",
    "relay-log": "relay",
    "slave-net-timeout": "5",
    # Beside the replicated transactions themselves: a killed replica knows where it was.
    "sync-binlog": "0",
}


class Replica(msgspec.Struct, frozen=True):
    """What a replica says about itself; positions are (log file of the primary, offset)."""

    hears: bool
    applies: bool
    received: tuple[str, int]
    applied: tuple[str, int]


class MariaDBServer(LocalServer):
    """A server in a private folder on a private port, with whatever options it is given."""

    def __init__(
        self,
        household: Household,
        found: Found,
        *,
        name: str = "mariadb",
        options: Mapping[str, str] | None = None,
        site: Site | None = None,
    ) -> None:
        super().__init__(household, site=site)
        self.name = name
        self.version = found.version
        self._found = found
        self._options = {**_OPTIONS, **(options or {})}
        """By their names on the command line."""

    # --- its life --------------------------------------------------------------------------------

    def make(self) -> None:
        """A private folder with an empty data folder in it; not started yet."""
        if self.folder is None:
            self._settle_in()
        self._run(
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                *_INSTALL,
                *_QUICK,
                f"--datadir={self.data}",
            ]
        )

    def make_copy(self, source: MariaDBServer) -> None:
        """A private folder with a copy of a server's data that does not run; not started yet."""
        if self.folder is None:
            self._settle_in()
        self._run(["/bin/cp", "-a", source.data, self.data])

    def clear(self) -> None:
        """Remove its data."""
        self._run(["/bin/rm", "-rf", self.data])

    def launch(self) -> None:
        """Start it and wait until it answers."""
        self._launch()

    def stop(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""
        if self.folder is None:
            return
        # It has nothing to say at its end that a SIGKILL would lose.
        self._end(signal.SIGKILL)
        self._move_out()

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.storage / "data"

    def _argv(self) -> list[str]:
        folder = self._place()
        own = {
            "datadir": str(self.data),
            "socket": str(self._socket()),
            "pid-file": str(folder / "pid"),
            "tmpdir": str(folder),
            "port": str(self.port),
            "bind-address": self.site.listen,
        }
        options = {**self._options, **own}
        return [
            str(self._found.where),
            "--no-defaults",
            *(f"--{n}={v}" for n, v in options.items()),
        ]

    # --- questions -------------------------------------------------------------------------------

    def _socket(self) -> Path:
        return self._place() / "socket"

    def address(self) -> dict[str, Any]:
        """Where the harness reaches it whatever is cut, and who has all rights there."""
        return {"unix_socket": str(self._socket()), "user": "root", "ssl_disabled": True}

    def ask(self, question: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """One statement on a connection of its own, in autocommit; its rows. Raises `Broken`."""
        return [tuple(row) for row in ask(self.address(), question, parameters)]

    def tell(self, question: str) -> dict[str, Any]:
        """The first row that a SHOW answers, by its columns; empty where there is none."""
        from pymysql.cursors import DictCursor

        rows = ask(self.address(), question, None, cursorclass=DictCursor)
        return dict(rows[0]) if rows else {}

    def answers(self) -> bool:
        """Whether the server answers `SELECT 1` within half a second."""
        return within(0.5, lambda: self.ask("SELECT 1"))

    def now(self) -> float:
        """The server's wall clock, in seconds since 1970."""
        ((seconds,),) = self.ask("SELECT UNIX_TIMESTAMP(SYSDATE(6))")
        return float(seconds)

    def set(self, name: str, value: str) -> None:
        """Change an option from its next start on, and at once if it runs."""
        self._options[name] = value
        if self.processes():
            self.ask(f"SET GLOBAL {name.replace('-', '_')} = %s", (_typed(value),))

    def level(self, name: str | None) -> None:
        """The isolation that sessions begin with, now and from its next start on."""
        chosen = (name or "repeatable read").upper()
        self._options["transaction-isolation"] = chosen.replace(" ", "-")
        if self.processes():
            self.ask(f"SET GLOBAL TRANSACTION ISOLATION LEVEL {chosen}")

    # --- replication -----------------------------------------------------------------------------

    def role(self) -> str:
        """`primary` or `replica`, as it says itself; `unknown` if it does not answer."""
        told: list[str] = []

        def look() -> None:
            told.append("replica" if self.tell("SHOW SLAVE STATUS") else "primary")

        within(0.5, look)
        return told[0] if told else "unknown"

    def follow(self, address: Address) -> None:
        """Be a replica of who is reached at this address, from where its own data end."""
        self.set("read-only", "ON")
        self.ask(
            "CHANGE MASTER TO MASTER_HOST = %s, MASTER_PORT = %s, MASTER_USER = 'follower',"
            " MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 1",
            address,
        )
        self.ask("START SLAVE")

    def lead(self) -> None:
        """Apply all that was received, then be a primary that takes writes."""
        self.ask("STOP SLAVE IO_THREAD")
        self.ask("START SLAVE SQL_THREAD")
        self._apply_all()
        self.ask("STOP SLAVE")
        self.ask("RESET SLAVE ALL")
        self.set("read-only", "OFF")

    def adopt(self) -> None:
        """Be where the server was that this one is a copy of, with a log of its own."""
        ((position,),) = self.ask("SELECT @@GLOBAL.gtid_binlog_pos")
        self.ask("RESET MASTER")
        self.ask("SET GLOBAL gtid_slave_pos = %s", (position,))

    def _apply_all(self) -> None:
        received = self.tell("SHOW SLAVE STATUS")["Gtid_IO_Pos"]
        if not received:
            return
        ((waited,),) = self.ask("SELECT MASTER_GTID_WAIT(%s, 10)", (received,))
        if waited != 0:
            raise Broken(f"{self.name} did not apply what it had received ({received})")

    def received(self) -> tuple[str, int]:
        """Up to where it has the log of the primary."""
        state = self.replica()
        return state.received if state else ("", 0)

    def replica(self) -> Replica | None:
        """How its replication stands; None where it follows nobody."""
        told = self.tell("SHOW SLAVE STATUS")
        if not told:
            return None
        return Replica(
            hears=told["Slave_IO_Running"] == "Yes",
            applies=told["Slave_SQL_Running"] == "Yes",
            received=(told["Master_Log_File"], int(told["Read_Master_Log_Pos"])),
            applied=(told["Relay_Master_Log_File"], int(told["Exec_Master_Log_Pos"])),
        )

    def log_end(self) -> tuple[str, int]:
        """Up to where its own log reaches."""
        told = self.tell("SHOW MASTER STATUS")
        return told["File"], int(told["Position"])

    def offset(self, place: tuple[str, int]) -> int:
        """A place in its own log as bytes from the log's beginning."""
        before = 0
        for name, size, *_ in self.ask("SHOW BINARY LOGS"):
            if name == place[0]:
                return before + place[1]
            before += int(size)
        return before


def _program(name: str) -> Path:
    path = program(name)
    if path is None:
        raise Broken(f"{name} is gone")
    return path


def _typed(value: str) -> str | int:
    return int(value) if value.isdigit() else value


def ask(
    address: Mapping[str, Any], question: str, parameters: Sequence[Any] | None, **options: Any
) -> Sequence[Any]:
    """One statement on a connection of its own, in autocommit; its rows. Raises `Broken`."""
    import pymysql

    try:
        connection = pymysql.connect(
            **address,
            **options,
            autocommit=True,
            connect_timeout=5,
            read_timeout=30,
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(question, parameters)
                rows: Sequence[Any] = cursor.fetchall()
                return rows
        finally:
            connection.close()
    except pymysql.err.MySQLError as error:
        raise Broken(f"mariadb: {' '.join(str(error).split())}") from error
