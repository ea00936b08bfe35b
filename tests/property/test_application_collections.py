"""Sets, names, ids, forks, sessions, rules, queues, ledgers, limits and estimates against naive
oracles; correct systems are never accused; changes that must not matter do not."""

import random
from collections import Counter

import application_oracle as oracle
import applications as app
import msgspec
import pytest
from fuzzing import cases
from mini import in_order

from dokkaebi.checkers.admission import AdmissionChecker, RateLimitChecker
from dokkaebi.checkers.constraint import ConstraintChecker
from dokkaebi.checkers.estimate import SLACK, EstimateChecker
from dokkaebi.checkers.ids import IdsChecker
from dokkaebi.checkers.ledger import LedgerChecker
from dokkaebi.checkers.long_fork import LongForkChecker
from dokkaebi.checkers.sessions import GUARANTEES, SessionChecker
from dokkaebi.checkers.set_full import SetFullChecker
from dokkaebi.checkers.staleness import StalenessChecker
from dokkaebi.checkers.total_queue import TotalQueueChecker
from dokkaebi.checkers.unique import UniqueChecker

WINDOW = 12
BOUND = 8


def duplicate_ids(history):
    given = Counter(op.value for op in history.operations("generate") if op.type == "ok")
    return {"duplicate"} if max(given.values(), default=0) > 1 else set()


def set_kinds(linearizable):
    return lambda history: oracle.set_kinds(history) - (set() if linearizable else {"stale-read"})


def queue_kinds(delivery, ordered):
    return lambda history: oracle.queue_kinds(history, delivery=delivery, ordered=ordered)


def violated(holds, name):
    return lambda history: set() if holds(history) else {name}


KINDS = {
    "set": (app.chaos_set, SetFullChecker(), set_kinds(False)),
    "set, linearizable": (app.chaos_set, SetFullChecker(linearizable=True), set_kinds(True)),
    "unique": (app.chaos_unique, UniqueChecker(), oracle.unique_kinds),
    "ids": (app.chaos_ids, IdsChecker(), duplicate_ids),
    "long-fork": (app.chaos_fork, LongForkChecker(), oracle.fork_kinds),
    "ledger": (app.chaos_ledger, LedgerChecker(), oracle.ledger_kinds),
    **{
        f"queue, {delivery} once, order {ordered}": (
            app.chaos_queue,
            TotalQueueChecker(delivery=delivery, ordered=ordered),
            queue_kinds(delivery, ordered),
        )
        for delivery in ("exactly", "at-least", "at-most")
        for ordered in (None, "key", "all")
    },
    "staleness": (
        app.chaos_cache,
        StalenessChecker(bound=BOUND * 1e-9),
        lambda history: oracle.staleness_kinds(history, BOUND),
    ),
    "admission": (
        app.chaos_admission,
        AdmissionChecker(limit=2),
        lambda history: {"over-admission"} if oracle.crowded(history, 2) else set(),
    ),
    "rate limit": (
        app.chaos_rate,
        RateLimitChecker(limit=2, window=WINDOW * 1e-9),
        lambda history: {"over-admission"} if oracle.too_many(history, 2, WINDOW) else set(),
    ),
    "estimate": (
        app.chaos_estimate,
        EstimateChecker(error=0.1),
        lambda history: set() if oracle.estimates_hold(history, 0.1, SLACK) else {"bad-estimate"},
    ),
}


@pytest.mark.parametrize("what", KINDS)
def test_a_checker_names_what_its_oracle_names(what):
    chaos, checker, kinds = KINDS[what]
    found = Counter()
    for seed in range(cases(600, oracle=True)):
        history = chaos(random.Random(f"{what} {seed}"))
        wanted = kinds(history)
        verdict = checker.check(history)
        assert {a.type for a in verdict.anomalies} == wanted, seed
        assert (verdict.verdict == "violated") == bool(wanted), seed
        found.update(wanted or {"nothing"})
    assert min(found.values()) >= cases(600, oracle=True) // 100, found
    assert len(found) > 1


@pytest.mark.parametrize(
    "guarantees", [GUARANTEES, GUARANTEES[:1], GUARANTEES[1:2], GUARANTEES[:2]], ids=", ".join
)
def test_sessions_agree_with_their_oracle(guarantees):
    found = Counter()
    for seed in range(cases(800)):
        history = app.chaos_session(random.Random(f"session {seed}"))
        verdict = SessionChecker(guarantees=guarantees).check(history)
        holds = oracle.session_holds(history, guarantees)
        assert (verdict.verdict != "violated") == holds, seed
        found.update({a.type for a in verdict.anomalies} or {"nothing"})
    for name in guarantees:
        named = {"monotonic-reads": "non-monotonic-read"}.get(name, name)
        assert found[named] >= max(1, cases(800) // 400), found


def test_constraints_agree_with_their_oracle():
    found = Counter()
    checker = ConstraintChecker(initial=app.GROUPS)
    for seed in range(cases(1500, oracle=True)):
        history = app.chaos_constraint(random.Random(f"constraint {seed}"))
        verdict = checker.check(history)
        assert (verdict.verdict != "violated") == oracle.constraint_holds(history, app.GROUPS, 1), (
            seed
        )
        found[verdict.verdict] += 1
    assert min(found["violated"], found["holds"]) > cases(1500, oracle=True) // 20


# --- correct systems -----------------------------------------------------------------------------

CORRECT = {
    "set": (app.correct_set, SetFullChecker(linearizable=True)),
    "set with late reads": (lambda rng: app.correct_set(rng, late=True), SetFullChecker()),
    "unique": (app.correct_unique, UniqueChecker()),
    "ids": (app.correct_ids, IdsChecker()),
    "long-fork": (app.correct_fork, LongForkChecker()),
    "session": (app.correct_session, SessionChecker()),
    "constraint": (app.correct_constraint, ConstraintChecker(initial=app.GROUPS)),
    "ledger": (app.correct_ledger, LedgerChecker()),
    "queue in order": (app.correct_queue, TotalQueueChecker(ordered="all")),
    "queue that delivers again": (
        lambda rng: app.correct_queue(rng, again=True),
        TotalQueueChecker(delivery="at-least", ordered="all"),
    ),
    "rate limit": (
        lambda rng: app.correct_rate(rng, limit=3, window=WINDOW),
        RateLimitChecker(limit=3, window=WINDOW * 1e-9),
    ),
    "rate limit, called fixed": (
        lambda rng: app.correct_rate(rng, limit=3, window=WINDOW),
        RateLimitChecker(limit=3, window=WINDOW * 1e-9, kind="fixed"),
    ),
    "cache": (
        lambda rng: app.correct_cache(rng, bound=BOUND),
        StalenessChecker(bound=BOUND * 1e-9),
    ),
    "estimate": (app.correct_estimate, EstimateChecker()),
}


@pytest.mark.parametrize("what", CORRECT)
def test_a_correct_system_is_never_accused(what):
    correct, checker = CORRECT[what]
    held = 0
    for seed in range(cases(500)):
        verdict = checker.check(correct(random.Random(f"correct {what} {seed}")))
        assert verdict.verdict != "violated", (seed, verdict.anomalies)
        held += verdict.verdict == "holds"
    assert held > cases(500) * 0.8


# --- what must not matter ------------------------------------------------------------------------


def changed(history, change):
    return in_order([msgspec.structs.replace(op, **change(op)) for op in history])


def findings(checker, history):
    verdict = checker.check(history)
    return verdict.verdict, verdict.judged, {(a.type, a.count) for a in verdict.anomalies}


@pytest.mark.parametrize("what", KINDS)
def test_names_of_processes_and_dates_do_not_matter(what):
    chaos, checker, _ = KINDS[what]
    for seed in range(cases(60)):
        rng = random.Random(f"same {what} {seed}")
        history = chaos(rng)
        shift, names = rng.randrange(10**15), rng.sample(range(2 * 10**6), 2 * 10**3)
        named = {p: names[i] for i, p in enumerate(sorted({op.process for op in history}))}
        said = findings(checker, history)
        assert (
            findings(checker, changed(history, lambda op, by=shift: {"time": op.time + by})) == said
        )
        other = changed(history, lambda op, named=named: {"process": named[op.process]})
        assert findings(checker, other)[0] == said[0], seed
