"""The rules of sets, names, queues, sessions and limits: what is unknown accuses nobody."""

import pytest
from jsonlines import written

from dokkaebi.checkers.admission import AdmissionChecker, RateLimitChecker
from dokkaebi.checkers.constraint import ConstraintChecker
from dokkaebi.checkers.estimate import EstimateChecker
from dokkaebi.checkers.ids import IdsChecker
from dokkaebi.checkers.ledger import LedgerChecker
from dokkaebi.checkers.long_fork import LongForkChecker
from dokkaebi.checkers.sessions import SessionChecker
from dokkaebi.checkers.set_full import SetFullChecker
from dokkaebi.checkers.staleness import StalenessChecker
from dokkaebi.checkers.total_queue import TotalQueueChecker
from dokkaebi.checkers.unique import UniqueChecker
from dokkaebi.harness.errors import UsageError


def said(checker, text):
    verdict = checker.check(written(text))
    return verdict.verdict, [anomaly.type for anomaly in verdict.anomalies]


HOLDS = ("holds", [])


def test_6_an_indeterminate_add_may_never_appear():
    text = """
        0  add 1             0-1  info
        1  add 2             0-1
        2  read null -> [2]  5-6
    """
    assert said(SetFullChecker(), text) == HOLDS


def test_6_an_indeterminate_add_may_appear_at_any_time():
    text = """
        0  add 1                0-1  info
        1  add 2                0-1
        2  read null -> [2]     5-6
        2  read null -> [2, 1]  7-8
    """
    assert said(SetFullChecker(linearizable=True), text) == HOLDS


LATE = """
    0  add 1              0-1
    1  read null -> []    2-3
    1  read null -> [1]   4-5
"""


def test_6_a_late_read_fails_only_where_linearizable_is_demanded():
    assert said(SetFullChecker(), LATE) == HOLDS
    assert said(SetFullChecker(linearizable=True), LATE) == ("violated", ["stale-read"])


def test_6_a_late_read_is_told():
    reason = SetFullChecker().check(written(LATE)).reason
    assert reason == "1 element seen late, 1 by 1 ms; linearizable was not demanded"


def test_1_5_a_refused_claim_proves_nothing():
    text = """
        0  claim ["ann", 1]           0-9
        1  claim ["ann", 2]           1-2  refused
        1  claim ["bob", 3]           3-4  refused
        2  read null -> [["ann", 1]]  20-21
    """
    assert said(UniqueChecker(), text) == HOLDS


def test_1_1_what_an_unanswered_request_was_given_nobody_knows():
    text = """
        0  generate null       0-1  info
        1  generate null -> 7  2-3
    """
    assert said(IdsChecker(), text) == HOLDS


def test_6_an_indeterminate_message_is_delivered_any_number_of_times():
    for consumed in (
        "",
        "1  consume null -> 1  2-3",
        "1  consume null -> 1  2-3\n 2 consume null -> 1  4-5",
    ):
        text = f"""
            0  enqueue 1         0-1  info
            {consumed}
            3  drain null -> []  8-9
        """
        assert said(TotalQueueChecker(), text) == HOLDS


def test_6_nothing_is_lost_before_the_queue_was_drained():
    verdict = TotalQueueChecker().check(
        written("""
            0  enqueue 1            0-1
            1  consume null -> null  2-3
        """)
    )
    assert verdict.verdict == "unknown"
    assert "never drained" in verdict.reason


def test_6_an_unheard_consumption_may_have_taken_a_message():
    text = """
        0  enqueue 1         0-1
        1  consume null      2-9  info
        3  drain null -> []  18-19
    """
    assert said(TotalQueueChecker(), text) == HOLDS


def test_6_what_is_delivered_at_least_once_may_come_again():
    text = """
        0  enqueue 1          0-1
        1  consume null -> 1  2-3
        2  consume null -> 1  4-5
        3  drain null -> []   18-19
    """
    assert said(TotalQueueChecker(delivery="at-least"), text) == HOLDS


def test_6_an_admission_counts_only_where_it_lies_wholly_within_a_window():
    text = """
        0  allow "ann"  0-1
        0  allow "ann"  900-1100
    """
    assert said(RateLimitChecker(limit=1, window=1.0), text) == HOLDS


def test_6_a_stretch_may_touch_two_fixed_windows():
    text = """
        0  allow "ann"  0-1
        0  allow "ann"  2-3
    """
    assert said(RateLimitChecker(limit=1, window=1.0, kind="fixed"), text) == HOLDS


def test_4_1_whoever_is_leaving_is_not_inside():
    text = """
        0  enter "ann"  0-1  = "t1"
        0  leave "t1"   2-9
        1  enter "bob"  3-4  = "t2"
        1  leave "t2"   5-6
    """
    assert said(AdmissionChecker(limit=1), text) == HOLDS


def test_4_1_who_never_came_back_is_not_inside_for_ever():
    text = """
        0  enter "ann"  0-1  = "t1"
        1  enter "bob"  3-4  = "t2"
    """
    assert said(AdmissionChecker(limit=1), text) == HOLDS


def test_5_no_obligation_crosses_a_reconnect():
    text = """
        0  write ["x", 1]                   0-1
        8  read ["x", null] -> ["x", null]  2-3
    """
    assert said(SessionChecker(), text) == HOLDS


def test_5_a_key_has_one_writer_whose_numbers_grow():
    for text in (
        """
        0  write ["x", 1]  0-1
        1  write ["x", 2]  2-3
        """,
        """
        0  write ["x", 2]  0-1
        0  write ["x", 1]  2-3
        """,
    ):
        with pytest.raises(UsageError, match="one writer"):
            SessionChecker().check(written(text))


def test_5_an_indeterminate_write_binds_nobody_until_it_is_seen():
    text = """
        0  write ["x", 1]                   0-1  info
        0  read ["x", null] -> ["x", null]  2-3
        1  read ["x", null] -> ["x", 1]     4-5
    """
    assert said(SessionChecker(), text) == HOLDS


def test_6_an_indeterminate_join_may_keep_a_group_alive():
    text = """
        2  join ["night", "carl"]  0-1  info
        0  leave ["night", "ann"]  2-3
        1  leave ["night", "bob"]  4-5
    """
    assert said(ConstraintChecker(initial={"night": ["ann", "bob"]}), text) == HOLDS


def test_6_an_indeterminate_request_has_its_effect_or_not():
    for entries in ("[]", '[["r1", 5]]'):
        text = f"""
            0  execute ["r1", 5]     0-1  info
            1  read null -> {entries}  2-3
        """
        assert said(LedgerChecker(), text) == HOLDS


def test_6_an_indeterminate_visit_counts_or_not():
    visits = "\n".join(f'{i}  visit "u{i}"  0-1  info' for i in range(5))
    for number in (0, 5):
        assert said(EstimateChecker(), f"{visits}\n9  estimate null -> {number}  2-3") == HOLDS


def test_6_an_indeterminate_write_makes_nothing_old():
    text = """
        0  write ["x", 1]                0-1
        1  write ["x", 2]                2-3  info
        2  read ["x", null] -> ["x", 1]  5000-5001
    """
    assert said(StalenessChecker(bound=1.0), text) == HOLDS


def test_7_the_same_value_written_twice_is_bad_input():
    text = """
        0  write ["x", 1]  0-1
        1  write ["x", 1]  2-3
    """
    with pytest.raises(UsageError, match="twice"):
        StalenessChecker(bound=1.0).check(written(text))


def test_7_a_key_with_two_values_can_show_no_fork():
    text = """
        0  write [["w", "x", 1]]  0-1
        1  write [["w", "x", 2]]  2-3
    """
    with pytest.raises(UsageError, match="two values"):
        LongForkChecker().check(written(text))
