"""One PostgreSQL server process of ours: its data folder made or copied, started, promoted, stopped.

Durability is off (`fsync=off`) unless it is asked for: a killed server keeps what it acknowledged,
because the kernel does; only a power loss would not be survived.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..harness.errors import Broken
from ..harness.household import Household
from ..harness.processes import boot_id
from .local import Found, LocalServer, readable, wait_until, within
from .network import Site
from .postgres_found import WHEEL
from .shared_memory import remove_shared_memory

_CONFIGURATION = """
fsync = off
shared_buffers = 64MB
wal_level = replica
wal_log_hints = on
hot_standby = on
wal_sender_timeout = 5s
wal_receiver_timeout = 5s
wal_retrieve_retry_interval = 200ms
wal_keep_size = 512MB
autovacuum = off
jit = off
max_connections = 300
max_prepared_transactions = 64
# Files in the data folder, which goes with it: nothing stays in /dev/shm after a SIGKILL.
dynamic_shared_memory_type = mmap
log_line_prefix = '%m [%p] %a '
log_timezone = UTC
timezone = UTC
"""

LOCAL: Mapping[str, Any] = {"sslmode": "disable", "gssencmode": "disable"}
"""Neither is spoken by our own servers: two round trips less for each connection."""


SEGMENT = 16 << 20
"""Bytes of a file of the log."""


class PostgresServer(LocalServer):
    """A server in a private folder on a private port, with whatever settings it is given."""

    def __init__(
        self,
        household: Household,
        found: Found,
        *,
        name: str = "postgres",
        settings: Mapping[str, str] | None = None,
        site: Site | None = None,
    ) -> None:
        super().__init__(household, site=site)
        self.name = name
        self.version = found.version
        self._found = found
        self._settings = dict(settings or {})
        self._undo: int | None = None

    # --- its life --------------------------------------------------------------------------------

    def make(self) -> None:
        """A private folder with an empty data folder in it; not started yet."""
        self._settle_in()
        self._init()
        self._configure()
        self._announce()

    def make_copy(self, source: str) -> None:
        """A private folder with a copy of another server's data; not started yet.

        `source` is a connection string without a database.
        """
        if self.folder is None:
            self._settle_in()
            self._announce()
        shutil.rmtree(self.data, ignore_errors=True)
        options = ["-X", "stream", "-c", "fast", "--no-sync"]
        self._run([self.program("pg_basebackup"), "-D", self.data, "-d", source, *options])

    def rewind(self, source: str) -> bool:
        """Take back what this server has and the source has not; whether that could be done."""
        told = ["--source-server", f"{source} dbname=postgres", "--no-sync"]
        try:
            self._run([self.program("pg_rewind"), "-D", self.data, *told])
        except Broken:
            return False
        return True

    def follow(self, source: str) -> None:
        """Be a standby of the source, from the next start on or at once."""
        (self.data / "standby.signal").touch()
        self.set("primary_conninfo", f"{source} application_name={self.name}")

    def launch(self) -> None:
        """Start it and wait until it answers."""
        self._launch()

    def stop(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""
        if self.folder is None:
            return
        self._end(signal.SIGINT)  # a "fast" shutdown: sessions are ended, nothing is waited for
        remove_shared_memory(data=str(self.data), boot=boot_id())
        if self._undo is not None:
            self.household.undone(self._undo)
            self._undo = None
        self._move_out()

    def shut_down(self) -> None:
        """Stop it cleanly; its data stay."""
        self._end(signal.SIGINT)

    def _announce(self) -> None:
        self._undo = self.household.undo_on_death(
            "dokkaebi.backends.shared_memory:remove_shared_memory",
            {"data": str(self.data), "boot": boot_id()},
        )

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.storage / "data"

    def program(self, name: str) -> Path:
        """One of the version's programs."""
        return self._bin_folder() / name

    def _init(self) -> None:
        who = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums"]
        quick = ["--no-sync", "--no-instructions"]
        self._run([self.program("initdb"), "-D", self.data, *who, *quick])

    def _configure(self) -> None:
        """Our settings, whatever a copy brought along; none is ever set elsewhere."""
        ours = self.data / "dokkaebi.conf"
        own = [f"port = {self.port}", f"listen_addresses = '{self.site.listen}'"]
        own += [f"unix_socket_directories = '{self._place()}'"]
        own += [f"{name} = '{value}'" for name, value in self._settings.items()]
        ours.write_text(_CONFIGURATION + "\n".join(own) + "\n")
        main = self.data / "postgresql.conf"
        text = main.read_text()
        if "include 'dokkaebi.conf'" not in text:
            main.write_text(f"{text}\ninclude 'dokkaebi.conf'\n")
            self._admit()

    def _admit(self) -> None:
        """Let in who does not come from loopback, as those from there are."""
        if self.site.trusted is not None:
            with (self.data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self.site.trusted} trust\n")
                rules.write(f"host replication all {self.site.trusted} trust\n")

    def _bin_folder(self) -> Path:
        home = self._found.where.parent
        beside = []
        if WHEEL in str(home):
            libraries = home.parent.with_name(f"{WHEEL}.libs")
            beside = [libraries] if libraries.exists() else []
        return readable(home, beside=beside) / "bin"

    def _argv(self) -> list[str]:
        return [str(self.program("postgres")), "-D", str(self.data)]

    # --- questions -------------------------------------------------------------------------------

    def dsn(self, database: str = "postgres") -> str:
        """The address at which it listens itself."""
        return f"postgresql://postgres@{self.site.host}:{self.port}/{database}?application_name=dokkaebi"

    def ask(self, question: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
        """One statement on a connection of its own, in autocommit; its rows."""
        return ask(self.dsn(), question, parameters, **LOCAL)

    def ask_in(self, database: str, question: str) -> list[tuple[Any, ...]]:
        """One statement in another database than `postgres`."""
        return ask(self.dsn(database), question, **LOCAL)

    def log_file(self) -> Path | None:
        """The file in which the newest part of its log lies."""
        at = self.received() if self.role() == "replica" else self.applied()
        number = (at - 1) // SEGMENT
        name = f"{number // 256:08X}{number % 256:08X}"
        return max((self.data / "pg_wal").glob(f"????????{name}"), default=None)

    def answers(self) -> bool:
        """Whether the server answers `SELECT 1` within half a second."""
        return within(0.5, lambda: self.ask("SELECT 1"))

    def role(self) -> str:
        """`primary` or `replica`, as it says itself; `unknown` if it does not answer."""
        told: list[str] = []

        def look() -> None:
            ((replica,),) = self.ask("SELECT pg_is_in_recovery()")
            told.append("replica" if replica else "primary")

        within(0.5, look)
        return told[0] if told else "unknown"

    def now(self) -> float:
        """The server's wall clock, in seconds since 1970."""
        ((seconds,),) = self.ask("SELECT extract(epoch FROM clock_timestamp())::float8")
        return float(seconds)

    # --- replication -----------------------------------------------------------------------------

    def set(self, name: str, value: str) -> None:
        """Change a setting for good, and let the server know if it runs."""
        self._settings[name] = value
        self._configure()
        if self._server is not None and not self._server.exited.is_set():
            self.ask("SELECT pg_reload_conf()")
            self._await_setting(name, value)

    def _await_setting(self, name: str, value: str) -> None:
        if not wait_until(lambda: self._reads(name) == value, 5.0):
            raise Broken(f"{self.name} was told {name} = {value} and reads {self._reads(name)}")

    def _reads(self, name: str) -> str:
        ((value,),) = self.ask(
            "SELECT coalesce((SELECT setting FROM pg_file_settings WHERE name = %s AND applied"
            " ORDER BY seqno DESC LIMIT 1), '')",
            (name,),
        )
        return str(value)

    def promote(self) -> None:
        """Make this replica a primary; it takes writes when this returns."""
        if self.ask("SELECT pg_promote(true, 10)") != [(True,)]:
            raise Broken(f"{self.name} could not be promoted: {self.role()}")

    def applied(self) -> int:
        """Up to where it has replayed the log, in bytes; a primary's own end of it."""
        ((at,),) = self.ask(
            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
            " ELSE pg_current_wal_lsn() END - '0/0'"
        )
        return int(at or 0)

    def received(self) -> int:
        """Up to where it has the log, in bytes."""
        ((at,),) = self.ask(
            "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'"
        )
        return int(at or 0)


def ask(
    dsn: str,
    question: Any,
    parameters: Any = None,
    *,
    client_cursor: bool = False,
    **arguments: Any,
) -> list[tuple[Any, ...]]:
    """One statement on a connection of its own, in autocommit; its rows. Raises `Broken`.

    With `client_cursor` it goes as the simple query that consoles of poolers want.
    """
    import psycopg

    if client_cursor:
        arguments["cursor_factory"] = psycopg.ClientCursor
    try:
        with psycopg.connect(
            dsn, autocommit=True, connect_timeout=5, prepare_threshold=None, **arguments
        ) as connection:
            cursor = connection.execute(question, parameters)
            return cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        raise Broken(f"postgres: {' '.join(str(error).split())}") from error
