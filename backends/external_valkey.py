"""A Valkey or Redis server that somebody else runs."""

from __future__ import annotations

from typing import Any

from ..harness.errors import Broken, Unavailable, UsageError
from ..harness.household import Household
from ..harness.spec import redact
from .external_undo import Undo
from .valkey_runs import ValkeyRuns

OWNER = "dokkaebi:owner"


class ExternalValkey(ValkeyRuns):
    """A Valkey or Redis server of somebody else's: a run claims one empty database number."""

    def __init__(self, dsn: str, household: Household | None = None) -> None:
        super().__init__()
        self._dsn = dsn
        self._undo = Undo(household, dsn)
        self._run: str | None = None
        self.version = "unknown"

    def start(self) -> None:
        """See that it answers."""
        try:
            with self._admin() as server:
                info = server.info("server")
        except Broken as error:
            raise Unavailable(f"{redact(self._dsn)} does not answer: {error}") from None
        self.version = str(info.get("valkey_version") or info.get("redis_version", "unknown"))

    def stop(self) -> None:
        """Remove this run's place, if it is still there."""
        self.finish()

    def _claim(self, run_id: str) -> None:
        with self._admin() as server:
            holds = server.dbsize()
            if holds:
                owner = server.get(OWNER)
                raise UsageError(
                    f"{redact(self._dsn)}: this database number must be empty, but holds {holds} "
                    f"keys{f' of run {owner}' if owner else ''}; choose another (…/5)"
                )
            self._undo.announce(f"{__name__}:empty_database", run_id=run_id)
            if not server.set(OWNER, run_id, nx=True):
                self._undo.done()
                raise UsageError(f"{redact(self._dsn)}: another run has just claimed it")
        self._run = run_id

    def _empty(self) -> None:
        if self._run is None:
            return
        run, self._run = self._run, None
        with self._admin() as server:
            mine = _empty_if_ours(server, run)
        self._undo.done()
        if not mine:
            raise Broken(
                f"{redact(self._dsn)}: {OWNER} is no longer this run's, so nothing was deleted"
            )

    def _server_dsn(self) -> str:
        return self._dsn


def _empty_if_ours(server: Any, run_id: str) -> bool:
    """FLUSHDB, if the claim is still this run's."""
    if server.get(OWNER) != run_id:
        return False
    server.flushdb()
    return True


def empty_database(*, dsn: str, run_id: str) -> str:
    """Called when a harness died: empty the database number that its run claimed; a sentence."""
    server = ExternalValkey(dsn)
    with server._admin() as connection:
        mine = _empty_if_ours(connection, run_id)
    return f"emptied {redact(dsn)}, which run {run_id} had claimed" if mine else ""
