"""The linearizability checker on histories of an awkward shape."""

import random

import numpy as np

from dokkaebi.checkers.linear import layout
from dokkaebi.checkers.linear.steps import Stepped
from dokkaebi.checkers.linearizable import LinearizableChecker
from dokkaebi.checkers.models import CasRegister, Counter, FifoQueue
from dokkaebi.harness.history import History, Op


def crowd(size, *, lost=False, reads=()):
    """Writes of 1 to `size` all at once, 1 twice (so that only a search decides), then reads."""
    writers = dict(enumerate([*range(1, size + 1), 1], start=1))
    answer = "info" if lost else "ok"
    events = [Op(process=p, type="invoke", f="write", value=v) for p, v in writers.items()]
    events += [Op(process=p, type=answer, f="write", value=v) for p, v in writers.items()]
    for value in reads:
        events.append(Op(process=0, type="invoke", f="read"))
        events.append(Op(process=0, type="ok", f="read", value=value))
    return History(events)


def judged(history, model=None):
    verdict = LinearizableChecker(model or CasRegister(0), keyed=False).check(history)
    return verdict.verdict


def test_hundreds_of_operations_at_once():
    assert judged(crowd(90, reads=[77, 77])) == "holds"
    assert judged(crowd(90, reads=[77, 5])) == "violated"


def test_hundreds_of_crashed_operations():
    order = list(range(1, 91))
    random.Random(1).shuffle(order)
    assert judged(crowd(90, lost=True, reads=order)) == "holds"
    assert judged(crowd(90, lost=True, reads=[0, *order, 0])) == "violated"
    assert judged(crowd(90, lost=True, reads=[*order[:9], order[0]])) == "violated"


def test_a_thousand_crashed_adds_are_one_kind():
    events = []
    for p in range(1000):
        events.append(Op(process=p, type="invoke", f="add", value=1))
        events.append(Op(process=p, type="info", f="add", value=1))
    for value in (400, 1000):
        events.append(Op(process=2000, type="invoke", f="read"))
        events.append(Op(process=2000, type="ok", f="read", value=value))
    assert judged(History(events), Counter()) == "holds"
    events[-1] = Op(process=2000, type="ok", f="read", value=1001)
    assert judged(History(events), Counter()) == "violated"


def test_too_many_at_once_is_unknown(monkeypatch):
    monkeypatch.setattr(layout, "MOST_PENDING", 50)
    assert judged(crowd(90, reads=[77])) == "unknown"


def test_many_keys_are_judged_apart_and_told_by_name():
    events = []
    for key in range(300):
        value = [key, 1]
        events += [Op(process=key, type=t, f="write", value=value) for t in ("invoke", "ok")]
        seen = [key, 0 if key in (7, 100) else 1]
        events += [Op(process=key, type="invoke", f="read", value=[key, None]),
                   Op(process=key, type="ok", f="read", value=seen)]  # fmt: skip
    verdict = LinearizableChecker(CasRegister(0)).check(History(events))
    (anomaly,) = verdict.anomalies
    assert (anomaly.type, anomaly.count, anomaly.evidence["key"]) == ("stale-read", 2, 7)
    assert verdict.judged == 600


def test_a_violation_stands_although_the_budget_ran_out_for_another_key():
    crowded = [Op(process=p, type=t, f="cas", value=["x", [p, p + 1]])
               for t in ("invoke", "ok") for p in range(1, 12)]  # fmt: skip
    stale = [Op(process=0, type=t, f="write", value=["y", 1]) for t in ("invoke", "ok")]
    stale += [Op(process=0, type="invoke", f="read", value=["y", None]),
              Op(process=0, type="ok", f="read", value=["y", 0])]  # fmt: skip
    verdict = LinearizableChecker(CasRegister(0), budget=1).check(History(crowded + stale))
    assert (verdict.verdict, verdict.anomalies[0].type) in {
        ("violated", "stale-read"), ("violated", "nonlinearizable")}  # fmt: skip


def test_evidence_is_plain_and_names_operations_of_the_history():
    events = [
        Op(process=0, type="invoke", f="enqueue", value="a"),
        Op(process=0, type="ok", f="enqueue", value="a"),
        Op(process=1, type="invoke", f="enqueue", value="b"),
        Op(process=2, type="invoke", f="dequeue"),
        Op(process=2, type="ok", f="dequeue", value="b"),
        Op(process=1, type="ok", f="enqueue", value="b"),
    ]
    (anomaly,) = LinearizableChecker(FifoQueue()).check(History(events)).anomalies
    assert anomaly.evidence == {
        "kind": "linearizability",
        "key": None,
        "op": 3,
        "states": [["a"], ["a", "b"]],
        "prefix": [0],
        "concurrent": [2],
    }


def test_slots_and_pending_are_laid_out_by_return():
    key = np.zeros(4, dtype=np.int64)
    call, ret = np.array([0, 1, 2, 9]), np.array([8, 3, 5, 12])
    steps = Stepped(0, lambda state, code: (state,), [True])
    none = np.zeros(0, dtype=np.int64)
    laid = layout.lay_out(key, 1, call, ret, none, key.copy(), steps.rules)
    assert laid.order.tolist() == [1, 2, 0, 3]
    assert [laid.pending_at(r).tolist() for r in range(4)] == [[1, 2, 0], [2, 0], [0], [3]]
