"""Locks: no two lease windows of one lock overlap, and what the lock guards loses nothing.

A *definite hold* runs from acquire's return to the invocation of its release (or the last event
that its process recorded), a *lease window* ends at acquire's call + ttl at the latest. Only what
is certain accuses: refusals prove nothing, an indeterminate acquire is no hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..harness.faults import FaultRecord, fault_records
from ..harness.history import History, Operation
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .holds import Hold, definite_holds
from .sections import Section, sections
from .wording import SECOND, freeze, plain, show, span

Lease = Literal["ttl", "renewed"] | None


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two holds of one lock at once, the one that began first first."""

    first: Hold
    second: Hold
    within_lease: bool

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
        records = fault_records(history)
        findings: list[Anomaly] = []
        reason = ""
        judged = 0
        if not self._fencing:
            holds = definite_holds(history, ttl=self._ttl, lease=self._lease)
            judged += len(holds)
            double, expired = _split(overlaps(holds))
            if double:
                findings.append(self._tell_double(double, records, history))
            if expired and self._must_not_expire():
                findings.append(self._tell_expired(expired, records))
            elif expired:
                reason = self._stalled(expired)
        guarded = sections(history)
        judged += len(guarded)
        findings.extend(_lost_updates(guarded, records))
        if findings:
            return Verdict(
                verdict="violated", reason=reason, anomalies=merged(findings), judged=judged
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

    def _stalled(self, expired: Sequence[Overlap]) -> str:
        longest = max(overlap.first.end - overlap.first.start for overlap in expired)
        return f"a holder stalled {span(longest)}, longer than its ttl of {self._ttl:g} s"

    def _tell_double(
        self, found: Sequence[Overlap], records: Sequence[FaultRecord], history: History
    ) -> Anomaly:
        overlap = found[0]
        first, second = overlap.first, overlap.second
        stray = _stray_release(history, overlap)
        sentence = f"{_both_held(overlap)}: "
        if stray is not None:
            sentence += (
                f"the release by process {stray.process} came between their acquires, "
                f"so it freed a lock that process {first.process} held."
            )
        elif self._lease is None:
            sentence += f"it was given to process {second.process} while it was held."
        else:
            sentence += (
                f"it was given to process {second.process} while the lease of process "
                f"{first.process} had {span(first.lease_end - second.start)} left to run."
            )
        struck = [first.process, second.process, *([stray.process] if stray else [])]
        sentence += "".join(f" {capital}." for capital in _struck(struck, records, overlap))
        ops = (first.acquire, second.acquire, *([stray.index] if stray else []))
        return Anomaly(
            type="double-hold",
            sentence=sentence,
            ops=ops,
            count=len(found),
            evidence=_lanes(overlap, records, stray),
        )

    def _tell_expired(self, found: Sequence[Overlap], records: Sequence[FaultRecord]) -> Anomaly:
        overlap = found[0]
        first, second = overlap.first, overlap.second
        # The one whose lease had run out is the one that held on; it need not have begun first.
        late = first if first.lease_end <= second.start else second
        told = list(_struck([late.process], records, overlap))
        why = f"{told[0]} and its lease" if told else "the lease of process {late.process}"
        why = why.replace("Process", "process", 1).format(late=late)
        ran_out = max(0, overlap.moments[0] - late.lease_end)
        return Anomaly(
            type="expired-hold",
            sentence=(
                f"{_both_held(overlap)}: {why} of {_seconds(late)} had run out "
                f"{span(ran_out)} before process {second.process} was given the lock."
            ),
            ops=(first.acquire, second.acquire),
            count=len(found),
            evidence=_lanes(overlap, records, None),
        )


def overlaps(holds: Sequence[Hold]) -> list[Overlap]:
    """Pairs of holds of one lock that overlap by the clock, O(n log n).

    Each hold is compared with the earlier one that ends last, first by lease windows and then by
    definite holds; intervals that only touch are concurrent, not overlapping.
    """
    by_name: defaultdict[Hashable, list[Hold]] = defaultdict(list)
    for hold in holds:
        by_name[hold.name].append(hold)
    found: list[Overlap] = []
    for group in by_name.values():
        group.sort(key=lambda hold: (hold.start, hold.acquire))
        within = list(_sweep([hold for hold in group if hold.lease_end >= hold.start], lease=True))
        accused = {second.acquire for _, second in within}
        found += [Overlap(a, b, True) for a, b in within]
        found += [
            Overlap(a, b, False)
            for a, b in _sweep(group, lease=False)
            if b.acquire not in accused
        ]
    return sorted(found, key=lambda overlap: overlap.second.start)


def _sweep(holds: Sequence[Hold], *, lease: bool) -> Iterator[tuple[Hold, Hold]]:
    latest: Hold | None = None
    for hold in holds:
        end = hold.lease_end if lease else hold.end
        latest_end = -1 if latest is None else latest.lease_end if lease else latest.end
        if latest is not None and hold.start < latest_end and latest.start < end:
            yield latest, hold
        if latest is None or end > latest_end:
            latest = hold
