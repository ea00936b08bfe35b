"""The rules of bounds: what indeterminate operations may change in counters and banks."""

from mini import history

from dokkaebi.checkers.bank import BankChecker
from dokkaebi.checkers.counter import CounterChecker


def counted(text, initial=0):
    verdict = CounterChecker(initial=initial).check(history(text))
    return verdict.verdict, [anomaly.type for anomaly in verdict.anomalies]


def banked(text, **options):
    checker = BankChecker(initial={"a": 100, "b": 100}, **options)
    verdict = checker.check(history(text))
    return verdict.verdict, [anomaly.type for anomaly in verdict.anomalies]


def test_6_a_read_sees_at_least_what_was_acknowledged_before_it():
    assert counted("""
        0  add x 1    0-1
        1  add x 1    0-9
        2  read x 0   2-3
    """) == ("violated", ["lost-update"])


def test_6_a_read_sees_at_most_what_was_attempted_before_it_returned():
    assert (
        counted("""
        0  add x 1    0-9
        1  add x 1    4-9
        2  read x 2   2-3
    """)[0]
        == "violated"
    )


def test_6_an_add_under_way_may_be_seen_or_not():
    for value in (0, 1):
        assert counted(f"""
            0  add x 1         0-9
            2  read x {value}  2-3
            2  read x 1        10-11
        """) == ("holds", [])


def test_6_a_decrement_under_way_lowers_the_lower_bound():
    for value in (1, 2):
        assert counted(f"""
            0  add x 2         0-1
            1  add x -1        2-9
            2  read x {value}  3-4
            2  read x 1        10-11
        """) == ("holds", [])


def test_6_an_acknowledged_decrement_lowers_the_upper_bound():
    assert (
        counted("""
        0  add x 2         0-1
        1  add x -1        2-3
        3  add x 1         2-30
        2  read x 3        5-6
        2  read x 2        40-41
    """)[0]
        == "violated"
    )


def test_6_at_rest_an_indeterminate_add_counts_or_not():
    text = """
        0  add x 2         0-1
        1  add x 3         0-9   info
        3  add x 5         0-
        2  read x {}       20-21
    """
    for value in (2, 5, 7, 10):
        assert counted(text.format(value)) == ("holds", [])


def test_6_at_rest_the_value_is_a_subset_of_the_indeterminate():
    text = """
        0  add x 2         0-1
        1  add x 3         0-9   info
        3  add x 5         0-
        2  read x {}       20-21
    """
    for value in (3, 4, 6, 8, 9):
        assert counted(text.format(value))[0] == "violated"


def test_6_an_add_that_failed_does_not_count():
    text = """
        0  add x 2         0-1
        1  add x 3         0-9   fail
        2  read x {}       20-21
    """
    assert counted(text.format(2)) == ("holds", [])
    assert counted(text.format(5)) == ("violated", ["ghost-effect"])


def test_6_new_values_that_exclude_each_other_name_the_pair():
    checked = CounterChecker().check(
        history("""
            0  add x 1         0-5   = 1
            1  add x 2         1-6   = 2
            2  add x 1         7-8   = 3
        """)
    )
    (lost,) = checked.anomalies
    assert (checked.verdict, lost.type, lost.ops) == ("violated", "lost-update", (0, 1))


def test_6_a_new_value_may_come_back_where_there_are_decrements():
    assert counted("""
        0  add x 1    0-1    = 1
        1  add x -1   2-3    = 0
        2  add x 1    4-5    = 1
    """) == ("holds", [])


def test_6_new_values_accuse_nobody_where_nothing_is_missing():
    # These adds answer what they read afterwards, which is not what they wrote.
    assert counted("""
        0  add x 1    0-5    = 2
        1  add x 1    1-6    = 2
        2  read x 2   8-9
    """) == ("holds", [])


def test_6_a_bank_has_the_same_total_in_every_read():
    assert banked("""
        0  transfer a b 10      0-9
        1  balances a=90 b=100  2-3
        1  balances a=90 b=110  20-21
    """) == ("violated", ["conservation"])


def test_6_an_indeterminate_transfer_changes_no_total():
    for balances in ("a=100 b=100", "a=90 b=110"):
        assert banked(f"""
            0  transfer a b 10      0-9    info
            1  balances {balances}  20-21
        """) == ("holds", [])
    assert (
        banked("""
        0  transfer a b 10      0-9    info
        1  balances a=90 b=100  20-21
    """)[0]
        == "violated"
    )


def test_6_at_rest_an_account_has_what_acknowledged_transfers_left():
    assert banked("""
        0  transfer a b 10        0-9
        1  transfer a b 20        1-8
        2  balances a=80 b=120    20-21
    """) == ("violated", ["lost-update"])


def test_6_a_transfer_that_was_refused_does_not_count():
    assert banked("""
        0  transfer a b 500       0-9    refused
        2  balances a=100 b=100   20-21
    """) == ("holds", [])


def test_6_no_balance_falls_below_zero():
    text = """
        0  transfer a b 60       0-9
        1  transfer a b 60       0-9
        2  balances a=-20 b=220  20-21
    """
    assert banked(text) == ("violated", ["overdraft"])
    assert banked(text, allow_negative=True) == ("holds", [])


def test_6_a_read_without_an_account_is_garbage():
    assert banked("2  balances a=200  20-21") == ("violated", ["garbage-read"])
