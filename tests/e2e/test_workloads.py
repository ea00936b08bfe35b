"""What a run of transactions is asked and told, on real servers."""

import json

import pytest

from dokkaebi.compose import Servers, run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.spec import SECOND
from dokkaebi.results.live import Silent


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
