"""What is expected: a cell for each anomaly at each level on each kind of server."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from ...harness.errors import UsageError
from .schedules import schedules

Found = Literal["A", "P"]
"""The anomaly occurs, or it is prevented."""

WAITS = "waits"
"""A statement had to wait; other mechanisms are the codes of errors, or empty."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule at one level on one kind of server, and what it comes to there."""

    on: str
    variant: str
    """Of the server's settings: `snapshot` is MariaDB's innodb_snapshot_isolation=ON; or empty."""
    level: str
    anomaly: str
    expected: Found
    mechanism: str
    """How it went when it was measured: `waits`, an error's code, or empty."""

    @property
    def name(self) -> str:
        """`mariadb+snapshot/repeatable-read/P4`, for choosing cells by."""
        server = f"{self.on}+{self.variant}" if self.variant else self.on
        return f"{server}/{self.level.replace(' ', '-')}/{self.anomaly}"


class _Server(msgspec.Struct, forbid_unknown_fields=True):
    on: str
    measured: str
    cells: dict[str, list[str]]
    variant: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    levels: list[str]
    server: list[_Server]


def cells(on: str | None = None) -> list[Cell]:
    """The cells of one kind of server (`postgres`, `mariadb`), or of all; by row, then by level."""
    known = kinds()
    if on is not None and on not in known:
        raise UsageError(f"the isolation matrix is known for {' and '.join(known)}, not for {on!r}")
    return [cell for cell in _all() if on in (None, cell.on)]


def kinds() -> list[str]:
    """The kinds of servers whose matrix is known."""
    return list(dict.fromkeys(server.on for server in _matrix().server))


def measured(on: str, variant: str = "") -> str:
    """The server on which the expected outcomes were measured."""
    return next(s.measured for s in _matrix().server if (s.on, s.variant) == (on, variant))


@cache
def _all() -> tuple[Cell, ...]:
    return tuple(cell for server in _matrix().server for cell in _cells(server))


def _cells(server: _Server) -> list[Cell]:
    found = []
    for anomaly, row in server.cells.items():
        if anomaly not in schedules():
            raise UsageError(f"matrix.toml: there is no schedule for {anomaly!r}")
        for level, told in zip(_matrix().levels, row, strict=True):
            expected, _, mechanism = told.partition(" ")
            found.append(
                Cell(
                    on=server.on,
                    variant=server.variant,
                    level=level,
                    anomaly=anomaly,
                    expected="A" if expected == "A" else "P",
                    mechanism=mechanism,
                )
            )
    return found


@cache
def _matrix() -> _File:
    text = files(__package__).joinpath("matrix.toml").read_bytes()
    return msgspec.toml.decode(text, type=_File)
