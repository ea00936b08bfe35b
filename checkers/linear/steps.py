"""What may follow what, in numbers: told at once by values, or asked of a model step by step."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol

import numpy as np

from .kernels import ANY, I64, NONE, Rules, place_of

_STATES, _NOTHING = np.full(1, NONE, dtype=np.int64), np.zeros(0, dtype=np.int64)

STEP = 20
"""Configurations that one step of a model in Python counts for."""


class Steps(Protocol):
    """The states that a search meets, as numbers, and the rules between them."""

    rules: Rules
    init: int

    def state(self, number: int) -> Hashable:
        """The state that a number stands for."""

    def learn(self, state: int, codes: Iterable[int], now: int) -> int:
        """Tell what follows `state` by each of the codes, and where that leads by `now`.

        Answers how many configurations this counts for; `rules` is another afterwards.
        """


class Assignments:
    """Operations that need a value (or need it not to be there) and leave one: registers."""

    def __init__(
        self, values: Sequence[Hashable], init: int, *, need: I64, avoid: I64, to: I64
    ) -> None:
        """States are places in `values`; `need`, `avoid` and `to` are one for each code, or ANY."""
        self._values = values
        self.init = init
        still = (to == ANY).astype(np.int64)
        self.rules = Rules(still, need, avoid, to, _STATES, _NOTHING, _NOTHING)

    def state(self, number: int) -> Hashable:
        """The value that a number stands for."""
        return self._values[number]

    def learn(self, state: int, codes: Iterable[int], now: int) -> int:
        """Nothing: all is known."""
        return 0


class Stepped:
    """A model's own step, asked only for what a search needs, and only once for each."""

    def __init__(
        self,
        init: Hashable,
        step: Callable[[Hashable, int], Iterable[Hashable]],
        still: Sequence[bool],
    ) -> None:
        """`step(state, code)` gives the states that may follow; `still[code]`: it changes none."""
        self._step = step
        self._states: list[Hashable] = []
        self._numbers: dict[Hashable, int] = {}
        self._places: dict[tuple[int, ...], int] = {(): 0}
        self._told = 1
        self._count = 0
        empty = np.full(64, NONE, dtype=np.int64)
        self.rules = Rules(
            np.array(still, dtype=np.int64), _NOTHING, _NOTHING, _NOTHING,
            empty, empty.copy(), empty.copy(),
        )  # fmt: skip
        self.init = self._number(init)

    def state(self, number: int) -> Hashable:
        """The model's own state."""
        return self._states[number]

    def learn(self, state: int, codes: Iterable[int], now: int) -> int:
        """Step the model and remember what came of it."""
        before = self._count
        for code in codes:
            for after in self._tell(state, code):
                self._tell(after, now)
        return STEP * (self._count - before)

    def _number(self, state: Hashable) -> int:
        number = self._numbers.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
        return number

    def _tell(self, state: int, code: int) -> tuple[int, ...]:
        """What follows, as numbers; told to the rules unless they know it."""
        rules = self.rules
        wanted = state << 31 | code
        at = place_of.plain(rules.known, wanted)
        if rules.known[at] != NONE:
            start = int(rules.where[at])
            end = start
            while rules.after[end] != NONE:
                end += 1
            return tuple(rules.after[start:end].tolist())
        afters = self._step(self._states[state], code)
        found = tuple(dict.fromkeys(self._number(after) for after in afters))
        rules.known[at] = wanted
        rules.where[at] = self._place(found)
        self._count += 1
        if 2 * self._count > len(rules.known):
            self._grow()
        return found

    def _place(self, found: tuple[int, ...]) -> int:
        """Where these numbers stand in `after`, ended by NONE."""
        place = self._places.setdefault(found, self._told)
        if place == self._told:
            end = place + len(found)
            if end >= len(self.rules.after):
                larger = np.full(2 * end + 2, NONE, dtype=np.int64)
                larger[: self._told] = self.rules.after[: self._told]
                self.rules = self.rules._replace(after=larger)
            self.rules.after[place:end] = found
            self._told = end + 1
        return place

    def _grow(self) -> None:
        """Twice the hash table."""
        old = self.rules
        known = np.full(2 * len(old.known), NONE, dtype=np.int64)
        where = known.copy()
        for i in np.flatnonzero(old.known != NONE).tolist():
            at = place_of.plain(known, int(old.known[i]))
            known[at], where[at] = old.known[i], old.where[i]
        self.rules = old._replace(known=known, where=where)
