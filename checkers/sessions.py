"""Session guarantees: read your writes, monotonic reads, monotonic writes, writes follow reads.

A session is a process. Each key has one writer, which writes growing numbers, so that the order of
its versions is known (Terry et al. 1994). What a session has written or seen it must go on seeing,
and with every write that it sees all that the writer had written or seen before. A write of unknown
outcome binds nobody until it is seen; one that failed must never be seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
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


class Due(msgspec.Struct, frozen=True, gc=False):
    """The least version of a key that a session must see, by which guarantee, and its witnesses."""

    version: int
    guarantee: str
    ops: tuple[int, ...]


_Dues = dict[Hashable, Due]


@dataclass
class _Sessions:
    """What is known while a history is gone through, event by event."""

    demanded: Collection[str]
    wrote: defaultdict[int, _Dues] = field(default_factory=lambda: defaultdict(dict))
    """By process: what it has written itself."""
    saw: defaultdict[int, _Dues] = field(default_factory=lambda: defaultdict(dict))
    """By process: what it has seen, and what came with that."""
    brings: dict[tuple[Hashable, int], list[tuple[str, int, _Dues]]] = field(default_factory=dict)
    """What everybody who sees a write must see from then on: by which guarantee, from which write."""

    def call_write(self, op: Operation, key: Hashable) -> None:
        """A write takes along what its writer has written (MW) and seen (WFR)."""
        self.brings[key, op.asked[1]] = [
            (guarantee, op.index, dict(dues))
            for guarantee, dues in ((MW, self.wrote[op.process]), (WFR, self.saw[op.process]))
            if guarantee in self.demanded
        ]

    def end_write(self, op: Operation, key: Hashable) -> None:
        """An acknowledged write must be seen by its own session."""
        self.wrote[op.process][key] = Due(op.asked[1], RYW, (op.index,))

    def missed(self, op: Operation, key: Hashable) -> Due | None:
        """What this read should have seen and did not."""
        version = op.value[1]
        for dues in (self.wrote[op.process], self.saw[op.process]):
            due = dues.get(key)
            if due is None or due.guarantee not in self.demanded:
                continue
            if version is None or version < due.version:
                return due
        return None

    def see(self, op: Operation, key: Hashable, version: int) -> None:
        """A session saw a version, and with it all that the write brings along."""
        saw = self.saw[op.process]
        if key in saw and saw[key].version >= version:
            return  # it knew of it, and of all that came with it
        saw[key] = Due(version, MR, (op.index,))
        # Monotonic writes and reads that follow are visible only to a session whose reads are
        # monotonic: two reads of another one may be of two places.
        if MR not in self.demanded:
            return
        for guarantee, write, dues in self.brings.get((key, version), ()):
            for other, due in dues.items():
                known = saw.get(other)
                if known is None or known.version < due.version:
                    saw[other] = Due(due.version, guarantee, (due.ops[-1], write, op.index))


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
        writes = _writes(history)
        sessions = _Sessions(self._demanded)
        findings: list[Anomaly] = []
        judged = 0
        for called, op in _events(history):
            key = freeze(op.asked[0])
            if op.f == "write":
                if called:
                    sessions.call_write(op, key)
                else:
                    sessions.end_write(op, key)
                continue
            judged += 1
            version = op.value[1]
            wrong = _wrong(op, writes.get((key, version))) if version is not None else None
            if wrong:
                findings.append(wrong)
                continue
            due = sessions.missed(op, key)
            if due is not None:
                findings.append(_tell(op, due))
            elif version is not None:
                sessions.see(op, key, version)
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        return Verdict(verdict="holds", judged=judged) if judged else unknown("nothing was read")


def _writes(history: History) -> dict[tuple[Hashable, Any], Operation]:
    """Every write by key and version; `UsageError` where a key has two writers or runs back."""
    writes: dict[tuple[Hashable, Any], Operation] = {}
    last: dict[Hashable, Operation] = {}
    for op in history.operations("write"):
        if not isinstance(op.asked, list) or len(op.asked) != 2 or type(op.asked[1]) is not int:
            raise UsageError(
                f"operation {op.index}: a session writes [key, number], not {show(op.asked)}"
            )
        key, version = freeze(op.asked[0]), op.asked[1]
        before = last.get(key)
        if before and (before.process != op.process or before.asked[1] >= version):
            raise UsageError(
                f"operation {op.index}: key {show(op.asked[0])} must have one writer, which writes "
                f"growing numbers; process {before.process} had written {before.asked[1]} before "
                f"process {op.process} wrote {version}"
            )
        writes[key, version] = last[key] = op
    return writes


def _events(history: History) -> Iterator[tuple[bool, Operation]]:
    """(True, write called), (False, write acknowledged) and (False, read), as they happened."""
    events = []
    for op in history.operations("write", "read"):
        if op.f == "write" and op.type != "fail":
            events.append((op.index, True, op))
        if op.type == "ok":
            if op.f == "read" and not (isinstance(op.value, list) and len(op.value) == 2):
                raise UsageError(
                    f"operation {op.index}: a read answers [key, version], not {show(op.value)}"
                )
            events.append((op.end, False, op))
    events.sort(key=lambda event: event[0])
    return ((called, op) for _, called, op in events)


# --- how it is told ------------------------------------------------------------------------------


def _wrong(read: Operation, write: Operation | None) -> Anomaly | None:
    """What no session could ever see: a version that nobody wrote, or that failed."""
    if write is None or write.call > read.ret:
        name, why, ops = "garbage-read", "which nobody had written by then", [read.index]
    elif write.type == "fail":
        name, why, ops = "ghost-effect", "a write that had failed", [read.index, write.index]
    else:
        return None
    return Anomaly(
        type=name,
        sentence=f"Process {read.process} read {show(read.value[1])} from key "
        f"{show(read.value[0])}, {why}.",
        ops=tuple(ops),
        evidence={"kind": "ladder", "read": read.index, "value": plain(freeze(read.value))},
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
