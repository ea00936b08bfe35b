"""MariaDB, started by us: one server with a fresh database and user for each run.

The default keeps what it acknowledged across a SIGKILL (the log is written at each commit and
synced once a second); `durable` syncs it at each commit, `unflushed` only writes it once a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from ..harness.errors import UsageError
from ..harness.household import Household
from .local import Found
from .mariadb_found import MISSING, choose, found
from .mariadb_runs import OwnMariaDBRuns
from .mariadb_server import MariaDBServer
from .network import LOOPBACK, Address

TOPOLOGIES: Mapping[str, Mapping[str, str]] = {
    "single": {},
    "durable": {
        "innodb-flush-log-at-trx-commit": "1",
        "log-bin": "binlog",
        "sync-binlog": "1",
    },
    "unflushed": {"innodb-flush-log-at-trx-commit": "0"},
}


class MariaDB(OwnMariaDBRuns, MariaDBServer):
    """One MariaDB server of ours."""

    clusters: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("replicas", "semisync", "semisync-after-commit"),
        "dokkaebi.backends.mariadb_cluster:MariaDBCluster",
    )
    """Topologies that are classes of their own."""

    def __init__(
        self, household: Household, version: str | None = None, topology: str | None = None
    ) -> None:
        self.topology = topology or "single"
        if self.topology not in TOPOLOGIES:
            known = ", ".join((*TOPOLOGIES, *self.clusters))
            raise UsageError(f"mariadb has no topology {topology!r}; it has {known}")
        OwnMariaDBRuns.__init__(self)
        MariaDBServer.__init__(self, household, choose(version), options=TOPOLOGIES[self.topology])

    @classmethod
    def available(cls) -> list[Found]:
        """The MariaDB on this machine."""
        return found()

    @classmethod
    def missing(cls) -> str:
        """How to get one."""
        return MISSING

    def start(self) -> None:
        """Make a data folder and start the server on it; wait until it answers."""
        self.make()
        self.launch()

    def stop(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""
        MariaDBServer.stop(self)
        self._database = None

    def _servers(self) -> Sequence[MariaDBServer]:
        return [self]

    def _entrance(self) -> Address:
        return LOOPBACK, self.port
