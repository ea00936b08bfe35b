"""What earlier runs of a suite said of each cell: `cells.jsonl` in the folder of runs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from .expectations import SIGNS, Judged, Status

FILE = "cells.jsonl"
SHOWN = 8
"""Earlier runs of a cell that are told of."""


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """A cell as one run of its suite left it. `when` is in seconds of the epoch."""

    suite: str
    cell: str
    when: int
    status: Status
    seconds: float
    runs: int
    first_anomaly_s: float | None = None
    ops_per_second: float = 0.0
    p99_ms: float = 0.0


class Past:
    """The earlier runs of one suite's cells."""

    def __init__(self, out: Path, suite: str) -> None:
        self._path = out / FILE
        self._suite = suite
        self._of: dict[str, list[Earlier]] = {}
        for each in _read(self._path):
            if each.suite == suite:
                self._of.setdefault(each.cell, []).append(each)

    def of(self, cell: str) -> list[Earlier]:
        """A cell's earlier runs, the oldest first."""
        return self._of.get(cell, [])

    def signs(self, cell: str) -> str:
        """A cell's last runs as signs, the oldest first; nothing where all were met."""
        trail = "".join(SIGNS[each.status] for each in self.of(cell)[-SHOWN:])
        return "" if set(trail) <= {"✔"} else trail

    def add(self, cells: Iterable[Judged]) -> None:
        """Write down what was judged; what was interrupted is not."""
        now = int(time.time())
        lines = [
            msgspec.json.encode(_earlier(judged, self._suite, now)) + b"\n"
            for judged in cells
            if judged.status != "interrupted"
        ]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(b"".join(lines))


def _earlier(judged: Judged, suite: str, now: int) -> Earlier:
    outcomes = judged.outcomes
    after = [found.after for each in outcomes for found in each.found if found.after is not None]
    return Earlier(
        suite=suite,
        cell=judged.cell.name,
        when=now,
        status=judged.status,
        seconds=round(judged.seconds, 1),
        runs=len(outcomes),
        first_anomaly_s=min(after, default=None),
        ops_per_second=max((each.ops_per_second for each in outcomes), default=0.0),
        p99_ms=max((each.p99_ms for each in outcomes), default=0.0),
    )


def _read(path: Path) -> list[Earlier]:
    """All lines; one that is torn or of another version says nothing."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(msgspec.json.decode(line, type=Earlier))
        except msgspec.DecodeError:
            continue
    return found
