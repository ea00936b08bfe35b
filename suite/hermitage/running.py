"""Play cells on a server, one after the other, and hold what was found against what is expected."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from ...harness.errors import Broken, Unavailable
from .cells import WAITS, Cell, Found, cells
from .conditions import occurred
from .interpreter import PATIENCE_S, Line, Said, play
from .places import Place, place
from .schedules import Rows, Schedule, schedules

if TYPE_CHECKING:
    from ...compose import Servers
    from ...harness.protocols import Backend


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a cell came to on a server."""

    cell: Cell
    server: str
    """`postgres 18.4`."""
    found: Found | None
    """None where the schedule did not come to its end: nothing is known then."""
    mechanism: str
    seconds: float
    said: tuple[Said, ...] = ()
    """Every step with its answer, in the order of the answers."""
    final: Rows | None = None
    reason: str | None = None
    """Why nothing is known."""
    skipped: bool = False
    """There is no such server here."""

    @property
    def met(self) -> bool:
        """Whether it is as expected."""
        return self.found == self.cell.expected

    @property
    def same_way(self) -> bool:
        """Whether it came about as it did when it was measured."""
        return self.mechanism == self.cell.mechanism


def matrix(
    on: str, version: str | None, servers: Servers, *, only: Collection[str] = ()
) -> Iterator[Outcome]:
    """Play the cells of this kind of server (`only` those whose names fit a pattern), one by one.

    The server is one of `servers`, started if need be; the cells have a database of their own there.
    Without such a server here, every cell is skipped.
    """
    chosen = choose(on, only)
    if not chosen:
        return
    try:
        backend = servers.get(on, version, None)
    except Unavailable as missing:
        yield from (
            _skipped(cell, f"{on} {version or ''}".strip(), str(missing)) for cell in chosen
        )
        return
    yield from play_on(backend, chosen)


def _skipped(cell: Cell, server: str, reason: str) -> Outcome:
    return Outcome(
        cell=cell,
        server=server,
        found=None,
        mechanism="",
        seconds=0.0,
        reason=reason,
        skipped=True,
    )


def choose(on: str | None, only: Collection[str] = ()) -> list[Cell]:
    """The cells of a kind of server whose names fit one of the patterns; all without patterns."""
    return [
        cell
        for cell in cells(on)
        if not only or any(fnmatchcase(cell.name, pattern) for pattern in only)
    ]


def play_on(backend: Backend, chosen: Sequence[Cell]) -> Iterator[Outcome]:
    """Play these cells on a server that runs, in a database that is made for it and removed."""
    spec = backend.prepare(secrets.token_hex(4), isolation=None)
    try:
        with closing(place(backend, spec.arguments)) as there:
            for cell in chosen:
                yield run_cell(there, cell, server=f"{backend.name} {backend.version}")
    finally:
        backend.finish()


def run_cell(
    there: Place,
    cell: Cell,
    *,
    server: str = "",
    schedule: Schedule | None = None,
    patience_s: float = PATIENCE_S,
) -> Outcome:
    """Play one cell: a table of its own, new sessions, its schedule (or another one)."""
    began = time.monotonic()
    schedule = schedule or schedules()[cell.anomaly]
    try:
        said, final = _played(there, cell, schedule, patience_s)
    except Broken as error:
        return Outcome(
            cell=cell,
            server=server,
            found=None,
            mechanism="",
            seconds=time.monotonic() - began,
            reason=str(error),
        )
    return Outcome(
        cell=cell,
        server=server,
        found="A" if occurred(schedule, said, final) else "P",
        mechanism=mechanism(said),
        seconds=time.monotonic() - began,
        said=tuple(said),
        final=final,
    )


def _played(
    there: Place, cell: Cell, schedule: Schedule, patience_s: float
) -> tuple[list[Said], Rows]:
    there.renew()
    lines: dict[int, Line] = {}
    try:
        for session in range(1, schedule.sessions + 1):
            lines[session] = there.open(cell.level, cell.variant)
        said = play(schedule.steps, lines, there, patience_s=patience_s)
    except BaseException:
        # Their threads may still wait for answers, and connections are not shared.
        there.expel([line.number for line in lines.values()])
        raise
    for line in lines.values():
        line.close()
    return said, there.contents()


def mechanism(said: Iterable[Said]) -> str:
    """How it went: the code of the first refusal, else `waits` if a statement had to, else empty."""
    told = list(said)
    refused = next((each.answer.error for each in told if each.answer.error is not None), None)
    if refused is not None:
        return refused
    return WAITS if any(each.waited for each in told) else ""
