"""Weak levels against Biswas & Enea's axioms drawn naively, interpreted and compiled."""

import random

import networkx as nx
import pytest
from fuzzing import cases, seeds, shared
from weak_oracle import random_transactions, reading, weak_level_holds

from dokkaebi.checkers import compiled
from dokkaebi.checkers.transactions.visibility import forced, reading_order, session_order

LEVELS = ("monotonic-read-committed", "read-atomic", "causal")


def holds(columns, level):
    orders = forced(columns, level)
    graph = nx.DiGraph()
    pairs = ((orders.before, orders.after), session_order(columns), reading_order(columns))
    for before, after in pairs:
        graph.add_edges_from(zip(before.tolist(), after.tolist(), strict=True))
    assert orders.complete
    return nx.is_directed_acyclic_graph(graph)


def agree(rng, number):
    """How often each level held."""
    held = dict.fromkeys(LEVELS, 0)
    for _ in range(number):
        transactions = random_transactions(rng, 6)
        raw = [rng.randrange(3) for _ in transactions]
        session = [sorted(set(raw)).index(s) for s in raw]
        columns = reading(transactions, session)
        for level in LEVELS:
            expected = weak_level_holds(transactions, session, level)
            assert holds(columns, level) == expected, (level, transactions, session)
            held[level] += expected
    return held


@shared
def test_weak_levels_agree_with_the_axioms(share):
    number = len(seeds(2500, share))
    held = agree(random.Random(f"weak {share}"), number)
    assert all(0.1 * number < each < 0.9 * number for each in held.values()), held
    assert held["monotonic-read-committed"] > held["read-atomic"] > held["causal"] > 0


def test_compiled_kernels_agree_with_the_axioms(monkeypatch):
    monkeypatch.setattr(compiled, "COMPILE_FROM", 0)
    agree(random.Random("compiled"), cases(100))


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_forces_nothing(level):
    columns = reading([], [])
    assert len(forced(columns, level)) == 0
