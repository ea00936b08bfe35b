"""The smallest part of a history: still the same anomaly, nothing that could be left out."""

import ast
import random

import pytest

from dokkaebi import UsageError
from dokkaebi.failures.history import minimised, part, shrink_history
from dokkaebi.failures.plan import Reproduced
from dokkaebi.failures.testfile import operation_lines, written
from dokkaebi.harness.choosing import Wish, choose, make_workload
from dokkaebi.harness.history import History, Op
from dokkaebi.harness.plugins import find


def recorded(*operations, process=None):
    """Operations one after another: (f, asked, told) or (f, asked, told, result)."""
    events = []
    for number, (f, asked, told, *rest) in enumerate(operations):
        who = number if process is None else process
        common = {"process": who, "f": f}
        events.append(Op(time=2 * number, type="invoke", value=asked, **common))
        result = rest[0] if rest else None
        events.append(Op(time=2 * number + 1, type="ok", value=told, result=result, **common))
    return History([*events])


def workload(name, **params):
    return make_workload(find("workloads", name), params)


def append(key, value):
    return ["txn", [["append", key, value]], [["append", key, value]]]


def read(key, seen):
    return ["txn", [["r", key, None]], [["r", key, seen]]]


MANY = range(200)
VIOLATIONS = {
    "counter": (
        recorded(
            *(("add", [k % 3, 1], [k % 3, 1], None) for k in MANY),
            ("add", [7, 1], [7, 1], 1),
            ("add", [7, 1], [7, 1], 1),
        ),
        "lost-update",
        2,
    ),
    "set": (
        recorded(*(("add", v, v) for v in MANY), ("read", None, [v for v in MANY if v != 77])),
        "lost-element",
        2,
    ),
    "append": (
        recorded(
            *(append(v % 4, v) for v in MANY),
            read(1, [v for v in MANY if v % 4 == 1]),
            append(9, 1000),
            append(9, 1001),
            read(9, [1000, 1001]),
            read(9, [1001, 1000]),
        ),
        "incompatible-order",
        4,
    ),
    "register": (
        recorded(
            *(("write", [v % 5, v], [v % 5, v]) for v in MANY),
            ("write", [9, 1], [9, 1]),
            ("write", [9, 2], [9, 2]),
            ("read", [9, None], [9, 1]),
        ),
        "stale-read",
        3,
    ),
    "ids": (
        recorded(*(("generate", None, v) for v in MANY), ("generate", None, 9)),
        "duplicate",
        2,
    ),
    "unique": (
        recorded(*(("claim", [v, v], [v, v]) for v in MANY), ("claim", [3, 999], [3, 999])),
        "double-success",
        2,
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_a_handful_of_operations(name):
    history, anomaly, most = VIOLATIONS[name]
    small = shrink_history(history, workload(name), anomaly)
    assert small.anomaly.type == anomaly
    assert len(small.operations) <= most
    assert small.anomaly.sentence
    assert operation_lines(small.operations)


@pytest.mark.parametrize("name", VIOLATIONS)
def test_nothing_of_it_could_be_left_out(name):
    history, anomaly, _ = VIOLATIONS[name]
    small = shrink_history(history, workload(name), anomaly).history
    every = [op.index for op in small.operations()]
    again = shrink_history(small, workload(name), anomaly)
    assert len(again.operations) == len(every)


def test_what_a_write_that_is_left_out_had_put_is_not_read_any_more():
    history = recorded(append(1, 5), append(1, 6), read(1, [5, 6]), ("txn", [], []))
    kept = [op.index for op in history.operations()][1:]
    (_, read_op, _) = part(history, kept, nemesis=False).operations()
    assert read_op.value == [["r", 1, [6]]]


def test_micro_operations_that_say_nothing_are_left_out_too():
    made = History(
        [
            Op(time=time, process=process, type=kind, f="txn", value=value)
            for time, process, kind, value in [
                (0, 0, "invoke", [["append", 9, 1], ["r", 1, None], ["append", 2, 5]]),
                (1, 1, "invoke", [["r", 2, None], ["append", 8, 2], ["append", 1, 6]]),
                (2, 0, "ok", [["append", 9, 1], ["r", 1, []], ["append", 2, 5]]),
                (3, 1, "ok", [["r", 2, []], ["append", 8, 2], ["append", 1, 6]]),
                (4, 2, "invoke", [["r", 1, None], ["r", 2, None], ["r", 9, None], ["r", 8, None]]),
                (5, 2, "ok", [["r", 1, [6]], ["r", 2, [5]], ["r", 9, [1]], ["r", 8, [2]]]),
            ]
        ]
    )
    small = shrink_history(made, workload("append"), "G2-item")
    asked = [op.asked for op in small.operations]
    assert asked[:2] == [[["r", 1, None], ["append", 2, 5]], [["r", 2, None], ["append", 1, 6]]]
    assert not any(mop[1] > 2 for mops in asked for mop in mops)
    assert all(len(op.asked) == len(op.value) for op in small.operations)


def test_a_history_without_the_anomaly_is_told():
    history, _, _ = VIOLATIONS["ids"]
    with pytest.raises(UsageError, match="it has no anomaly lost-update; it has duplicate"):
        shrink_history(history, workload("ids"), "lost-update")
    with pytest.raises(UsageError, match="it has no anomaly; it has none"):
        shrink_history(recorded(("generate", None, 1)), workload("ids"))


def test_the_smallest_set_of_units_is_found():
    for seed in range(300):
        rng = random.Random(seed)
        units = list(range(rng.randrange(1, 60)))
        needed = set(rng.sample(units, rng.randrange(1, min(6, len(units)) + 1)))
        assert set(minimised(units, lambda kept, least=needed: least <= set(kept))) == needed


@pytest.mark.parametrize("target", ["counter/select-then-update", "lock/set-nx-plain-del"])
def test_the_file_is_a_test_that_says_what_it_shows(target):
    wish = Wish(target=target, faults=["none"], time=10**9, workers=2, processes=2, seed=3)
    spec, _ = choose(wish)
    found = Reproduced(wish=wish, spec=spec, name="lost-update", shown=9, tried=10)
    text = written(
        found, sentence='It said """no""" \\ twice.', history=["process 1: x"], run="0007-x"
    )
    module = ast.parse(text)
    assert "came back in 9 of 10 runs" in ast.get_docstring(module).replace("\n", " ")
    (function,) = [each for each in module.body if isinstance(each, ast.FunctionDef)]
    assert function.name.endswith("shows_no_lost_update")
    call = function.body[0].value.func.value
    assert ast.literal_eval(call.args[0]) == target
    asked = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
    assert asked == {"faults": [], "time": "1s", "seed": 3, "workers": 2}
