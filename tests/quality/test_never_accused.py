"""Correct systems, simulated with crashes, failures and late effects, are never accused."""

import random

import pytest
from histories import (
    ACCOUNTS,
    OPENING,
    correct_bank,
    correct_counter,
    correct_lock,
    correct_register,
)
from leases import TTL, correct_lease

from dokkaebi.checkers.bank import BankChecker
from dokkaebi.checkers.counter import CounterChecker
from dokkaebi.checkers.linearizable import LinearizableChecker
from dokkaebi.checkers.lock import LockChecker
from dokkaebi.checkers.models import CasRegister
from dokkaebi.checkers.progress import ProgressChecker

BANK = BankChecker(initial=dict.fromkeys(ACCOUNTS, OPENING))
LEASES = [
    LockChecker(lease=None),
    LockChecker(lease="renewed"),
    LockChecker(ttl=1.0, faults=["pause-client"]),
]


def held(checker, history, seed):
    verdict = checker.check(history)
    assert verdict.verdict == "holds", (seed, verdict.reason, verdict.anomalies)
    assert verdict.judged
    assert not ProgressChecker(ttl=1.0).check(history).anomalies


def rngs(count):
    return ((seed, random.Random(f"correct {seed}")) for seed in range(count))


@pytest.mark.parametrize("deltas", [(1,), (1, 2, 5), (-1, -4), (1, 2, 5, -3)], ids=str)
def test_a_correct_counter_is_never_accused(deltas):
    for seed, rng in rngs(500):
        clients = rng.randint(2, 8)
        history = correct_counter(
            rng, clients=clients, operations=rng.randint(5, 80), deltas=deltas
        )
        held(CounterChecker(), history, seed)


def test_a_correct_bank_is_never_accused():
    for seed, rng in rngs(1500):
        history = correct_bank(rng, clients=rng.randint(2, 8), operations=rng.randint(5, 60))
        held(BANK, history, seed)


def test_a_correct_lock_is_never_accused():
    for seed, rng in rngs(500):
        history = correct_lock(rng, clients=rng.randint(2, 6), rounds=rng.randint(2, 25))
        for checker in LEASES:
            held(checker, history, seed)


def test_a_correct_lease_is_never_accused_of_a_double_hold():
    """Stalled holders outlive their leases: at most an `expired-hold` and the update it loses, and
    only where pauses were asked for; a lock service can do no better."""
    seen = set()
    for seed, rng in rngs(800):
        history = correct_lease(rng, fenced=False, stalls=rng.choice([0.0, 0.05, 0.2]))
        paused = LockChecker(ttl=TTL * 1e-9, faults=["pause-client"]).check(history)
        assert {a.type for a in paused.anomalies} <= {"expired-hold", "lost-update"}, seed
        verdict = LockChecker(ttl=TTL * 1e-9).check(history)
        assert not verdict.anomalies, seed
        # An update is lost only by somebody who held on for too long.
        assert (
            "lost-update" not in {a.type for a in paused.anomalies} or "stalled" in verdict.reason
        )
        seen.add(verdict.verdict)
    assert seen == {"holds", "unknown"}


def test_a_lease_without_stalls_is_never_accused():
    for seed, rng in rngs(800):
        history = correct_lease(rng, fenced=False, stalls=0.0)
        verdict = LockChecker(ttl=TTL * 1e-9, faults=["pause-client"]).check(history)
        assert not verdict.anomalies, seed


def test_a_fenced_resource_is_never_accused():
    for seed, rng in rngs(800):
        history = correct_lease(rng, fenced=True, stalls=rng.choice([0.05, 0.2, 0.5]))
        verdict = LockChecker(ttl=TTL * 1e-9, fencing=True, faults=["pause-client"]).check(history)
        assert not verdict.anomalies, seed


def test_a_correct_register_is_never_accused():
    for seed, rng in rngs(600):
        history = correct_register(
            rng,
            clients=rng.randint(2, 8),
            operations=rng.randint(10, 60),
            keys=2,
            values=rng.randint(1, 6),
        )
        held(LinearizableChecker(CasRegister()), history, seed)


def test_a_large_correct_register_is_judged_in_full():
    history = correct_register(random.Random(1), clients=8, operations=5000, keys=3, values=5)
    held(LinearizableChecker(CasRegister(), keyed=True), history, 1)
