"""`true` is not 1 and `false` is not 0, although Python's are equal."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dokkaebi.checkers.linearizable import LinearizableChecker
from dokkaebi.checkers.models import MODELS
from dokkaebi.checkers.transactions.append import AppendChecker
from dokkaebi.checkers.transactions.wr import WrChecker
from dokkaebi.harness.history import History, Op
from dokkaebi.harness.interning import freeze, interned


def one_by_one(*asked: tuple[str, Any, Any]) -> History:
    """A client's operations one after another: (function, what it asked, what was answered)."""
    ops = []
    for number, (f, value, answer) in enumerate(asked):
        ops.append(Op(process=0, type="invoke", f=f, value=value, time=10 * number))
        ops.append(Op(process=0, type="ok", f=f, value=answer, time=10 * number + 5))
    return History(ops)


def wrote(f: str, value: Any) -> tuple[str, Any, Any]:
    return "txn", [[f, "x", value]], [[f, "x", value]]


def test_each_has_its_number() -> None:
    numbers = interned([1, True, 0, False, True])
    assert numbers.of.tolist() == [0, 1, 2, 3, 1]
    assert freeze([1]) != freeze([True])


def test_a_register_holds_what_was_written_last() -> None:
    checker = LinearizableChecker(MODELS["register"]())
    stale = one_by_one(("write", 1, 1), ("write", True, True), ("read", None, 1))
    assert checker.check(stale).verdict == "violated"


def test_a_set_has_both() -> None:
    checker = LinearizableChecker(MODELS["set"]())
    adds = ("add", 1, 1), ("add", True, True)
    assert checker.check(one_by_one(*adds, ("read", None, [1, True]))).verdict == "holds"
    (finding,) = checker.check(one_by_one(*adds, ("read", None, [True]))).anomalies
    assert "[1,true]" in finding.sentence


@pytest.mark.parametrize("there", [True, False])
def test_contains_answers_with_a_truth_value(there: bool) -> None:
    checker = LinearizableChecker(MODELS["set"]())
    for said in (there, not there):
        events = one_by_one(*[("add", 7, 7)] * there, ("contains", 7, 7))
        *before, last = events
        history = History([*before, msgspec.structs.replace(last, result=said)])
        assert checker.check(history).verdict == ("holds" if said is there else "violated")


@pytest.mark.parametrize("seen", [1, True])
def test_registers_of_transactions(seen: Any) -> None:
    read = ("txn", [["r", "x", None]], [["r", "x", seen]])
    found = WrChecker().check(one_by_one(wrote("w", 1), wrote("w", True), read))
    assert found.verdict == ("holds" if seen is True else "violated")


def test_lists_of_transactions() -> None:
    read = ("txn", [["r", "x", None]], [["r", "x", [1, True]]])
    history = one_by_one(wrote("append", 1), wrote("append", True), read)
    assert AppendChecker().check(history).verdict == "holds"
