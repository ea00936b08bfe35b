"""Transactions as columns: what was read comes out again, and what makes no sense is refused."""

import random

import pytest
from transactional import chaos_append, chaos_wr, history, written

from dokkaebi.harness.columns import FAIL, INFO, OK
from dokkaebi.harness.errors import MalformedHistory, UsageError
from dokkaebi.harness.history import History, Op
from dokkaebi.harness.transactions import (
    APPEND,
    NIL,
    READ,
    UNKNOWN,
    WRITE,
    Transactions,
    transactions,
)

KIND = {"append": APPEND, "w": WRITE, "r": READ}


def back(txns: Transactions):
    """The micro-operations as they were, from the columns alone."""
    said = []
    for txn in range(len(txns)):
        mops = []
        for row in range(int(txns.offset[txn]), int(txns.offset[txn + 1])):
            f = {code: name for name, code in KIND.items()}[int(txns.kind[row])]
            mops.append([f, txns.keys[txns.key[row]], value(txns, row)])
        said.append(mops)
    return said


def value(txns, row):
    number = int(txns.value[row])
    if number >= 0:
        return txns.values[number]
    if number == UNKNOWN or not txns.lists:
        return None
    if txns.odd[row] >= 0:
        part = txns.odd_value[txns.odd_offset[txns.odd[row]] : txns.odd_offset[txns.odd[row] + 1]]
    else:
        begin = int(txns.order_offset[txns.key[row]])
        part = txns.order_value[begin : begin + int(txns.length[row])]
    return [txns.values[each] for each in part]


@pytest.mark.parametrize("lists", [True, False])
def test_columns_hold_what_was_said(lists):
    for seed in range(200):
        plan = (chaos_append if lists else chaos_wr)(random.Random(seed))
        txns = transactions(history(plan), lists=lists)
        expected = sorted(plan, key=lambda txn: txn.call)
        assert list(txns.call) == [txn.call for txn in expected]
        for txn, mops in zip(sorted(plan, key=_place(txns)), back(txns), strict=True):
            said = [[f, key, v if f != "r" or txn.type == "ok" else None] for f, key, v in txn.mops]
            if lists and txn.type == "ok":
                said = [[f, key, (v or []) if f == "r" else v] for f, key, v in said]
            assert mops == said, seed


def _place(txns):
    order = {
        (int(p), int(c)): at for at, (p, c) in enumerate(zip(txns.process, txns.call, strict=True))
    }
    return lambda txn: order[txn.process, txn.call]


def test_outcomes_times_and_the_final_phase_are_kept():
    txns = transactions(
        written(
            """
            0 1-4 ok append x 1
            1 2-5 fail append x 2
            2 3-6 info append x 3
            3 7-9 ok r x [1] final
            """
        )
    )
    assert list(txns.type) == [OK, FAIL, INFO, OK]
    assert list(txns.process) == [0, 1, 2, 3]
    assert list(txns.call) == [1, 2, 3, 7]
    assert list(txns.ret[:2]) == [4, 5]
    assert txns.ret[2] > 10**18
    assert list(txns.final) == [False, False, False, True]
    assert list(txns.owners()) == [0, 1, 2, 3]


def test_the_longest_order_is_kept_and_what_differs_from_it():
    txns = transactions(
        written(
            """
            0 1-2 ok r x [1 2]
            0 3-4 ok r x [1 3]
            0 5-6 ok r x [1 3 4]
            0 7-8 ok r x [1]
            0 9-9 ok r x [1 1]
            """
        )
    )
    order = [txns.values[each] for each in txns.order_value]
    assert order == [1, 3, 4]
    assert [odd >= 0 for odd in txns.odd] == [True, False, False, False, True]


def test_a_read_of_nil_is_an_empty_list_or_a_register_not_yet_written():
    text = "0 1-2 ok r x nil\n0 3-4 ok {} x 1"
    lists = transactions(written(text.format("append")))
    assert lists.lists
    assert lists.length[0] == 0
    registers = transactions(written(text.format("w")))
    assert not registers.lists
    assert registers.value[0] == NIL


def test_transactions_may_go_by_other_names():
    """As elle-cli's long-fork histories do; operations that are none are left alone."""
    ops = [
        Op(process=0, type="invoke", f="read", value=[["r", 0, None]]),
        Op(process=0, type="ok", f="read", value=[["r", 0, 1]]),
        Op(process=0, type="invoke", f="write", value=[["w", 0, 1]]),
        Op(process=0, type="ok", f="write", value=[["w", 0, 1]]),
        Op(process=0, type="invoke", f="sleep", value=[1, 2]),
        Op(process=0, type="ok", f="sleep", value=[1, 2]),
    ]
    assert len(transactions(History(ops))) == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "a transaction is a list of micro-operations, not None"),
        (5, "a transaction is a list"),
        ("r12", "a transaction is a list"),
        (["r12"], "a micro-operation is"),
        ([["r", 1]], "a micro-operation is"),
        ([["x", 1, 2]], "a micro-operation is"),
        ([[1, 1, 2]], "a micro-operation is"),
        ([["append", 1, 2], ["r", 1, 3]], "a read of a list answers a list or nil"),
        ([["append", 1, 2], ["w", 1, 3]], "expected lists only"),
        ([["w", 1, 2], ["append", 1, 3]], "expected registers only"),
        ([["w", 1, None]], "a register holds nil until it is written"),
    ],
)
def test_what_is_no_transaction_is_refused_with_its_operation(value, expected):
    first = Op(process=1, type="invoke", f="txn", value=[])
    ops = [
        first,
        Op(process=0, type="invoke", f="txn", value=value),
        Op(process=0, type="ok", f="txn", value=value),
    ]
    with pytest.raises(UsageError, match="operation 1: ") as error:
        transactions(History(ops))
    assert expected in str(error.value)
    assert isinstance(error.value, MalformedHistory) or "only" in expected or "nil" in expected


def test_keys_and_values_may_be_lists_and_maps():
    mops = [["append", [1, "a"], {"b": 2}], ["append", [1, "a"], [3]], ["r", [1, "a"], [{"b": 2}]]]
    ops = [Op(process=0, type=kind, f="txn", value=mops) for kind in ("invoke", "ok")]
    txns = transactions(History(ops))
    assert back(txns) == [mops]
    assert len(txns.keys) == 1


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ([["append", "x", 1]], [["append", "x", 2]]),
        ([["append", "x", 1]], [["append", "x", 1], ["append", "x", 2]]),
        ([["append", "x", 1], ["append", "x", 2]], [["append", "x", 1]]),
        ([["r", "x", None]], [["r", "y", [1]]]),
    ],
)
def test_an_answer_to_another_question_is_refused(asked, answered):
    events = [
        Op(process=0, type="invoke", f="txn", value=asked),
        Op(process=0, type="ok", f="txn", value=answered),
    ]
    with pytest.raises(MalformedHistory, match="operation 0: an answer repeats what was asked"):
        transactions(History(events))
