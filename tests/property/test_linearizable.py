"""The linearizability checker against brute force, and under changes that must not matter."""

import random

import msgspec
import pytest
from histories import chaos_register, correct_register
from hypothesis import given, settings
from hypothesis import strategies as st
from mini import in_order
from oracle import linearizable

from dokkaebi.checkers import linearizable as module
from dokkaebi.checkers.linearizable import LinearizableChecker
from dokkaebi.checkers.models import CasRegister
from dokkaebi.checkers.search import Outcome, Search
from dokkaebi.harness.history import History, Op

MODEL = CasRegister()
CHECKER = LinearizableChecker(MODEL, keyed=True)


class Bare:
    """The same register as a user would write it: nothing but `init` and `step`."""

    refusals = ("cas",)

    def init(self):
        return MODEL.init()

    def step(self, state, operation):
        return MODEL.step(state, operation)


class WithoutHints(LinearizableChecker):
    """Judges a bare model, on the register's own partition."""

    def _partition(self, operations):
        return MODEL.partition(operations, True)


def expected(history):
    groups = list(MODEL.partition(CHECKER._observed(history), True))
    if not any(op.type != "info" for _, group in groups for op in group):
        return "unknown"
    return "holds" if all(linearizable(group, MODEL) for _, group in groups) else "violated"


def perturbed(rng):
    """A correct history with, half of the time, one answer changed."""
    events = list(correct_register(rng, clients=rng.randint(2, 5), operations=rng.randint(3, 9)))
    reads = [i for i, op in enumerate(events) if op.type == "ok" and op.f == "read"]
    if reads and rng.random() < 0.5:
        i = rng.choice(reads)
        events[i] = msgspec.structs.replace(events[i], value=[events[i].value[0], rng.randrange(3)])
    return in_order(events)


@pytest.fixture
def breadth_first_only(monkeypatch):
    monkeypatch.setattr(Search, "depth_first", lambda self, budget: Outcome(None, 0))


def agree(seeds):
    for seed in seeds:
        rng = random.Random(seed)
        history = (chaos_register if seed % 2 else perturbed)(rng)
        wanted = expected(history)
        assert CHECKER.check(history).verdict == wanted, seed
        assert WithoutHints(Bare()).check(history).verdict == wanted, seed


def test_depth_first_agrees_with_brute_force():
    agree(range(2500))


def test_breadth_first_agrees_with_brute_force(breadth_first_only):
    agree(range(2500, 5000))


@settings(max_examples=200, deadline=None)
@given(st.integers(min_value=10**6))
def test_any_seed_agrees_with_brute_force(seed):
    agree([seed])


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


def test_out_of_budget_is_unknown_never_holds(monkeypatch):
    monkeypatch.setattr(module, "MOST_AT_ONCE", 1)
    seen = set()
    for seed in range(200):
        history = perturbed(random.Random(seed))
        verdict = LinearizableChecker(MODEL, keyed=True, budget=3).check(history)
        seen.add(verdict.verdict)
        if verdict.verdict == "unknown" and verdict.judged:
            assert "budget" in verdict.reason
        else:
            assert verdict.verdict == expected(history)
    assert seen == {"holds", "violated", "unknown"}
