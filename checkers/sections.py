"""Guarded sections: acquire, guard-read, the hold, guard-write, release, by one process.

Only sections in which everything was answered can prove anything: one `info` and it never counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..harness.columns import INFO, OK
from ..harness.history import History, Operation
from ..harness.interning import I64, interned
from .patterns.placing import dense
from .rows import Columns, Rows, asked, rows, told
from .wording import freeze

_FUNCTIONS = ("acquire", "release", "guard-read", "guard-write")
_ACQUIRE, _RELEASE, _READ, _WRITE = range(4)


@dataclass(frozen=True, slots=True)
class Section:
    """A section whose write was acknowledged: the version it read, and its operations."""

    name: Hashable
    process: int
    version: Hashable
    acquire: Operation
    read: Operation
    write: Operation


@dataclass(frozen=True, slots=True)
class Sections(Columns):
    """Sections by their acquires, as columns: numbers of the lock and of the version that was read,
    the places of the invocations, when the acquire was called and when the write returned."""

    name: I64
    version: I64
    acquire: I64
    read: I64
    write: I64
    called: I64
    written: I64

    def __len__(self) -> int:
        return len(self.name)

    def alike(self) -> Sections:
        """Those that read the same version of the same lock's resource as another one."""
        (resource,), count = dense((self.name, self.version))
        return self.of(np.bincount(resource, minlength=count)[resource] > 1)

    def each(self, history: History) -> list[Section]:
        """Each section of this history with its operations."""
        found = []
        for row in range(len(self)):
            acquire, read, write = (
                history.operation(int(column[row]))
                for column in (self.acquire, self.read, self.write)
            )
            name, version = freeze(acquire.asked), _version(read.value)
            found.append(Section(name, acquire.process, version, acquire, read, write))
        return found


def sections(history: History) -> Sections:
    """The sections with an acknowledged write and nothing indeterminate, by their acquires."""
    every = rows(history, *_FUNCTIONS)
    name = interned(_names(every, asked(history, every))).of
    (session,), _ = dense((name, history.process[every.index].astype(np.int64)))
    inorder = np.argsort(session, kind="stable")
    session, f, kind = session[inorder], every.f[inorder], every.type[inorder]
    # A section begins with each acquire of a lock by a process, and goes on to the next one.
    begins = f == _ACQUIRE
    begins[1:] |= session[1:] != session[:-1]
    begins[:1] = True
    start, section = np.flatnonzero(begins), np.cumsum(begins) - 1
    released = np.cumsum((f == _RELEASE) & (kind != INFO))
    released -= (f == _RELEASE) & (kind != INFO)
    within = ~begins & (released == released[start][section]) if len(start) else begins
    counts = (f[start] == _ACQUIRE) & (kind[start] == OK)
    counts[section[within & (kind == INFO)]] = False
    read, write = (
        _last(np.flatnonzero(within & (kind == OK) & (f == which)), section, len(start))
        for which in (_READ, _WRITE)
    )
    chosen = np.flatnonzero(counts & (read >= 0) & (write > read))
    chosen = chosen[np.argsort(inorder[start[chosen]])]
    acquires, reads, writes = (every.of(inorder[places[chosen]]) for places in (start, read, write))
    return Sections(
        name=name[inorder[start[chosen]]],
        version=interned(list(map(_version, told(history, reads)))).of,
        acquire=acquires.index,
        read=reads.index,
        write=writes.index,
        called=acquires.call,
        written=writes.ret,
    )


def _names(every: Rows, wanted: Sequence[Any]) -> list[Any]:
    """The lock of each operation."""
    guards = (every.f >= _READ).tolist()
    return [value[0] if guard else value for value, guard in zip(wanted, guards, strict=True)]


def _last(places: I64, section: I64, count: int) -> I64:
    """The last of these places in each section, -1 where there is none."""
    last = np.full(count, -1, dtype=np.int64)
    np.maximum.at(last, section[places], places)
    return last


def _version(value: Any) -> Hashable:
    """The id of the last write that was read; a resource that was never written has none."""
    version = freeze(value[1])
    # A strategy's own resource is an integer that starts at 0, the harness's starts at nil.
    return None if version == 0 else version
