"""The nemesis: carries the plan out on a thread of its own, one fault at a time.

What is about to be done is written to `faults.jsonl` first; what was done goes into the history.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..harness.engine import Arena
from ..harness.errors import Broken
from ..harness.faults import heal_event, inject_event
from ..harness.protocols import Backend
from .schedule import SHORTEST_GAP, Moment
from .strike import Fault, Strike


class ScheduledNemesis:
    """Strikes at the planned moments. `faults` are by name, `on` says which backend each strikes."""

    def __init__(
        self,
        moments: Sequence[Moment],
        faults: Mapping[str, Fault],
        on: Mapping[str, str],
    ) -> None:
        self._moments = moments
        self._faults = faults
        self._on = on
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self, arena: Arena) -> None:
        """Begin the schedule."""
        self._thread = threading.Thread(
            target=self._run, args=(arena,), daemon=True, name="nemesis"
        )
        self._thread.start()

    def finish(self) -> None:
        """Wait until everything is healed; raise what went wrong on the way."""
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise Broken(f"the nemesis broke: {self._error}") from self._error

    def _run(self, arena: Arena) -> None:
        rng = random.Random(f"{arena.spec.seed}/nemesis")
        began = time.monotonic()
        late = 0.0
        try:
            for number, moment in enumerate(self._moments, start=1):
                due = began + late + moment.at / 1e9
                latest = began + (arena.spec.time - moment.lasts) / 1e9
                if number <= len(self._faults):
                    # Healing took longer than planned: the gap gives way, not a kind's first turn.
                    soonest = time.monotonic() + SHORTEST_GAP / 1e9
                    due = min(due, max(latest, soonest))
                elif due > latest:
                    return
                if arena.over.wait(max(0.0, due - time.monotonic())):
                    return
                self._strike(arena, rng, number, moment)
                # The gap counts from the healing: what took longer than planned moves the rest.
                end = began + (moment.at + moment.lasts) / 1e9
                late = max(late, time.monotonic() - end)
        except BaseException as error:
            self._error = error

    def _strike(self, arena: Arena, rng: random.Random, number: int, moment: Moment) -> None:
        fault = self._faults[moment.name]
        backend: Backend = arena.backends[self._on[moment.name]]
        strike = fault.draw(arena, rng, backend, aimed=_aimed(arena.spec.aim, rng, number))
        _note(arena, {"id": number, "name": fault.name, "at": arena.now(), **strike.intent()})
        arena.active = f"{fault.name} on {strike.target}"
        try:
            strike.inject()
            arena.active = f"{fault.name} on {strike.target.partition(' (')[0]}"
            arena.injected += 1
            arena.record(
                inject_event(
                    time=round(strike.began * 1e9) - arena.epoch_ns,
                    name=fault.name,
                    number=number,
                    target=strike.target,
                    processes=strike.processes,
                )
            )
            left = strike.began + moment.lasts / 1e9 - time.monotonic()
            arena.over.wait(max(0.0, left))
        finally:
            self._heal(arena, strike, fault.name, number)
            arena.active = None

    def _heal(self, arena: Arena, strike: Strike, name: str, number: int) -> None:
        strike.heal()
        proof = strike.evidence()
        arena.took_effect += proof.took_effect
        at = arena.now()
        arena.record(
            heal_event(
                time=at,
                name=name,
                number=number,
                took_effect=proof.took_effect,
                evidence=proof.sentence,
            )
        )
        _note(arena, {"id": number, "name": name, "healed": at, "took_effect": proof.took_effect})


def _aimed(aim: str, rng: random.Random, number: int) -> bool:
    """`mixed`: the first fault of a run and half of the others."""
    half = rng.random() < 0.5
    return aim == "holder" or (aim == "mixed" and (number == 1 or half))


def _note(arena: Arena, line: dict[str, Any]) -> None:
    with (arena.folder / "faults.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")
