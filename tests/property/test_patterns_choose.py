"""The pattern checks as they are chosen for the models that ship, against brute force on these."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from fuzzing import cases
from mini import in_order
from objects import KINDS, MAKERS
from oracle import linearizable
from patterns_oracle import Step, column, history, times, turns

from dokkaebi.checkers.linear.subjects import objects
from dokkaebi.checkers.linearizable import LinearizableChecker
from dokkaebi.checkers.models import MODELS, Set
from dokkaebi.checkers.patterns.choose import decide, legal, registers
from dokkaebi.checkers.patterns.register import CAS, READ, REFUSED, WRITE, register
from dokkaebi.checkers.patterns.said import said_by
from dokkaebi.checkers.wording import freeze
from dokkaebi.harness.history import FOREVER, Op, Operation

EMPTY = "empty"
AT_ONCE = ("stack", "priority-queue", "unordered-queue", "mutex", "owner-mutex", "semaphore")


def operation(step, index=0):
    """The step as the checkers get it: `refused-f` is a refusal of f, a dequeue may find nothing."""
    f = step.f.removeprefix("refused-")
    refused = f != step.f and step.type == "ok"
    kind = "fail" if refused else step.type
    asked, value, result = step.value, step.value, None
    if f in ("dequeue", "pop", "poll"):
        asked = None
        value = None if step.value == EMPTY or kind != "ok" else step.value
    elif f == "contains":
        result = step.old
    elif f == "read":
        asked, value = None, step.value if kind == "ok" else None
    elif f in ("acquire", "release"):
        asked = value = "lock"
        result = step.old if f == "acquire" and kind == "ok" else None
    return Operation(
        index=index, end=-1, process=step.process, type=kind, f=f, asked=freeze(asked),
        value=freeze(value), result=result, error="refused" if refused else None,
        call=step.call, ret=step.ret, phase=None, ext={},
    )  # fmt: skip


class Real:
    """A shipped model, stepped by `Step`s."""

    def __init__(self, model):
        self.model = model

    def init(self):
        return self.model.init()

    def step(self, state, op):
        return self.model.step(state, operation(op))


def draw_set(rng, i):
    f = rng.choice(("add", "add", "remove", "contains", "refused-add", "refused-remove"))
    return Step(f, rng.choice("aab"), old=rng.random() < 0.5 if f == "contains" else None)


def draw_growing(rng, i):
    if rng.random() < 0.5:
        return Step("add", i)
    return Step("read", [e for e in range(i) if rng.random() < 0.7])


def draw_box(put, take):
    def draw(rng, i):
        f = rng.choice((put, put, take, take, f"refused-{take}"))
        if f == put:
            return Step(f, i * 7 % 23)
        empty = f != take or rng.random() < 0.15
        return Step(f, EMPTY if empty else rng.randint(0, i) * 7 % 23)

    return draw


def other_value(rng, step, size):
    if not isinstance(step.value, int):
        return step
    return replace(step, value=rng.randint(0, size) * 7 % 23)


def judged(model, steps):
    """What was decided of the parts, and whether brute force finds each one legal."""
    operations = [operation(step, i) for i, step in enumerate(steps)]
    groups = [group for _, group in model.partition(operations)]
    flat = [op for group in groups for op in group]
    key = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    decision = decide(model, said_by(flat), key)
    return decision, flat, all(linearizable(group, model) for group in groups)


def case(seed, model, draw, change=None):
    rng = random.Random(seed)
    if draw is None:
        steps = turns(rng)
        steps = [replace(s, old=rng.choice((i, i, i, None, 3))) for i, s in enumerate(steps)]
    else:
        steps = history(rng, Real(model), draw, change=change)
    decision, flat, right = judged(model, steps)
    if decision is None or decision.legal is None:
        return None
    assert decision.legal == right, (seed, decision, flat)
    if not right:
        named = [flat[row] for row in decision.rows]
        assert not linearizable(named, model), (seed, decision, flat)
    return right


def growing_case(seed):
    """As `case`, but a witness also needs the adds of what its reads show."""
    steps = history(random.Random(seed), Real(Set()), draw_growing)
    decision, flat, right = judged(Set(), steps)
    assert decision is not None
    assert decision.legal is None or decision.legal == right, (seed, decision, flat)
    return decision.legal


def keyed_case(seed):
    """Registers side by side, in the columns that the search has: as each would be alone."""
    rng = random.Random(seed)
    parts = []
    for _ in range(3):
        steps = []
        for i in range(rng.randint(0, 4)):
            f = rng.choice(("read", "read", "write", "cas", "refused"))
            call = rng.randint(0, 9)
            ret = FOREVER if rng.random() < 0.1 else call + rng.randint(0, 5)
            steps.append(Step(f, i + 1, call, ret, old=rng.randint(0, 2)))
        parts.append(steps)
    flat = [step for part in parts for step in part]
    key = column(k for k, part in enumerate(parts) for _ in part)
    kind = column({"read": READ, "write": WRITE, "cas": CAS, "refused": REFUSED}[s.f] for s in flat)
    sees = column(None if s.f == "write" else s.old for s in flat)
    leaves = column(None if s.f in ("read", "refused") else s.value for s in flat)
    decision = registers(*times(flat), kind, sees, leaves, key=key, initial=0)
    alone = []
    for k in range(len(parts)):
        rows = key == k
        value = np.where(kind == READ, sees, leaves)[rows]
        call, ret = times(parts[k])
        alone.append(register(call, ret, kind[rows], value, old=sees[rows]).legal)
    if False in alone:
        assert decision.legal is False, seed
        assert len({key[row] for row in decision.rows}) == 1
        assert alone[key[decision.rows[0]]] is False
    else:
        assert decision.legal is (None if None in alone else True), seed
        assert {*key[decision.rest].tolist()} == {k for k, one in enumerate(alone) if one is None}
    return decision.legal


def shipped(name, draw=None, change=None, **parameters):
    model = MODELS[name](**parameters)
    return lambda seed: case(seed, model, draw, change)


FIFO, STACK, PRIORITY = (
    draw_box(*names) for names in (("enqueue", "dequeue"), ("push", "pop"), ("insert", "poll"))
)
CASES = {
    "set": shipped("set", draw_set),
    "growing": growing_case,
    "keyed": keyed_case,
    "fifo-queue": shipped("fifo-queue", FIFO, other_value),
    "unordered-queue": shipped("unordered-queue", FIFO, other_value),
    "stack": shipped("stack", STACK, other_value),
    "priority-queue": shipped("priority-queue", PRIORITY, other_value),
    "smallest": shipped("priority-queue", PRIORITY, other_value, smallest=True),
    "mutex": shipped("mutex"),
    "owner-mutex": shipped("owner-mutex"),
    "fenced-mutex": shipped("fenced-mutex"),
    "semaphore": shipped("semaphore", k=2),
}


def longer(rng, put, take, pick):
    """A legal history of a few dozen operations, half of the time with two answers exchanged."""
    inside, steps = [], []
    for i in range(rng.randint(20, 60)):
        roll = rng.random()
        if inside and roll < 0.45:
            step = Step(take, inside.pop(pick(inside)))
        elif not inside and roll < 0.3:
            step = Step(take, EMPTY)
        else:
            inside.append(i * 37 % 61)
            step = Step(put, inside[-1])
        moment, width = 100 + 10 * i, rng.choice((5, 15, 25))
        step = replace(
            step, process=i, call=moment - rng.randint(0, width), ret=moment + rng.randint(0, width)
        )
        if rng.random() < 0.03 and step.f == put:
            step = replace(step, type="info", ret=FOREVER)
        steps.append(step)
    takes = [i for i, step in enumerate(steps) if step.f == take]
    if len(takes) > 1 and rng.random() < 0.6:
        at = rng.randrange(len(takes) - 1)
        one, other = takes[at], takes[at + 1]
        steps[one], steps[other] = (
            replace(steps[one], value=steps[other].value),
            replace(steps[other], value=steps[one].value),
        )
    return steps


def events(steps):
    """The steps as a recorded history."""
    made = []
    for op in map(operation, steps):
        made.append(Op(time=op.call, process=op.process, type="invoke", f=op.f, value=op.asked))
        if op.type != "info":
            made.append(
                Op(time=op.ret, process=op.process, type=op.type, f=op.f, value=op.value,
                   error=op.error)
            )  # fmt: skip
    return in_order(made)


@pytest.mark.parametrize(
    ("name", "names", "pick"),
    [
        ("fifo-queue", ("enqueue", "dequeue"), lambda inside: 0),
        ("stack", ("push", "pop"), lambda inside: -1),
        ("priority-queue", ("insert", "poll"), lambda inside: inside.index(max(inside))),
    ],
)
def test_agrees_with_the_search_on_longer_histories(name, names, pick):
    model = MODELS[name]()
    told = Counter()
    for seed in range(cases(30)):
        steps = longer(random.Random(seed), *names, pick)
        decision = decide(
            model,
            said_by([operation(step) for step in steps]),
            np.zeros(len(steps), np.int64),
        )
        checker = LinearizableChecker(model, keyed=False, budget=20_000)
        found = checker.check(events(steps)).verdict
        if found != "unknown":
            told[decision.legal] += 1
            assert decision.legal == (found == "holds"), (seed, decision, steps)
    assert set(told) == {True, False}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_history_is_read_as_its_operations_are(name):
    model, told = KINDS[name].model(), Counter()
    for seed in range(cases(60)):
        rng = random.Random(f"{name}{seed}")
        make = MAKERS[rng.choice(sorted(MAKERS))]
        history = make(KINDS[name], rng, operations=rng.randint(1, 20), clients=3)
        subject = objects(history, model, keyed=False)
        decision = subject.decide()
        legal_at_once = decision is not None and decision.legal and "drain" not in history.functions
        assert legal(history, model) == (subject.answered if legal_at_once else 0), seed
        told[bool(legal_at_once)] += 1
    assert told[False]
    assert told[True] or name not in AT_ONCE


@pytest.mark.parametrize("name", sorted(MODELS))
def test_where_nothing_happened_nothing_is_illegal(name):
    decision = decide(MODELS[name](), said_by([]), np.empty(0, dtype=np.int64))
    assert decision is None or decision.legal
    nothing = np.empty(0, dtype=np.int64)
    assert registers(*[nothing] * 5, key=nothing, initial=0).legal


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_brute_force(name):
    told = Counter(CASES[name](seed) for seed in range(cases(500)))
    print(name, dict(told))
    assert told[True] > 0
    assert told[False] > 0


def test_a_model_that_a_user_made_of_ours_is_left_to_the_search():
    class Mine(Set):
        pass

    steps = [Step("add", 1, 0, 1)]
    assert decide(Set(), said_by([operation(s) for s in steps]), np.zeros(1, dtype=np.int64)).legal
    assert (
        decide(Mine(), said_by([operation(s) for s in steps]), np.zeros(1, dtype=np.int64)) is None
    )
