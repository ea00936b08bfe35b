"""The pattern checks of registers, sets, queues and stacks against brute force."""

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from fuzzing import cases
from oracle import linearizable
from patterns_oracle import (
    BAG,
    PRIORITY,
    QUEUE,
    STACK,
    Elements,
    Growing,
    Register,
    Step,
    column,
    history,
    placed,
    times,
)

from dokkaebi.checkers import compiled
from dokkaebi.checkers.patterns.bag import unordered_queue
from dokkaebi.checkers.patterns.decision import PATTERNS
from dokkaebi.checkers.patterns.elements import ABSENT, INSERT, PRESENT, REMOVE, elements
from dokkaebi.checkers.patterns.growing import growing_set
from dokkaebi.checkers.patterns.lifetimes import EMPTY, PUT, TAKE
from dokkaebi.checkers.patterns.priority import priority_queue
from dokkaebi.checkers.patterns.queue import fifo_queue
from dokkaebi.checkers.patterns.register import CAS, READ, REFUSED, WRITE, register
from dokkaebi.checkers.patterns.stack import stack
from dokkaebi.harness.history import FOREVER


def agree(decision, steps, model, seed, *, witness=True):
    """What was decided is right, and the operations that were named cannot be right by themselves."""
    if decision.legal is None:
        return None
    assert decision.legal == linearizable(steps, model), (seed, decision, steps)
    if not decision.legal:
        assert decision.pattern in PATTERNS
        assert decision.rows, (seed, decision, steps)
        if witness:
            named = [steps[row] for row in decision.rows]
            assert not linearizable(named, model), (seed, decision, steps)
    return decision.legal


# --- registers -----------------------------------------------------------------------------------

REGISTER = Register()
KINDS = {"read": READ, "write": WRITE, "cas": CAS, "refused": REFUSED}


def draw_register(functions):
    def draw(rng, i):
        f = rng.choice(functions)
        # One in thirty writes what another one wrote.
        fresh = i + 1 if rng.random() < 0.97 else rng.randint(0, i + 1)
        value = rng.randint(0, min(i + 1, 6)) if f == "read" else fresh
        return Step(f, value, old=rng.randint(0, min(i, 4)) if f in ("cas", "refused") else None)

    return draw


def other_value(rng, step, size):
    return replace(step, value=rng.randint(0, size)) if step.f == "read" else step


def decide_register(steps, key=None):
    return register(
        *times(steps),
        column(KINDS[s.f] for s in steps),
        column(s.value for s in steps),
        old=column(s.old for s in steps),
        key=key,
    )


def register_case(seed, functions):
    rng = random.Random(seed)
    steps = history(rng, REGISTER, draw_register(functions), change=other_value)
    decision = decide_register(steps)
    told = agree(decision, steps, REGISTER, seed, witness="cas" not in functions)
    if told is None:
        written = [s.value for s in steps if s.f in ("write", "cas")]
        assert len({0, *written}) <= len(written) or any(s.f == "refused" for s in steps)
    return told


# --- sets ----------------------------------------------------------------------------------------

STRICT, BLIND = Elements(blind=False), Elements(blind=True)
ACTS = {"insert": INSERT, "remove": REMOVE, "present": PRESENT, "absent": ABSENT}


def draw_element(rng, i):
    f = rng.choice(("insert", "insert", "remove", "present", "absent"))
    return Step(f, rng.choice((0, 0, 0, 1)))


def other_act(rng, step, size):
    return replace(step, f=rng.choice(list(ACTS)))


def elements_case(seed, model):
    steps = history(random.Random(seed), model, draw_element, change=other_act)
    decision = elements(
        *times(steps),
        column(ACTS[s.f] for s in steps),
        column(s.value for s in steps),
        blind=model.blind,
    )
    for element in {steps[row].value for row in decision.rest}:
        assert sum(s.f == "insert" and s.value == element for s in steps) > 1
    if decision.legal is None:
        # What is not left over was judged, and is legal.
        steps = [s for row, s in enumerate(steps) if row not in decision.rest]
        assert linearizable(steps, model), seed
        return None
    return agree(decision, steps, model, seed)


GROWING = Growing()


def draw_growing(rng, i):
    if rng.random() < 0.5:
        return Step("add", i if rng.random() < 0.97 else rng.randint(0, i))
    return Step("read", tuple(sorted(e for e in range(i) if rng.random() < 0.7)))


def other_contents(rng, step, size):
    if step.f == "add":
        return step
    shown = [e for e in step.value if rng.random() < 0.7]
    return replace(step, value=tuple(shown + [rng.randint(0, size)] * rng.randint(0, 1)))


def growing_columns(steps):
    adds = [s for s in steps if s.f == "add"]
    reads = [s for s in steps if s.f == "read"]
    contents = [() if s.type == "info" and len(s.value) % 2 else s.value for s in reads]
    return adds, reads, (
        *times(adds),
        column(s.value for s in adds),
        *times(reads),
        np.cumsum([0, *map(len, contents)]),
        column(e for shown in contents for e in shown),
    )  # fmt: skip


def growing_case(seed):
    steps = history(random.Random(seed), GROWING, draw_growing, change=other_contents)
    adds, reads, columns = growing_columns(steps)
    decision = growing_set(*columns)
    if decision.legal is None:
        assert len({s.value for s in adds}) < len(adds)
    # A read alone shows elements that nobody added, so the witness needs the adds.
    told = agree(decision, adds + reads, GROWING, seed, witness=False)
    if told is False:
        rows = {*decision.rows, *range(len(adds))}
        assert not linearizable([(adds + reads)[row] for row in sorted(rows)], GROWING), seed
    return told


# --- queues and stacks -----------------------------------------------------------------------------

DOES = {"put": PUT, "take": TAKE, "empty": EMPTY}


def draw_box(empties):
    def draw(rng, i):
        f = rng.choice(("put", "put", "take", "take", "empty" if empties else "put"))
        if f == "put":
            return Step("put", i if rng.random() < 0.98 else rng.randint(0, i))
        return Step(f, rng.randint(0, i) if f == "take" else None)

    return draw


def other_taken(rng, step, size):
    return replace(step, value=rng.randint(0, size)) if step.f == "take" else step


def ranked(steps):
    """The same with `put` of values in no special order."""
    names = list(range(2 * len(steps) + 20))
    random.Random(len(steps)).shuffle(names)
    return [s if s.value is None else replace(s, value=names[s.value]) for s in steps]


def box_case(seed, decide, model, crashed=True, empties=True):
    rng = random.Random(seed)
    draw = draw_box(empties and rng.random() < 0.5)

    def permuted(rng, i):
        step = draw(rng, i)
        return step if step.value is None else replace(step, value=step.value * 7 % 23)

    steps = history(rng, model, permuted, change=other_taken)
    if rng.random() < 0.6:
        steps = [s for s in steps if s.type == "ok" or s.f != "take"]
    decision = decide(
        *times(steps), column(DOES[s.f] for s in steps), column(s.value for s in steps)
    )
    told = agree(decision, steps, model, seed)
    if told is None:
        puts = [s.value for s in steps if s.f == "put"]
        doubt = any(s.f == "take" and s.type == "info" for s in steps)
        if decide in (fifo_queue, unordered_queue):
            doubt = doubt and any(s.f == "empty" for s in steps)
        assert doubt or len(set(puts)) < len(puts), (seed, steps)
    return told


def pairs_case(seed, decide, model):
    """Values that all go in and mostly come out, close together: where the order is all."""
    rng = random.Random(seed)
    span, width = rng.choice((6, 10, 16)), rng.choice((1, 3, 6))
    steps = []
    for value in range(rng.randint(2, 5)):
        moment, then = sorted((rng.randint(0, span), rng.randint(0, span)))
        put = placed(rng, Step("put", value), moment, width)
        take = placed(rng, Step("take", value), then, width)
        steps += [put, replace(take, ret=max(take.ret, put.call))]
    if rng.random() < 0.4:
        at = rng.randrange(len(steps))
        steps[at] = replace(steps[at], type="info", ret=FOREVER)
    if rng.random() < 0.3:
        steps.append(placed(rng, Step("empty"), rng.randint(0, span), width))
    if rng.random() < 0.3:
        del steps[rng.randrange(len(steps))]
    rng.shuffle(steps)
    decision = decide(
        *times(steps), column(DOES[s.f] for s in steps), column(s.value for s in steps)
    )
    return agree(decision, steps, model, seed)


def drain_case(seed):
    """Some dequeues come from answers with many values, in order."""
    rng = random.Random(seed)
    steps = history(rng, QUEUE, draw_box(rng.random() < 0.3), most=6, change=other_taken)
    steps = [s for s in steps if s.type == "ok" or s.f != "take"]
    groups = rng.randint(1, 2)
    spans = [(c := rng.randint(2, 14), c + rng.randint(0, 6)) for _ in range(groups)]
    seen = Counter()
    for i, s in enumerate(steps):
        if s.f == "take" and rng.random() < 0.7:
            group = rng.randrange(groups)
            call, ret = spans[group]
            steps[i] = replace(s, drain=(group, seen[group]), call=call, ret=ret)
            seen[group] += 1
    drain = column(-1 if s.drain is None else s.drain[0] for s in steps)
    decision = fifo_queue(
        *times(steps), column(DOES[s.f] for s in steps), column(s.value for s in steps), drain=drain
    )
    return agree(decision, steps, QUEUE, seed, witness=False)


CASES = {
    "register": lambda seed: register_case(seed, ("read", "read", "write")),
    "cas": lambda seed: register_case(seed, ("read", "write", "cas", "cas")),
    "refused": lambda seed: register_case(seed, ("read", "write", "cas", "refused")),
    "elements": lambda seed: elements_case(seed, STRICT),
    "blind": lambda seed: elements_case(seed, BLIND),
    "growing": growing_case,
    "queue": lambda seed: box_case(seed, fifo_queue, QUEUE),
    "drain": drain_case,
    "priority": lambda seed: box_case(seed, priority_queue, PRIORITY),
    "bag": lambda seed: box_case(seed, unordered_queue, BAG),
    "queue-pairs": lambda seed: pairs_case(seed, fifo_queue, QUEUE),
    "priority-pairs": lambda seed: pairs_case(seed, priority_queue, PRIORITY),
    "stack-pairs": lambda seed: pairs_case(seed, stack, STACK),
    "bag-pairs": lambda seed: pairs_case(seed, unordered_queue, BAG),
    "stack": lambda seed: box_case(seed, stack, STACK),
}


@pytest.mark.parametrize("name", ["cas", "growing", "priority-pairs", "stack-pairs"])
def test_compiled_kernels_mean_the_same(name, monkeypatch):
    monkeypatch.setattr(compiled, "COMPILE_FROM", 0)
    told = Counter(CASES[name](seed) for seed in range(150))
    assert told[True] > 0
    assert told[False] > 0


def deep(rng, size, pick):
    """A legal history of `size` operations in the order of their moments; `pick` takes from a list."""
    inside, steps = [], []
    names = list(range(size))
    rng.shuffle(names)
    for i in range(size):
        moment = 10 * i
        if inside and rng.random() < 0.49:
            step = Step("take", inside.pop(pick(inside)))
        else:
            inside.append(names.pop())
            step = Step("put", inside[-1])
        steps.append(
            replace(step, call=moment - rng.randint(0, 60), ret=moment + rng.randint(0, 60))
        )
    return steps


@pytest.mark.parametrize(
    ("decide", "pick", "pattern"),
    [
        (fifo_queue, lambda inside: 0, "VOrd"),
        (stack, lambda inside: -1, "crossing"),
        (priority_queue, lambda inside: inside.index(max(inside)), "overtaken"),
    ],
    ids=["queue", "stack", "priority"],
)
def test_two_late_values_exchanged_in_a_long_history_are_found(decide, pick, pattern):
    rng = random.Random(5)
    steps = deep(rng, 6_000, pick)
    # The takes of two values that lay inside together for long, far from each other.
    takes = [i for i, s in enumerate(steps) if s.f == "take"]
    put = {s.value: i for i, s in enumerate(steps) if s.f == "put"}
    one, other = next(
        (i, j) for i in takes for j in takes
        if j > i + 100 and put[steps[i].value] + 100 < i and put[steps[j].value] + 100 < i
        and (pattern != "overtaken" or steps[i].value > steps[j].value)
    )  # fmt: skip

    def decided(steps):
        return decide(
            *times(steps), column(DOES[s.f] for s in steps), column(s.value for s in steps)
        )

    assert decided(steps).legal
    values = steps[one].value, steps[other].value
    steps[one], steps[other] = (
        replace(steps[one], value=values[1]), replace(steps[other], value=values[0])
    )  # fmt: skip
    decision = decided(steps)
    assert (decision.legal, decision.pattern) == (False, pattern)
    assert len(decision.rows) <= 8
    alone = [steps[row] for row in decision.rows]
    assert not decided(alone).legal


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_brute_force(name):
    told = Counter(CASES[name](seed) for seed in range(cases(1500, oracle=True)))
    print(name, dict(told))
    assert told[True] > 0
    assert told[False] > 0
