"""The nemesis: carries the plan out on a thread of its own, one fault at a time.

What is about to be done is written to `faults.jsonl` first; what was done goes into the history.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ..harness.engine import Arena
from ..harness.errors import Broken
from ..harness.faults import SHORTEST_GAP, heal_event, inject_event, kinds_of
from ..harness.protocols import Backend
from .schedule import Moment
from .strike import Fault, Strike


class ScheduledNemesis:
    """Strikes at the planned moments.

    `faults` are by kind; `on` says which backend each planned fault strikes, one that is several
    at once (`partition+kill`) too.
    """

    def __init__(
        self,
        moments: Sequence[Moment],
        faults: Mapping[str, Fault],
        on: Mapping[str, str],
    ) -> None:
        self._moments = moments
        self._faults = faults
        self._on = on
        self._numbers = itertools.count(1)
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
                if number <= len(self._on):
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
        """One moment: its faults one after the other, spread over its length, then all healed."""
        began = time.monotonic()
        kinds = kinds_of(moment.name)
        under_way: list[_UnderWay] = []
        try:
            for place, kind in enumerate(kinds):
                due = began + moment.lasts / 1e9 * place / len(kinds)
                if arena.over.wait(max(0.0, due - time.monotonic())):
                    break
                aimed = _aimed(arena.spec.aim, rng, number)
                under_way.append(self._draw(arena, rng, kind, moment, aimed=aimed))
                _inject(arena, under_way)
            first = under_way[0].strike.began if under_way else began
            arena.over.wait(max(0.0, first + moment.lasts / 1e9 - time.monotonic()))
        finally:
            _heal_all(arena, under_way)
            arena.active = None

    def _draw(
        self, arena: Arena, rng: random.Random, kind: str, moment: Moment, *, aimed: bool
    ) -> _UnderWay:
        fault = self._faults[kind]
        backend: Backend = arena.backends[self._on[moment.name]]
        strike = fault.draw(arena, rng, backend, aimed=aimed)
        return _UnderWay(next(self._numbers), fault.name, strike)


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A fault that was drawn, and has to be healed whatever happens."""

    number: int
    name: str
    strike: Strike


def _inject(arena: Arena, under_way: Sequence[_UnderWay]) -> None:
    """Inject the last of these, and write down what is done before and after."""
    one = under_way[-1]
    strike = one.strike
    _note(arena, {"id": one.number, "name": one.name, "at": arena.now(), **strike.intent()})
    arena.active = _told(under_way)
    strike.inject()
    arena.active = _told(under_way).partition(" (")[0]
    arena.injected += 1
    arena.record(
        inject_event(
            time=round(strike.began * 1e9) - arena.epoch_ns,
            name=one.name,
            number=one.number,
            target=strike.target,
            processes=strike.processes,
        )
    )


def _told(under_way: Sequence[_UnderWay]) -> str:
    return " and ".join(f"{each.name} on {each.strike.target}" for each in under_way)


def _heal_all(arena: Arena, under_way: Sequence[_UnderWay]) -> None:
    """Heal in the order of injection: what cannot be healed keeps nothing else from it.

    But links and whoever stands still come first: a node can only join those that answer it.
    """
    errors: list[BaseException] = []
    for one in sorted(under_way, key=lambda one: not getattr(one.strike, "heals_first", False)):
        try:
            _heal(arena, one)
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _heal(arena: Arena, one: _UnderWay) -> None:
    one.strike.heal()
    proof = one.strike.evidence()
    arena.took_effect += proof.took_effect
    at = arena.now()
    arena.record(
        heal_event(
            time=at,
            name=one.name,
            number=one.number,
            took_effect=proof.took_effect,
            evidence=proof.sentence,
        )
    )
    done = {"healed": at, "took_effect": proof.took_effect}
    _note(arena, {"id": one.number, "name": one.name, **done})


def _aimed(aim: str, rng: random.Random, number: int) -> bool:
    """`mixed`: the first fault of a run and half of the others."""
    half = rng.random() < 0.5
    return aim == "holder" or (aim == "mixed" and (number == 1 or half))


def _note(arena: Arena, line: dict[str, Any]) -> None:
    with (arena.folder / "faults.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")
