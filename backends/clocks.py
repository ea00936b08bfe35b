"""A clock of its own for a server process, by libfaketime: it can be set while the server runs.

Only the wall clock moves; the monotonic one, by which servers wait, stays true. It costs a server
some of its speed, so a server gets such a clock only when a clock fault was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..harness.errors import Unavailable

_PLACES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")
MISSING = "install libfaketime (system package)"


def library() -> Path | None:
    """Where libfaketime lies; None if it is not here."""
    found = (path for pattern in _PLACES for path in Path("/").glob(pattern.lstrip("/")))
    return next(found, None)


class Clock:
    """The wall clock of one server process; `file` is where its shift stands."""

    def __init__(self, file: Path) -> None:
        found = library()
        if found is None:
            raise Unavailable(f"a clock fault needs libfaketime; {MISSING}")
        self._library = found
        self._file = file
        self.shift(0)

    def environment(self) -> Mapping[str, str]:
        """What a server's process must be started with."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def shift(self, seconds: float) -> None:
        """From now on the clock is so much ahead of the machine's (behind it if negative)."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+f}\n")
        new.chmod(0o644)
        # At once: a server reads the file at any moment.
        os.replace(new, self._file)
