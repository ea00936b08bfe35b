"""Files of a node are damaged: what each engine does then, and that the cluster ends up whole."""

import json
import os
import re

import pytest
from places import until

from dokkaebi import UsageError
from dokkaebi.backends.etcd import Etcd
from dokkaebi.backends.zookeeper import ZooKeeper
from dokkaebi.compose import Servers, run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.plugins import find
from dokkaebi.harness.protocols import Spoil
from dokkaebi.harness.spec import SECOND
from dokkaebi.nemesis.damage import cut_off, flip
from dokkaebi.results.live import Silent

SEEDS = int(os.environ.get("DOKKAEBI_DAMAGES", "1"))
CLUSTERS = {
    "register/etcd-key": ("etcd", None),
    "register/znode": ("zookeeper", None),
    "session/replica-with-token": ("postgres", "replicas"),
    "set/wait-here": ("valkey", "replicas"),
}
REFUSED = {
    ("etcd", "bit-flip"): "crc",
    ("zookeeper", "bit-flip"): "CRC",
    ("valkey", "bit-flip"): "checksum|RDB",
    ("valkey", "truncate"): "[Tt]runcat|short read|[Uu]nexpected",
}
"""What the server's log says of it, whatever else it does."""


@pytest.fixture(scope="module")
def servers(household):
    with Servers(household) as shared:
        yield shared


@pytest.fixture(params=CLUSTERS)
def target(request):
    """A strategy that is safe as long as a majority keeps what it acknowledged."""
    for kind in (Etcd, ZooKeeper):
        absent = kind.name == CLUSTERS[request.param][0] and not kind.available()
        if absent and not os.environ.get("CI"):
            pytest.skip(kind.missing())
    return request.param


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
@pytest.mark.parametrize("harm", ["truncate", "bit-flip"])
def test_a_damaged_node_costs_nothing_that_was_acknowledged(tmp_path, servers, target, harm, seed):
    wish = Wish(target=target, faults=(harm,), time=10 * SECOND, seed=seed)
    finished = run(wish, servers=servers, out=tmp_path, view=Silent())
    said = json.loads(finished.result.to_json())
    lines = (finished.result.folder / "history.jsonl").read_text().splitlines()
    proofs = [op.get("ext", {}).get("evidence", "") for op in map(json.loads, lines)]
    proofs = [proof for proof in proofs if proof]
    print(*proofs, sep="\n")
    assert (said["verdict"], said["reason"]) == ("holds", ""), proofs
    assert all(fault["took_effect"] == fault["count"] > 0 for fault in said["faults"]), proofs
    name, topology = CLUSTERS[target]
    cluster = servers.get(name, None, topology)
    assert cluster.ready()
    assert not [node for node in cluster.nodes if node.spoilt]
    word = REFUSED.get((name, harm), "")
    assert all(re.search(word, proof) for proof in proofs), proofs
