"""PostgreSQL behind pgbouncer, `postgres:pgbouncer`: few server sessions, many clients taking turns.

In `pool_mode = transaction` a client has a server session only while its transaction lasts: what
belongs to a session (advisory locks, SET, prepared statements) is left behind for the next client.
The isolation asked for is a setting of the run's database: pgbouncer lets no `options` through.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from typing import Any

import msgspec

from ..harness.errors import Unavailable
from ..harness.household import Household
from ..harness.protocols import ClientSpec
from .local import LocalServer, within
from .postgres import Postgres
from .postgres_runs import isolation_name, run_dsn, set_isolation
from .postgres_server import LOCAL, ask

POOL = 4
"""Server sessions for each database."""


class Pooler(LocalServer):
    """One pgbouncer in front of one PostgreSQL server."""

    name = "pgbouncer"

    def __init__(self, household: Household, server_port: int) -> None:
        super().__init__(household)
        self._server_port = server_port

    def start(self) -> None:
        """Write its configuration and start it."""
        folder = self._settle_in()
        users = folder / "users.txt"
        users.write_text('"postgres" ""\n')
        file = folder / "pgbouncer.ini"
        file.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self._server_port} user=postgres\n"
            "[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\nadmin_users = postgres\n"
            f"pool_mode = transaction\ndefault_pool_size = {POOL}\nmax_client_conn = 1000\n"
            "ignore_startup_parameters = extra_float_digits\nserver_reset_query =\n"
            "server_login_retry = 0.1\n"
        )
        for place in (users, file):
            if self.household.user:
                os.chown(place, self.household.user[0], -1)
        self._launch()

    def stop(self) -> None:
        """Stop it and remove its folder; safe to call twice."""
        if self.folder is None:
            return
        self._end(signal.SIGTERM)
        self._move_out()

    def admin(self, command: str) -> list[tuple[Any, ...]]:
        """A command of its console, and the rows that it answers."""
        dsn = f"postgresql://postgres@127.0.0.1:{self.port}/pgbouncer"
        return ask(dsn, command, client_cursor=True, **LOCAL)

    def answers(self) -> bool:
        """Whether its console answers within half a second."""
        return within(0.5, lambda: self.admin("SHOW VERSION"))

    def _argv(self) -> list[str]:
        return [str(program()), str(self._place() / "pgbouncer.ini")]


class PostgresBehindPooler(Postgres):
    """A PostgreSQL server of ours whose clients share a few sessions."""

    def __init__(
        self, household: Household, version: str | None = None, topology: str | None = None
    ) -> None:
        super().__init__(household, version=version)
        program()  # say at once what is missing
        self.topology = topology
        self.pooler: Pooler | None = None

    def start(self) -> None:
        """Start the server and then pgbouncer."""
        super().start()
        self.pooler = Pooler(self.household, self.port)
        self.pooler.start()

    def stop(self) -> None:
        """Stop both; safe to call twice."""
        if self.pooler is not None:
            self.pooler.stop()
        super().stop()

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Make this run's database with its isolation, reached through pgbouncer."""
        spec = super().prepare(run_id, isolation=None)
        database = f"dokkaebi_{run_id}"
        if isolation is not None:
            self._ask(set_isolation(database, isolation_name(isolation)))
        pooler = self._pooler()
        dsn = run_dsn(
            f"postgresql://postgres@127.0.0.1:{pooler.port}/",
            database=database,
            session=self._session,
            isolation=None,
        )
        # A statement that one server session has prepared is unknown to the next.
        arguments = {**spec.arguments, "dsn": dsn, "prepare_threshold": None}
        return msgspec.structs.replace(spec, dsn=dsn, arguments=arguments)

    def sessions(self) -> int:
        """How many of this run's clients pgbouncer still shows, and transactions the server."""
        clients = self._pooler().admin("SHOW CLIENTS")
        mine = sum(self._database in row for row in clients)
        ((busy,),) = self._ask(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state <> 'idle'",
            (self._database,),
        )
        return mine + int(busy)

    def answers(self) -> bool:
        """Whether both answer."""
        return super().answers() and (self.pooler is None or self.pooler.answers())

    def logs(self) -> list[Any]:
        """Both logs."""
        return [*super().logs(), *(self.pooler.logs() if self.pooler else [])]

    def _pooler(self) -> Pooler:
        if self.pooler is None:
            raise Unavailable("pgbouncer was not started")
        return self.pooler


def program() -> str:
    """Where pgbouncer is; `Unavailable` says how to get it."""
    found = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        raise Unavailable("pgbouncer is not here; install pgbouncer (system package)")
    return found


def version() -> str:
    """Its version, as it says itself."""
    said = subprocess.run([program(), "--version"], capture_output=True, text=True, timeout=10)
    match = re.search(r"\d[\d.]*", said.stdout)
    return match[0] if match else "unknown"
