"""Every workload of collections and transactions, on real servers: the safe strategy holds, the
unsafe one is caught within seconds with the anomaly that it declares."""

import json
import os
import subprocess
import sys

import pytest

from dokkaebi.harness.plugins import strategies

WORKLOADS = ("append", "wr", "set", "unique", "ids", "long-fork", "session", "constraint")
EVERY = {
    name: strategy for name, strategy in strategies().items() if name.partition("/")[0] in WORKLOADS
}
SAFE = [name for name, strategy in EVERY.items() if strategy.expect == "safe"]
UNSAFE = [name for name, strategy in EVERY.items() if strategy.expect == "unsafe"]


@pytest.fixture
def judged(tmp_path):
    """Run the command in a folder of its own; answers what it said."""

    def call(*args):
        done = subprocess.run(
            [sys.executable, "-m", "dokkaebi", "run", *args, "--seed", "1", "--json"],
            cwd=tmp_path,
            env={**os.environ, "DOKKAEBI_STATE_DIR": str(tmp_path / "state")},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode in (0, 1, 3), done.stderr
        return json.loads(done.stdout)

    return call


def test_each_workload_has_a_safe_and_an_unsafe_strategy():
    for workload in WORKLOADS:
        mine = {name for name in EVERY if name.startswith(f"{workload}/")}
        assert mine & set(SAFE)
        assert mine & set(UNSAFE)


@pytest.mark.parametrize("name", SAFE)
def test_a_safe_strategy_holds(judged, name):
    said = judged(name, "--faults", "none", "--time", "3s")
    assert (said["verdict"], said["reason"]) == ("holds", "")
    assert said["judged"] >= 50


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_strategy_is_caught(judged, name):
    said = judged(name, "--time", "3s")
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
    ],
)
def test_a_safe_strategy_holds_under_a_fault(judged, name, fault):
    said = judged(name, "--faults", fault, "--time", "4s")
    assert (said["verdict"], said["reason"]) == ("holds", "")
    assert said["faults"][0]["took_effect"] == 1


def test_a_level_that_is_demanded_reaches_the_checker(judged):
    """What snapshot isolation allows is no violation where no more is demanded."""
    asked = ("append", "--on", "postgres", "--isolation", "repeatable read", "--faults", "none")
    strict = judged(*asked, "--time", "3s")
    assert "G2-item" in {found["type"] for found in strict["anomalies"]}
    weaker = judged(*asked, "--time", "3s", "--level", "snapshot-isolation")
    assert weaker["verdict"] == "holds"
    assert "serializable" in weaker["not"] + weaker["also-not"]


def test_a_transaction_that_the_server_refuses_is_fail_and_keeps_its_connection(judged):
    """40001 in the middle of a transaction is definite: what came before it was rolled back."""
    said = judged("append/concat", "--faults", "none", "--time", "3s")
    assert said["stats"]["fail"] > 50
    assert said["stats"]["info"] == 0
