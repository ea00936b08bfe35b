"""Raw connections to a MariaDB of ours, for fixed schedules: nothing is recorded, nobody retries.

`connect` opens as many as a schedule has sessions, each at its own level of isolation. `blocked`
says which of them wait for a lock at the moment: InnoDB tells of its own locks, the list of
processes of those on tables and names. InnoDB renews what it tells every tenth of a second only, so
whoever waits asks until it says the same twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from .mariadb_runs import isolation_name
from .mariadb_server import MariaDBServer

if TYPE_CHECKING:
    from pymysql.connections import Connection

_LOCK_WAITS = (
    "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    " UNION SELECT id FROM information_schema.processlist"
    " WHERE state LIKE 'Waiting for%%lock' OR state = 'User lock'"
)


def connect(
    arguments: Mapping[str, Any],
    *,
    isolation: str | None = None,
    snapshot: bool = False,
    autocommit: bool = False,
) -> Connection:
    """A connection of its own; `arguments` are a `ClientSpec`'s or a `NodeSpec`'s.

    `isolation` is the level of all its transactions (None: as the run asked); `snapshot` is
    `innodb_snapshot_isolation`. Its `thread_id()` is what `blocked` answers.
    """
    import pymysql

    given = {name: value for name, value in arguments.items() if name != "node"}
    connection: Connection = pymysql.connect(**given, autocommit=autocommit)
    with connection.cursor() as cursor:
        if isolation is not None:
            level = isolation_name(isolation).upper()
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
        if snapshot:
            cursor.execute("SET SESSION innodb_snapshot_isolation = ON")
    return connection


def blocked(server: MariaDBServer, sessions: Collection[int]) -> set[int]:
    """Those of these sessions that wait for a lock; one whose call returned waits for none."""
    return {number for (number,) in server.ask(_LOCK_WAITS)} & set(sessions)
