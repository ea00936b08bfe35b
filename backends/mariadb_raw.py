"""Raw connections to a MariaDB of ours, for fixed schedules: nothing is recorded, nobody retries.

`connect` opens as many as a schedule has sessions, each at its own level of isolation. `blocked`
says which of them wait for a lock at the moment. `information_schema.innodb_trx` would not do: it is
a copy that is renewed only when nobody has looked at it for a tenth of a second.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from .mariadb_runs import isolation_name
from .mariadb_server import MariaDBServer

if TYPE_CHECKING:
    from pymysql.connections import Connection

_OTHER_LOCKS = (
    "SELECT id FROM information_schema.processlist"
    " WHERE state LIKE 'Waiting for%%lock' OR state = 'User lock'"
)
"""Those on tables and names."""

_TRANSACTIONS = "LIST OF TRANSACTIONS FOR EACH SESSION:"
_WAITS = re.compile(r"^LOCK WAIT .*?^MariaDB thread id (\d+)", re.M | re.S)


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
    ((_, _, status),) = server.ask("SHOW ENGINE INNODB STATUS")
    each = status.partition(_TRANSACTIONS)[2].split("---TRANSACTION")
    waiting = {int(found[1]) for one in each if (found := _WAITS.search(one))}
    waiting |= {number for (number,) in server.ask(_OTHER_LOCKS)}
    return waiting & set(sessions)
