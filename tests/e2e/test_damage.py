"""Files of a node are damaged: what each engine does then, and that the cluster ends up whole."""

import json
import os
import random
import re
import time

import pytest
from places import until

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
    "set/sync-failover": ("postgres", "sync"),
    "set/wait-here": ("valkey", "replicas"),
}
SAID = {
    ("valkey", "bit-flip"): "Wrong RDB checksum|Internal error in RDB",
    ("valkey", "truncate"): "short read|[Uu]nexpected end",
}
"""What a log says every time. etcd and ZooKeeper take what is no record for the end of their log: a
bit of a record's length may cost them all after it, of which they say nothing."""


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
    word = SAID.get((name, harm), "")
    assert all(re.search(word, proof) for proof in proofs), proofs


def test_a_damaged_standby_says_which_page_it_is(tmp_path, servers):
    """Not every bit is found at a start: pages that the log writes anew are whole again."""
    cluster = servers.get("postgres", None, "sync")
    spec = cluster.prepare("test_pages", isolation=None)
    try:
        cluster.leader.ask_in(
            cluster._database, "CREATE TABLE t AS SELECT generate_series(1, 9999)"
        )
        node = next(node for node in cluster.nodes if node is not cluster.leader)
        (file, *_) = cluster.vulnerable(node, "bit-flip")
        node.kill()
        assert flip(file, random.Random(1))
        node.spoilt = True
        assert "invalid page in block" in cluster.start_spoilt(node)
        cluster.restart()
        assert not node.spoilt
        assert until(lambda: node.ask_in(cluster._database, "SELECT count(*) FROM t") == [(9999,)])
        assert cluster.ready()
    finally:
        cluster.finish()
    assert spec.nodes


def test_a_member_that_was_made_anew_is_known_at_the_doors(servers):
    """Who is not recognised there is cut off with whoever is."""
    if not Etcd.available() and not os.environ.get("CI"):
        pytest.skip(Etcd.missing())
    cluster = servers.get("etcd", None, None)
    node = next(each for each in cluster.nodes if each is not cluster.primary())
    node.spoilt = True
    cluster.restart()
    cluster._recognise()
    leader = cluster.primary()
    other = next(each for each in cluster.nodes if each not in (leader, node))
    cluster.cut([(leader.name, other.name), (other.name, leader.name)])
    try:
        assert until(lambda: other.role() == "unknown")
        time.sleep(1)
        assert node.role() in ("follower", "leader")
        assert cluster.primary().role() == "leader"
    finally:
        cluster.reconnect()
    assert until(cluster.ready)


@pytest.mark.parametrize("harm", ["truncate", "bit-flip"])
def test_who_has_no_peers_is_not_damaged(servers, harm):
    five = servers.get("valkey", None, "five")
    assert isinstance(five, Spoil)
    assert "no replicas" in find("faults", harm)().missing(five)
    assert "no peers" in find("faults", harm)().missing(servers.get("postgres", None, None))


def test_what_is_cut_off_or_turned(tmp_path):
    file = tmp_path / "log"
    content = bytes(range(1, 101))
    file.write_bytes(content + bytes(900))
    assert "bit" in flip(file, random.Random(1))
    (changed,) = (a ^ b for a, b in zip(content, file.read_bytes(), strict=False) if a != b)
    assert changed.bit_count() == 1
    assert re.match(r"log lost the last \d+ of 100 bytes", cut_off(file, random.Random(1)))
    assert 50 <= file.stat().st_size < 100
    file.write_bytes(bytes(100))
    assert not cut_off(file, random.Random(1))
    assert not flip(file, random.Random(1))
    assert not flip(tmp_path / "absent", random.Random(1))
