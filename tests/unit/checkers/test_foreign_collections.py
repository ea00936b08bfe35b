"""Histories of sets and forks as other tools record them."""

import pytest
from jsonlines import written

from dokkaebi.checkers.long_fork import LongForkChecker
from dokkaebi.checkers.set_full import SetFullChecker
from dokkaebi.harness.errors import UsageError


def kinds(checker, text):
    return {anomaly.type for anomaly in checker.check(written(text)).anomalies}


def test_sets_are_keyed_only_where_the_reads_name_theirs_too():
    assert not kinds(
        SetFullChecker(),
        """
        0  add [0, 1]                    0-1
        1  read [0, null] -> [0, [1]]    2-3
        """,
    )
    assert kinds(
        SetFullChecker(),
        """
        0  add [0, 1]                    0-1
        1  read [0, null] -> [0, 1]      2-3
        """,
    ) == {"lost-element", "garbage-read"}


def test_elements_may_be_pairs():
    text = """
        0  add ["a", 1]              0-1
        1  read null -> [["a", 1]]   2-3
    """
    assert SetFullChecker().check(written(text)).verdict == "holds"


def test_a_read_that_answers_no_elements_is_bad_input():
    with pytest.raises(UsageError, match="answers elements"):
        SetFullChecker().check(written("0  read null -> 7  0-1"))


def test_reads_alone_can_show_a_fork():
    assert kinds(
        LongForkChecker(),
        """
        0  read [["r", 0, null], ["r", 1, null]] -> [["r", 0, 1], ["r", 1, null]]  2-3
        0  read [["r", 1, null], ["r", 0, null]] -> [["r", 1, 1], ["r", 0, null]]  4-5
        """,
    ) == {"long-fork"}
