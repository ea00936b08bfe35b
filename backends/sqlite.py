"""SQLite: one file in WAL mode for each run, opened by every worker; there is no server.

So there is nothing to kill or to pause, and nobody who could tell which sessions are open.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from ..harness.errors import UsageError
from ..harness.household import Household
from ..harness.protocols import ClientSpec
from .local import Found

FACTORY = "dokkaebi.backends.sqlite_client:open_client"


class Sqlite:
    """The SQLite library that Python brought; its only isolation level is serializable."""

    name = "sqlite"
    version = sqlite3.sqlite_version

    def __init__(
        self, household: Household, version: str | None = None, topology: str | None = None
    ) -> None:
        if topology is not None:
            raise UsageError(f"sqlite has no topology {topology!r}")
        if version is not None and not f"{self.version}.".startswith(f"{version}."):
            raise UsageError(f"sqlite {version} was asked for, but this Python has {self.version}")
        self._household = household
        self._folder: Path | None = None

    @classmethod
    def available(cls) -> list[Found]:
        """SQLite is always there."""
        place = Path(sqlite3.__file__).parent
        return [Found(name="sqlite", version=cls.version, where=place, source="Python")]

    @classmethod
    def missing(cls) -> str:
        """Cannot be."""
        return "use a Python with the sqlite3 module"

    def start(self) -> None:
        """Nothing is to be started."""

    def prepare(self, run_id: str, *, isolation: str | None) -> ClientSpec:
        """Make this run's file and say where it is."""
        if isolation is not None and isolation.lower() != "serializable":
            raise UsageError(
                f"SQLite has no isolation level {isolation!r}; it has only serializable"
            )
        self.finish()
        self._folder = self._household.folder("sqlite")
        path = self._folder / f"{run_id}.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        arguments = {"path": str(path), "node": self.name}
        return ClientSpec(backend=self.name, factory=FACTORY, arguments=arguments, dsn=str(path))

    def answers(self) -> bool:
        """Whether the file can be read."""
        return self._folder is not None and any(self._folder.glob("*.db"))

    def sessions(self) -> int:
        """1 while somebody is writing: more cannot be known of a file."""
        path = self._file()
        if path is None:
            return 0
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return 1
            connection.execute("ROLLBACK")
        return 0

    def terminate_sessions(self) -> None:
        """Nobody can: a writer ends with its process."""

    def finish(self) -> None:
        """Remove this run's file."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def settings(self) -> Mapping[str, str]:
        """What was set otherwise than SQLite's default."""
        return {"journal_mode": "wal"}

    def stop(self) -> None:
        """Remove what is left."""
        self.finish()

    def _file(self) -> Path | None:
        return next(self._folder.glob("*.db"), None) if self._folder is not None else None
