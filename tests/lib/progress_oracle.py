"""The rules of liveness said once more, naively: cell by cell of time, operation by operation."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from mini import in_order

from dokkaebi.harness.faults import fault_records, heal_event, inject_event
from dokkaebi.harness.history import History, Op, Operation

CELL = 100_000_000
"""All times are whole cells of a tenth of a second."""

SECOND = 10 * CELL
ADMITTING = "acquire"


class Progress:
    """What is wrong with the progress of a history whose locks have leases of `ttl` seconds."""

    def __init__(self, history: History, ttl: float | None) -> None:
        self.history = history
        self.ttl = ttl
        self.ops = [op for op in history.operations() if op.phase in (None, "main")]
        self.last = max(op.time for op in history)

    def kinds(self) -> set[str]:
        """The names of all findings."""
        if not self.ops:
            return set()
        began = min(op.call for op in self.ops)
        third = (max(map(self.ended, self.ops)) - began) // 3
        enough = max(third, SECOND)
        return {
            *self.silent(enough),
            *self.stuck(),
            *self.blocked(enough),
            *self.in_vain(),
        }

    def ended(self, op: Operation) -> int:
        if op.type != "info":
            return op.ret
        return self.history[op.end].time if op.end >= 0 else self.last

    def success(self, op: Operation) -> bool:
        return op.type == "ok" or (op.error == "refused" and op.f != ADMITTING)

    def tries(self, op: Operation) -> int:
        return (self.history[op.end].attempts or 1) if op.end >= 0 else 1

    def counted(self, begin: int, end: int, but: str = "") -> int:
        """The time between two moments in which no fault but this one excuses anything."""
        faults = [record for record in fault_records(self.history) if record.name != but]
        cells = range(begin, end, CELL)
        excused = (
            any(record.injected <= cell < record.healed + SECOND for record in faults)
            for cell in cells
        )
        return CELL * sum(not each for each in excused)

    def stretches(
        self, ops: Iterable[Operation], counted: Callable[[int, int], int]
    ) -> list[tuple[int, list[Operation]]]:
        """Every stretch of operations in vain, with how long was waited."""
        found: list[tuple[int, list[Operation]]] = []
        since, vain = None, []
        for op in [*sorted(ops, key=lambda op: (self.ended(op), op.index)), None]:
            if op is not None and not self.success(op):
                vain.append(op)
                continue
            if vain:
                asked = min(one.call for one in vain)
                begin = asked if since is None else max(asked, since)
                end = max(begin, self.ended(vain[-1]))
                found.append((counted(begin, end), vain))
            since, vain = self.ended(op) if op is not None else None, []
        return found

    def silent(self, enough: int) -> Iterable[str]:
        for f in {op.f for op in self.ops}:
            mine = [op for op in self.ops if op.f == f]
            waited, vain = max(self.stretches(mine, self.counted), key=lambda one: one[0],
                               default=(0, []))  # fmt: skip
            if not vain or waited < enough:
                continue
            aborted = [op for op in vain if op.type == "fail" and op.error != "refused"]
            if f == ADMITTING:
                yield "deadlock"
            else:
                yield "livelock" if len(vain) == len(aborted) >= 10 else "no-progress"

    def stuck(self) -> Iterable[str]:
        for name in {op.asked for op in self.ops if op.f == ADMITTING}:
            mine = [op for op in self.ops if op.f == ADMITTING and op.asked == name]
            counted = lambda begin, end: self.counted(begin, end, but="kill-client")  # noqa: E731
            if self.ttl is not None and any(
                waited >= 5 * self.ttl * SECOND for waited, _ in self.stretches(mine, counted)
            ):
                yield "deadlock"

    def blocked(self, enough: int) -> Iterable[str]:
        until = max(op.call for op in self.ops)
        for op in self.ops:
            left = op.type == "info" and self.ended(op) >= until
            if left and self.counted(op.call, self.ended(op)) >= enough:
                yield "livelock" if self.tries(op) >= 10 else "deadlock"

    def in_vain(self) -> Iterable[str]:
        for f in {op.f for op in self.ops}:
            again = [op for op in self.ops if op.f == f and self.tries(op) > 1]
            if not any(map(self.success, again)) and any(
                self.tries(op) >= 10 and self.counted(op.call, self.ended(op)) >= SECOND
                for op in again
            ):
                yield "livelock"


def chaos_progress(rng: random.Random) -> History:
    """Clients with good and bad times, faults, and operations that nobody answered."""
    events: list[Op] = []
    functions = rng.choice([["add"], ["add", "read"], [ADMITTING], [ADMITTING, "release"]])
    bad = sorted(rng.randrange(0, 150) for _ in range(2))
    outcomes = rng.choice([["fail"], ["fail", "refused"], ["info", "fail"], ["refused"]])
    luck = rng.choice([0.0, 0.0, 0.02, 0.2])
    tries = rng.choice([[None], [None, 1, 2], [None, 9, 12], [None, 3, 30]])
    for process in range(rng.randint(1, 4)):
        now, end = rng.randrange(0, 20), rng.randrange(30, 160)
        while now < end:
            lasts = rng.choice([0, 1, 1, 2, 5, rng.randrange(1, 45)])
            unlucky = bad[0] <= now < bad[1] and rng.random() >= luck
            outcome = rng.choice(outcomes) if unlucky else rng.choice(["ok"] * 12 + ["fail"])
            f = rng.choice(functions)
            value = rng.choice(["a", "b"]) if f == ADMITTING else ["x", 1]
            phase = rng.choice(["main"] * 20 + ["dry", "final"])
            events.append(
                Op(time=now * CELL, process=process, type="invoke", f=f, value=value, phase=phase)
            )
            if outcome == "info" and rng.random() < 0.3:
                break  # nobody ever heard of it again
            events.append(
                Op(
                    time=(now + lasts) * CELL,
                    process=process,
                    type="fail" if outcome == "refused" else outcome,
                    f=f,
                    value=value,
                    error=None if outcome == "ok" else "refused" if outcome == "refused" else "no",
                    attempts=rng.choice(tries),
                )
            )
            if outcome == "info":
                process += 10
            now += lasts + rng.choice([1, 1, 1, 3, 10])
    return in_order(events + _faults(rng))


def _faults(rng: random.Random) -> list[Op]:
    events: list[Op] = []
    for number in range(rng.choice([0, 0, 1, 2])):
        name, at = rng.choice(["kill", "kill-client"]), rng.randrange(0, 120)
        common = {"name": name, "number": number}
        events.append(inject_event(time=at * CELL, target="x", processes=[0], **common))
        if rng.random() < 0.9:
            until = (at + rng.randrange(1, 30)) * CELL
            events.append(heal_event(time=until, took_effect=True, evidence="seen", **common))
    return events
