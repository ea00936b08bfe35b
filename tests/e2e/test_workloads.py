"""Every workload of collections and transactions, on real servers: the safe strategy holds, the
unsafe one is caught within seconds with the anomaly that it declares."""

import json
import os

import pytest

from dokkaebi.compose import Servers, run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.plugins import strategies
from dokkaebi.harness.spec import SECOND
from dokkaebi.results.live import Silent

WORKLOADS = ("append", "wr", "set", "unique", "ids", "long-fork", "session", "constraint", "queue")
EVERY = {
    name: strategy
    for name, strategy in strategies().items()
    # Those that need a cluster are tried in test_clusters.py; of what is known to be broken now
    # and then nothing can be said of one run.
    if name.partition("/")[0] in WORKLOADS
    and ":" not in "".join(strategy.needs)
    and not getattr(strategy, "known", None)
}


def of_each(expect):
    """A strategy of each workload; all of them with DOKKAEBI_EVERY_STRATEGY."""
    found = {}
    for name, strategy in EVERY.items():
        if strategy.expect == expect:
            workload = name.partition("/")[0]
            found.setdefault(name if os.environ.get("DOKKAEBI_EVERY_STRATEGY") else workload, name)
    return list(found.values())


SAFE, UNSAFE = of_each("safe"), of_each("unsafe")


@pytest.fixture(scope="module")
def servers(household):
    """Servers that the runs of this module share, one after another."""
    with Servers(household) as shared:
        yield shared


@pytest.fixture
def judged(tmp_path, servers):
    """Run one test; answers its result as `--json` prints it."""

    def call(target, *, seconds=3, **options):
        time = seconds * SECOND if seconds else None
        wish = Wish(target=target, time=time, seed=1, **options)
        finished = run(wish, servers=servers, out=tmp_path, view=Silent())
        return json.loads(finished.result.to_json())

    return call


def test_each_workload_has_a_safe_and_an_unsafe_strategy():
    for workload in WORKLOADS:
        mine = {name for name in EVERY if name.startswith(f"{workload}/")}
        assert mine & set(SAFE)
        assert mine & set(UNSAFE)


@pytest.mark.parametrize("name", SAFE)
def test_a_safe_strategy_holds(judged, name):
    said = judged(name, seconds=2, faults=[])
    assert said["verdict"] == "holds"
    # One that is held to a weaker level may show what that level permits.
    assert said["reason"].removeprefix("seen, and permitted at snapshot-isolation: G2-item") == ""
    assert said["judged"] >= 50


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_strategy_is_caught(judged, name):
    # One that a fault reveals needs the time that its fault needs.
    said = judged(name, seconds=None if getattr(EVERY[name], "faults", ()) else 3)
    assert said["verdict"] == "violated"
    # Of a cycle that only the order of sessions or of real time closes, the variant is named.
    named = {
        found["type"].removesuffix("-process").removesuffix("-realtime")
        for found in said["anomalies"]
    }
    assert EVERY[name].anomaly in named


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("append/concat", "kill"),
        ("wr/upsert", "kill-client"),
        ("set/insert", "kill"),
        ("unique/unique-index", "kill-client"),
        ("constraint/lock-parent", "pause"),
        ("session/row", "kill-client"),
        ("long-fork/mget", "kill"),
        ("ids/incr", "kill"),
        ("queue/skip-locked", "kill"),
    ],
)
def test_a_safe_strategy_holds_under_a_fault(judged, name, fault):
    said = judged(name, seconds=4, faults=[fault])
    assert (said["verdict"], said["reason"]) == ("holds", "")
    assert said["faults"][0]["took_effect"] == 1


def test_a_level_that_is_demanded_reaches_the_checker(judged):
    """What snapshot isolation allows is no violation where no more is demanded."""
    asked = {"isolation": "repeatable read", "faults": []}
    strict = judged("append/concat-plain-reads", **asked)
    assert "G2-item" in {found["type"] for found in strict["anomalies"]}
    weaker = judged("append/concat-plain-reads", level="snapshot-isolation", **asked)
    assert weaker["verdict"] == "holds"
    assert "serializable" in weaker["not"] + weaker["also-not"]


def test_a_transaction_that_the_server_refuses_is_fail_and_keeps_its_connection(judged):
    """40001 in the middle of a transaction is definite: what came before it was rolled back."""
    said = judged("append/concat", faults=[])
    assert said["stats"]["fail"] > 50
    assert said["stats"]["info"] == 0
