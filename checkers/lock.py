"""Locks: no two lease windows of one lock overlap, and what the lock guards loses nothing.

A *definite hold* runs from acquire's return to the invocation of its release (or the last event
that its process recorded), a *lease window* ends at acquire's call + ttl at the latest. Only what
is certain accuses: refusals prove nothing, an indeterminate acquire is no hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..harness.faults import FaultRecord, fault_records
from ..harness.history import FOREVER, History
from ..harness.verdict import Anomaly, Verdict, unknown
from .holds import Hold, Holds, Lease, definite_holds, expiry, granted_seconds
from .patterns.placing import side_by_side
from .rows import Mask
from .sections import Section, Sections, sections
from .wording import SECOND, capital, freeze, plain, show, span


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two holds of one lock at once, the one that began first first."""

    first: Hold
    second: Hold
    within_lease: bool

    @property
    def late(self) -> Hold:
        """The one whose lease had run out: as a rule the first."""
        return self.first if self.first.lease_end <= self.second.start else self.second

    @property
    def moments(self) -> tuple[int, int]:
        """From when to when both held."""
        ends = (
            (self.first.lease_end, self.second.lease_end)
            if self.within_lease
            else (self.first.end, self.second.end)
        )
        return self.second.start, min(ends)


class LockChecker:
    """Judges `acquire`, `release` and the guarded resource's `guard-read` and `guard-write`."""

    name = "lock"

    def __init__(
        self,
        *,
        ttl: float = 1.0,
        lease: Lease = "ttl",
        fencing: bool = False,
        faults: Iterable[str] = (),
    ) -> None:
        """`ttl` in seconds; `lease` is what the strategy promises; `faults` those asked for."""
        self._ttl = ttl
        self._lease: Lease = lease
        self._fencing = fencing
        self._faults = tuple(faults)

    def check(self, history: History) -> Verdict:
        """Judge holds and guarded sections; with fencing only the sections."""
        findings: list[Anomaly] = []
        reason = ""
        judged = 0
        if not self._fencing:
            every = definite_holds(history, ttl=self._ttl, lease=self._lease)
            judged += len(every)
            holds = _crowded(every).each(history)
            found = overlaps(holds)
            double = [overlap for overlap in found if overlap.within_lease]
            expired = [overlap for overlap in found if not overlap.within_lease]
            if double:
                findings.append(_tell_double(double, holds, history, self._lease))
            if expired and self._must_not_expire():
                findings.append(_tell_expired(expired, history))
            elif expired:
                reason = self._stalled(expired)
        guarded = sections(history)
        guarded = guarded.of(self._counts(history, guarded))
        judged += len(guarded)
        alike = guarded.alike().each(history)
        findings.extend(_lost_updates(alike, fault_records(history)))
        return self._verdict(findings, reason, judged)

    def _verdict(self, findings: list[Anomaly], reason: str, judged: int) -> Verdict:
        if findings:
            return Verdict(
                verdict="violated", reason=reason, anomalies=tuple(findings), judged=judged
            )
        if not judged:
            return unknown("nothing guarded was written" if self._fencing else "no lock was held")
        return Verdict(verdict="unknown" if reason else "holds", reason=reason, judged=judged)

    def _must_not_expire(self) -> bool:
        """Whether holding past one's lease is a violation here, and not a busy machine's stall."""
        return self._lease == "renewed" or any(
            name == "pause-client" or name.startswith("clock")
            for asked in self._faults
            for name in asked.split("+")
        )

    def _counts(self, history: History, guarded: Sections) -> Mask:
        """Which sections can accuse: what a stalled holder wrote after its lease had run out
        accuses a lock no more than its hold does. Fencing has no such excuse."""
        if self._fencing or self._lease != "ttl" or self._must_not_expire():
            return np.ones(len(guarded), dtype=np.bool_)
        seconds = granted_seconds(history, guarded.acquire, self._ttl)
        return guarded.written <= expiry(guarded.called, seconds)

    def _stalled(self, expired: Sequence[Overlap]) -> str:
        late = max((overlap.late for overlap in expired), key=lambda hold: hold.end - hold.call)
        stall = span(late.end - late.call)
        return f"a holder stalled {stall}, longer than its ttl of {late.ttl:g} s"


def _crowded(holds: Holds) -> Holds:
    """The holds of locks of which some hold begins before an earlier one ends."""
    start, end = side_by_side(holds.name, holds.start, holds.end)
    order = np.lexsort((holds.acquire, start))
    latest = np.maximum.accumulate(end[order])
    crowded = np.zeros(int(holds.name.max(initial=-1)) + 1, dtype=np.bool_)
    crowded[holds.name[order[1:][start[order[1:]] < latest[:-1]]]] = True
    return holds.of(crowded[holds.name])


def overlaps(holds: Iterable[Hold]) -> list[Overlap]:
    """Holds of one lock that overlap by the clock, by the start of the second one; O(n log n).

    Each hold is compared with the earlier one that ends last, first by lease windows, then by
    definite holds. What only touches is concurrent: it does not overlap.
    """
    by_name: defaultdict[Hashable, list[Hold]] = defaultdict(list)
    for hold in holds:
        by_name[hold.name].append(hold)
    found: list[Overlap] = []
    for group in by_name.values():
        group.sort(key=lambda hold: (hold.start, hold.acquire))
        leased = [hold for hold in group if hold.lease_end >= hold.start]
        within = [Overlap(a, b, True) for a, b in _sweep(leased, lambda hold: hold.lease_end)]
        accused = {overlap.second.acquire for overlap in within}
        beyond = [Overlap(a, b, False) for a, b in _sweep(group, lambda hold: hold.end)]
        found += within + [overlap for overlap in beyond if overlap.second.acquire not in accused]
    return sorted(found, key=lambda overlap: (overlap.second.start, overlap.second.acquire))


def _sweep(holds: Sequence[Hold], end: Callable[[Hold], int]) -> Iterator[tuple[Hold, Hold]]:
    """Each hold that overlaps an earlier one, with the one of those that ends last."""
    latest: Hold | None = None
    for hold in holds:
        if latest is not None and hold.start < end(latest) and latest.start < end(hold):
            yield latest, hold
        if latest is None or end(hold) > end(latest):
            latest = hold


# --- how it is told ------------------------------------------------------------------------------


def _tell_double(
    found: Sequence[Overlap], holds: Sequence[Hold], history: History, lease: Lease
) -> Anomaly:
    overlap = found[0]
    first, second = overlap.first, overlap.second
    stray = _stray_release(history, holds, overlap)
    if stray is not None:
        why = (
            f"process {stray.process} released it in between, although its own lease had run out "
            f"and the lock was process {first.process}'s"
        )
    elif lease is None:
        why = f"it was given to process {second.process} before process {first.process} released it"
    else:
        left = span(first.call + round(first.ttl * SECOND) - second.start)
        why = (
            f"it was given to process {second.process} while the lease of process "
            f"{first.process} had {left} left to run"
        )
    suspects = [first, second, *([stray] if stray else [])]
    strokes = _strokes(suspects, overlap, fault_records(history))
    told = "".join(f" {capital(_struck(hold, record))}." for hold, record in strokes)
    return Anomaly(
        type="double-hold",
        sentence=f"{_both_held(overlap)}: {why}.{told}",
        ops=(
            first.acquire,
            second.acquire,
            *([stray.release] if stray and stray.release is not None else []),
        ),
        count=len(found),
        evidence=_lanes(overlap, suspects, strokes),
    )


def _tell_expired(found: Sequence[Overlap], history: History) -> Anomaly:
    overlap = found[0]
    first, second, late = overlap.first, overlap.second, overlap.late
    strokes = _strokes([late], overlap, fault_records(history))
    if late is second:
        took = span(second.start - second.call)
        why = f"acquire took {took} to answer process {second.process}, longer than its lease of"
        why += f" {second.ttl:g} s"
    else:
        told = f"{_struck(*strokes[0])} and its" if strokes else f"process {late.process}'s"
        why = (
            f"{told} lease of {late.ttl:g} s had run out {span(second.start - late.lease_end)} "
            f"before process {second.process} was given the lock"
        )
    return Anomaly(
        type="expired-hold",
        sentence=f"{_both_held(overlap)}: {why}.",
        ops=(first.acquire, second.acquire),
        count=len(found),
        evidence=_lanes(overlap, [first, second], strokes),
    )


def _both_held(overlap: Overlap) -> str:
    begin, end = overlap.moments
    return (
        f"Process {overlap.first.process} and process {overlap.second.process} both held "
        f"{show(plain(overlap.first.name))} for {span(end - begin)}"
    )


def _stray_release(history: History, holds: Iterable[Hold], overlap: Overlap) -> Hold | None:
    """A hold whose release came between two acquires, after its own lease had run out."""
    first, second = overlap.first, overlap.second
    for hold in holds:
        if hold.name != first.name or hold.process == first.process or hold.release is None:
            continue
        release = history.operation(hold.release)
        overdue = hold.call + round(hold.ttl * SECOND) <= first.start
        if overdue and release.call <= second.start and release.ret >= first.start:
            return hold
    return None


def _strokes(
    holds: Iterable[Hold], overlap: Overlap, records: Sequence[FaultRecord]
) -> list[tuple[Hold, FaultRecord]]:
    """The faults that struck these holders' own processes before or while both held."""
    until = overlap.moments[1]
    return [
        (hold, record)
        for hold in holds
        for record in records
        if hold.process in record.processes
        and record.injected <= until
        and record.healed >= hold.call
    ]


def _struck(hold: Hold, record: FaultRecord) -> str:
    healed = record.healed < FOREVER
    if record.name == "pause-client":
        how = f"paused for {span(record.healed - record.injected)}" if healed else "paused"
        return f"process {hold.process} was {how} (pause-client)"
    return f"process {hold.process} was struck by {record.name}"


def _lanes(
    overlap: Overlap, holds: Iterable[Hold], strokes: Sequence[tuple[Hold, FaultRecord]]
) -> dict[str, Any]:
    return {
        "kind": "lanes",
        "name": plain(overlap.first.name),
        "holds": [
            {
                "process": hold.process,
                "token": plain(freeze(hold.token)),
                "from": hold.start,
                "to": hold.end,
                "lease_to": hold.lease_end,
                "acquire": hold.acquire,
                "release": hold.release,
            }
            for hold in holds
        ],
        "overlap": list(overlap.moments),
        "faults": sorted({record.id for _, record in strokes}),
    }


# --- the guarded resource ------------------------------------------------------------------------


def _lost_updates(guarded: Iterable[Section], records: Sequence[FaultRecord]) -> Iterator[Anomaly]:
    """Sections that read the same version and both wrote: one of the writes is lost."""
    by_version: defaultdict[tuple[Hashable, Hashable], list[Section]] = defaultdict(list)
    for section in guarded:
        by_version[section.name, section.version].append(section)
    clashes = [group for group in by_version.values() if len(group) > 1]
    if not clashes:
        return
    clashes.sort(key=lambda group: sorted(section.write.ret for section in group)[1])
    first, second = sorted(clashes[0], key=lambda section: section.write.call)[:2]
    version = "nothing yet" if first.version is None else f"version {show(plain(first.version))}"
    told = "".join(
        f" Process {section.process} was paused for {span(record.healed - record.injected)} "
        "(pause-client) in its section."
        for section in (first, second)
        for record in records
        if record.name == "pause-client"
        and section.process in record.processes
        and section.acquire.call <= record.injected <= section.write.ret
        and record.healed < FOREVER
    )
    yield Anomaly(
        type="lost-update",
        sentence=f"Process {first.process} and process {second.process} both read {version} of "
        f"what {show(plain(first.name))} guards, and both wrote: "
        f"the write of process {first.process} is lost.{told}",
        ops=tuple(op.index for s in (first, second) for op in (s.acquire, s.read, s.write)),
        count=sum(len(group) - 1 for group in clashes),
        evidence={
            "kind": "ladder",
            "key": plain(first.name),
            "version": plain(first.version),
            "adds": [first.write.index, second.write.index],
        },
    )
