"""The linearizability checker against brute force, and under changes that must not matter."""

import random

import msgspec
import pytest
from fuzzing import cases
from histories import chaos_register, correct_register
from hypothesis import given, settings
from hypothesis import strategies as st
from mini import in_order
from objects import KINDS, MAKERS
from oracle import linearizable, whole_objects

from dokkaebi.checkers.linear import kernels, registers, search
from dokkaebi.checkers.linearizable import LinearizableChecker
from dokkaebi.checkers.models import CasRegister
from dokkaebi.harness.history import History, Op

MODEL = CasRegister()
CHECKER = LinearizableChecker(MODEL, keyed=True)
KEYED = {"register", "cas-register", "cas-register of many values", "counter"}


class Bare:
    """A model as a user would write it: nothing but `init` and `step`."""

    def __init__(self, model):
        self.init, self.step = model.init, model.step
        self.refusals = model.refusals


class Unhinted(Bare):
    """The same, on the model's own partition."""

    def __init__(self, model):
        super().__init__(model)
        self.partition = model.partition


def expected(history, model, keyed=True):
    groups = whole_objects(history, model, keyed)
    if not any(op.type != "info" for group in groups for op in group):
        return "unknown"
    return "holds" if all(linearizable(group, model) for group in groups) else "violated"


def drawn(name, seed):
    """A small random history of a kind, correct or not; and whether its values are keyed."""
    rng = random.Random(f"{name} {seed}")
    make = list(MAKERS.values())[seed % len(MAKERS)]
    history = make(KINDS[name], rng, operations=rng.randint(2, 9), clients=rng.randint(2, 5))
    return history, True if name in KEYED else None


def agree(name, seeds):
    for seed in seeds:
        history, keyed = drawn(name, seed)
        told = LinearizableChecker(KINDS[name].model(), keyed=keyed).check(history)
        assert told.verdict == expected(history, KINDS[name].model(), keyed), seed


@pytest.fixture
def breadth_first_only(monkeypatch):
    monkeypatch.setattr(kernels, "DEPTH_FIRST", 0)
    monkeypatch.setattr(kernels, "DEPTH_PER_OPERATION", 0)


@pytest.mark.parametrize("name", KINDS)
def test_depth_first_agrees_with_brute_force(name):
    agree(name, range(cases(120)))


@pytest.mark.parametrize("name", KINDS)
def test_breadth_first_agrees_with_brute_force(name, breadth_first_only):
    agree(name, range(10**6, 10**6 + cases(60)))


@pytest.mark.parametrize("name", [name for name in KINDS if "register" in name])
def test_values_that_nobody_saw_may_be_one_value(name, monkeypatch):
    monkeypatch.setattr(registers, "CROWD", 0)
    agree(name, range(2 * 10**6, 2 * 10**6 + cases(120)))


@pytest.mark.parametrize("name", KINDS)
def test_what_a_model_tells_beyond_its_step_changes_no_verdict(name):
    for seed in range(cases(8)):
        history, keyed = drawn(name, seed)
        model = KINDS[name].model()
        hinted = LinearizableChecker(model, keyed=keyed).check(history)
        plain = LinearizableChecker(Unhinted(KINDS[name].model()), keyed=keyed).check(history)
        assert plain.verdict == hinted.verdict, seed


@pytest.mark.parametrize("name", KINDS)
def test_a_correct_object_is_never_accused(name):
    undecided = 0
    for seed in range(cases(8)):
        rng = random.Random(seed)
        history = MAKERS["correct"](KINDS[name], rng, operations=60, clients=rng.randint(2, 6))
        keyed = True if name in KEYED else None
        verdict = LinearizableChecker(KINDS[name].model(), keyed=keyed).check(history)
        assert verdict.verdict != "violated", seed
        undecided += verdict.verdict == "unknown"
    # A history may be of crashed operations only, or a queue's that takes more than the budget.
    assert undecided <= cases(8) // 5


def test_compiled_kernels_say_what_interpreted_ones_say(monkeypatch):
    """Both searches: with everything the depth-first one says, and everything of the other."""
    histories = [drawn(name, seed) for name in KINDS for seed in range(cases(12))]
    models = [KINDS[name].model for name in KINDS for _ in range(cases(12))]

    def told():
        return [
            LinearizableChecker(model(), keyed=keyed).check(history)
            for (history, keyed), model in zip(histories, models, strict=True)
        ]

    interpreted = told()
    monkeypatch.setattr(search, "INTERPRETED", 0)
    assert told() == interpreted


def perturbed(rng):
    """A correct history with, half of the time, one answer changed."""
    events = list(correct_register(rng, clients=rng.randint(2, 5), operations=rng.randint(3, 9)))
    reads = [i for i, op in enumerate(events) if op.type == "ok" and op.f == "read"]
    if reads and rng.random() < 0.5:
        i = rng.choice(reads)
        events[i] = msgspec.structs.replace(events[i], value=[events[i].value[0], rng.randrange(3)])
    return in_order(events)


@settings(max_examples=200, deadline=None)
@given(st.integers(min_value=10**6))
def test_any_seed_agrees_with_brute_force(seed):
    history = (chaos_register if seed % 2 else perturbed)(random.Random(seed))
    assert CHECKER.check(history).verdict == expected(history, MODEL)


def changed(history, **changes):
    """The same events with fields changed: each change is a function of the event."""
    return in_order(
        [
            msgspec.structs.replace(op, **{name: change(op) for name, change in changes.items()})
            for op in history
        ]
    )


def rekeyed(op: Op):
    key, value = op.value
    return [f"key-{7 - key}", value]


@settings(max_examples=100, deadline=None)
@given(st.integers(min_value=0), st.permutations(range(40)), st.integers(0, 10**15))
def test_names_and_dates_do_not_matter(seed, processes, shift):
    history = perturbed(random.Random(seed))
    told = CHECKER.check(history)
    for other in (
        changed(history, value=rekeyed),
        changed(history, time=lambda op: op.time + shift),
        changed(history, process=lambda op: processes[op.process]),
        changed(history, time=lambda op: op.time * 1000),
    ):
        verdict = CHECKER.check(other)
        assert (verdict.verdict, verdict.judged) == (told.verdict, told.judged)
        assert [(a.type, a.count) for a in verdict.anomalies] == [
            (a.type, a.count) for a in told.anomalies
        ]


def test_the_same_history_always_gets_the_same_answer():
    for seed in range(50):
        history = chaos_register(random.Random(seed))
        assert CHECKER.check(history) == CHECKER.check(History(list(history)))


@pytest.mark.parametrize("name", KINDS)
def test_out_of_budget_is_unknown_never_holds(name):
    seen = set()
    for seed in range(cases(40)):
        history, keyed = drawn(name, seed)
        model = KINDS[name].model()
        verdict = LinearizableChecker(model, keyed=keyed, budget=3).check(history)
        seen.add(verdict.verdict)
        if verdict.verdict == "unknown" and verdict.judged:
            assert "budget of 3 configurations ran out" in verdict.reason
        else:
            assert verdict.verdict == expected(history, KINDS[name].model(), keyed), seed
    assert "unknown" in seen
