"""Values come from servers and from users' code: whatever they are, a verdict comes out."""

import pytest

from dokkaebi.checkers.bank import BankChecker
from dokkaebi.checkers.counter import CounterChecker
from dokkaebi.checkers.judge import judge
from dokkaebi.checkers.linearizable import LinearizableChecker
from dokkaebi.checkers.lock import LockChecker
from dokkaebi.checkers.models import CasRegister
from dokkaebi.checkers.staleness import StalenessChecker
from dokkaebi.harness.errors import UsageError
from dokkaebi.harness.history import History, Op

STRANGE = [
    None,
    True,
    2**200,
    -(2**200),
    1.5,
    float("inf"),
    "",
    "</script><b>",
    "x" * 100_000,
    [],
    [1, 2, 3],
    [[], {}],
    {},
    {"a": [1]},
    {"from": None, "to": [], "amount": 3},
]


def asked(f, value, answer=None, result=None, at=0):
    """One operation that was answered."""
    answer = value if answer is None else answer
    return [
        Op(time=at, process=0, type="invoke", f=f, value=value),
        Op(time=at + 1, process=0, type="ok", f=f, value=answer, result=result),
    ]


def judged(checker, *operations):
    events = []
    for number, (f, value, *rest) in enumerate(operations):
        events += asked(f, value, *rest, at=10 * number)
    verdict, results = judge(History(events), [checker])
    for anomaly in verdict.anomalies:
        assert len(anomaly.sentence) < 1000
    return verdict, results


@pytest.mark.parametrize("value", STRANGE, ids=lambda value: repr(value)[:20])
def test_reads_of_anything(value):
    counted, _ = judged(
        CounterChecker(), ("add", ["x", 1], None, value), ("read", ["x", None], ["x", value])
    )
    assert counted.verdict in ("holds", "violated")
    banked, _ = judged(BankChecker(initial={"a": 1}), ("read", None, value))
    assert [a.type for a in banked.anomalies][:1] == ["garbage-read"]
    register = LinearizableChecker(CasRegister(0), keyed=True)
    read, _ = judged(register, ("write", ["x", value]), ("read", ["x", None], ["x", value]))
    assert read.verdict == "holds"
    garbage, _ = judged(register, ("read", ["x", None], ["x", ["never", value]]))
    assert [a.type for a in garbage.anomalies] == ["garbage-read"]


@pytest.mark.parametrize("value", STRANGE, ids=lambda value: repr(value)[:20])
def test_names_and_tokens_of_anything(value):
    held, _ = judged(LockChecker(), ("acquire", value, None, value), ("release", value))
    assert held.verdict == "holds"
    keyed, _ = judged(CounterChecker(), ("add", [value, 1]), ("read", [value, None], [value, 1]))
    assert keyed.verdict == "holds"


@pytest.mark.parametrize("value", STRANGE, ids=lambda value: repr(value)[:20])
def test_adds_of_anything_but_integers_are_bad_input(value):
    steps = ("add", ["x", value]), ("read", ["x", None], ["x", 0])
    if type(value) is int:
        assert judged(CounterChecker(), *steps)[0].verdict in ("holds", "violated")
        return
    with pytest.raises(UsageError, match="integer"):
        judged(CounterChecker(), *steps)


def test_sums_do_not_wrap_round():
    huge = 2**62
    verdict, _ = judged(
        CounterChecker(), *[("add", ["x", huge])] * 4, ("read", ["x", None], ["x", 4 * huge])
    )
    assert verdict.verdict == "holds"


def test_long_keys_are_not_mixed_up():
    one, two = "k" * 200 + "1", "k" * 200 + "2"
    verdict, _ = judged(
        CounterChecker(),
        *[("add", [one, 1]), ("add", [two, 2])],
        *[("read", [one, None], [one, 1]), ("read", [two, None], [two, 2])],
    )
    assert verdict.verdict == "holds"


@pytest.mark.parametrize("value", [None, 7, "xy", [], ["x"], ["x", 1, 2], {"x": 1}])
@pytest.mark.parametrize("f", ["write", "read", "source"])
def test_staleness_is_told_of_keys_and_values_only(f, value):
    twice = ("write", ["x", 1]), ("write", ["x", 1])
    with pytest.raises(UsageError, match=r"operation 4: expected \[key, value\], not") as refused:
        judged(StalenessChecker(bound=1.0), *twice, (f, value, ["x", 2]))
    assert "twice" not in str(refused.value)


@pytest.mark.parametrize("value", [0.5, 1.0, True, None, "1", [1]])
def test_counters_and_banks_open_with_whole_numbers(value):
    with pytest.raises(UsageError, match=r"the initial value of .*x.* is a whole number, not"):
        CounterChecker(initial={"y": 0, "x": value})
    with pytest.raises(UsageError, match="the initial value of a counter is a whole number, not"):
        CounterChecker(initial=value)
    with pytest.raises(UsageError, match=r"the opening balance of .*b.* is a whole number, not"):
        BankChecker(initial={"a": 1, "b": value})
    if value is not None:
        with pytest.raises(UsageError, match="the total is a whole number, not"):
            BankChecker(total=value)
