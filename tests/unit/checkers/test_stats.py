"""Figures of a history: what is counted, and what is not."""

import pytest
from mini import history

from dokkaebi.checkers.contention import MOST_KEYS
from dokkaebi.checkers.stats import stats
from dokkaebi.harness.verdict import Anomaly


def touched(op):
    return (op.asked[0], op.f == "add") if op.f in ("add", "read") else (op.asked, True)


def test_counts_are_of_the_main_and_final_phases():
    figures = stats(
        history("""
            dry:
            0  add x 1    0-1
            main:
            1  add x 1    1000-1010
            2  add x 1    1000-1004  fail
            3  add x 1    1000-1030  info
            4  add x 1    1500-3000
            final:
            5  read x 2   9000-9001
        """),
        touched,
    )
    assert (figures.ok, figures.fail, figures.info) == (3, 1, 1)
    assert figures.seconds == pytest.approx(2.0)
    assert figures.ops_per_second == pytest.approx(1.0)
    assert figures.latency_ms.p50 == pytest.approx(10.0)
    assert figures.latency_ms.max == pytest.approx(1500.0)


def test_conflicts_are_overlapping_pairs_on_one_key_of_which_one_writes():
    figures = stats(
        history("""
            0  add x 1    0-10
            1  add x 1    5-15
            2  read x 0   6-7
            3  read x 0   6-8
            4  add y 1    0-20
            5  read x 2   16-17
        """),
        touched,
    )
    assert figures.conflicts == 5  # 0-1, 0-2, 0-3, 1-2, 1-3


def test_an_unknown_outcome_overlaps_only_until_it_was_known():
    text = """
        0  add x 1    0-3   info
        1  add x 1    5-15
        2  add x 1    6-    info
    """
    assert stats(history(text), touched).conflicts == 1


def test_handovers_are_holds_in_a_row_by_different_processes():
    figures = stats(
        history("""
            dry:
            9  acquire a  0-1
            9  release a  2-3
            main:
            0  acquire a  10-11
            0  release a  12-13
            0  acquire a  20-21
            0  release a  22-23
            1  acquire a  30-31
            1  release a  32-33
            2  acquire b  40-41
            1  acquire a  50-51  refused
            2  acquire a  60-61
        """),
        touched,
    )
    assert figures.handovers == 2
    assert stats(history("0  add x 1  0-1"), touched).handovers is None


def test_deadlocks_and_suspicions_are_counted_by_function():
    made = history("""
        0  add x 1    0-1
        1  add x 1    0-1   fail
    """)
    events = list(made)
    from dokkaebi.harness.history import History, Op

    def again(number, **more):
        at = 10_000_000 * (number + 1)
        ask = Op(time=at, process=20 + number, type="invoke", f="add", value=["x", 1])
        end = Op(time=at + 1, process=20 + number, f="add", value=["x", 1], **more)
        return [ask, end]

    more = [
        again(0, type="fail", error="40P01 deadlock detected"),
        again(1, type="fail", error="1213: Deadlock found when trying to get lock"),
        again(2, type="fail", error="40001 could not serialize, 40P01 did not happen"),
        again(3, type="ok", ext={"left_open": True}),
        again(4, type="ok", ext={"suspicious": "COMMIT answered with ROLLBACK"}),
    ]
    figures = stats(History(events + [op for pair in more for op in pair]), touched)
    assert figures.deadlocks == 2
    assert figures.left_open == {"add": 1}
    assert figures.suspicious == {"add": 1}


def test_an_empty_history_has_figures_too():
    figures = stats(history(""), touched)
    assert (figures.ok, figures.seconds, figures.conflicts) == (0, 0.0, 0)


def test_the_commonest_errors_are_told_and_refusals_are_none():
    from dokkaebi import History, Op

    events = []
    for i, error in enumerate(["40001 row 7 changed", "40001 row 8 changed", "refused", None]):
        events.append(Op(time=2 * i, process=i, type="invoke", f="add", value=[0, 1]))
        kind = "ok" if error is None else "fail"
        events.append(Op(time=2 * i + 1, process=i, type=kind, f="add", value=[0, 1], error=error))
    assert stats(History(events), lambda op: None).errors == {"40001 row … changed": 2}


def test_figures_by_key_tell_how_each_key_fared():
    made = history("""
        dry:
        9  add x 1    0-1
        main:
        0  add x 1    10-20
        1  add x 1    15-25
        2  read y 0   10-14
        3  add y 1    30-31  fail
        4  add z 1    40-    info
    """)
    figures = stats(made, touched)
    assert figures.keys == 3
    x, *others = figures.by_key
    assert (x.key, x.ok, x.conflicts, x.latency_ms.p50) == ("x", 2, 1, 10.0)
    assert {one.key: (one.ok, one.fail, one.info) for one in others} == {
        "y": (1, 1, 0),
        "z": (0, 0, 1),
    }


def test_keys_of_anomalies_come_first_and_only_the_busiest_of_the_others():
    lines = [f"{i}  add k{i} 1  {10 * i}-{10 * i + 5}" for i in range(100)]
    made = history("\n".join([*lines, "100  add k7 1  70-75", "101  add k50 1  2000-2001"]))
    accused = next(op.index for op in made.operations() if op.asked[0] == "k50")
    anomaly = Anomaly(type="lost-update", sentence="", ops=(accused,))
    figures = stats(made, touched, [anomaly])
    assert (figures.keys, len(figures.by_key)) == (100, MOST_KEYS)
    assert [one.key for one in figures.by_key[:2]] == ["k50", "k7"]
    assert [one.anomalies for one in figures.by_key[:2]] == [("lost-update",), ()]


def test_one_key_alone_needs_no_table():
    assert stats(history("0  add x 1  0-1"), touched).by_key == ()
