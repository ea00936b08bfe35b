"""Serializability and snapshot isolation with unknown versions against all orders tried."""

import random

import numpy as np
import pytest
from fuzzing import cases, seeds, shared
from weak_oracle import random_transactions, reading, serializable, snapshot_isolated

from dokkaebi.checkers import compiled
from dokkaebi.checkers.transactions.serial import serial_order


def orders(rng, n):
    """Some pairs that have to keep their order, as sessions and real time give them."""
    return [(a, b) for b in range(n) for a in range(b) if rng.random() < rng.choice((0, 0.2))]


def found(transactions, before, *, snapshots, rounds=300, sequential=True):
    n = len(transactions)
    columns = reading(transactions, list(range(n)))
    pairs = np.array(before, dtype=np.int64).reshape(-1, 2)
    likely = np.arange(n, dtype=np.int64)
    return serial_order(
        columns,
        pairs[:, 0],
        pairs[:, 1],
        call=likely * 2 if sequential else likely * 0,
        ret=likely * 2 + 1,
        snapshots=snapshots,
        rounds=rounds,
    )


def explains(transactions, order):
    """Whether this order of serial transactions explains every read."""
    state = {}
    for t in order:
        if any(m[0] == "r" and state.get(m[1], -1) != m[2] for m in transactions[t]):
            return False
        state.update({m[1]: t for m in transactions[t] if m[0] == "w"})
    return True


def agree(rng, number, most):
    """How often each was possible."""
    held = [0, 0]
    for _ in range(number):
        transactions = random_transactions(rng, most)
        before = orders(rng, len(transactions))
        serial = found(transactions, before, snapshots=False, sequential=rng.random() < 0.5)
        assert serial.possible == serializable(transactions, before), (transactions, before)
        if serial.possible:
            order = serial.order.tolist()
            assert explains(transactions, order)
            assert all(order.index(a) < order.index(b) for a, b in before)
        else:
            assert serial.cycles
            assert len(serial.cycles) == len(serial.choices)
        snapshots = found(transactions, before, snapshots=True)
        assert snapshots.possible == snapshot_isolated(transactions, before), (transactions, before)
        held[0] += bool(serial.possible)
        held[1] += bool(snapshots.possible)
    return held


@shared
def test_orders_are_found_exactly_where_there_are_some(share):
    number = len(seeds(800, share, oracle=True))
    serial, snapshots = agree(random.Random(f"serial {share}"), number, 6)
    assert 0.1 * number < serial < snapshots < 0.9 * number


def test_compiled_search_agrees(monkeypatch):
    monkeypatch.setattr(compiled, "COMPILE_FROM", 0)
    agree(random.Random("compiled"), cases(150), 5)


def test_without_budget_nothing_is_claimed():
    # Two blind writers in the wrong guess, and readers that need the other order.
    transactions = [
        [("w", 0), ("w", 1)],
        [("w", 0)],
        [("r", 1, 0), ("r", 0, 1)],
        [("r", 0, 0), ("w", 2)],
        [("r", 2, 3), ("r", 0, 0)],
    ]
    assert found(transactions, [], snapshots=False).possible is True
    skew = [[("r", 0, -1), ("w", 1)], [("r", 1, -1), ("w", 0)]]
    assert found(skew, [], snapshots=False).possible is False
    assert found(skew, [], snapshots=True).possible is True
    assert found(transactions, [(1, 0)], snapshots=False, rounds=1).possible in (True, None)


def test_a_wait_that_was_pardoned_is_not_waited_for_twice():
    # The one that is let go on waits for the same write again: this once went round for ever.
    transactions = [
        [("r", 0, -1), ("r", 1, -1), ("w", 0), ("w", 1)],
        [("r", 0, 0), ("w", 1)],
        [("r", 1, 0), ("w", 0), ("w", 1)],
        [("w", 0)],
        [("r", 0, 0), ("w", 0), ("w", 1)],
        [],
    ]
    assert found(transactions, [], snapshots=True).possible is snapshot_isolated(transactions, [])


@pytest.mark.parametrize("snapshots", [False, True])
def test_an_impossible_history_is_told_by_few_circles(snapshots):
    lost = [[("r", 0, -1), ("w", 0)], [("r", 0, -1), ("w", 0)], [("r", 0, 0), ("w", 1)]]
    told = found(lost, [], snapshots=snapshots)
    assert told.possible is False
    assert {0, 1} <= {t for cycle in told.cycles for t in cycle}
