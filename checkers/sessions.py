"""Session guarantees: read your writes, monotonic reads, monotonic writes, writes follow reads.

A session is a process. Each key has one writer, which writes growing numbers, so that the order of
its versions is known (Terry et al. 1994). What a session has written or seen it must go on seeing,
and with every write that it sees all that the writer had written or seen before. A write of unknown
outcome binds nobody until it is seen; one that failed must never be seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..harness.columns import FAIL, OK
from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.interning import I64, interned
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .knowing import CALL, END, READ, missed
from .rows import Mask, Rows, asked, rows, told
from .sums import Integers, integers
from .wording import freeze, plain, show

RYW, MR, MW, WFR = GUARANTEES = (
    "read-your-writes",
    "monotonic-reads",
    "monotonic-writes",
    "writes-follow-reads",
)

_WHY = {
    RYW: "although it had itself written {due} before",
    MR: "although it had read {due} before",
    MW: "although it had seen a later write of the same writer, who wrote {due} before that",
    WFR: "although it had seen a write whose writer knew of {due}",
}


class Due(NamedTuple):
    """The least version of a key that a session must see, by which guarantee, and its witnesses."""

    version: int
    guarantee: str
    ops: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Sessions:
    """Writes and ok reads with the number of their key; `source` is the write that a read saw, -1
    where it saw nil or what nobody wrote, `nil` tells which."""

    writes: Rows
    written: I64
    version: Integers
    reads: Rows
    read: I64
    source: I64
    nil: Mask

    @property
    def garbage(self) -> Mask:
        """Reads of a version that nobody had written by then."""
        return ~self.nil & ((self.source < 0) | (self.writes.call[self.source] > self.reads.ret))

    @property
    def ghosts(self) -> Mask:
        """Reads of a version whose write had failed."""
        failed: Mask = self.writes.type[self.source] == FAIL
        return failed & (self.source >= 0)


class SessionChecker:
    """Judges `write [key, version]` and `read [key, nil]` -> [key, version]."""

    name = "session"

    def __init__(self, *, guarantees: Collection[str] = GUARANTEES) -> None:
        """`guarantees` are those that are demanded; the writes' two need `monotonic-reads` too."""
        for name in guarantees:
            if name not in GUARANTEES:
                raise UsageError(
                    f"there is no session guarantee {name!r}; there are: {', '.join(GUARANTEES)}"
                )
        self._demanded = tuple(guarantees)

    def check(self, history: History) -> Verdict:
        """Judge every read against what its session had to see; count the reads."""
        sessions = _sessions(history)
        judged = len(sessions.reads)
        findings = [*_wrong(history, sessions), *self._missed(history, sessions)]
        if findings:
            inorder = [finding for _, finding in sorted(findings, key=lambda each: each[0])]
            return Verdict(verdict="violated", anomalies=merged(inorder), judged=judged)
        return Verdict(verdict="holds", judged=judged) if judged else unknown("nothing was read")

    def _missed(self, history: History, sessions: _Sessions) -> Iterator[tuple[int, Anomaly]]:
        """What reads should have seen and did not, with the places of their completions."""
        demanded = np.array([False, *(name in self._demanded for name in GUARANTEES)])
        at, *events = _events(history, sessions)
        missing, due = missed(*events, demanded=demanded)
        for end, (guarantee, write, *ops) in zip(at[missing].tolist(), due.tolist(), strict=True):
            version = int(sessions.version[write - 1])
            witnesses = tuple(op for op in ops if op >= 0)
            owed = Due(version, GUARANTEES[guarantee - 1], witnesses)
            yield end, _tell(history.operation(end), owed)


def _sessions(history: History) -> _Sessions:
    """What was written and read; `UsageError` where a key has two writers or runs back."""
    writes, reads = rows(history, "write"), rows(history, "read")
    carried = history.spoken
    key, version = carried.halves
    wanted = carried.value[writes.index]
    whole = np.array([type(number) is int for number in version.values], dtype=np.bool_)
    if (key.of[wanted] < 0).any() or not whole[version.of[wanted]].all():
        _refuse(writes, asked(history, writes), "a session writes [key, number]", whole=True)
    written, wrote = key.of[wanted], version.of[wanted]
    versions = integers([version.values[i] for i in wrote.tolist()])
    _check_writers(history, writes, written, versions)
    reads = reads.of(reads.type == OK)
    asked_for, answered = carried.value[reads.index], carried.value[reads.end]
    if (key.of[answered] < 0).any():
        _refuse(reads, told(history, reads), "a read answers [key, version]")
    if (key.of[asked_for] < 0).any():
        _refuse(reads, asked(history, reads), "a read asks for [key, nil]")
    read, found = key.of[asked_for], version.of[answered]
    nil = version.values.index(None) if None in version.values else -1
    width = len(version.values)
    source = _find(written * width + wrote, read * width + found)
    return _Sessions(writes, written, versions, reads, read, source, found == nil)


def _refuse(chosen: Rows, values: Sequence[Any], expected: str, *, whole: bool = False) -> None:
    for index, value in zip(chosen.index.tolist(), values, strict=True):
        fine = isinstance(value, list | tuple) and len(value) == 2
        if not fine or (whole and type(value[1]) is not int):
            raise UsageError(f"operation {index}: {expected}, not {show(value)}")


def _check_writers(history: History, writes: Rows, key: I64, version: Integers) -> None:
    process = history.process[writes.index]
    order = np.argsort(key, kind="stable")
    before, after = order[:-1], order[1:]
    bad = (process[before] != process[after]) | (version[before] >= version[after])
    bad &= key[before] == key[after]
    if bad.any():
        at = np.flatnonzero(bad)[np.argmin(after[bad])]
        one, two = before[at], after[at]
        (_, had), (name, wanted) = history.values(writes.index[[one, two]].tolist())
        raise UsageError(
            f"operation {writes.index[two]}: key {show(name)} must have one writer, which "
            f"writes growing numbers; process {process[one]} had written {had} before "
            f"process {process[two]} wrote {wanted}"
        )


def _find(written: I64, seen: I64) -> I64:
    """The place of each code that was seen among those written, -1 where it is not there."""
    if not len(written):
        return np.full(len(seen), -1, dtype=np.int64)
    order = np.argsort(written)
    inorder = written[order]
    at = np.minimum(np.searchsorted(inorder, seen), len(order) - 1)
    return np.where(inorder[at] == seen, order[at], -1)


def _events(history: History, sessions: _Sessions) -> tuple[I64, I64, I64, I64, I64, I64]:
    """(place, kind, session, key, version, operation) of writes called, writes acknowledged and
    reads that saw what may be, as they happened; a version is the row of its write from 1, 0 is nil.
    """
    writes, reads = sessions.writes, sessions.reads
    called, ended = np.flatnonzero(writes.type != FAIL), np.flatnonzero(writes.type == OK)
    read = np.flatnonzero(~(sessions.garbage | sessions.ghosts))
    at = np.concatenate((writes.index[called], writes.end[ended], reads.end[read]))
    kind = np.repeat((CALL, END, READ), (len(called), len(ended), len(read)))
    key = np.concatenate((sessions.written[called], sessions.written[ended], sessions.read[read]))
    write = np.concatenate((called + 1, ended + 1, sessions.source[read] + 1))
    place = np.concatenate((writes.index[called], writes.index[ended], reads.index[read]))
    order = np.argsort(at)
    place = place[order]
    session = _session_of(history, place)
    return at[order], kind[order], session, key[order], write[order], place


def _session_of(history: History, place: I64) -> I64:
    """The number of the session of each operation: whoever reconnects is a process of its own, to
    which nothing is owed."""
    return interned(history.process[place].tolist()).of


# --- how it is told ------------------------------------------------------------------------------


def _wrong(history: History, sessions: _Sessions) -> Iterator[tuple[int, Anomaly]]:
    """What no session could ever see: a version that nobody wrote, or that failed."""
    garbage = sessions.garbage
    for row in np.flatnonzero(garbage | sessions.ghosts).tolist():
        read = history.operation(int(sessions.reads.index[row]))
        if garbage[row]:
            name, why, ops = "garbage-read", "which nobody had written by then", [read.index]
        else:
            write = int(sessions.writes.index[sessions.source[row]])
            name, why, ops = "ghost-effect", "a write that had failed", [read.index, write]
        yield (
            read.end,
            Anomaly(
                type=name,
                sentence=f"Process {read.process} read {show(read.value[1])} from key "
                f"{show(read.value[0])}, {why}.",
                ops=tuple(ops),
                evidence={"kind": "ladder", "read": read.index, "value": plain(freeze(read.value))},
            ),
        )


def _tell(read: Operation, due: Due) -> Anomaly:
    key, version = read.value
    return Anomaly(
        type="non-monotonic-read" if due.guarantee == MR else due.guarantee,
        sentence=f"Process {read.process} read {show(version)} from key {show(key)}, "
        f"{_WHY[due.guarantee].format(due=due.version)}.",
        ops=(read.index, *due.ops),
        evidence={
            "kind": "ladder",
            "read": read.index,
            "key": plain(freeze(key)),
            "value": plain(freeze(version)),
            "due": due.version,
            "through": list(due.ops),
        },
    )
