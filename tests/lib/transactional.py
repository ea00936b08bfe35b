"""Small histories of transactions: how tests write them down, random ones, and simulated stores.

`chaos_*` answer nearly anything; `stored` runs random transactions on a store with one of several
kinds of isolation. Times are small, so that many are equal.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from mini import in_order

from dokkaebi.harness.history import History, Op

Mops = list[list[Any]]


@dataclass
class Txn:
    """One transaction: who, when, how it ended, and its micro-operations as answered."""

    process: int
    call: int
    ret: int
    type: Any
    mops: Mops
    phase: Any = None

    def events(self) -> list[Op]:
        """Its invocation and its completion."""
        asked = [[f, key, None if f == "r" else value] for f, key, value in self.mops]
        said = self.mops if self.type == "ok" else asked
        common: dict[str, Any] = {"process": self.process, "f": "txn"}
        return [
            Op(time=self.call, type="invoke", value=asked, phase=self.phase, **common),
            Op(time=self.ret, type=self.type, value=[list(mop) for mop in said], **common),
        ]


def history(txns: list[Txn], **meta: Any) -> History:
    """The history of some transactions."""
    return in_order([event for txn in txns for event in txn.events()], **meta)


def written(text: str) -> History:
    """The history that lines describe: process, call-ret, outcome, micro-operations, phase.

    0  1-9  ok    append x 1, r y [2 3], w z 4, r z nil
    1  2-8  info  append y 2
    2  9-9  ok    r x [1]   final
    """
    txns = []
    for line in filter(None, (line.split("#")[0].strip() for line in text.splitlines())):
        process, times, kind, rest = line.split(None, 3)
        phase = "final" if rest.endswith(" final") else None
        call, ret = times.split("-")
        mops = [_mop(each) for each in rest.removesuffix(" final").split(",")]
        txns.append(Txn(int(process), int(call), int(ret), kind, mops, phase))
    return history(txns)


def _mop(text: str) -> list[Any]:
    f, key, value = text.split(None, 2)
    value = value.strip()
    if value == "nil":
        return [f, key, None]
    if value.startswith("["):
        return [f, key, [int(each) for each in value.strip("[]").split()]]
    return [f, key, int(value)]


# --- anything goes -------------------------------------------------------------------------------


def _times(rng: random.Random, count: int) -> list[tuple[int, int, int, str]]:
    """Process, call, return and outcome of some transactions; some overlap."""
    clients = rng.randint(1, 3)
    free = [0] * clients
    ids = list(range(clients))
    made = []
    for _ in range(count):
        client = rng.randrange(clients)
        call = free[client] + rng.randint(1, 4)
        ret = call + rng.randint(0, 5)
        kind = rng.choices(["ok", "info", "fail"], [8, 1, 1])[0]
        made.append((ids[client], call, ret, kind))
        free[client] = ret
        if kind == "info":
            ids[client] += clients
    return made


def chaos_append(rng: random.Random, *, most: int = 5) -> list[Txn]:
    """Reads of prefixes of some order, sometimes of something else."""
    keys = rng.randint(1, 3)
    plan: list[Txn] = []
    elements: dict[int, list[int]] = {key: [] for key in range(keys)}
    fresh = 0
    for process, call, ret, kind in _times(rng, rng.randint(2, most)):
        mops: Mops = []
        for _ in range(rng.randint(1, 3)):
            key = rng.randrange(keys)
            if rng.random() < 0.5:
                fresh += 1
                mops.append(["append", key, fresh])
                elements[key].append(fresh)
            else:
                mops.append(["r", key, None])
        plan.append(Txn(process, call, ret, kind, mops))
    tidy = rng.random() < 0.7
    _order(rng, plan, elements, tidy=tidy)
    for txn in plan:
        for mop in txn.mops:
            if mop[0] == "r":
                mop[2] = _glimpse(rng, elements[mop[1]], tidy=tidy)
    return plan


def _order(
    rng: random.Random, plan: list[Txn], elements: dict[int, list[int]], *, tidy: bool
) -> None:
    """Give each key an order; a tidy one has a transaction's elements together and none that failed."""
    for key, every in elements.items():
        if not tidy:
            rng.shuffle(every)
            continue
        writers = [t for t in plan if t.type != "fail" and (t.type == "ok" or rng.random() < 0.6)]
        if rng.random() < 0.5:
            rng.shuffle(writers)
        every[:] = [
            mop[2] for t in writers for mop in t.mops if mop[0] == "append" and mop[1] == key
        ]


def _glimpse(rng: random.Random, every: list[int], *, tidy: bool) -> list[int] | None:
    seen = every[: rng.randint(0, len(every))]
    if rng.random() < 0.3:
        seen = list(every)
    if not tidy and rng.random() < 0.15:
        seen = rng.choice(
            [[*seen, 99], seen[::-1], [*seen, *seen[:1]], rng.sample(every, len(seen))]
        )
    return seen or rng.choice([None, []])


def chaos_wr(rng: random.Random, *, most: int = 5) -> list[Txn]:
    """Reads of anything that was written, sometimes of something else."""
    keys = rng.randint(1, 3)
    plan: list[Txn] = []
    values: dict[int, list[Any]] = {key: [None] for key in range(keys)}
    fresh = 0
    for process, call, ret, kind in _times(rng, rng.randint(2, most)):
        mops: Mops = []
        for _ in range(rng.randint(1, 3)):
            key = rng.randrange(keys)
            if rng.random() < 0.5:
                fresh += 1
                mops.append(["w", key, fresh])
                if kind != "fail" or rng.random() < 0.2:
                    values[key].append(fresh)
            else:
                mops.append(["r", key, None])
        plan.append(Txn(process, call, ret, kind, mops))
    loose = rng.random() < 0.2
    for txn in plan:
        own: dict[int, Any] = {}
        for mop in txn.mops:
            if mop[0] == "w":
                own[mop[1]] = mop[2]
            elif mop[1] in own and not (loose and rng.random() < 0.3):
                mop[2] = own[mop[1]]
            else:
                mop[2] = 99 if loose and rng.random() < 0.1 else rng.choice(values[mop[1]])
                own[mop[1]] = mop[2]
    return plan


# --- a store -------------------------------------------------------------------------------------


@dataclass
class _Running:
    """A transaction under way in a store."""

    txn: Txn
    begin: float
    commit: float
    steps: list[float]
    snapshot: dict[int, Any] = field(default_factory=dict)
    lives: bool = True


def stored(
    rng: random.Random,
    *,
    isolation: str,
    lists: bool,
    count: int = 30,
    clients: int = 4,
    keys: int = 3,
    final: bool = True,
) -> list[Txn]:
    """Random transactions on a store that is `serializable`, `snapshot` or `committed`.

    A serializable one does each at one instant; with snapshots a transaction reads what was
    committed when it began, and fails if another has committed a key that it writes since; read
    committed reads the newest committed version at each step and holds rows that it wrote.
    """
    free, ids = [0.0] * clients, list(range(clients))
    running: list[_Running] = []
    fresh = 0
    for _ in range(count):
        client = rng.randrange(clients)
        call = free[client] + rng.randint(1, 4)
        ret = call + rng.randint(2, 12)
        kind = rng.choices(["ok", "info", "fail"], [10, 1, 1])[0]
        mops: Mops = []
        for _ in range(rng.randint(1, 4)):
            key = rng.randrange(keys)
            if rng.random() < 0.5:
                fresh += 1
                mops.append(["append" if lists else "w", key, fresh])
            else:
                mops.append(["r", key, None])
        txn = Txn(ids[client], int(call), int(ret), kind, mops)
        inside = sorted(rng.uniform(call, ret) for _ in range(len(mops) + 2))
        one = _Running(txn, inside[0], inside[-1], inside[1:-1])
        if kind == "info":
            ids[client] += clients
            one.lives = rng.random() < 0.5
            if isolation == "serializable":
                one.commit += rng.choice([0, 30])
        one.lives &= kind != "fail"
        running.append(one)
        free[client] = ret
    {"serializable": _serially, "snapshot": _by_snapshots, "committed": _by_commits}[isolation](
        running, lists
    )
    plan = [one.txn for one in running]
    if final:
        end = int(max(max(one.txn.ret, one.commit) for one in running)) + 5
        state = _committed(running, lists, end)
        mops = [["r", key, state.get(key)] for key in range(keys)]
        plan.append(Txn(10**6, end, end + 3, "ok", mops, "final"))
    return plan


def _apply(state: dict[int, Any], mop: list[Any], lists: bool) -> None:
    state[mop[1]] = [*(state.get(mop[1]) or []), mop[2]] if lists else mop[2]


def _committed(running: list[_Running], lists: bool, until: float) -> dict[int, Any]:
    """The state after all that was committed before a moment."""
    state: dict[int, Any] = {}
    for one in sorted(running, key=lambda each: each.commit):
        if one.lives and one.commit < until:
            for mop in one.txn.mops:
                if mop[0] != "r":
                    _apply(state, mop, lists)
    return state


def _fill(one: _Running, mop: list[Any], state: dict[int, Any]) -> None:
    if mop[0] == "r":
        mop[2] = state.get(mop[1])


def _serially(running: list[_Running], lists: bool) -> None:
    for one in running:
        state = _committed(running, lists, one.commit)
        for mop in one.txn.mops:
            if mop[0] == "r":
                mop[2] = state.get(mop[1])
            else:
                _apply(state, mop, lists)


def _keys_written(one: _Running) -> set[int]:
    return {mop[1] for mop in one.txn.mops if mop[0] != "r"}


def _by_snapshots(running: list[_Running], lists: bool) -> None:
    for one in sorted(running, key=lambda each: each.commit):
        others = (
            each
            for each in running
            if each is not one and each.lives and one.begin < each.commit < one.commit
        )
        if any(_keys_written(one) & _keys_written(each) for each in others):
            one.lives = False
            one.txn.type = "fail" if one.txn.type == "ok" else one.txn.type
    for one in running:
        state = _committed(running, lists, one.begin)
        for mop in one.txn.mops:
            if mop[0] == "r":
                mop[2] = state.get(mop[1])
            else:
                _apply(state, mop, lists)


def _by_commits(running: list[_Running], lists: bool) -> None:
    """Who would have to wait for a row that another one holds fails instead."""
    for one in sorted(running, key=lambda each: each.begin):
        others = (
            each
            for each in running
            if each is not one
            and each.lives
            and each.begin < one.commit
            and one.begin < each.commit
            and each.begin <= one.begin
        )
        if any(_keys_written(one) & _keys_written(each) for each in others):
            one.lives = False
            one.txn.type = "fail" if one.txn.type == "ok" else one.txn.type
    for one in running:
        own: Mops = []
        for mop, at in zip(one.txn.mops, one.steps, strict=True):
            if mop[0] != "r":
                own.append(mop)
                continue
            state = _committed(running, lists, at)
            for mine in own:
                _apply(state, mine, lists)
            mop[2] = state.get(mop[1])
