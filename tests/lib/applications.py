"""Random histories of sets, queues, sessions and the like: `chaos_*` answer anything, `correct_*`
are what a correct system answers, with clients that crash and operations that fail along the way.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from typing import Any

from histories import FINAL, Asked, in_effect, planned, recorded

from dokkaebi.harness.history import History

TYPES = {"ok": 6, "fail": 1, "refused": 1, "info": 2}
HONEST = {"ok": 8, "fail": 1, "info": 1}
Draw = Callable[[random.Random], tuple[str, Any]]


def _some(rng: random.Random, draw: Draw, types: dict[str, int], most: int = 10) -> list[Asked]:
    return planned(
        rng, clients=rng.randint(2, 4), operations=rng.randint(3, most), draw=draw, types=types
    )


def _last_looks(rng: random.Random, plan: list[Asked], *looks: tuple[str, Any]) -> None:
    """Final reads after everything, of which some abandoned effects come even later."""
    end = max(asked.ret for asked in plan) + rng.choice([1, 50])
    for number, (f, value) in enumerate(looks):
        plan.append(Asked(FINAL + number, f, value, end, end + 2, phase="final", effect=end + 1))


# --- sets, names, ledgers ------------------------------------------------------------------------


def chaos_set(rng: random.Random) -> History:
    fresh = count()
    plan = _some(rng, lambda r: ("read", None) if r.random() < 0.5 else ("add", next(fresh)), TYPES)
    for asked in plan:
        if asked.f == "read":
            asked.answer = [x for x in range(5) if rng.random() < 0.6]
            if rng.random() < 0.05:
                asked.answer.append(rng.randrange(5))
    return recorded(plan)


def correct_set(rng: random.Random, *, late: bool = False) -> History:
    """Elements appear when their add takes effect; `late` reads show an earlier moment."""
    fresh = count()
    plan = _some(
        rng,
        lambda r: ("read", None) if r.random() < 0.4 else ("add", next(fresh)),
        HONEST,
        most=40,
    )
    _last_looks(rng, plan, ("read", None), ("read", None))
    moments: list[list[int]] = [[]]
    for asked in in_effect(plan):
        if asked.f == "add":
            moments.append([*moments[-1], asked.value])
        else:
            final = asked.phase == "final"
            asked.answer = moments[-1] if final or not late else rng.choice(moments)
    return recorded(plan)


def chaos_unique(rng: random.Random) -> History:
    owner = count()
    plan = _some(
        rng,
        lambda r: ("read", None) if r.random() < 0.4 else ("claim", [r.randrange(2), next(owner)]),
        TYPES,
    )
    claims = [asked.value for asked in plan if asked.f == "claim"] or [[0, 0]]
    for asked in plan:
        if asked.f == "read":
            asked.answer = [rng.choice(claims) for _ in range(rng.randrange(3))]
    return recorded(plan)


def correct_unique(rng: random.Random) -> History:
    owner = count()
    plan = _some(
        rng,
        lambda r: ("read", None) if r.random() < 0.3 else ("claim", [r.randrange(4), next(owner)]),
        HONEST,
        most=40,
    )
    _last_looks(rng, plan, ("read", None))
    rows: dict[int, int] = {}
    for asked in in_effect(plan):
        if asked.f == "read":
            asked.answer = [list(row) for row in rows.items()]
        elif asked.value[0] in rows:
            if asked.type == "ok":
                asked.type, asked.error = "fail", "refused"
        else:
            rows[asked.value[0]] = asked.value[1]
    return recorded(plan)


def chaos_ledger(rng: random.Random) -> History:
    plan = _some(
        rng,
        lambda r: ("read", None) if r.random() < 0.4 else ("execute", [r.randrange(3), 5]),
        TYPES,
    )
    for asked in plan:
        if asked.f == "read":
            asked.answer = [
                [rng.randrange(4), rng.choice([5, 5, 5, 6])] for _ in range(rng.randrange(4))
            ]
    return recorded(plan)


def correct_ledger(rng: random.Random) -> History:
    """Requests are tried again under the same id and booked once."""
    plan = _some(
        rng,
        lambda r: ("read", None) if r.random() < 0.3 else ("execute", [r.randrange(8), 5]),
        HONEST,
        most=40,
    )
    _last_looks(rng, plan, ("read", None))
    entries: dict[int, int] = {}
    for asked in in_effect(plan):
        if asked.f == "read":
            asked.answer = [list(entry) for entry in entries.items()]
        else:
            entries.setdefault(*asked.value)
    return recorded(plan)


# --- reads of several keys -----------------------------------------------------------------------


def _fork_draw(rng: random.Random) -> tuple[str, Any]:
    if rng.random() < 0.4:
        return "write", [["w", rng.randrange(3), 1]]
    keys = rng.sample(range(3), rng.choice([2, 3]))
    return "read", [["r", key, None] for key in keys]


def chaos_fork(rng: random.Random) -> History:
    plan = _some(rng, _fork_draw, TYPES)
    for asked in plan:
        if asked.f == "read":
            asked.answer = [["r", key, rng.choice([1, 1, None])] for _, key, _ in asked.value]
            if rng.random() < 0.03:
                asked.answer[0][2] = 7
    return recorded(plan)


def correct_fork(rng: random.Random) -> History:
    plan = _some(rng, _fork_draw, HONEST, most=40)
    state: dict[int, int] = {}
    for asked in in_effect(plan):
        if asked.f == "write":
            state[asked.value[0][1]] = 1
        else:
            asked.answer = [["r", key, state.get(key)] for _, key, _ in asked.value]
    return recorded(plan)


def _session_plan(rng: random.Random, types: dict[str, int], operations: int) -> list[Asked]:
    """Everybody writes keys of its own and reads those of the first two, mostly."""

    def draw(r: random.Random) -> tuple[str, Any]:
        return ("write" if r.random() < 0.4 else "read"), [None, None]

    plan = planned(
        rng, clients=rng.randint(2, 6), operations=operations, draw=draw, types=types, pause=8
    )
    fresh = count(1)
    processes = sorted({asked.process for asked in plan})
    for asked in sorted(plan, key=lambda a: a.call):
        if asked.f == "write":
            asked.value = [2 * asked.process, next(fresh)]
            if rng.random() < 0.2:
                asked.value[0] += 1
        else:
            some = processes[: rng.choice([2, 2, 2, 9])]
            asked.value = [2 * rng.choice(some) + (rng.random() < 0.2), None]
    return plan


def chaos_session(rng: random.Random) -> History:
    """Mostly what is there; now and then an older version, one that failed or one to come."""
    plan = _session_plan(rng, {"ok": 30, "fail": 1, "refused": 1, "info": 1}, 30)
    state: dict[int, int] = {}
    for asked in in_effect(plan):
        key, value = asked.value
        if asked.f == "write":
            state[key] = max(value, state.get(key, 0))
        else:
            asked.answer = [key, state.get(key)]
    for asked in plan:
        if asked.f == "read" and rng.random() < 0.2:
            own = [a for a in plan if a.f == "write" and a.value[0] == asked.value[0]]
            if rng.random() < 0.98:
                own = [a for a in own if a.call <= asked.ret and a.type != "fail"]
            asked.answer = [asked.value[0], rng.choice([None, *(a.value[1] for a in own)])]
    return recorded(plan)


def correct_session(rng: random.Random) -> History:
    plan = _session_plan(rng, HONEST, 40)
    state: dict[int, int] = {}
    for asked in in_effect(plan):
        key, value = asked.value
        if asked.f == "write":
            state[key] = max(value, state.get(key, 0))
        else:
            asked.answer = [key, state.get(key)]
    return recorded(plan)


# --- rules over rows -----------------------------------------------------------------------------

GROUPS = {0: [0, 1], 1: [0, 1, 2]}


def _group_draw(rng: random.Random) -> tuple[str, Any]:
    group = rng.randrange(2)
    f = rng.choice(["join", "leave", "leave", "read"])
    return f, [group, None if f == "read" else rng.randrange(3)]


def chaos_constraint(rng: random.Random) -> History:
    plan = _some(rng, _group_draw, TYPES)
    for asked in plan:
        if asked.f == "read":
            asked.answer = [asked.value[0], [m for m in range(3) if rng.random() < 0.7]]
    return recorded(plan)


def correct_constraint(rng: random.Random) -> History:
    plan = _some(rng, _group_draw, HONEST, most=40)
    state = {group: set(members) for group, members in GROUPS.items()}
    for asked in in_effect(plan):
        group, member = asked.value
        if asked.f == "join":
            state[group].add(member)
        elif asked.f == "read":
            asked.answer = [group, sorted(state[group])]
        elif member in state[group] and len(state[group]) > 1:
            state[group].discard(member)
        elif asked.type == "ok":
            asked.type, asked.error = "fail", "refused"
    return recorded(plan)


# --- queues --------------------------------------------------------------------------------------


def chaos_queue(rng: random.Random) -> History:
    fresh = count()
    plan = _some(
        rng,
        lambda r: (
            ("dequeue", None) if r.random() < 0.5 else ("enqueue", [r.randrange(2), next(fresh)])
        ),
        TYPES,
        most=12,
    )
    sent = [asked.value for asked in plan if asked.f == "enqueue"]
    for asked in plan:
        if asked.f == "dequeue":
            asked.answer = rng.choice([None, [9, 9] if rng.random() < 0.1 else None, *sent])
    if rng.random() < 0.7:
        _last_looks(rng, plan, ("drain", None))
        plan[-1].answer = [m for m in rng.sample(sent, len(sent)) if rng.random() < 0.6]
    return recorded(plan)


def correct_queue(rng: random.Random, *, again: bool = False) -> History:
    """A queue in order, drained at the end; with `again` messages may be delivered once more.

    A consumer that crashed may have taken a message with it.
    """
    fresh = count()
    plan = _some(
        rng,
        lambda r: (
            ("dequeue", None) if r.random() < 0.4 else ("enqueue", [r.randrange(2), next(fresh)])
        ),
        HONEST,
        most=40,
    )
    _last_looks(rng, plan, ("drain", None))
    waiting: list[Any] = []
    taken: list[Any] = []
    for asked in in_effect(plan):
        if asked.f == "enqueue":
            waiting.append(asked.value)
        elif asked.f == "drain":
            asked.answer, waiting = list(waiting), []
        elif again and taken and rng.random() < 0.2:
            asked.answer = rng.choice(taken)
        elif waiting:
            asked.answer = waiting.pop(0)
            taken.append(asked.answer)
    return recorded(plan)


# --- limits --------------------------------------------------------------------------------------


def chaos_admission(rng: random.Random) -> History:
    plan: list[Asked] = []
    for process in range(rng.randint(2, 5)):
        at = rng.randint(0, 20)
        for _ in range(rng.randint(1, 3)):
            kind = rng.choices(["ok", "refused", "info", "fail"], [6, 1, 1, 1])[0]
            came = Asked(process, "enter", f"u{process}", at, at + rng.randint(0, 9))
            came.type = "fail" if kind == "refused" else kind
            came.error = None if kind == "ok" else kind
            came.result = f"t{len(plan)}"
            plan.append(came)
            at = int(came.ret) + rng.randint(1, 9)
            if kind == "info":
                break
            if kind == "ok" and rng.random() < 0.8:
                plan.append(Asked(process, "leave", came.result, at, at + rng.randint(0, 9)))
                at = int(plan[-1].ret) + rng.randint(1, 5)
    return recorded(plan)


def chaos_rate(rng: random.Random) -> History:
    return recorded(_some(rng, lambda r: ("allow", f"u{r.randrange(2)}"), TYPES, most=14))


def correct_rate(rng: random.Random, *, limit: int, window: int) -> History:
    """A sliding window that is kept to the nanosecond."""
    plan = _some(rng, lambda r: ("allow", "u"), HONEST, most=40)
    admitted: list[float] = []
    for asked in in_effect(plan):
        moment = asked.effect or 0.0
        if sum(moment - other < window for other in admitted) < limit:
            admitted.append(moment)
        elif asked.type == "ok":
            asked.type, asked.error = "fail", "refused"
    return recorded(plan)


# --- values that age -----------------------------------------------------------------------------


def _cache_plan(rng: random.Random, types: dict[str, int], most: int) -> list[Asked]:
    fresh = count(1)
    return _some(
        rng,
        lambda r: (
            ("read", [r.randrange(2), None])
            if r.random() < 0.5
            else ("write", [r.randrange(2), next(fresh)])
        ),
        types,
        most,
    )


def chaos_cache(rng: random.Random) -> History:
    plan = _cache_plan(rng, TYPES, 10)
    for asked in plan:
        if asked.f == "read":
            own = [a.value[1] for a in plan if a.f == "write" and a.value[0] == asked.value[0]]
            asked.answer = [
                asked.value[0],
                rng.choice([None, 99 if rng.random() < 0.1 else None, *own]),
            ]
    return recorded(plan)


def correct_cache(rng: random.Random, *, bound: int) -> History:
    """Reads show a moment that is at most `bound` old."""
    plan = _cache_plan(rng, HONEST, 40)
    values: dict[int, list[tuple[float, Any]]] = {0: [(-1e9, None)], 1: [(-1e9, None)]}
    for asked in in_effect(plan):
        key, value = asked.value
        moment = asked.effect or 0.0
        if asked.f == "write":
            values[key].append((moment, value))
        else:
            at = moment - rng.uniform(0, bound)
            asked.answer = [key, [v for when, v in values[key] if when <= at][-1]]
    return recorded(plan)


def chaos_estimate(rng: random.Random) -> History:
    plan = _some(
        rng,
        lambda r: ("estimate", None) if r.random() < 0.3 else ("visit", f"u{r.randrange(8)}"),
        TYPES,
        most=16,
    )
    for asked in plan:
        if asked.f == "estimate":
            asked.answer = rng.randint(0, 10)
    return recorded(plan)


def correct_estimate(rng: random.Random) -> History:
    plan = _some(
        rng,
        lambda r: ("estimate", None) if r.random() < 0.3 else ("visit", f"u{r.randrange(12)}"),
        HONEST,
        most=60,
    )
    came: set[str] = set()
    for asked in in_effect(plan):
        if asked.f == "visit":
            came.add(asked.value)
        else:
            asked.answer = len(came) + rng.choice([-2, 0, 0, 1, 2])
    return recorded(plan)


def correct_ids(rng: random.Random) -> History:
    plan = _some(rng, lambda r: ("generate", None), HONEST, most=40)
    for number, asked in enumerate(in_effect(plan)):
        asked.answer = number
    return recorded(plan)


def chaos_ids(rng: random.Random) -> History:
    plan = _some(rng, lambda r: ("generate", None), TYPES)
    for asked in plan:
        asked.answer = rng.randrange(20)
    return recorded(plan)
