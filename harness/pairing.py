"""Pairs each completion of a history with its process's open invocation, or says why it cannot.

All of it is done on columns: within a process the events must read invocation, completion,
invocation, ..., of one function and in time. A last invocation may stay open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import MalformedHistory

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

NEMESIS_PROCESS = -1
INVOKE = 0


@dataclass(frozen=True, slots=True)
class Sequences:
    """The clients' events, process after process, each process's in the order of the history.

    `place` is where an event stands in the history; `follows` says that the event before it here
    is of the same process.
    """

    place: Integers
    follows: Bools
    invokes: Bools
    f: npt.NDArray[np.int16]
    time: Integers

    @property
    def answers(self) -> Bools:
        """Which events come right after an invocation of their process."""
        answers: Bools = self.follows & _before(self.invokes, False)
        return answers


def pairs(
    process: npt.NDArray[np.int32],
    kind: npt.NDArray[np.int8],
    f: npt.NDArray[np.int16],
    time: Integers,
    *,
    functions: Sequence[str],
    source: str,
) -> npt.NDArray[np.int32]:
    """For each event the place of the other event of its operation, -1 where there is none."""
    clients = np.flatnonzero(process != NEMESIS_PROCESS)
    place = clients[np.argsort(process[clients], kind="stable")]
    same = np.zeros(len(place), dtype=np.bool_)
    same[1:] = process[place[1:]] == process[place[:-1]]
    told = Sequences(place, same, kind[place] == INVOKE, f[place], time[place])
    _refuse_the_first_wrong_event(told, process, kind, functions, source)
    ends = np.flatnonzero(told.answers & ~told.invokes)
    pair = np.full(len(process), -1, dtype=np.int32)
    pair[place[ends]] = place[ends - 1]
    pair[place[ends - 1]] = place[ends]
    return pair


def _before(column: Any, first: Any) -> Any:
    """The column as the event before saw it."""
    moved = np.empty_like(column)
    moved[:1] = first
    moved[1:] = column[:-1]
    return moved


# --- what can be wrong with an event --------------------------------------------------------------


def _no_process(told: Sequences, process: npt.NDArray[np.int32]) -> Bools:
    return np.asarray(process[told.place] < 0)


def _no_time(told: Sequences) -> Bools:
    unreal: Bools = told.time < -1
    return unreal


def _backwards(told: Sequences) -> Bools:
    earlier: Bools = told.time < _before(told.time, 0)
    return told.follows & earlier


def _still_open(told: Sequences) -> Bools:
    return told.answers & told.invokes


def _completes_nothing(told: Sequences) -> Bools:
    return ~told.invokes & ~told.answers


def _of_another_function(told: Sequences) -> Bools:
    other: Bools = told.f != _before(told.f, -1)
    return told.answers & ~told.invokes & other


def _refuse_the_first_wrong_event(
    told: Sequences,
    process: npt.NDArray[np.int32],
    kind: npt.NDArray[np.int8],
    functions: Sequence[str],
    source: str,
) -> None:
    wrongs = (
        (_no_process(told, process), _tell_process),
        (_no_time(told), _tell_time),
        (_backwards(told), _tell_backwards),
        (_still_open(told), _tell_open),
        (_completes_nothing(told), _tell_nothing),
        (_of_another_function(told), _tell_function),
    )
    found = [
        (int(told.place[at]), rank, int(at), tell)
        for rank, (wrong, tell) in enumerate(wrongs)
        if wrong.any()
        for at in [np.flatnonzero(wrong)[np.argmin(told.place[wrong])]]
    ]
    if not found:
        return
    place, _, at, tell = min(found, key=lambda each: each[:2])
    names = ("invoke", "ok", "fail", "info")
    event = Wrong(
        process=int(process[place]),
        kind=names[int(kind[place])],
        f=functions[int(told.f[at])],
        before=functions[int(told.f[at - 1])],
        time=int(told.time[at]),
        earlier=int(told.time[at - 1]),
    )
    raise MalformedHistory(tell(event), source=source, line=place + 1)


@dataclass(frozen=True, slots=True)
class Wrong:
    """An event that does not fit, with what its process did just before."""

    process: int
    kind: str
    f: str
    before: str
    time: int
    earlier: int


def _tell_process(event: Wrong) -> str:
    return no_process(event.process)


def no_process(number: int) -> str:
    """What is wrong with a number below 0 as a process."""
    return f"a process is a number from 0 or 'nemesis', not {number}"


def _tell_time(event: Wrong) -> str:
    return f"a time is nanoseconds from 0, not {event.time}"


def _tell_backwards(event: Wrong) -> str:
    return (
        f"time runs backwards within process {event.process}: "
        f"{event.time} ns after {event.earlier} ns"
    )


def _tell_open(event: Wrong) -> str:
    return (
        f"process {event.process} invokes {event.f!r} while its {event.before!r} is still open: "
        "a process does one thing at a time"
    )


def _tell_nothing(event: Wrong) -> str:
    return (
        f"{event.kind!r} of {event.f!r} by process {event.process} completes nothing: "
        "that process has no open invocation"
    )


def _tell_function(event: Wrong) -> str:
    return (
        f"{event.kind!r} of {event.f!r} by process {event.process} completes "
        f"an invocation of {event.before!r}"
    )
