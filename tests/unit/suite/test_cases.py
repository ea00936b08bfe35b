"""Suite files: what they may say, and what is refused before anything runs."""

import pytest

from dokkaebi.harness.errors import UsageError
from dokkaebi.harness.plugins import strategies
from dokkaebi.harness.spec import SECOND
from dokkaebi.suite.accepting import accept
from dokkaebi.suite.cases import load_suite, only, with_seeds
from dokkaebi.suite.catalogue import case_of, catalogue

GOOD = """
# what we promise
[suite]
time = "3s"
seeds = [3, 4]

[[case]]
name = "orders"    # the important one
workload = "append"
on = "postgres"
isolation = "serializable"
faults = ["none", "kill"]
must-hold = "serializable"
known = { G0 = "put up with" }

[[case]]
name = "teeth"
strategy = "counter/select-then-update"
time = "5s"
budget = "20s"
seeds = 2
must-catch = ["lost-update"]
"""


@pytest.fixture
def suite(tmp_path):
    def load(text):
        path = tmp_path / "s.toml"
        path.write_text(text)
        return load_suite(path)

    return load


def test_a_case_is_a_cell_for_each_of_its_faults(suite):
    cells = suite(GOOD).cells
    assert [cell.name for cell in cells] == ["orders/none", "orders/kill", "teeth/none"]
    orders, _, teeth = cells
    assert (orders.seeds, orders.wish.time, orders.wish.level) == (
        (3, 4),
        3 * SECOND,
        "serializable",
    )
    assert (orders.must_hold, orders.known) == ("serializable", {"G0": "put up with"})
    assert (teeth.seeds, teeth.wish.time, teeth.budget) == ((1, 2), 5 * SECOND, 20 * SECOND)
    assert teeth.must_catch == ("lost-update",)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "must-catch =",
            "must-cacth =",
            "case 'teeth': Object contains unknown field `must-cacth`",
        ),
        ('["lost-update"]', '["lost-updates"]', "close: lost-update"),
        ("= { G0 =", "= { G99 =", "there is no anomaly 'G99'"),
        ('"put up with"', '" "', "known anomaly G0: a reason is required"),
        ('must-hold = "serializable"\n', "", "say what must come of it"),
        ('must-hold = "serializable"', 'must-hold = "serialisable"', "did you mean serializable"),
        ('time = "5s"', 'time = "5 sec"', "a duration reads like"),
        ('counter/select-then-update"', 'counter/select"', "there is no counter strategy 'select'"),
        ('"teeth"', '"orders"', "two cases are called 'orders'"),
        ('["none", "kill"]', '["none", "kil"]', "there is no fault 'kil'"),
        ("seeds = 2", "seeds = []", "it cannot be empty"),
        ("seeds = 2", 'seeds = "2"', r"case 'teeth': Expected `int | array | null`"),
        ('name = "teeth"', "", "missing required field `name`"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(suite, before, after, said):
    assert before in GOOD
    with pytest.raises(UsageError, match=said):
        suite(GOOD.replace(before, after))


def test_a_file_that_is_not_there_or_empty_is_told(suite, tmp_path):
    with pytest.raises(UsageError, match="there is no suite file"):
        load_suite(tmp_path / "no.toml")
    with pytest.raises(UsageError, match="a suite has cases"):
        suite("[suite]\n")


def test_a_strategys_file_is_looked_for_beside_the_suite(suite, tmp_path):
    (tmp_path / "mine.py").write_text(
        "class Mine:\n"
        "    workload = 'ids'\n    needs = ['sqlite']\n    faults = ['pause-client', 'kill-client']\n"
        "    def open(self, ctx): ...\n    def next_id(self): ...\n"
    )
    cells = suite('[[case]]\nname = "x"\nstrategy = "mine.py"\nmust-hold = true\n').cells
    assert [cell.fault for cell in cells] == ["pause-client", "kill-client"]
    assert cells[0].wish.strategy == f"{tmp_path}/mine.py"


def test_only_some_cells_and_other_seeds(suite):
    loaded = suite(GOOD)
    assert [cell.name for cell in only(loaded, ["orders"]).cells] == ["orders/none", "orders/kill"]
    assert [cell.name for cell in only(loaded, ["*/kill"]).cells] == ["orders/kill"]
    with pytest.raises(UsageError, match="fits no cell of s; its cases are orders, teeth"):
        only(loaded, ["x*"])
    assert {cell.seeds for cell in with_seeds(loaded, 3).cells} == {(1, 2, 3)}


def test_accepting_keeps_the_comments_and_asks_for_a_reason(suite, tmp_path):
    suite(GOOD)
    path = tmp_path / "s.toml"
    with pytest.raises(UsageError, match="--accept needs --reason"):
        accept(path, "orders:G-single", None)
    with pytest.raises(UsageError, match="must catch"):
        accept(path, "teeth:G0", "no")
    with pytest.raises(UsageError, match="there is no case 'order'; did you mean orders"):
        accept(path, "order:G0", "no")
    with pytest.raises(UsageError, match="there is no anomaly"):
        accept(path, "orders:G77", "no")
    assert path.read_text() == GOOD
    accept(path, "orders:G-single", "see ADR-7")
    text = path.read_text()
    assert all(comment in text for comment in ("# what we promise", "# the important one"))
    assert load_suite(path).cells[0].known == {"G0": "put up with", "G-single": "see ADR-7"}


def test_the_catalogue_has_a_cell_for_every_strategy_and_fault():
    names = {cell.name for cell in catalogue().cells}
    for name, strategy in strategies().items():
        for fault in getattr(strategy, "faults", ()) or ("none",):
            assert f"{name}/{fault}" in names


def test_what_a_strategy_declares_is_what_must_come_of_it():
    class Live:
        workload, needs, expect, anomaly = "lock", ["valkey"], "live", "deadlock"

    class Safe:
        workload, needs, expect = "counter", ["postgres"], "safe"

    assert case_of("lock/live", Live).require_progress
    assert case_of("lock/live", Live).must_catch == ("deadlock",)
    assert case_of("counter/safe", Safe).must_hold is True


def test_a_safe_strategy_is_brief_only_where_every_fault_has_a_turn():
    time = {cell.name: cell.wish.time for cell in catalogue().cells}
    assert time["counter/for-update/kill"] == 3 * SECOND
    assert time["queue/nats-at-least-once/partition-primary"] is None
    assert time["set/etcd-guarded/pause-client"] is None


def test_a_time_in_which_a_fault_has_no_turn_is_refused_at_once(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(
        '[[case]]\nname = "c"\nstrategy = "counter/for-update"\n'
        'time = "1s"\nfaults = ["kill"]\nmust-hold = true\n'
    )
    with pytest.raises(UsageError, match=r"case 'c': --time 1s is too short for kill"):
        load_suite(path)
