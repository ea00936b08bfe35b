"""From a wish to a spec; what cannot be meant is refused before anything starts."""

import pytest

from dokkaebi import UsageError
from dokkaebi.compose import by_its_own_name
from dokkaebi.harness.choosing import Wish, choose, param_text, read_params
from dokkaebi.harness.spec import SECOND

LOCK = """
class {name}:
    workload = "lock"
    needs = ["valkey"]
    def open(self, ctx): ...
    def acquire(self, name, ttl): ...
    {release}
"""
RELEASE = "def release(self, name, token): ..."


@pytest.fixture
def file(tmp_path):
    def write(*names, release=RELEASE, name="its.py"):
        path = tmp_path / name
        path.write_text("".join(LOCK.format(name=n, release=release) for n in names))
        return str(path)

    return write


def spec(**wish):
    return choose(Wish(**wish))[0]


def test_a_workload_alone_means_its_plainest_safe_strategy():
    assert spec(target="counter").label == "counter/update-in-place"


def test_with_on_the_first_safe_strategy_that_runs_there():
    chosen = spec(target="counter", on="sqlite")
    assert chosen.needs == ("sqlite",)
    assert chosen.expect == "safe"


def test_a_strategy_by_any_of_its_names():
    names = [
        {"target": "counter", "strategy": "for-update"},
        {"strategy": "for-update"},
        {"strategy": "counter/for-update"},
        {"target": "counter/for-update"},
    ]
    assert len({spec(**name).strategy for name in names}) == 1


def test_a_file_says_its_own_workload_and_needs(file):
    chosen = spec(target=file("Mine"))
    assert (chosen.workload, chosen.needs) == ("lock", ("valkey",))
    assert chosen.strategy.endswith("its.py:Mine")


def test_several_classes_and_none_named_lists_them(file):
    with pytest.raises(UsageError, match=r"its.py:One, .*its.py:Two"):
        choose(Wish(target=file("One", "Two", name="its.py")))


def test_one_of_several_can_be_named(file):
    assert spec(target=file("A", "B", name="ab.py") + ":B").strategy.endswith(":B")


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"target": "conter"}, "did you mean counter"),
        ({"target": "counter", "strategy": "for-updat"}, "did you mean for-update"),
        ({"target": "counter", "on": "postgers"}, "did you mean postgres"),
        ({"target": "counter", "faults": ["pausee"]}, "did you mean pause"),
        ({"target": "lock", "on": "sqlite"}, "no safe strategy of lock runs on sqlite"),
        ({"strategy": "for-update", "on": "valkey"}, "cannot run on valkey"),
        ({"target": "counter", "params": {"kesy": "3"}}, "parameters of counter are keys"),
        ({"target": "counter", "params": {"keys": '"many"'}}, "expected `int`"),
        ({"target": "nowhere.py"}, "there is no file"),
        ({"target": "counter", "processes": 9}, "between 1 and --workers"),
        ({}, "say what to run"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_was_expected(wish, sentence):
    with pytest.raises(UsageError, match=sentence):
        choose(Wish(**wish))


@pytest.mark.parametrize("level", ["serializable", "PL-3", "1sr", "Serializable"])
def test_a_level_by_any_of_its_names(level):
    chosen, _ = choose(by_its_own_name(Wish(target="append", level=level)))
    assert (chosen.level, chosen.params["level"]) == ("serializable", "serializable")


def test_a_level_that_does_not_exist_lists_the_close_ones():
    with pytest.raises(UsageError, match=r"did you mean .*serializable"):
        by_its_own_name(Wish(target="append", level="serialisable"))


def test_a_missing_method_is_named(file):
    with pytest.raises(UsageError, match="has no release"):
        choose(Wish(target=file("Half", release="", name="half.py")))


def test_the_flag_beats_the_class_and_names_may_have_hyphens():
    assert spec(strategy="repeatable-read-retry").isolation == "repeatable read"
    flag = spec(strategy="repeatable-read-retry", isolation="read-committed")
    assert flag.isolation == "read committed"


def test_the_default_duration_of_a_fault_is_a_second_and_for_locks_twice_the_ttl():
    assert spec(target="counter", faults=["kill"]).lasts == SECOND
    assert spec(target="lock", faults=["pause-client"]).lasts == 2 * SECOND
    assert spec(target="lock", params={"ttl": "250ms"}).lasts == SECOND // 2


def test_faults_default_to_the_strategys_own_and_none_switches_them_off():
    assert spec(strategy="set-nx-plain-del").faults == ("pause-client",)
    assert spec(strategy="set-nx-plain-del", faults=["none"]).faults == ()


def test_a_need_may_name_its_topology_and_on_may_name_another():
    chosen = spec(target="set/async-failover")
    assert (chosen.needs, chosen.topologies) == (("postgres",), {"postgres": "replicas"})
    assert spec(target="set/async-failover", on="postgres:sync").topologies == {"postgres": "sync"}
    assert spec(target="set/insert", on="postgres@16:sync").topologies == {"postgres": "sync"}
    assert spec(target="set/insert").topologies == {}


def test_two_faults_at_once_are_one_and_each_is_known():
    chosen = spec(target="set/insert", faults=["kill+pause", "none"])
    assert chosen.faults == ("kill+pause",)
    with pytest.raises(UsageError, match=r"no fault 'kil'.*kill"):
        spec(target="set/insert", faults=["pause+kil"])


def test_without_a_time_every_fault_has_its_turn():
    assert spec(target="set/insert", faults=[]).time == 10 * SECOND
    long = spec(target="set/async-replication")
    assert (long.lasts, long.time) == (6 * SECOND, 10 * SECOND)
    many = spec(target="set/insert", faults=["kill", "pause", "partition"], lasts=4 * SECOND)
    assert many.time == round(16.6 * SECOND)


@pytest.mark.parametrize("value", [3, 0.25, "1s", "3", "true", "plain", "", [1, "a"], None, True])
def test_a_parameter_written_down_reads_the_same(value):
    assert read_params({"p": param_text(value)}) == {"p": value}
    assert param_text("plain") == "plain"
