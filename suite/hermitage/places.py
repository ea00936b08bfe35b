"""Where schedules are played: a run's own database on a server, by the driver of its kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from ...harness.loading import load_object
from ...harness.protocols import Backend
from .interpreter import Line, Waits
from .schedules import Rows

TABLE = (
    "drop table if exists test",
    "create table test (id int primary key, value int)",
    "insert into test (id, value) values (1, 10), (2, 20)",
)
"""The table anew, as every schedule finds it."""

CONTENTS = "select id, value from test order by id"

_PLACES = {
    "postgres": f"{__package__}.postgres:PostgresPlace",
    "mariadb": f"{__package__}.mariadb:MariaDBPlace",
}


class Place(Waits, Protocol):
    """A database in which there is a table `test`, and nobody else."""

    def renew(self) -> None:
        """Make the table anew."""

    def open(self, level: str, variant: str) -> Line:
        """A session whose transactions have this level."""

    def contents(self) -> Rows:
        """The table's rows now."""

    def expel(self, numbers: Collection[int]) -> None:
        """End these sessions, whatever they are at."""

    def close(self) -> None:
        """Close the connection on which all this is asked."""


def place(backend: Backend, arguments: Mapping[str, Any]) -> Place:
    """The place that a backend has prepared; `arguments` are its `ClientSpec`'s."""
    made: Place = load_object(_PLACES[backend.name])(backend, arguments)
    return made
