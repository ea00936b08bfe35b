"""A failure with as little as it takes to show it.

Sessions, keys, faults and time are taken away one after another by running the test again; what
still fails, and most often, is kept. The seed fixes what is asked, not the operating system's
timing, so how often the small test fails is measured, and said in the file; one that fails too
seldom is taken back for the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..compose import Servers
from ..harness.choosing import Wish, choose
from ..harness.errors import UsageError
from ..harness.faults import shortest
from ..harness.spec import SECOND, Spec, show_duration
from ..suite.expectations import base
from ..suite.tasks import Outcome, Task, carry_out

TRIES = 2
"""Runs that must all show it before less is enough."""

ENOUGH = 0.9
"""The part of the runs of a test in which it must fail; else a larger one is taken."""

LEAST_S = 1
"""No run is shorter, in seconds."""

Tell = Callable[[str], None]


class Reproduced(msgspec.Struct, frozen=True, kw_only=True):
    """The least that still fails, and how often it did."""

    wish: Wish
    spec: Spec
    name: str
    """The anomaly."""
    shown: int
    tried: int


def shrink_plan(
    wish: Wish, name: str, *, servers: Servers, out: Path, times: int, tell: Tell
) -> Reproduced:
    """Take away from a test what it does not need to show the anomaly `name`.

    Raises `UsageError` where it does not come back at all.
    """
    search = _Search(name, servers, out, tell)
    if not search.shows(wish, tries=times, enough=1):
        raise UsageError(f"{name} did not come back in {times} runs: try --times with more")
    failing = [wish]
    for smaller in _smaller(wish):
        # Each is made of the least so far, so that what was given up stays so.
        fewer = smaller(failing[-1])
        if fewer is not None and search.shows(fewer, tries=TRIES, enough=TRIES):
            failing.append(fewer)
    tell(f"{times} runs of what is left")
    return search.most_often(failing, times)


class _Search:
    def __init__(self, name: str, servers: Servers, out: Path, tell: Tell) -> None:
        self._name = name
        self._servers = servers
        self._out = out
        self._tell = tell

    def shows(self, wish: Wish, *, tries: int, enough: int) -> bool:
        """Whether it comes back often enough in so many runs."""
        seen = 0
        for number in range(tries):
            seen += self._once(wish)
            if seen >= enough:
                return True
            if seen + tries - number - 1 < enough:
                return False
        return False

    def count(self, wish: Wish, times: int) -> int:
        """In how many of so many runs it comes back."""
        return sum(self._once(wish) for _ in range(times))

    def most_often(self, failing: Sequence[Wish], times: int) -> Reproduced:
        """The smallest that fails nearly always, the last of them being the smallest; where none
        does, the one that fails most often."""
        found = []
        for wish in reversed(failing):
            shown = self.count(wish, times)
            spec = choose(wish)[0]
            found.append(
                Reproduced(wish=wish, spec=spec, name=self._name, shown=shown, tried=times)
            )
            if shown >= ENOUGH * times:
                break
        return max(found, key=lambda one: one.shown)

    def _once(self, wish: Wish) -> bool:
        outcome = carry_out(Task(wish=wish, out=str(self._out)), self._servers)
        if outcome.interrupted:
            raise KeyboardInterrupt
        found = _finds(outcome, self._name)
        self._tell(f"{'still' if found else 'no'} {self._name}: {_size(wish)}")
        return found


def _finds(outcome: Outcome, name: str) -> bool:
    return base(name) in {base(found.type) for found in outcome.found}


Smaller = Callable[[Wish], Wish | None]


def _smaller(wish: Wish) -> Iterator[Smaller]:
    """What may be taken away, one after the other."""
    faults = [fault for fault in wish.faults or () if fault != "none"]
    if faults:
        yield lambda w: _with(w, faults=["none"])
    if len(faults) > 1:
        for fault in faults:
            yield lambda w, only=fault: (  # type: ignore[misc]
                _with(w, faults=[only]) if w.faults != ["none"] else None
            )
    for seconds in (5, 2, LEAST_S):
        yield lambda w, s=seconds: _shorter(w, s * SECOND)  # type: ignore[misc]
    for workers in (2, 3, 4, 6):
        yield lambda w, n=workers: (  # type: ignore[misc]
            _with(w, workers=n, processes=min(n, w.processes)) if n < w.workers else None
        )
    for keys in (1, 2):
        yield lambda w, n=keys: _fewer_keys(w, n)  # type: ignore[misc]


def _with(wish: Wish, **changes: Any) -> Wish:
    return msgspec.structs.replace(wish, **changes)


def _shorter(wish: Wish, time: int) -> Wish | None:
    spec, _ = choose(_with(wish, time=None))
    least = shortest(len(spec.faults), spec.lasts)
    return _with(wish, time=time) if least <= time < (wish.time or spec.time) else None


def _fewer_keys(wish: Wish, number: int) -> Wish | None:
    name = next((name for name in ("keys", "names", "accounts") if name in wish.params), None)
    if name is None or not wish.params[name].isdecimal() or int(wish.params[name]) <= number:
        return None
    return _with(wish, params={**wish.params, name: str(number)})


def _size(wish: Wish) -> str:
    faults = ", ".join(wish.faults or ("none",))
    keys = next((f", {n}: {wish.params[n]}" for n in ("keys", "names") if n in wish.params), "")
    time = show_duration(wish.time) if wish.time else "as long as usual"
    return f"{wish.workers} workers, {time}, faults {faults}{keys}"
