"""Can the operations of each key be put in a legal order? Drives the kernels, says what they found.

Depth first with a small budget; where that gives out, breadth first, which keeps nothing of the
past. Both run interpreted until they have done so much that compiling repays it, and in slices, so
that they can be interrupted.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import compiled
from ..compiled import Kernel
from . import kernels as k
from .kernels import I64
from .layout import Laid, lay_out
from .problem import Problem

MOST_AT_ONCE = 400_000
"""Configurations that the breadth-first search may hold at one return."""

MOST_SEEN = 2**29
"""Bytes in which a search may remember what it has seen."""

INTERPRETED = 20_000
"""Configurations that are visited before a search of few operations is compiled after all."""

SLICE = 500_000
"""Configurations after which a compiled search looks up."""

_FIRST = 4096


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found of a key that is not legal, or undecided: `legal` is None, the budget ran out.

    If not legal, `culprit` is the operation that fits nowhere, `states` are all that were possible
    just before, `path` the last operations of an order that came so far, `concurrent` those that
    were pending with it: all of them rows of the problem.
    """

    key: int
    legal: bool | None
    culprit: int = -1
    states: tuple[Hashable, ...] = ()
    path: tuple[int, ...] = ()
    concurrent: tuple[int, ...] = ()


class Search:
    """One search over a problem, key after key; `work` is what it has cost so far."""

    def __init__(self, problem: Problem, budget: int) -> None:
        """`budget` is the number of configurations that may be visited, for all keys together."""
        self._steps = problem.steps
        self._keys = len(problem.keys)
        self._size = len(problem)
        self._laid = _laid(problem)
        self._reg = np.zeros(k.REGISTERS, dtype=np.int64)
        self._reg[k.BUDGET] = budget
        self._reg[k.INIT] = problem.steps.init
        words = 0 if self._laid is None else int(self._laid.layout.words.max(initial=1))
        self._cur = np.zeros(words, dtype=np.int64)
        self._memo = self._forget()

    @property
    def work(self) -> int:
        """Configurations visited so far."""
        return int(self._reg[k.WORK])

    def outcomes(self) -> Iterator[Outcome]:
        """Search every key; tell of those that are not legal."""
        if self._laid is None:
            yield from (Outcome(key, None) for key in range(self._keys))
        else:
            yield from self._outcomes(self._laid)

    def _outcomes(self, laid: Laid) -> Iterator[Outcome]:
        reg = self._reg
        depth = _Depth(laid, len(self._cur))
        key = 0
        while key < self._keys:
            self._begin(laid, key)
            found = self._run(laid, k.depth_first_all, depth)
            key = int(reg[k.KEY])
            if found == k.ILLEGAL:
                yield self._told(laid, int(reg[k.BEST]), self._deepest(), depth.path())
            elif found == k.SPENT:
                yield from self._breadth_first(laid, key)
            key += 1

    def _breadth_first(self, laid: Laid, key: int) -> Iterator[Outcome]:
        reg = self._reg
        self._memo = self._forget()
        self._begin(laid, key)
        breadth = _Breadth(len(self._cur), int(reg[k.INIT]))
        reg[k.LIMIT], reg[k.SIMPLE] = reg[k.BUDGET], 1
        reg[k.MODE], reg[k.AT], reg[k.FRONT], reg[k.TAIL], reg[k.NEXT] = k.INTAKE, 0, 1, 0, 0
        found = self._run(laid, k.breadth_first, breadth)
        reg[k.SIMPLE] = 0
        # Its configurations are numbered otherwise than those of the depth-first search.
        self._memo = self._forget()
        if found == k.SPENT:
            yield Outcome(key, None)
        elif found == k.ILLEGAL:
            states = breadth.queue[: reg[k.TAIL], k.C_STATE]
            yield self._told(laid, int(reg[k.RETURN]), states, breadth.path())

    # --- running the kernels ---------------------------------------------------------------------

    def _run(self, laid: Laid, search: Kernel[Any, int], place: _Depth | _Breadth) -> int:
        """Run a search to its end, giving it what it asks for."""
        reg = self._reg
        while True:
            quick = self._quick
            reg[k.PAUSE] = reg[k.WORK] + SLICE if quick else INTERPRETED
            call = search.compiled if quick else search.plain
            arrays = place.arrays
            found = call(laid.layout, self._steps.rules, self._memo, *arrays, self._cur, reg)
            if found == k.STEP:
                self._learn(laid, place)
            elif found == k.FULL:
                if not (self._remember_more(laid) or place.grow(reg)):
                    return k.SPENT
            elif found != k.PAUSED:
                return int(found)

    @property
    def _quick(self) -> bool:
        return self._size >= compiled.COMPILE_FROM or self._reg[k.WORK] >= INTERPRETED

    def _learn(self, laid: Laid, place: _Depth | _Breadth) -> None:
        """Say what follows where the search stands, and what else it will soon ask."""
        reg, layout = self._reg, laid.layout
        state, code, key = int(reg[k.ASK]), int(reg[k.ASKED]), int(reg[k.KEY])
        at, here = place.stands(reg)
        codes = [code]
        now = int(layout.code[at])
        if state == here:
            pending = layout.pending[layout.off[at] : layout.off[at + 1]]
            kinds = layout.kind_code[layout.kinds[key] : layout.kinds[key + 1]]
            codes = [*dict.fromkeys([code, *layout.code[pending].tolist(), *kinds.tolist()])]
        cost = self._steps.learn(state, codes, now)
        reg[k.WORK] += cost
        reg[k.LIMIT] = min(reg[k.BUDGET], reg[k.LIMIT] + cost)

    def _begin(self, laid: Laid, key: int) -> None:
        self._reg[k.KEY] = key
        k.begin.plain(laid.layout, self._memo, self._cur, self._reg)

    # --- what was seen ---------------------------------------------------------------------------

    def _forget(self) -> I64:
        self._reg[k.COUNT] = 0
        return np.full((_FIRST, 1 + len(self._cur)), k.NONE, dtype=np.int64)

    def _remember_more(self, laid: Laid) -> bool:
        """Four times the memory, if it is that which is full and there may be more."""
        old = self._memo
        if 2 * self._reg[k.COUNT] + 2 < len(old):
            return False
        if 4 * old.nbytes > MOST_SEEN:
            return False
        self._memo = np.full((4 * len(old), old.shape[1]), k.NONE, dtype=np.int64)
        self._reg[k.COUNT] = 0
        call = k.seen_again.compiled if self._quick else k.seen_again.plain
        call(laid.layout, old, self._memo, self._cur.copy(), self._reg)
        return True

    def _deepest(self) -> I64:
        """The states in which the depth-first search reached the return that it never passed."""
        keys = self._memo[:, 0]
        deepest: I64 = keys[keys >> 31 == self._reg[k.BEST]] & 0x7FFFFFFF
        return deepest

    def _told(self, laid: Laid, at: int, states: I64, path: list[int]) -> Outcome:
        culprit = laid.row(at)
        return Outcome(
            key=int(self._reg[k.KEY]),
            legal=False,
            culprit=culprit,
            states=tuple(self._steps.state(s) for s in np.unique(states).tolist()),
            path=tuple(map(laid.row, path)),
            concurrent=tuple(row for row in laid.pending_at(at).tolist() if row != culprit),
        )


class _Depth:
    """The arrays of the depth-first search: its stack, and the order that it stands in."""

    def __init__(self, laid: Laid, words: int) -> None:
        self._frames = np.zeros((_FIRST, k.F_WORDS + words), dtype=np.int64)
        self._trail = np.zeros(len(laid.order) + len(laid.members) + 1, dtype=np.int64)
        self._best = np.full(k.PREFIX, k.NONE, dtype=np.int64)

    @property
    def arrays(self) -> tuple[I64, ...]:
        return self._frames, self._trail, self._best

    def stands(self, reg: I64) -> tuple[int, int]:
        """The return that it stands before, and the state in which it does."""
        if reg[k.MODE] == k.CHOOSE:
            frame = self._frames[reg[k.DEPTH] - 1]
            return int(frame[k.F_RETURN]), int(frame[k.F_STATE])
        return int(reg[k.RETURN]), int(reg[k.STATE])

    def grow(self, reg: I64) -> bool:
        """Room for a longer stack: never more than there are operations."""
        if reg[k.DEPTH] < len(self._frames):
            return False
        self._frames = np.concatenate([self._frames, np.zeros_like(self._frames)])
        return True

    def path(self) -> list[int]:
        """The last operations of the order that came furthest."""
        return [number for number in self._best.tolist() if number != k.NONE]


class _Breadth:
    """The arrays of the breadth-first search: configurations before, at and after a return."""

    def __init__(self, words: int, init: int) -> None:
        self._front, self.queue, self._after = (
            np.zeros((_FIRST, k.C_WORDS + words), dtype=np.int64) for _ in range(3)
        )
        self._front[0, k.C_STATE] = init
        self._frame = np.zeros(k.F_WORDS + words, dtype=np.int64)
        self._recent = np.zeros(k.PREFIX, dtype=np.int64)

    @property
    def arrays(self) -> tuple[I64, ...]:
        return self._front, self.queue, self._after, self._frame, self._recent

    def stands(self, reg: I64) -> tuple[int, int]:
        """The return that it stands before, and the state in which it does."""
        return int(reg[k.RETURN]), int(reg[k.ASK])

    def grow(self, reg: I64) -> bool:
        """Room for twice as many configurations, up to `MOST_AT_ONCE`."""
        if 2 * len(self.queue) > max(MOST_AT_ONCE, _FIRST):
            return False
        self._front, self.queue, self._after = (
            np.concatenate([rows, np.zeros_like(rows)])
            for rows in (self._front, self.queue, self._after)
        )
        return True

    def path(self) -> list[int]:
        """The last operations of one order that came so far."""
        row = self.queue[0]
        count = int(row[k.C_TRAIL])
        return [int(row[k.C_RECENT + i % k.PREFIX]) for i in range(max(0, count - k.PREFIX), count)]


def _laid(problem: Problem) -> Laid | None:
    """Lay out everything but crashed operations that change nothing: they need no place."""
    lost = problem.crashed & (problem.steps.rules.still[problem.code] == 0)
    rows = np.flatnonzero(~problem.crashed | lost)
    laid = lay_out(
        problem.key[rows],
        len(problem.keys),
        problem.call[rows],
        problem.ret[rows],
        np.flatnonzero(lost[rows]),
        problem.code[rows],
        problem.steps.rules,
    )
    return laid and Laid(laid.layout, rows[laid.order], rows[laid.members])
