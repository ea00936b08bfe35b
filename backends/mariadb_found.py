"""The MariaDB server of this machine, and the Python package that talks to it."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from ..harness.errors import Unavailable
from .local import Found, of_version

MISSING = (
    "install mariadb-server (system package) and PyMySQL (Python package: "
    "pip install 'dokkaebi[mariadb]')"
)

_PLACES = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin")


def program(name: str) -> Path | None:
    """One of the server's programs; most lie where plain users do not look."""
    path = shutil.which(name) or shutil.which(name, path=":".join(_PLACES))
    return Path(path) if path else None


def found() -> list[Found]:
    """The MariaDB of this machine, if it can be set up and PyMySQL is there to talk to it."""
    server = program("mariadbd")
    if server is None or program("mariadb-install-db") is None or find_spec("pymysql") is None:
        return []
    try:
        said = subprocess.run(
            [server, "--version"], capture_output=True, text=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    match = re.search(r"(\d+(?:\.\d+)+)-MariaDB", said)
    if match is None:
        return []
    return [Found(name="mariadb", version=match[1], where=server, source="this machine")]


def choose(version: str | None) -> Found:
    """The server of this version; `Unavailable` says what is here, and how to get one."""
    if find_spec("pymysql") is None:
        raise Unavailable(f"mariadb needs PyMySQL to talk to the server; {MISSING}")
    return of_version(found(), "mariadb", version, MISSING)
