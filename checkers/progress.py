"""Progress: findings of liveness, which alone make a verdict unknown.

`deadlock`: a lock that nobody is given while it is asked for, or a session that stays blocked to
the end; `livelock`: every attempt aborted, or every one that followed an aborted one; `no-progress`:
nothing of a kind succeeds for a third of the main phase. Time under a fault and a second after
each healing do not count.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..harness.columns import FAIL, INFO, OK
from ..harness.faults import FaultRecord, fault_records
from ..harness.history import FOREVER, History
from ..harness.interning import I64, interned
from ..harness.verdict import Anomaly, Verdict
from .findings import merged
from .rows import Columns, Mask, groups
from .wording import SECOND, counted, plain, show, span

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


@dataclass(frozen=True, slots=True)
class Attempts(Columns):
    """Main-phase operations as columns: `ended` is when their client heard of them for the last
    time, `aborted` that they failed otherwise than by a refusal."""

    index: I64
    end: I64
    type: npt.NDArray[np.int8]
    f: npt.NDArray[np.int16]
    call: I64
    ended: I64
    success: Mask
    aborted: Mask

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, slots=True)
class Silence:
    """A stretch without success; `waited` is how much of it counts, in ns."""

    begin: int
    end: int
    waited: int
    attempts: Attempts


class ProgressChecker:
    """Judges whether operations of each kind kept succeeding; finds liveness anomalies only."""

    name = "progress"

    def __init__(self, *, workload: str = "", ttl: float | None = None) -> None:
        """`ttl` (seconds) is a lock's; `workload` says whose refusals are no answers."""
        self._admitting = ADMITTING.get(workload, ("acquire",))
        self._ttl = ttl

    def check(self, history: History) -> Verdict:
        """Look for stretches without success in the main phase; count its operations."""
        attempts = self._attempts(history)
        if not len(attempts):
            return Verdict(verdict="holds", reason="no times, so progress was not judged")
        clock = _Clock(fault_records(history))
        third = int(attempts.ended.max() - attempts.call.min()) // 3
        findings = [
            *self._silent(history, attempts, clock, max(third, SHORTEST)),
            *self._stuck_locks(history, attempts, clock),
            *_in_vain(history, attempts, clock),
            *_blocked(history, attempts, clock, max(third, SHORTEST)),
        ]
        anomalies = merged(findings)
        return Verdict(
            verdict="unknown" if anomalies else "holds",
            reason="; ".join(f"{anomaly.type}: {anomaly.sentence}" for anomaly in anomalies),
            anomalies=anomalies,
            judged=len(attempts),
        )

    def _attempts(self, history: History) -> Attempts:
        table = history.table
        chosen = np.flatnonzero(_in_main_phase(history)[table.index])
        if not len(history) or history.time[0] < 0:
            chosen = chosen[:0]
        end, kind = table.end[chosen], table.type[chosen]
        heard = np.where(end >= 0, history.time[end], history.time[-1:].sum())
        return Attempts(
            index=table.index[chosen],
            end=end,
            type=kind,
            f=table.f[chosen],
            call=table.call[chosen],
            ended=np.where(kind == INFO, heard, table.ret[chosen]),
            success=self._succeeded(history)[chosen],
            aborted=(kind == FAIL) & ~table.refused[chosen],
        )

    def _succeeded(self, history: History) -> Mask:
        """A refusal is an answer, except from what admits: there somebody goes on waiting."""
        table = history.table
        answered: Mask = (table.type == OK) | (table.refused & ~self._admits(history)[table.f])
        return answered

    def _admits(self, history: History) -> Mask:
        return np.array([f in self._admitting for f in history.functions], dtype=np.bool_)

    def _silent(
        self, history: History, attempts: Attempts, clock: _Clock, threshold: int
    ) -> Iterator[Anomaly]:
        """Kinds of operations that were asked for and never succeeded for too long."""
        codes, first = np.unique(attempts.f, return_index=True)
        for code in codes[np.argsort(first)].tolist():
            silence = _longest(attempts.of(attempts.f == code), clock)
            if silence is not None and silence.waited >= threshold:
                yield self._tell_silence(history.functions[code], silence)

    def _tell_silence(self, f: str, silence: Silence) -> Anomaly:
        aborted = int(silence.attempts.aborted.sum())
        tried = counted(len(silence.attempts), "attempt")
        if f in self._admitting:
            kind, what = "deadlock", f"no {f} succeeded"
        elif aborted >= ABORTS and aborted == len(silence.attempts):
            kind, what = "livelock", f"every {f} was aborted"
        else:
            kind, what = "no-progress", f"no {f} succeeded"
        return _finding(kind, f"{what} for {span(silence.waited)}, in {tried}", silence, None)

    def _stuck_locks(
        self, history: History, attempts: Attempts, clock: _Clock
    ) -> Iterator[Anomaly]:
        """Locks that nobody was given for several ttls while they were asked for."""
        asking = attempts.of(self._admits(history)[attempts.f])
        if self._ttl is None or not len(asking):
            return
        # A killed client is no excuse: its lease should run out, its session end.
        clock = _Clock([record for record in clock.records if record.name != "kill-client"])
        names = interned(history.values(asking.index.tolist()))
        for name, mine in zip(names.values, groups(names.of, len(names.values)), strict=True):
            silence = _longest(asking.of(mine), clock)
            if silence is not None and silence.waited >= TTLS * self._ttl * SECOND:
                yield _finding(
                    "deadlock",
                    f"{show(plain(name))} was given to nobody for {span(silence.waited)}, more "
                    f"than {TTLS} times its ttl of {self._ttl:g} s, although "
                    f"{counted(len(silence.attempts), 'request')} waited",
                    silence,
                    name,
                )


def _in_main_phase(history: History) -> Mask:
    """Which events belong to the main phase; where nobody told phases, all do."""
    main = np.ones(len(history), dtype=np.bool_)
    main[[at for at, phase in history.told("phase").items() if phase != "main"]] = False
    return main


def _longest(attempts: Attempts, clock: _Clock) -> Silence | None:
    """The longest stretch from a success (or the first request) to the last request in vain."""
    inorder = attempts.of(np.lexsort((attempts.index, attempts.ended)))
    vain = np.flatnonzero(~inorder.success)
    if not len(vain):
        return None
    fresh = np.flatnonzero(np.diff(vain, prepend=-2) > 1)
    first, last = vain[fresh], vain[np.append(fresh[1:], len(vain)) - 1]
    asked = np.minimum.reduceat(inorder.call[vain], fresh)
    begin = np.where(first > 0, np.maximum(inorder.ended[first - 1], asked), asked)
    end = np.maximum(begin, inorder.ended[last])
    waited = clock.counted(begin, end)
    at = int(np.argmax(waited))
    tried = inorder.of(slice(int(first[at]), int(last[at]) + 1))
    return Silence(int(begin[at]), int(end[at]), int(waited[at]), tried)


def _in_vain(history: History, attempts: Attempts, clock: _Clock) -> Iterator[Anomaly]:
    """Kinds of operations that never succeeded once they were aborted and tried again.

    Elsewhere an attempt after an aborted one succeeds sooner or later. Where none ever does, an
    operation that tried many times, and for long enough, will go on like that for ever.
    """
    told = history.told("attempts")
    if not told:
        return
    tries = np.array([told.get(end) or 1 for end in attempts.end.tolist()], dtype=np.int64)
    for code in np.unique(attempts.f[tries > 1]).tolist():
        again = (attempts.f == code) & (tries > 1)
        if attempts.success[again].any():
            continue
        vain = attempts.of(again & (tries >= ABORTS))
        waits = clock.counted(vain.call, vain.ended)
        if not len(vain) or waits.max() < SHORTEST:
            continue
        worst = int(np.argmax(waits))
        op, f = history.operation(int(vain.index[worst])), history.functions[code]
        sentence = (
            f"no {f} that was aborted succeeded at another attempt: of {int(again.sum())} not one, "
            f"and process {op.process} tried {history.attempts(op.end)} times in "
            f"{span(int(waits[worst]))}"
        )
        silence = Silence(
            op.call, int(vain.ended[worst]), int(waits[worst]), vain.of(slice(worst, worst + 1))
        )
        yield _finding("livelock", sentence, silence, None)


def _blocked(
    history: History, attempts: Attempts, clock: _Clock, threshold: int
) -> Iterator[Anomaly]:
    """Sessions that were still at work on one operation when the main phase ended."""
    left = attempts.of((attempts.type == INFO) & (attempts.ended >= attempts.call.max()))
    waits = clock.counted(left.call, left.ended)
    for row in np.flatnonzero(waits >= threshold).tolist():
        op, waited = history.operation(int(left.index[row])), int(waits[row])
        silence = Silence(op.call, int(left.ended[row]), waited, left.of(slice(row, row + 1)))
        tries = history.attempts(op.end)
        who, how_long = f"process {op.process}", f"{span(waited)}, to the end"
        if tries >= ABORTS:
            sentence = f"{who} tried its {op.f} {tries} times in vain for {how_long}"
            yield _finding("livelock", sentence, silence, None)
        else:
            sentence = f"{who} was blocked in its {op.f} for {how_long}"
            yield _finding("deadlock", sentence, silence, None)


def _finding(kind: str, sentence: str, silence: Silence, name: Hashable) -> Anomaly:
    ops: list[int] = silence.attempts.index.tolist()
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

    def counted(self, begin: I64, end: I64) -> I64:
        """The times from each `begin` to each `end` that count."""
        waited = end - begin
        for since, until in self._excused:
            waited = waited - np.maximum(np.minimum(end, until) - np.maximum(begin, since), 0)
        return waited
