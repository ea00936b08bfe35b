"""Random histories from a seed: `chaos_*` answer anything, `correct_*` are what a correct system
answers, with clients that crash and operations that fail along the way.

Times are small, so that many are equal; what is in flight is drained or crashed, never cut off.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mini import in_order

from dokkaebi.harness.history import History, Op

FINAL = 10**6
"""The first process id of final reads."""


@dataclass
class Asked:
    """One operation of a plan. `effect` is when it takes effect, None if it never does."""

    process: int
    f: str
    value: Any
    call: float
    ret: float
    type: str = "ok"
    effect: float | None = None
    answer: Any = None
    result: Any = None
    error: str | None = None
    phase: Any = None
    ext: dict[str, Any] | None = None
    answered: bool = field(default=True)

    def events(self) -> list[Op]:
        """Its invocation, and its completion if there is one."""
        events = [self._event("invoke", self.call, self.value)]
        if self.answered:
            value = self.answer if self.type == "ok" and self.answer is not None else self.value
            events.append(self._event(self.type, self.ret, value))
        return events

    def _event(self, kind: Any, time: float, value: Any) -> Op:
        done = kind != "invoke"
        return Op(
            time=int(time),
            process=self.process,
            type=kind,
            f=self.f,
            value=value,
            phase=None if done else self.phase,
            result=self.result if done and kind == "ok" else None,
            error=self.error if done else None,
            ext=self.ext if (kind == "ok" or self.f == "release") else None,
        )


def recorded(plan: Sequence[Asked], **meta: Any) -> History:
    """The history of a plan."""
    return in_order([event for asked in plan for event in asked.events()], **meta)


def planned(
    rng: random.Random,
    *,
    clients: int,
    operations: int,
    draw: Callable[[random.Random], tuple[str, Any]],
    types: dict[str, int],
    pause: int = 3,
    lasts: int = 6,
) -> list[Asked]:
    """Operations of some clients, one at a time each; `info` retires a client's process id."""
    free = [0.0] * clients
    ids = list(range(clients))
    plan = []
    for _ in range(operations):
        client = rng.randrange(clients)
        f, value = draw(rng)
        call = free[client] + rng.randint(1, pause)
        ret = call + rng.randint(0, lasts)
        kind = rng.choices(list(types), list(types.values()))[0]
        error = {"refused": "refused", "fail": "aborted", "info": "lost"}.get(kind)
        asked = Asked(ids[client], f, value, call, ret, error=error)
        asked.type = "fail" if kind == "refused" else kind
        asked.answered = kind != "info" or rng.random() < 0.5
        asked.effect = rng.uniform(call, ret)
        if kind == "fail":
            asked.effect = None
        if kind == "info":
            ids[client] += clients
            # Never, at once, or long after its client is gone.
            asked.effect = rng.choice([None, asked.effect, ret + rng.uniform(0, 40)])
        free[client] = ret
        plan.append(asked)
    return plan


def in_effect(plan: Sequence[Asked]) -> list[Asked]:
    """The operations that take effect, in the order in which they do."""
    return sorted((a for a in plan if a.effect is not None), key=lambda a: a.effect or 0.0)


# --- registers -----------------------------------------------------------------------------------

REGISTER = {"ok": 6, "fail": 1, "refused": 1, "info": 2}


def _register_draw(values: int, keys: int) -> Callable[[random.Random], tuple[str, Any]]:
    def draw(rng: random.Random) -> tuple[str, Any]:
        f, key = rng.choice(["read", "write", "cas", "cas"]), rng.randrange(keys)
        some = [None, *range(values)]
        return f, [
            key,
            None
            if f == "read"
            else rng.choice(some)
            if f == "write"
            else [rng.choice(some), rng.choice(some)],
        ]

    return draw


def chaos_register(rng: random.Random, *, most: int = 9) -> History:
    """Reads of anything; cas that succeed and fail as they like."""
    values = rng.randint(1, 3)
    plan = planned(
        rng,
        clients=rng.randint(2, 4),
        operations=rng.randint(3, most),
        draw=_register_draw(values, rng.randint(1, 2)),
        types=REGISTER,
    )
    for asked in plan:
        if asked.f == "read":
            asked.answer = [asked.value[0], rng.choice([None, *range(values)])]
    return recorded(plan)


def correct_register(
    rng: random.Random, *, clients: int = 4, operations: int = 9, keys: int = 2, values: int = 3
) -> History:
    """Registers that do one thing at a time, starting at nil."""
    plan = planned(
        rng,
        clients=clients,
        operations=operations,
        draw=_register_draw(values, keys),
        types={"ok": 8, "fail": 1, "info": 1},
    )
    state: dict[int, Any] = {}
    for asked in in_effect(plan):
        key, value = asked.value
        if asked.f == "read":
            asked.answer = [key, state.get(key)]
        elif asked.f == "write":
            state[key] = value
        elif state.get(key) == value[0]:
            state[key] = value[1]
        elif asked.type == "ok":
            asked.type, asked.error = "fail", "refused"
    return recorded(plan)


# --- counters ------------------------------------------------------------------------------------


def _counter_draw(deltas: Sequence[int], keys: int) -> Callable[[random.Random], tuple[str, Any]]:
    def draw(rng: random.Random) -> tuple[str, Any]:
        key = f"c{rng.randrange(keys)}"
        return ("read", [key, None]) if rng.random() < 0.3 else ("add", [key, rng.choice(deltas)])

    return draw


def chaos_counter(rng: random.Random) -> History:
    """Counters that read nearly anything."""
    plan = planned(
        rng,
        clients=rng.randint(2, 4),
        operations=rng.randint(3, 10),
        draw=_counter_draw(rng.choice([[1], [1, 2], [-1, 1, 3], [-2]]), rng.randint(1, 2)),
        types={"ok": 6, "fail": 1, "info": 2},
    )
    for asked in plan:
        if asked.f == "read":
            asked.answer = [asked.value[0], rng.randint(-3, 6)]
    return recorded(plan)


def correct_counter(
    rng: random.Random,
    *,
    clients: int = 4,
    operations: int = 30,
    results: bool = True,
    deltas: Sequence[int] = (1, 2, 5, -3),
) -> History:
    """Counters that add in one step and tell the new value, with a final read of each."""
    keys = 2
    plan = planned(
        rng,
        clients=clients,
        operations=operations,
        draw=_counter_draw(deltas, keys),
        types={"ok": 8, "fail": 1, "info": 1},
    )
    end = max(asked.ret for asked in plan) + rng.choice([1, 50])
    for number in range(keys):
        final = Asked(FINAL + number, "read", [f"c{number}", None], end, end + 2, phase="final")
        final.effect = end + 1
        plan.append(final)
    state: dict[str, int] = {}
    for asked in in_effect(plan):
        key, value = asked.value
        if asked.f == "read":
            asked.answer = [key, state.get(key, 0)]
        else:
            state[key] = state.get(key, 0) + value
            asked.result = state[key] if results else None
    return recorded(plan)


# --- banks ---------------------------------------------------------------------------------------

ACCOUNTS = ("a", "b", "c")
OPENING = 10


def _bank_draw(rng: random.Random) -> tuple[str, Any]:
    if rng.random() < 0.4:
        return "read", None
    source, target = rng.sample(ACCOUNTS, 2)
    return "transfer", {"from": source, "to": target, "amount": rng.randint(1, 6)}


def chaos_bank(rng: random.Random) -> History:
    """Balances of nearly anything."""
    plan = planned(
        rng,
        clients=rng.randint(2, 4),
        operations=rng.randint(3, 8),
        draw=_bank_draw,
        types={"ok": 6, "fail": 1, "info": 2},
    )
    for asked in plan:
        if asked.f == "read":
            moved = rng.randint(-12, 12)
            asked.answer = {
                "a": OPENING - moved,
                "b": OPENING + moved + rng.choice([0, 0, 0, 1]),
                "c": OPENING,
            }
    return recorded(plan)


def correct_bank(rng: random.Random, *, clients: int = 4, operations: int = 30) -> History:
    """Transfers in one step that refuse to overdraw, reads of one moment, and a final read."""
    plan = planned(
        rng,
        clients=clients,
        operations=operations,
        draw=_bank_draw,
        types={"ok": 8, "fail": 1, "info": 1},
    )
    end = max(asked.ret for asked in plan) + rng.choice([1, 50])
    plan.append(Asked(FINAL, "read", None, end, end + 2, effect=end + 1, phase="final"))
    balances = dict.fromkeys(ACCOUNTS, OPENING)
    for asked in in_effect(plan):
        if asked.f == "read":
            asked.answer = dict(balances)
        elif balances[asked.value["from"]] >= asked.value["amount"]:
            balances[asked.value["from"]] -= asked.value["amount"]
            balances[asked.value["to"]] += asked.value["amount"]
        elif asked.type == "ok":
            asked.type, asked.error = "fail", "refused"
    return recorded(plan)


# --- locks ---------------------------------------------------------------------------------------

TTL = 20e-9
"""Seconds: twenty nanoseconds, as times are here."""


def chaos_lock(rng: random.Random) -> History:
    """Processes that acquire and release, whoever else holds."""
    plan: list[Asked] = []
    for process in range(rng.randint(2, 4)):
        at = rng.randint(0, 30)
        for _ in range(rng.randint(1, 3)):
            name = f"l{rng.randrange(2)}"
            kind = rng.choices(["ok", "refused", "info", "fail"], [6, 1, 1, 1])[0]
            taken = Asked(process, "acquire", name, at, at + rng.randint(0, 25))
            taken.type = "fail" if kind == "refused" else kind
            taken.error = None if kind == "ok" else kind
            taken.result = f"t{len(plan)}"
            taken.ext = {"ttl": rng.choice([10e-9, 40e-9])} if rng.random() < 0.2 else None
            plan.append(taken)
            at = int(taken.ret) + rng.randint(1, 3)
            if kind == "info":
                break
            if kind == "ok":
                at += rng.choice([0, 5, 30])
                released = Asked(process, "release", name, at, at + rng.randint(0, 9))
                released.type = rng.choices(["ok", "fail", "info"], [6, 1, 1])[0]
                released.ext = {"token": taken.result}
                plan.append(released)
                at = int(released.ret) + rng.randint(1, 3)
                if released.type == "info" or rng.random() < 0.2:
                    break
    return recorded(plan)


def correct_lock(rng: random.Random, *, clients: int = 4, rounds: int = 12) -> History:
    """One lock without expiry, whose server grants it to one at a time; some holders crash.

    The holder that crashes is seen to be gone by the server only some time later.
    """
    plan: list[Asked] = []
    ids = list(range(clients))
    ready = [0.0] * clients
    free_at, version = 0.0, None
    for number in range(1, rounds + 1):
        client = min(range(clients), key=lambda c: (max(ready[c], free_at), rng.random()))
        call = ready[client] + rng.randint(1, 3)
        granted = max(call, free_at) + rng.randint(0, 2)
        start = granted + rng.randint(0, 3)
        process = ids[client]
        plan.append(Asked(process, "acquire", "l", call, start, result=f"t{number}"))
        crash = rng.random() < 0.15
        read = Asked(
            process, "guard-read", ["l", None], start + 1, start + 2, answer=["l", version]
        )
        plan.append(read)
        write = Asked(process, "guard-write", ["l", number], start + 4, start + 6)
        if crash:
            write.type, write.answered = "info", rng.random() < 0.5
            write.ret += 60
            version = number if rng.random() < 0.5 else version
            plan.append(write)
            ids[client] += clients
            free_at, ready[client] = start + 30, start + 80
            continue
        version = number
        plan.append(write)
        call = start + 7 + rng.randint(0, 3)
        freed = call + rng.randint(0, 3)
        plan.append(
            Asked(
                process,
                "release",
                "l",
                call,
                freed + rng.randint(0, 9),
                ext={"token": f"t{number}"},
            )
        )
        free_at, ready[client] = freed, plan[-1].ret
    return recorded(plan)
