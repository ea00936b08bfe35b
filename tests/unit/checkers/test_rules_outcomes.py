"""The rules of outcomes and of order, as checkers must keep them. One rule, one test."""

import pytest
from mini import history

from dokkaebi.checkers.counter import CounterChecker
from dokkaebi.checkers.judge import judge
from dokkaebi.checkers.linearizable import LinearizableChecker
from dokkaebi.checkers.models import CasRegister
from dokkaebi.harness.errors import MalformedHistory
from dokkaebi.harness.history import History, Op
from dokkaebi.harness.verdict import Anomaly, Verdict


def register(text, initial=0):
    verdict = LinearizableChecker(CasRegister(initial)).check(history(text))
    return verdict.verdict, [anomaly.type for anomaly in verdict.anomalies]


def test_1_5_a_refused_cas_is_an_observation():
    assert register("0  cas x 0 1  0-1  refused") == ("violated", ["nonlinearizable"])
    assert register("0  cas x 5 1  0-1  refused") == ("holds", [])


def test_1_5_every_other_failure_is_dropped():
    assert register("""
        0  cas x 0 1   0-1  fail
        0  write x 7   2-3  fail
        1  write x 8   2-3  refused
        0  read x 0    4-5
    """) == ("holds", [])


def test_1_1_what_failed_did_not_happen():
    assert register("""
        0  write x 7   0-1  fail
        0  read x 7    2-3
    """) == ("violated", ["garbage-read"])


def test_1_1_an_unknown_outcome_may_have_happened():
    assert register("""
        0  write x 7   0-1  info
        1  read x 7    2-3
    """) == ("holds", [])


def test_1_1_an_unknown_outcome_may_not_have_happened():
    assert register("""
        0  write x 7   0-1  info
        1  read x 0    2-3
    """) == ("holds", [])


def test_1_1_an_unknown_outcome_may_happen_later():
    assert register("""
        0  write x 7   0-1   info
        1  read x 0    20-21
        1  read x 7    30-31
    """) == ("holds", [])


def test_3_2_equal_times_are_concurrent():
    assert register("""
        0  write x 1   0-5
        1  read x 0    5-6
    """) == ("holds", [])
    assert register("""
        0  write x 1   0-4
        1  read x 0    5-6
    """) == ("violated", ["stale-read"])


def test_3_2_an_invocation_without_completion_is_open_for_ever():
    assert register("""
        0  write x 7   0-
        1  read x 0    20-21
        1  read x 7    30-31
    """) == ("holds", [])


def test_3_2_without_times_the_order_of_lines_counts():
    events = [
        Op(process=0, type="invoke", f="write", value=["x", 1]),
        Op(process=0, type="ok", f="write", value=["x", 1]),
        Op(process=1, type="invoke", f="read", value=["x", None]),
        Op(process=1, type="ok", f="read", value=["x", 0]),
    ]
    stale = LinearizableChecker(CasRegister(0)).check(History(events))
    assert stale.verdict == "violated"
    swapped = [events[0], events[2], events[1], events[3]]
    assert LinearizableChecker(CasRegister(0)).check(History(swapped)).verdict == "holds"


def test_3_2_events_of_the_nemesis_need_no_pairs():
    assert register("""
        0  write x 1   0-1
        !  kill        2-3
        !  kill        4-
        0  read x 1    5-6
    """) == ("holds", [])


def test_3_2_a_process_does_one_thing_at_a_time():
    with pytest.raises(MalformedHistory):
        history("""
            0  write x 1  0-
            0  read x 1   5-6
        """)


def test_3_5_values_are_keyed_when_all_writes_and_ok_reads_are_pairs():
    checker = LinearizableChecker(CasRegister(0))
    keyed = [
        Op(process=0, type="invoke", f="write", value=["x", 1]),
        Op(process=0, type="ok", f="write", value=["x", 1]),
        Op(process=1, type="invoke", f="read", value=None),
        Op(process=1, type="ok", f="read", value=["y", 0]),
    ]
    assert checker.check(History(keyed)).verdict == "holds"
    # One write of a bare value: then every value is the register's own, and ["y", 0] is garbage.
    bare = [
        Op(process=2, type="invoke", f="write", value=3),
        Op(process=2, type="ok", f="write", value=3),
    ]
    assert checker.check(History(keyed + bare)).verdict == "violated"


class Coin:
    """Each toss may come up either way: a step with two next states."""

    def init(self):
        return "heads"

    def step(self, state, operation):
        if operation.f == "toss":
            return ("heads", "tails")
        return (state,) if operation.type == "info" or operation.value == state else ()


def test_3_5_a_step_may_have_several_next_states():
    events = [
        Op(time=0, process=0, type="invoke", f="toss"),
        Op(time=1, process=0, type="ok", f="toss"),
        Op(time=2, process=0, type="invoke", f="look"),
        Op(time=3, process=0, type="ok", f="look", value="tails"),
        Op(time=4, process=0, type="invoke", f="look"),
        Op(time=5, process=0, type="info", f="look"),
    ]
    assert LinearizableChecker(Coin()).check(History(events)).verdict == "holds"
    events[3] = Op(time=3, process=0, type="ok", f="look", value="edge")
    assert LinearizableChecker(Coin()).check(History(events)).verdict == "violated"


def test_7_a_value_that_nobody_wrote_is_garbage():
    assert register("0  read x 99  0-1") == ("violated", ["garbage-read"])


# --- joining -------------------------------------------------------------------------------------


class Says:
    def __init__(self, verdict, name="says"):
        self.name = name
        self.verdict = verdict

    def check(self, history):
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


HOLDS = Verdict(verdict="holds", judged=5)
LOST = Verdict(verdict="violated", anomalies=(Anomaly(type="lost-update", sentence="gone"),))
STUCK = Verdict(
    verdict="unknown", anomalies=(Anomaly(type="deadlock", sentence="stuck", kind="liveness"),)
)


def joined(*verdicts, **options):
    return judge(history("0 read x 0 0-1"), [Says(v) for v in verdicts], **options)


def test_join_violated_beats_unknown_beats_holds():
    unknown = Verdict(verdict="unknown", reason="why")
    assert joined(HOLDS, unknown)[0].verdict == "unknown"
    assert joined(LOST, unknown, HOLDS)[0].verdict == "violated"


def test_join_no_checker_at_all_is_unknown():
    assert joined()[0].verdict == "unknown"


def test_join_a_checker_that_raises_is_unknown_with_the_reason():
    verdict, results = joined(ValueError("no such value"), HOLDS)
    assert verdict.verdict == "unknown"
    assert verdict.reason == "checker says raised ValueError: no such value"
    assert results["says-2"].verdict == HOLDS


def test_join_a_checker_that_raises_hides_no_other():
    verdict, _ = joined(ValueError("no such value"), LOST)
    assert verdict.verdict == "violated"
    assert [anomaly.type for anomaly in verdict.anomalies] == ["lost-update"]


def test_join_bad_input_is_no_verdict():
    with pytest.raises(MalformedHistory):
        joined(MalformedHistory("two writes of 5 to x"), HOLDS)


def test_8_nothing_judged_is_nothing_proved():
    nothing = history("0  add x 1  0-")
    assert CounterChecker().check(nothing).verdict == "unknown"
    unanswered = history("0  write x 1  0-")
    assert LinearizableChecker(CasRegister()).check(unanswered).verdict == "unknown"


def test_9_liveness_alone_is_unknown():
    assert joined(STUCK, HOLDS)[0].verdict == "unknown"


def test_9_liveness_is_a_violation_where_progress_is_required():
    assert joined(STUCK, HOLDS, require_progress=True)[0].verdict == "violated"


def test_9_safety_stands_beside_liveness():
    verdict, _ = joined(STUCK, LOST)
    assert verdict.verdict == "violated"
    assert [anomaly.type for anomaly in verdict.anomalies] == ["lost-update", "deadlock"]
