"""Floors: what a run must have reached before its pass means anything. Nothing judged, nothing proved.

They belong to runs, not to histories from elsewhere, and are absolute: never scaled by time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from ..harness.faults import FaultRecord, fault_records, kinds_of
from ..harness.history import History
from ..harness.protocols import Ask, Workload
from ..harness.result import Stats
from ..harness.spec import SECOND, Spec
from .holds import definite_holds
from .wording import freeze


def below_floors(history: History, stats: Stats, workload: Workload, spec: Spec) -> list[str]:
    """The reasons why a pass of this run proves nothing; empty when it does."""
    records = fault_records(history)
    reasons = [*_finals(history, workload, spec), *_counts(stats, workload, spec)]
    reasons += _faults(records, spec)
    if workload.coverage == "lock":
        reasons += _lock_faults(history, records, spec)
    return reasons


def _finals(history: History, workload: Workload, spec: Spec) -> Iterator[str]:
    """Every final operation that the workload asks for was answered."""
    wanted = {
        (ask.f, freeze(ask.value))
        for worker in range(spec.workers)
        for ask in islice(workload.final(worker, spec.workers), 100_000)
        if isinstance(ask, Ask)
    }
    last = [at for at, phase in history.told("phase").items() if phase == "final"]
    asked = map(history.operation, last)
    finals = (op for op in asked if op.phase == "final" and op.type == "ok")
    answered = wanted & {(op.f, freeze(op.asked)) for op in finals}
    if answered != wanted:
        yield f"ended before the final reads ({len(answered)} of {len(wanted)} were answered)"


def _counts(stats: Stats, workload: Workload, spec: Spec) -> Iterator[str]:
    floors = spec.floors
    if stats.ok < floors.ok:
        yield f"only {stats.ok} operations succeeded, a pass needs {floors.ok}"
    if workload.coverage == "single":
        return
    if stats.conflicts < floors.conflicts:
        yield (
            f"only {stats.conflicts} pairs of operations met on one key, "
            f"a pass needs {floors.conflicts}"
        )
    if workload.coverage == "lock" and (stats.handovers or 0) < floors.handovers:
        yield (
            f"locks went from one process to another only {stats.handovers or 0} times, "
            f"a pass needs {floors.handovers}"
        )


def _faults(records: list[FaultRecord], spec: Spec) -> Iterator[str]:
    """Each kind of fault took effect at least once, by proof and while something was asked."""
    for name in dict.fromkeys(kind for fault in spec.faults for kind in kinds_of(fault)):
        mine = [record for record in records if record.name == name]
        if not mine:
            yield f"{name} was never injected"
        elif not any(record.took_effect for record in mine):
            yield f"{name} did not take effect: {mine[0].evidence}"
        elif not any(record.took_effect and record.overlapped for record in mine):
            yield f"{name} struck while nothing was asked"


def _lock_faults(history: History, records: list[FaultRecord], spec: Spec) -> Iterator[str]:
    """A lock is tested only by a holder that was struck while it held."""
    ttl = round(float(spec.params.get("ttl", 1.0)) * SECOND)
    if "pause-client" in spec.faults and not _struck(
        history, records, "pause-client", lambda record: record.healed - record.injected > ttl
    ):
        yield f"no holder was paused for longer than the ttl of {ttl / SECOND:g} s"
    if "kill-client" in spec.faults and not _struck(
        history, records, "kill-client", lambda record: True
    ):
        yield "no process was killed while it held a lock"


def _struck(
    history: History,
    records: list[FaultRecord],
    name: str,
    counts: Callable[[FaultRecord], bool],
) -> bool:
    """Whether a fault of this name struck a process within a definite hold of its own."""
    holds = definite_holds(history).each(history)
    return any(
        record.name == name
        and record.took_effect
        and counts(record)
        and any(
            hold.process in record.processes
            and hold.start <= record.injected
            and (hold.end >= record.injected or hold.release is None)
            for hold in holds
        )
        for record in records
    )
