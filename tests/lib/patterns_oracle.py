"""Small histories of every kind of object, and naive models to judge them by brute force.

A history is a list of `Step`s; half of them are made by carrying operations out one by one and
widening their intervals (so they are legal until something is changed), half at random. Times are
few, so that many are equal.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dokkaebi.harness.history import FOREVER


@dataclass(frozen=True)
class Step:
    """One operation, as `oracle.linearizable` wants it: type "ok" or "info" (crashed)."""

    f: str
    value: Any = None
    call: int = 0
    ret: int = 0
    type: str = "ok"
    process: int = 0
    old: Any = None
    drain: tuple[int, int] | None = None


class Register:
    """Starts as 0; `cas` replaces `old`, `refused` saw anything but `old`."""

    def init(self) -> Hashable:
        return 0

    def step(self, state: Any, op: Step) -> Iterable[Hashable]:
        if op.f == "read":
            return (state,) if op.type == "info" or op.value == state else ()
        if op.f == "refused":
            return (state,) if state != op.old else ()
        return (op.value,) if op.f == "write" or state == op.old else ()


class Elements:
    """A set: `insert` and `remove` change it, `present` and `absent` saw.

    A `blind` remove may find nothing.
    """

    def __init__(self, *, blind: bool) -> None:
        self.blind = blind

    def init(self) -> Hashable:
        return frozenset()

    def step(self, state: Any, op: Step) -> Iterable[Hashable]:
        if op.type == "info" and op.f in ("present", "absent"):
            return (state,)
        there = op.value in state
        if self.blind and op.f == "remove":
            return (state - {op.value},)
        if op.f in ("insert", "absent"):
            change = {op.value} if op.f == "insert" else set()
            return () if there else (state | change,)
        change = {op.value} if op.f == "remove" else set()
        return (state - change,) if there else ()


class Growing:
    """A set with `add` and whole reads (lists)."""

    def init(self) -> Hashable:
        return frozenset()

    def step(self, state: Any, op: Step) -> Iterable[Hashable]:
        if op.f == "add":
            return (state | {op.value},)
        return (state,) if op.type == "info" or sorted(op.value) == sorted(state) else ()


class Box:
    """Values go in at the end by `put`; `where(state)` says from which places `take` may take."""

    def __init__(self, where: Callable[[tuple[int, ...]], Iterable[int]]) -> None:
        self.where = where

    def init(self) -> Hashable:
        return (), ()

    def step(self, state: Any, op: Step) -> Iterable[Hashable]:
        inside, drained = state
        if op.f == "put":
            return (((*inside, op.value), drained),)
        if op.f == "empty":
            return () if inside and op.type == "ok" else (state,)
        if op.drain is not None:
            group, place = op.drain
            if dict(drained).get(group, 0) != place:
                return ()
            drained = tuple(sorted({**dict(drained), group: place + 1}.items()))
        return [
            (inside[:at] + inside[at + 1 :], drained)
            for at in (self.where(inside) if inside else ())
            if op.type == "info" or inside[at] == op.value
        ]


QUEUE = Box(lambda inside: [0])
STACK = Box(lambda inside: [len(inside) - 1])
PRIORITY = Box(lambda inside: [inside.index(max(inside))])
BAG = Box(lambda inside: range(len(inside)))


class Lock:
    """`acquire` (`shared` for readers) and `release`; the state counts holds by process."""

    def __init__(self, limit: int = 1, *, owned: bool = True, reentrant: bool = False) -> None:
        self.limit, self.owned, self.reentrant = limit, owned, reentrant

    def init(self) -> Hashable:
        return ()

    def step(self, state: Any, op: Step) -> Iterable[Hashable]:
        who = op.process if self.owned else 0
        held = dict(state)
        if op.f == "release":
            if not held.get(who):
                return ()
            held[who] -= 1
        else:
            again = self.reentrant and held.get(who)
            if not again and sum(held.values()) >= self.limit:
                return ()
            held[who] = held.get(who, 0) + 1
        return (tuple(sorted((p, n) for p, n in held.items() if n)),)


class Fenced:
    """An owner's lock whose every acquire has a greater token (`old`) than all before."""

    def init(self) -> Hashable:
        return None, -1

    def step(self, state: Any, op: Step) -> Iterable[Hashable]:
        holder, last = state
        if op.f == "release":
            return ((None, last),) if holder == op.process else ()
        if holder is not None or (op.type == "ok" and op.old <= last):
            return ()
        return ((op.process, op.old if op.type == "ok" else last),)


# --- histories -----------------------------------------------------------------------------------


def history(
    rng: random.Random,
    model: Any,
    draw: Callable[[random.Random, int], Step],
    *,
    most: int = 7,
    change: Callable[[random.Random, Step, int], Step] | None = None,
) -> list[Step]:
    """Up to `most` operations; `draw(rng, i)` is the i-th, `change` gives another answer."""
    size = rng.randint(1, most)
    if rng.random() < 0.3:
        steps = [draw(rng, i) for i in range(size)]
        return [crashing(rng, placed(rng, step, rng.randint(0, 8), 4)) for step in steps]
    steps, states = [], {model.init()}
    moments = sorted(rng.randint(0, rng.choice((4, 8, 16))) for _ in range(size))
    width = rng.randint(0, 4)
    for i, moment in enumerate(moments):
        for _ in range(8):
            step = draw(rng, i)
            after = {then for state in states for then in model.step(state, step)}
            if after:
                states = after
                steps.append(crashing(rng, placed(rng, step, moment, width)))
                break
        if rng.random() < 0.1:
            # Called, never answered, and of no effect.
            lost = placed(rng, draw(rng, size + i), moment, width)
            steps.append(replace(lost, type="info", ret=FOREVER))
    rng.shuffle(steps)
    if steps and rng.random() < 0.6:
        at = rng.randrange(len(steps))
        other = steps[at]
        if change is not None and rng.random() < 0.5:
            other = change(rng, other, size)
        else:
            call = rng.randint(0, 16)
            ret = other.ret if other.type == "info" else call + rng.randint(0, 4)
            other = replace(other, call=call, ret=ret)
        steps[at] = other
    return steps


def turns(rng, functions=("acquire",), most=8):
    """What a few processes did, each one operation after the other; most of them alternate.

    A crashed operation is its process's last, a failed one left out.
    """
    size = rng.randint(1, most)
    steps = []
    process = 0
    pace = rng.choice((1, 3, 6))
    while len(steps) < size:
        process += 1
        time, held = rng.randint(0, 12), 0
        for _ in range(rng.choice((1, 2, 2, 2, 3, 4))):
            up = held == 0 if rng.random() < 0.93 else rng.random() < 0.5
            f = rng.choice(functions) if up else "release"
            held += 1 if up else -1
            ret = time + rng.randint(0, pace)
            step = Step(f, 0, call=time, ret=ret, process=process)
            if rng.random() < 0.1:
                steps.append(replace(step, type="info", ret=FOREVER))
                break
            if rng.random() < 0.05:
                held += -1 if up else 1
            else:
                steps.append(step)
            time = ret + rng.randint(1, pace)
    rng.shuffle(steps)
    return steps[:most]


def placed(rng: random.Random, step: Step, moment: int, width: int) -> Step:
    """The step with an interval around a moment."""
    return replace(
        step, call=max(0, moment - rng.randint(0, width)), ret=moment + rng.randint(0, width)
    )


def crashing(rng: random.Random, step: Step) -> Step:
    """Now and then, the step never answered."""
    return replace(step, type="info", ret=FOREVER) if rng.random() < 0.12 else step


def column(values: Iterable[Any]) -> np.ndarray:
    """int64, -1 (or 0 for what must be a number of something) for nothing."""
    return np.array([0 if value is None else value for value in values], dtype=np.int64)


def times(steps: Sequence[Step]) -> tuple[np.ndarray, np.ndarray]:
    """The columns call and ret."""
    return column(s.call for s in steps), column(s.ret for s in steps)
