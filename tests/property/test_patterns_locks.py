"""The pattern checks of locks and tokens against brute force."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from fuzzing import cases
from oracle import linearizable
from patterns_oracle import Fenced, Lock, Step, column, times, turns

from dokkaebi.checkers.patterns.decision import PATTERNS
from dokkaebi.checkers.patterns.locks import (
    ACQUIRE,
    RELEASE,
    mutex,
    semaphore,
)
from dokkaebi.checkers.patterns.tokens import fenced_mutex, holds_in_token_order
from dokkaebi.harness.history import FOREVER

KINDS = {"acquire": ACQUIRE, "release": RELEASE}


def alternate(steps):
    """Whether every process only released what it held, and held no more than one."""
    held = Counter()
    for step in sorted(steps, key=lambda s: s.call):
        held[step.process] += -1 if step.f == "release" else 1
        if not 0 <= held[step.process] <= 1:
            return False
    return True


def lock_columns(steps):
    return (
        *times(steps),
        column(KINDS[s.f] for s in steps),
        column(s.process for s in steps),
    )


def agree(decision, steps, model, seed):
    if decision.legal is None:
        return None
    assert decision.legal == linearizable(steps, model), (seed, decision, steps)
    if not decision.legal:
        assert decision.pattern in PATTERNS
        named = [steps[row] for row in decision.rows]
        assert not linearizable(named, model), (seed, decision, steps)
    return decision.legal


def owned_case(seed):
    steps = turns(random.Random(seed))
    told = agree(mutex(*lock_columns(steps)), steps, Lock(), seed)
    assert told is not None
    return told


def ownerless_case(seed):
    steps = turns(random.Random(seed))
    told = agree(mutex(*lock_columns(steps), owned=False), steps, Lock(owned=False), seed)
    assert told is not None or not alternate(steps)
    return told


def reentrant_case(seed):
    steps = turns(random.Random(seed))
    told = agree(mutex(*lock_columns(steps), reentrant=True), steps, Lock(reentrant=True), seed)
    assert told is not None
    return told


def semaphore_case(seed):
    rng = random.Random(seed)
    steps, limit = turns(rng), rng.randint(1, 3)
    told = agree(semaphore(*lock_columns(steps), limit), steps, Lock(limit, owned=False), seed)
    assert told is not None or not alternate(steps)
    return told


def keyed_case(seed):
    """Several locks at once: judged together as each would be alone."""
    rng = random.Random(seed)
    parts = [turns(rng, most=4) for _ in range(3)]
    steps = [replace(s, process=10 * k + s.process) for k, part in enumerate(parts) for s in part]
    keys = column(k for k, part in enumerate(parts) for _ in part)
    decision = mutex(*lock_columns(steps), key=keys)
    assert decision.legal == all(linearizable(part, Lock()) for part in parts), seed
    assert len({keys[row] for row in decision.rows}) <= 1
    return decision.legal


def fenced_case(seed):
    """Tokens mostly in the order of the returns."""
    rng = random.Random(seed)
    steps = turns(rng)
    order = sorted(range(len(steps)), key=lambda i: (steps[i].ret, rng.random()))
    for token, i in enumerate(order):
        steps[i] = replace(steps[i], old=token if rng.random() < 0.9 else rng.randint(0, 8))
    decision = fenced_mutex(*lock_columns(steps), column(s.old for s in steps))
    told = agree(decision, steps, Fenced(), seed)
    assert told is not None
    return told


class InTokenOrder(Lock):
    """A lock whose holds come in the order of their tokens (`old`), each numbered `value`."""

    def init(self):
        return 0

    def step(self, state, op):
        due = 2 * op.value + (op.f == "release")
        return (state + 1,) if state == due else ()


def greedy_case(seed):
    """Acquire and release of the n-th token must be the 2n-th and the next to take effect."""
    rng = random.Random(seed)
    holds, steps = [], []
    for n in range(rng.randint(1, 4)):
        time = rng.randint(0, 4) + rng.choice((0, 3, 4)) * n
        ret = time + rng.randint(0, 3)
        call = ret + rng.randint(0, 3)
        end = FOREVER if rng.random() < 0.15 else call + rng.randint(0, 3)
        if rng.random() < 0.1:
            call = end = FOREVER
        holds.append((time, ret, call, end, n))
        steps.append(Step("acquire", n, call=time, ret=ret))
        if call < FOREVER:
            kind = "info" if end == FOREVER else "ok"
            steps.append(Step("release", n, call=call, ret=end, type=kind))
    order = list(range(len(holds)))
    rng.shuffle(order)
    decision = holds_in_token_order(*map(column, zip(*[holds[i] for i in order], strict=True)))
    assert decision.legal == linearizable(steps, InTokenOrder()), (seed, holds)
    return decision.legal


CASES = {
    "owned": owned_case,
    "ownerless": ownerless_case,
    "reentrant": reentrant_case,
    "semaphore": semaphore_case,
    "keyed": keyed_case,
    "fenced": fenced_case,
    "greedy": greedy_case,
}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_brute_force(name):
    told = Counter(CASES[name](seed) for seed in range(cases(1500, oracle=True)))
    print(name, dict(told))
    assert told[True] > 0
    assert told[False] > 0
