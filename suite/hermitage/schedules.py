"""The schedules as data: what each session sends, in which order, and when the anomaly occurred."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import msgspec

from ...harness.errors import UsageError

Row = tuple[int, int]
Rows = tuple[Row, ...]

FINAL = "final"
"""What conditions call the table at the end."""


class Step(msgspec.Struct, frozen=True):
    """What a session sends next; `name` is how conditions call its answer."""

    session: int
    text: str
    name: str | None = None

    @property
    def ends(self) -> bool:
        """Whether it ends the session's transaction."""
        return self.text in ("commit", "rollback")


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an answer must be like: the one called `of`, or any one of several."""

    of: str = ""
    any_of: tuple[str, ...] = ()
    equals: Rows | None = msgspec.field(name="is", default=None)
    has: Row | None = None
    lacks: Row | None = None
    not_among: tuple[Rows, ...] | None = None
    rows: int | None = None
    changed: int | None = None
    differs_from: str | None = None
    together: tuple[str, ...] = ()
    unlike: tuple[tuple[Rows, ...], ...] = ()
    """What the answers `together`, in their order, are not."""


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One interleaving, and how its anomaly is known."""

    anomaly: str
    means: str
    lines: str = msgspec.field(name="steps")
    """As they stand in the file."""
    occurs: tuple[Condition, ...]
    """All of these hold if the anomaly occurred."""
    committed: tuple[int, ...] = ()
    """The sessions without whose commit there is no anomaly."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """In the order in which they are sent."""
        return tuple(read_step(line) for line in self.lines.strip().splitlines())

    @property
    def sessions(self) -> int:
        """How many there are."""
        return max(step.session for step in self.steps)


def read_step(line: str) -> Step:
    """Read `2 select * from test -> seen`; raise `UsageError` for what is no step."""
    match = re.fullmatch(r"\s*(\d+) (.+?)(?: -> (\w+))?\s*", line)
    if match is None:
        raise UsageError(f"a step reads like '2 select * from test -> seen', not {line!r}")
    return Step(int(match[1]), match[2], match[3])


class _File(msgspec.Struct, forbid_unknown_fields=True):
    schedule: list[Schedule]


@cache
def schedules() -> dict[str, Schedule]:
    """All schedules by their anomalies, in the order of the file."""
    text = files(__package__).joinpath("schedules.toml").read_bytes()
    return {each.anomaly: each for each in msgspec.toml.decode(text, type=_File).schedule}
