"""What the application checkers' columns must not change: long sums, odd names, reads without keys."""

import numpy as np
import pytest

from dokkaebi.checkers.bank import BankChecker
from dokkaebi.checkers.counter import CounterChecker
from dokkaebi.checkers.rows import groups, labelled
from dokkaebi.checkers.set_full import SetFullChecker
from dokkaebi.checkers.sums import integers
from dokkaebi.checkers.total_queue import TotalQueueChecker
from dokkaebi.harness.history import History, Op
from dokkaebi.harness.interning import numbered


def told(*steps):
    """One operation after another: (function, asked, answer) or (function, asked, answer, type)."""
    events = []
    for at, (f, asked, answer, *kind) in enumerate(steps):
        events.append(Op(time=2 * at, process=0, type="invoke", f=f, value=asked))
        ends = kind[0] if kind else "ok"
        events.append(Op(time=2 * at + 1, process=0, type=ends, f=f, value=answer))
    return History(events)


@pytest.mark.parametrize("values", [[2**62, 2**62], [2**70], [-(2**63)] * 3, [2**59, 2**59, 1]])
def test_long_sums_are_kept_as_python_integers(values):
    column = integers(values)
    assert column.dtype == object
    assert np.cumsum(column)[-1] == sum(values)


def test_short_sums_are_kept_as_numbers():
    assert integers([1, -5, 10**12]).dtype == np.int64
    assert integers([]).tolist() == []


def test_balances_whose_sum_is_long_do_not_wrap():
    opening = {"a": 2**62, "b": 2**62}
    checker = BankChecker(initial=opening)
    assert checker.check(told(("read", None, opening))).verdict == "holds"
    less = checker.check(told(("read", None, {"a": 2**62, "b": -(2**62)})))
    assert "conservation" in {anomaly.type for anomaly in less.anomalies}


def test_keys_with_one_label_are_one_counter():
    steps = [("add", [1, 2], [1, 2]), ("add", ["1", 3], ["1", 3]), ("read", ["1", None], ["1", 5])]
    assert CounterChecker().check(told(*steps)).verdict == "holds"


def test_a_read_that_failed_need_not_name_its_set():
    steps = [
        ("add", ["x", 1], ["x", 1]),
        ("read", None, None, "fail"),
        ("read", ["x", None], ["x", []]),
    ]
    verdict = SetFullChecker().check(told(*steps))
    assert [anomaly.type for anomaly in verdict.anomalies] == ["lost-element"]


def test_missing_accounts_are_named_in_the_order_of_opening():
    verdict = BankChecker(initial={"z": 1, "b": 1, "a": 1}).check(told(("read", None, {"a": 1})))
    assert "no balance for account" in verdict.anomalies[0].sentence
    assert "z" in verdict.anomalies[0].sentence.rpartition("account")[2]


def test_messages_of_a_drain_and_of_dequeues_are_told_apart_from_nothing():
    steps = [
        ("enqueue", 1, 1),
        ("enqueue", 2, 2),
        ("dequeue", None, None),
        ("drain", None, [1, 2]),
        ("dequeue", None, None),
    ]
    verdict = TotalQueueChecker(ordered="all").check(told(*steps))
    assert (verdict.verdict, verdict.judged) == ("holds", 2)


def test_numbers_and_groups_keep_the_order():
    of, first = numbered(np.array([7, 3, 7, 9, 3]))
    assert (of.tolist(), first.tolist()) == ([0, 1, 0, 2, 1], [0, 1, 3])
    assert [rows.tolist() for rows in groups(of, 4)] == [[0, 2], [1, 4], [3], []]
    assert groups(of[:0], 0) == []
    assert labelled([1, "1", None, 2]).values == ["1", "nil", "2"]


@pytest.mark.parametrize(
    ("asked", "answered", "verdict"),
    [("x", 2, "holds"), ("x", ["x", 2], "holds"), ("x", 3, "violated"), ("y", ["y", 0], "holds")],
)
def test_a_read_may_name_its_counter_alone(asked, answered, verdict):
    ops = [
        Op(process=0, type="invoke", f="add", value=["x", 2], time=0),
        Op(process=0, type="ok", f="add", value=["x", 2], time=5),
        Op(process=0, type="invoke", f="read", value=asked, time=10),
        Op(process=0, type="ok", f="read", value=answered, time=15),
    ]
    assert CounterChecker().check(History(ops)).verdict == verdict
