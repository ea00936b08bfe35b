"""Random histories of every model: what a correct object answers, the same with one answer
changed, or anything; with clients that crash and operations that fail or are refused.

Each kind of object is a few lines of Python of its own, so that a model is not held against itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from histories import Asked, in_effect, planned, recorded

from dokkaebi.checkers import models
from dokkaebi.harness.history import History


@dataclass(frozen=True)
class Kind:
    """One model: what clients ask, what a correct object does, what a wrong one may answer.

    `act(state, asked)` changes the state (a dict) and may fill in the answer or refuse;
    `invent(rng, asked)` fills in any answer.
    """

    model: Callable[[], Any]
    draw: Callable[[random.Random], tuple[str, Any]]
    act: Callable[[dict[str, Any], Asked], None]
    invent: Callable[[random.Random, Asked], None]
    refusing: bool = False


def refuse(asked: Asked) -> None:
    """The object looked and said no; who was never answered does not know."""
    if asked.type == "ok":
        asked.type, asked.error = "fail", "refused"


# --- registers -----------------------------------------------------------------------------------


def _draw_register(
    *functions: str, keys: int = 2, values: int = 3
) -> Callable[[random.Random], tuple[str, Any]]:
    def draw(rng: random.Random) -> tuple[str, Any]:
        f = rng.choice(functions)
        old, new = rng.randrange(values), rng.randrange(values)
        return f, [rng.randrange(keys), {"read": None, "write": new, "cas": [old, new]}[f]]

    return draw


def _act_register(state: dict[str, Any], asked: Asked) -> None:
    key, value = asked.value
    if asked.f == "read":
        asked.answer = [key, state.get(key, 0)]
    elif asked.f == "write":
        state[key] = value
    elif state.get(key, 0) == value[0]:
        state[key] = value[1]
    else:
        refuse(asked)


def _invent_register(rng: random.Random, asked: Asked) -> None:
    if asked.f == "read":
        asked.answer = [asked.value[0], rng.randrange(3)]


def _draw_txn(rng: random.Random) -> tuple[str, Any]:
    mops = []
    for _ in range(rng.randint(1, 2)):
        key = rng.choice("xy")
        mops.append(["r", key, None] if rng.random() < 0.5 else ["w", key, rng.randrange(2)])
    return "txn", mops


def _act_txn(state: dict[str, Any], asked: Asked) -> None:
    answer = []
    for f, key, value in asked.value:
        if f == "w":
            state[key] = value
        answer.append([f, key, state.get(key, 0)])
    asked.answer = answer


def _invent_txn(rng: random.Random, asked: Asked) -> None:
    asked.answer = [[f, k, v if f == "w" else rng.randrange(2)] for f, k, v in asked.value]


# --- locks ---------------------------------------------------------------------------------------


def _draw_lock(rng: random.Random) -> tuple[str, Any]:
    return rng.choice(["acquire", "release"]), rng.choice("aab")


def _act_lock(most: int, owned: bool, fenced: bool = False) -> Callable[..., None]:
    def act(state: dict[str, Any], asked: Asked) -> None:
        holders = state.setdefault(asked.value, [])
        if asked.f == "acquire":
            if len(holders) == most:
                refuse(asked)
                return
            holders.append(asked.process)
            if fenced:
                state["token"] = state.get("token", 0) + 1
                asked.result = state["token"]
        elif holders and (not owned or asked.process in holders):
            holders.remove(asked.process if owned else holders[0])
        elif asked.type == "ok":
            asked.type, asked.error = "fail", "not held"

    return act


def _invent_lock(rng: random.Random, asked: Asked) -> None:
    pass


def _invent_token(rng: random.Random, asked: Asked) -> None:
    if asked.f == "acquire" and rng.random() < 0.8:
        asked.result = rng.randrange(4)


# --- collections ---------------------------------------------------------------------------------


def _draw_set(*functions: str) -> Callable[[random.Random], tuple[str, Any]]:
    def draw(rng: random.Random) -> tuple[str, Any]:
        f = rng.choice(functions)
        return f, None if f == "read" else rng.randrange(3)

    return draw


def _act_set(state: dict[str, Any], asked: Asked) -> None:
    here = state.setdefault("set", set())
    if asked.f == "read":
        asked.answer = sorted(here, reverse=True)
    elif asked.f == "contains":
        asked.result = asked.value in here
    elif (asked.value in here) == (asked.f == "add"):
        refuse(asked)
    elif asked.f == "add":
        here.add(asked.value)
    else:
        here.remove(asked.value)


def _invent_set(rng: random.Random, asked: Asked) -> None:
    if asked.f == "read":
        asked.answer = rng.sample(range(3), rng.randint(0, 3))
    elif asked.f == "contains":
        asked.result = rng.random() < 0.5


def _draw_queue(put: str, take: str) -> Callable[[random.Random], tuple[str, Any]]:
    def draw(rng: random.Random) -> tuple[str, Any]:
        return (put, rng.randrange(3)) if rng.random() < 0.55 else (take, None)

    return draw


def _act_queue(put: str, next_of: Callable[[list[int]], int]) -> Callable[..., None]:
    def act(state: dict[str, Any], asked: Asked) -> None:
        values = state.setdefault("values", [])
        if asked.f == put:
            values.append(asked.value)
        elif values:
            asked.answer = values.pop(next_of(values))
        elif asked.call % 2:
            refuse(asked)

    return act


def _invent_queue(put: str) -> Callable[..., None]:
    def invent(rng: random.Random, asked: Asked) -> None:
        if asked.f != put:
            asked.answer = rng.choice([None, 0, 1, 2])

    return invent


def _queue(
    model: Callable[[], Any], put: str, take: str, next_of: Callable[[list[int]], int]
) -> Kind:
    return Kind(
        model, _draw_queue(put, take), _act_queue(put, next_of), _invent_queue(put), refusing=True
    )


def _draw_counter(rng: random.Random) -> tuple[str, Any]:
    key = rng.randrange(2)
    return (
        ("read", [key, None]) if rng.random() < 0.5 else ("add", [key, rng.choice([1, 1, 2, -1])])
    )


def _act_counter(state: dict[str, Any], asked: Asked) -> None:
    key, value = asked.value
    if asked.f == "read":
        asked.answer = [key, state.get(key, 0)]
        return
    state[key] = state.get(key, 0) + value
    asked.result = state[key] if asked.call % 2 else None


def _invent_counter(rng: random.Random, asked: Asked) -> None:
    if asked.f == "read":
        asked.answer = [asked.value[0], rng.randint(-1, 3)]
    elif rng.random() < 0.3:
        asked.result = rng.randint(-1, 3)


KINDS: dict[str, Kind] = {
    "register": Kind(
        lambda: models.Register(0), _draw_register("read", "write"), _act_register, _invent_register
    ),
    "cas-register": Kind(
        lambda: models.CasRegister(0), _draw_register("read", "write", "cas", "cas"),
        _act_register, _invent_register, refusing=True,
    ),
    "cas-register of many values": Kind(
        lambda: models.CasRegister(0),
        _draw_register("read", "write", "cas", keys=1, values=8),
        _act_register, _invent_register, refusing=True,
    ),
    "multi-register": Kind(
        lambda: models.MultiRegister({"x": 0, "y": 0}), _draw_txn, _act_txn, _invent_txn
    ),
    "mutex": Kind(lambda: models.Mutex(strict_try=True), _draw_lock, _act_lock(1, False),
                  _invent_lock, refusing=True),
    "owner-mutex": Kind(models.OwnerMutex, _draw_lock, _act_lock(1, True), _invent_lock),
    "fenced-mutex": Kind(models.FencedMutex, _draw_lock, _act_lock(1, True, True), _invent_token),
    "semaphore": Kind(lambda: models.Semaphore(2, strict_try=True), _draw_lock,
                      _act_lock(2, False), _invent_lock, refusing=True),
    "set": Kind(models.Set, _draw_set("add", "remove", "contains", "read"), _act_set, _invent_set,
                refusing=True),
    "set by element": Kind(models.Set, _draw_set("add", "remove", "contains"), _act_set,
                           _invent_set, refusing=True),
    "fifo-queue": _queue(models.FifoQueue, "enqueue", "dequeue", lambda values: 0),
    "unordered-queue": _queue(models.UnorderedQueue, "enqueue", "dequeue",
                              lambda values: len(values) // 2),
    "stack": _queue(models.Stack, "push", "pop", lambda values: -1),
    "priority-queue": _queue(models.PriorityQueue, "insert", "poll",
                             lambda values: values.index(max(values))),
    "least first": _queue(lambda: models.PriorityQueue(smallest=True), "insert", "poll",
                          lambda values: values.index(min(values))),
    "counter": Kind(models.Counter, _draw_counter, _act_counter, _invent_counter),
}  # fmt: skip
"""Every model, by name; some twice."""


MAKERS: dict[str, Callable[..., History]] = {}
"""The ways to make a history of a kind: `maker(kind, rng, operations=, clients=)`."""


def _plan(kind: Kind, rng: random.Random, operations: int, clients: int, types: Any) -> list[Asked]:
    return planned(rng, clients=clients, operations=operations, draw=kind.draw, types=types)


def correct(kind: Kind, rng: random.Random, *, operations: int, clients: int) -> History:
    """What an object answers that does one thing at a time."""
    return recorded(_correct(kind, rng, operations, clients))


def _correct(kind: Kind, rng: random.Random, operations: int, clients: int) -> list[Asked]:
    plan = _plan(kind, rng, operations, clients, {"ok": 8, "fail": 1, "info": 1})
    state: dict[str, Any] = {}
    for asked in in_effect(plan):
        kind.act(state, asked)
    return plan


def perturbed(kind: Kind, rng: random.Random, *, operations: int, clients: int) -> History:
    """A correct history with one answer changed."""
    plan = _correct(kind, rng, operations, clients)
    kind.invent(rng, rng.choice(plan))
    return recorded(plan)


def crashing(kind: Kind, rng: random.Random, *, operations: int, clients: int) -> History:
    """What a correct object answers where half of the operations crash, one answer changed."""
    plan = _plan(kind, rng, operations, clients, {"ok": 5, "info": 5})
    state: dict[str, Any] = {}
    for asked in in_effect(plan):
        kind.act(state, asked)
    for _ in range(rng.randint(0, 2)):
        kind.invent(rng, rng.choice(plan))
    return recorded(plan)


def chaos(kind: Kind, rng: random.Random, *, operations: int, clients: int) -> History:
    """Any answers."""
    refused = {"refused": 1} if kind.refusing else {}
    plan = _plan(kind, rng, operations, clients, {"ok": 6, "fail": 1, "info": 2, **refused})
    for asked in plan:
        kind.invent(rng, asked)
    return recorded(plan)


MAKERS.update(correct=correct, perturbed=perturbed, crashing=crashing, chaos=chaos)
