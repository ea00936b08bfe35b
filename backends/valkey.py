"""Valkey (or Redis), started by us: one server, emptied between runs.

The default topology is durable (an append-only file, synced at every write): what it acknowledged
survives SIGKILL and a power loss. `everysec` syncs the file once a second; `volatile` keeps
nothing, as a cache does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ..harness.errors import UsageError
from ..harness.household import Household
from .local import Found
from .valkey_found import MISSING, choose, found
from .valkey_runs import ValkeyRuns
from .valkey_server import DURABLE, EVERY_SECOND, VOLATILE, ValkeyServer

TOPOLOGIES: Mapping[str, tuple[str, ...]] = {
    "durable": DURABLE,
    "everysec": EVERY_SECOND,
    "volatile": VOLATILE,
}


class Valkey(ValkeyRuns, ValkeyServer):
    """One Valkey server of ours, emptied between runs."""

    clusters: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("replicas", "sentinel", "five"), "dokkaebi.backends.valkey_cluster:ValkeyCluster"
    )

    def __init__(
        self, household: Household, version: str | None = None, topology: str | None = None
    ) -> None:
        self.topology = topology or "durable"
        if self.topology not in TOPOLOGIES:
            known = ", ".join((*TOPOLOGIES, *self.clusters))
            raise UsageError(f"valkey has no topology {topology!r}; it has {known}")
        ValkeyRuns.__init__(self)
        ValkeyServer.__init__(
            self, household, choose("valkey", version), options=TOPOLOGIES[self.topology]
        )

    @classmethod
    def available(cls) -> list[Found]:
        """The Valkey and Redis servers on this machine."""
        return found()

    @classmethod
    def missing(cls) -> str:
        """How to get one."""
        return MISSING

    def start(self) -> None:
        """Start the server in a private folder and wait until it answers."""
        self.make()
        self.launch()

    def _claim(self, run_id: str) -> None:
        self._empty()

    def _empty(self) -> None:
        with self._admin() as server:
            server.flushall()
            server.script_flush()

    def _server_dsn(self) -> str:
        return self.dsn()
