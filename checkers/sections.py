"""Guarded sections: acquire, guard-read, the hold, guard-write, release, by one process.

Only sections in which everything was answered can prove anything: one `info` and it never counts.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from ..harness.history import History, Operation
from .wording import freeze


@dataclass(frozen=True, slots=True)
class Section:
    """A section whose write was acknowledged: the version it read, and its operations."""

    name: Hashable
    process: int
    version: Hashable
    acquire: Operation
    read: Operation
    write: Operation


@dataclass(slots=True)
class _Open:
    acquire: Operation
    read: Operation | None = None
    write: Operation | None = None
    certain: bool = True


def sections(history: History) -> list[Section]:
    """The sections with an acknowledged write and nothing indeterminate, by their acquires."""
    every: list[tuple[Hashable, _Open]] = []
    current: dict[tuple[int, Hashable], _Open] = {}
    for op in history.operations("acquire", "release", "guard-read", "guard-write"):
        guards = op.f.startswith("guard-")
        name = freeze(op.asked[0] if guards else op.asked)
        if op.f == "acquire":
            current.pop((op.process, name), None)
            if op.type == "ok":
                current[op.process, name] = _Open(op)
                every.append((name, current[op.process, name]))
            continue
        section = current.get((op.process, name))
        if section is None:
            continue
        if op.type == "info":
            section.certain = False
        elif op.f == "release":
            del current[op.process, name]
        elif op.type == "ok" and op.f == "guard-read":
            section.read, section.write = op, None
        elif op.type == "ok":
            section.write = op
    return [
        Section(name, s.acquire.process, _version(s.read), s.acquire, s.read, s.write)
        for name, s in every
        if s.certain and s.read is not None and s.write is not None
    ]


def _version(read: Operation) -> Hashable:
    """The id of the last write that was read; a resource that was never written has none."""
    version = freeze(read.value[1])
    # A strategy's own resource is an integer that starts at 0, the harness's starts at nil.
    return None if version == 0 else version
