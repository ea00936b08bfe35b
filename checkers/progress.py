"""Progress: findings of liveness, which alone make a verdict unknown.

`deadlock`: a lock that nobody is given while it is asked for, or a session that stays blocked to
the end; `livelock`: every attempt aborted; `no-progress`: nothing of a kind succeeds for a third
of the main phase. Time under a fault and a second after each healing do not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from ..harness.faults import FaultRecord, fault_records
from ..harness.history import FOREVER, History, Operation
from ..harness.verdict import Anomaly, Verdict
from .findings import merged
from .wording import SECOND, counted, freeze, plain, show, span

RECOVERY = SECOND
"""How long after a healing time does not count yet."""

SHORTEST = SECOND
"""No silence shorter than this is ever a finding, however short the main phase was."""

TTLS = 5
"""A lock that nobody gets for so many ttls, although it is asked for, is deadlocked."""

ABORTS = 10
"""So many aborted attempts in a row, and none that succeeded, are a livelock."""

ADMITTING = {"lock": ("acquire",)}
"""By workload: the functions whose refusals are no answers but requests that go on waiting."""


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """A main-phase operation with the time at which its client heard of it for the last time."""

    op: Operation
    ended: int
    success: bool
    tries: int


@dataclass(frozen=True, slots=True)
class Silence:
    """A stretch without success; `waited` is how much of it counts, in ns."""

    begin: int
    end: int
    waited: int
    attempts: tuple[Attempt, ...]


class ProgressChecker:
    """Judges whether operations of each kind kept succeeding; finds liveness anomalies only."""

    name = "progress"

    def __init__(self, *, workload: str = "", ttl: float | None = None) -> None:
        """`ttl` (seconds) is a lock's; `workload` says whose refusals are no answers."""
        self._admitting = ADMITTING.get(workload, ("acquire",))
        self._ttl = ttl

    def check(self, history: History) -> Verdict:
        """Look for stretches without success in the main phase; count its operations."""
        attempts = list(self._attempts(history))
        if not attempts:
            return Verdict(verdict="holds", reason="no times, so progress was not judged")
        clock = _Clock(fault_records(history))
        begin = min(attempt.op.call for attempt in attempts)
        third = (max(attempt.ended for attempt in attempts) - begin) // 3
        findings = [
            *self._silent(attempts, clock, max(third, SHORTEST)),
            *self._stuck_locks(attempts, clock),
            *_blocked(attempts, clock, max(third, SHORTEST)),
        ]
        anomalies = merged(findings)
        return Verdict(
            verdict="unknown" if anomalies else "holds",
            reason="; ".join(f"{anomaly.type}: {anomaly.sentence}" for anomaly in anomalies),
            anomalies=anomalies,
            judged=len(attempts),
        )

    def _attempts(self, history: History) -> Iterator[Attempt]:
        if not len(history) or history.time[0] < 0:
            return
        last = int(history.time[-1])
        for op in history.operations():
            if op.phase in (None, "main"):
                if op.type != "info":
                    ended = op.ret
                else:
                    ended = int(history.time[op.end]) if op.end >= 0 else last
                yield Attempt(op, ended, self._succeeded(op), history.attempts(op.end))

    def _succeeded(self, op: Operation) -> bool:
        """A refusal is an answer, except from what admits: there somebody goes on waiting."""
        refused = op.type == "fail" and op.error == "refused"
        return op.type == "ok" or (refused and op.f not in self._admitting)

    def _silent(
        self, attempts: Sequence[Attempt], clock: _Clock, threshold: int
    ) -> Iterator[Anomaly]:
        """Kinds of operations that were asked for and never succeeded for too long."""
        for f, group in _grouped(attempts, lambda attempt: attempt.op.f):
            silence = _longest(group, clock)
            if silence is not None and silence.waited >= threshold:
                yield self._tell_silence(str(f), silence)

    def _tell_silence(self, f: str, silence: Silence) -> Anomaly:
        aborted = [a for a in silence.attempts if a.op.type == "fail" and a.op.error != "refused"]
        tried = counted(len(silence.attempts), "attempt")
        if f in self._admitting:
            kind, what = "deadlock", f"no {f} succeeded"
        elif len(aborted) >= ABORTS and len(aborted) == len(silence.attempts):
            kind, what = "livelock", f"every {f} was aborted"
        else:
            kind, what = "no-progress", f"no {f} succeeded"
        return _finding(kind, f"{what} for {span(silence.waited)}, in {tried}", silence, None)

    def _stuck_locks(self, attempts: Sequence[Attempt], clock: _Clock) -> Iterator[Anomaly]:
        """Locks that nobody was given for several ttls while they were asked for."""
        if self._ttl is None:
            return
        asked = [attempt for attempt in attempts if attempt.op.f in self._admitting]
        # A killed client is no excuse: its lease should run out, its session end.
        clock = _Clock([record for record in clock.records if record.name != "kill-client"])
        for name, group in _grouped(asked, lambda attempt: freeze(attempt.op.asked)):
            silence = _longest(group, clock)
            if silence is not None and silence.waited >= TTLS * self._ttl * SECOND:
                yield _finding(
                    "deadlock",
                    f"{show(plain(name))} was given to nobody for {span(silence.waited)}, more "
                    f"than {TTLS} times its ttl of {self._ttl:g} s, although "
                    f"{counted(len(silence.attempts), 'request')} waited",
                    silence,
                    name,
                )


def _longest(attempts: Sequence[Attempt], clock: _Clock) -> Silence | None:
    """The longest stretch from a success (or the first request) to the last request in vain."""
    ordered = sorted(attempts, key=lambda attempt: (attempt.ended, attempt.op.index))
    longest: Silence | None = None
    since: int | None = None
    vain: list[Attempt] = []
    for attempt in [*ordered, None]:
        if attempt is not None and not attempt.success:
            vain.append(attempt)
            continue
        if vain:
            asked = min(one.op.call for one in vain)
            begin = asked if since is None else max(since, asked)
            end = max(begin, vain[-1].ended)
            found = Silence(begin, end, clock.counted(begin, end), tuple(vain))
            if longest is None or found.waited > longest.waited:
                longest = found
        if attempt is not None:
            since, vain = attempt.ended, []
    return longest


def _blocked(attempts: Sequence[Attempt], clock: _Clock, threshold: int) -> Iterator[Anomaly]:
    """Sessions that were still at work on one operation when the main phase ended."""
    last_call = max(attempt.op.call for attempt in attempts)
    for attempt in attempts:
        op = attempt.op
        if op.type != "info" or attempt.ended < last_call:
            continue
        waited = clock.counted(op.call, attempt.ended)
        if waited >= threshold:
            silence = Silence(op.call, attempt.ended, waited, (attempt,))
            who, how_long = f"process {op.process}", f"{span(waited)}, to the end"
            if attempt.tries >= ABORTS:
                sentence = f"{who} tried its {op.f} {attempt.tries} times in vain for {how_long}"
                yield _finding("livelock", sentence, silence, None)
            else:
                sentence = f"{who} was blocked in its {op.f} for {how_long}"
                yield _finding("deadlock", sentence, silence, None)


def _finding(kind: str, sentence: str, silence: Silence, name: Hashable) -> Anomaly:
    ops = tuple(attempt.op.index for attempt in silence.attempts)
    return Anomaly(
        type=kind,
        kind="liveness",
        sentence=f"{sentence}.",
        ops=(*ops[:1], *ops[1:][-1:]),
        evidence={
            "kind": "silence",
            "name": plain(name),
            "from": silence.begin,
            "to": silence.end,
            "attempts": len(ops),
        },
    )


def _grouped(
    attempts: Iterable[Attempt], key: Callable[[Attempt], Hashable]
) -> Iterator[tuple[Hashable, list[Attempt]]]:
    groups: defaultdict[Hashable, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        groups[key(attempt)].append(attempt)
    yield from groups.items()


class _Clock:
    """Counts time without what passed under faults and while they healed."""

    def __init__(self, records: Sequence[FaultRecord]) -> None:
        self.records = records
        self._excused: list[tuple[int, int]] = []
        for record in sorted(records, key=lambda record: record.injected):
            until = FOREVER if record.healed == FOREVER else record.healed + RECOVERY
            if self._excused and record.injected <= self._excused[-1][1]:
                begin, earlier = self._excused.pop()
                self._excused.append((begin, max(earlier, until)))
            else:
                self._excused.append((record.injected, until))

    def counted(self, begin: int, end: int) -> int:
        """The time from `begin` to `end` that counts."""
        excused = sum(max(0, min(end, until) - max(begin, since)) for since, until in self._excused)
        return end - begin - excused
