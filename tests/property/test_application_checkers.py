"""Counter, bank, lock and stats against naive oracles, and under changes that must not matter."""

import random
from itertools import combinations, pairwise

import msgspec
from fuzzing import cases
from histories import ACCOUNTS, OPENING, TTL, chaos_bank, chaos_counter, chaos_lock, correct_counter
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mini import in_order
from oracle import (
    CounterModel,
    bank_holds,
    counter_holds,
    linearizable,
    lock_kinds,
    lock_windows,
    subsets,
)

from dokkaebi.checkers.bank import BankChecker
from dokkaebi.checkers.contention import conflicts, touched
from dokkaebi.checkers.counter import CounterChecker
from dokkaebi.checkers.holds import definite_holds
from dokkaebi.checkers.lock import LockChecker
from dokkaebi.checkers.stats import handovers
from dokkaebi.checkers.sums import reachable
from dokkaebi.harness.history import History

OPENED = dict.fromkeys(ACCOUNTS, OPENING)
SEEDS = st.integers(min_value=0)


def verdict_of(checker, history):
    return checker.check(history).verdict


@given(st.integers(-30, 30), st.lists(st.integers(-9, 9), max_size=8))
def test_reachable_sums(target, amounts):
    assert reachable(target, amounts) == (target in subsets(amounts))


@given(st.integers(-30, 30), st.lists(st.integers(-9, 9), max_size=8))
def test_reachable_sums_without_the_work_never_say_no_wrongly(target, amounts):
    from dokkaebi.checkers import sums

    most, sums.MOST_WORK = sums.MOST_WORK, 0
    try:
        assert reachable(target, amounts) or target not in subsets(amounts)
    finally:
        sums.MOST_WORK = most


def counter_agrees(seed):
    history = chaos_counter(random.Random(seed))
    if not any(op.f == "read" and op.type == "ok" for op in history.operations()):
        return
    wanted = "holds" if counter_holds(history) else "violated"
    assert verdict_of(CounterChecker(), history) == wanted, seed


def test_counter_agrees_with_its_oracle():
    for seed in range(cases(1200, oracle=True)):
        counter_agrees(seed)


@settings(deadline=None)
@given(SEEDS)
def test_counter_agrees_with_its_oracle_for_any_seed(seed):
    counter_agrees(seed)


def with_some_results(rng, history):
    """Adds that tell a new value, true or not."""
    return in_order(
        [
            msgspec.structs.replace(op, result=rng.randint(-2, 6))
            if op.type == "ok" and op.f == "add" and rng.random() < 0.6
            else op
            for op in history
        ]
    )


def test_a_counter_that_could_be_true_is_never_accused():
    """Whatever brute force can explain, returned values included, must hold."""
    explained = 0
    for seed in range(cases(1200, oracle=True)):
        rng = random.Random(seed)
        history = chaos_counter(rng)
        if rng.random() < 0.5:
            history = correct_counter(rng, operations=6)
            if rng.random() < 0.5:
                history = with_some_results(rng, history)
        done = [op for op in history.operations() if op.type != "fail"]
        keys = {op.asked[0] for op in done}
        if all(linearizable([op for op in done if op.asked[0] == k], CounterModel()) for k in keys):
            explained += 1
            assert verdict_of(CounterChecker(), history) != "violated", seed
    assert explained > 150


def bank_agrees(seed):
    history = chaos_bank(random.Random(seed))
    if not any(op.f == "read" and op.type == "ok" for op in history.operations()):
        return
    wanted = "holds" if bank_holds(history, OPENED) else "violated"
    assert verdict_of(BankChecker(initial=OPENED), history) == wanted, seed


def test_bank_agrees_with_its_oracle():
    for seed in range(cases(1200, oracle=True)):
        bank_agrees(seed)


@settings(deadline=None)
@given(SEEDS)
def test_bank_agrees_with_its_oracle_for_any_seed(seed):
    bank_agrees(seed)


def lock_agrees(seed):
    history = chaos_lock(random.Random(seed))
    kinds = lock_kinds(history, TTL)
    paused = LockChecker(ttl=TTL, faults=["pause-client"]).check(history)
    named = {anomaly.type for anomaly in paused.anomalies}
    assert bool(named) == bool(kinds), seed
    assert named <= kinds, seed
    # Of one pair of holds the worse is told; a double-hold is never missed.
    assert ("double-hold" in named) == ("double-hold" in kinds), seed
    plain = LockChecker(ttl=TTL).check(history)
    if plain.judged:
        wanted = (
            "violated"
            if "double-hold" in kinds
            else "unknown"
            if "expired-hold" in kinds
            else "holds"
        )
        assert plain.verdict == wanted, seed
    renewed = LockChecker(ttl=TTL, lease="renewed").check(history)
    assert (renewed.verdict == "violated") == bool(kinds), seed


def test_lock_agrees_with_its_oracle():
    for seed in range(cases(1200, oracle=True)):
        lock_agrees(seed)


@settings(deadline=None)
@given(SEEDS)
def test_lock_agrees_with_its_oracle_for_any_seed(seed):
    lock_agrees(seed)


def test_without_leases_every_overlap_is_a_double_hold():
    for seed in range(cases(1000)):
        history = chaos_lock(random.Random(seed))
        windows = lock_windows(history, TTL)
        clash = any(
            a[0] == b[0] and a[2] < b[3] and b[2] < a[3] for a, b in combinations(windows, 2)
        )
        verdict = LockChecker(ttl=TTL, lease=None).check(history)
        assert [a.type for a in verdict.anomalies] == ["double-hold"] * clash, seed


def test_conflicts_and_handovers_agree_with_counting_pairs():
    def contends(op):
        return op.asked[0], op.f == "add"

    for seed in range(cases(500)):
        history = chaos_counter(random.Random(seed))
        operations = list(history.operations())

        def until(op, history=history):
            return op.call if op.end < 0 else int(history.time[op.end])

        pairs = sum(
            a.asked[0] == b.asked[0]
            and "add" in (a.f, b.f)
            and a.call <= until(b)
            and b.call <= until(a)
            for a, b in combinations(operations, 2)
        )
        assert conflicts(touched(history, contends)).sum() == pairs, seed
        locks = chaos_lock(random.Random(seed))
        every = definite_holds(locks, ttl=TTL)
        holds = sorted(every.each(locks), key=lambda hold: (hold.start, hold.acquire))
        count = 0
        for name in {hold.name for hold in holds}:
            mine = [hold.process for hold in holds if hold.name == name]
            count += sum(a != b for a, b in pairwise(mine))
        assert handovers(every) == count, seed


def changed(history, **changes):
    return in_order(
        [
            msgspec.structs.replace(op, **{name: change(op) for name, change in changes.items()})
            for op in history
        ]
    )


def same(checker, history, other):
    one, two = checker.check(history), checker.check(other)
    assert (one.verdict, one.judged) == (two.verdict, two.judged)
    assert {(a.type, a.count) for a in one.anomalies} == {(a.type, a.count) for a in two.anomalies}


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.permutations(range(40)), st.integers(0, 10**15))
@example(323220313907100, [0, 1, 2, 10, *range(4, 10), 3, *range(11, 40)], 0)
def test_names_and_dates_do_not_matter(seed, processes, shift):
    kinds = (
        (chaos_counter, CounterChecker()),
        (chaos_bank, BankChecker(initial=OPENED)),
        (chaos_lock, LockChecker(ttl=TTL, faults=["pause-client"])),
    )
    for chaos, checker in kinds:
        history = chaos(random.Random(seed))
        same(checker, history, changed(history, time=lambda op: op.time + shift))
        # In the same order of lines: which of two events at one instant is told first may differ.
        renamed = [msgspec.structs.replace(op, process=processes[op.process]) for op in history]
        same(checker, history, History(renamed))
        same(checker, history, History(list(history)))


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_the_names_of_keys_do_not_matter(seed):
    def renamed(op):
        return [f"other {op.value[0]}", op.value[1]]

    history = chaos_counter(random.Random(seed))
    same(CounterChecker(), history, changed(history, value=renamed))
    history = chaos_lock(random.Random(seed))
    same(LockChecker(ttl=TTL), history, changed(history, value=lambda op: f"other {op.value}"))
