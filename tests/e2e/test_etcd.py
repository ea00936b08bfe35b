"""etcd for real: the cluster's life, its links, and what its clients say about operations."""

import json
import threading
import time

import pytest
from places import Place, lent, outcome, until

from dokkaebi import UsageError
from dokkaebi.backends.etcd_client import EtcdError
from dokkaebi.backends.worker import NotSent
from dokkaebi.compose import run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.protocols import CLIENTS, Cluster, Kill, Logs, Pause
from dokkaebi.harness.spec import SECOND
from dokkaebi.results.live import Silent


@pytest.fixture
def place(etcd_cluster):
    assert until(etcd_cluster.ready)
    one = Place(etcd_cluster, "place")
    yield one
    one.leave()


# --- the cluster ---------------------------------------------------------------------------------


def test_the_cluster_has_its_powers(etcd_cluster):
    for power in (Cluster, Kill, Pause, Logs):
        assert isinstance(etcd_cluster, power)
    roles = sorted(node.role() for node in etcd_cluster.nodes)
    assert roles == ["follower", "follower", "leader"]
    assert etcd_cluster.primary().role() == "leader"
    assert etcd_cluster.version[0].isdigit()


def test_what_was_acknowledged_survives_the_leaders_death(etcd_cluster, place):
    place.open().handle.put("kept", 1)
    old = etcd_cluster.primary()
    assert len(old.kill()) == 1
    assert not old.answers()
    assert until(lambda: etcd_cluster.primary() is not old)
    assert place.open().handle.get("kept").value == "1"
    etcd_cluster.restart()
    assert place.open(node=old.name).handle.get("kept").value == "1"


def test_all_are_killed_and_come_back(etcd_cluster, place):
    place.open().handle.put("kept-by-all", 1)
    etcd_cluster.kill()
    etcd_cluster.restart()
    assert place.open().handle.get("kept-by-all").value == "1"


def test_a_paused_server_does_not_answer(etcd_cluster):
    node = etcd_cluster.nodes[0]
    assert [process.status() for process in node.pause()] == ["stopped"]
    assert not node.answers()
    node.resume()
    assert until(etcd_cluster.ready)


def test_a_leader_that_is_cut_off_is_replaced(etcd_cluster):
    old = etcd_cluster.primary()
    others = [node for node in etcd_cluster.nodes if node is not old]
    cut = [pair for o in others for pair in ((old.name, o.name), (o.name, old.name))]
    etcd_cluster.cut(cut)
    try:
        assert until(lambda: {node.role() for node in others} == {"leader", "follower"})
        assert until(lambda: old.role() == "unknown")
        assert etcd_cluster.primary() in others
        assert etcd_cluster.held().bytes > 0
    finally:
        etcd_cluster.reconnect()
    assert until(etcd_cluster.ready)


def test_one_pair_is_cut_though_all_share_a_door(etcd_cluster):
    """The follower that still sees everybody goes on; the one that lost the leader does not."""
    leader = etcd_cluster.primary()
    lost, other = (node for node in etcd_cluster.nodes if node is not leader)
    etcd_cluster.cut([(leader.name, lost.name), (lost.name, leader.name)])
    try:
        assert until(lambda: lost.role() == "unknown")
        time.sleep(1)
        assert other.role() in ("follower", "leader")
        assert etcd_cluster.primary().role() == "leader"
    finally:
        etcd_cluster.reconnect()
    assert until(etcd_cluster.ready)


def test_other_topologies_and_isolation_are_refused(household, etcd_cluster):
    with pytest.raises(UsageError, match="no topology"):
        type(etcd_cluster)(household, topology="five")
    with pytest.raises(UsageError, match="no isolation"):
        etcd_cluster.prepare("x", isolation="serializable")


# --- its clients ---------------------------------------------------------------------------------


def test_keys_and_prefixes(place):
    etcd = place.open().handle
    assert etcd.get("a") is None
    first = etcd.put("a", "é")
    assert etcd.get("a").value == "é"
    assert etcd.get("a").created == first
    etcd.put("a", 2)
    etcd.put("ab", 3)
    etcd.put("b", 4)
    assert [each.value for each in etcd.get_prefix("a")] == ["2", "3"]
    assert etcd.get("a").modified > etcd.get("a").created == first
    assert etcd.delete("a")
    assert not etcd.delete("a")


def test_transactions_compare_everything(place):
    etcd = place.open().handle
    made = etcd.txn([("create", "t", 0)], [("put", "t", 1)])
    assert made.succeeded
    assert not etcd.txn([("create", "t", 0)], [("put", "t", 2)]).succeeded
    assert etcd.txn([("create", "t", made.revision)], []).succeeded
    assert etcd.txn([("mod", "t", made.revision), ("version", "t", 1)], []).succeeded
    seen = etcd.txn([("value", "t", 9)], [], [("get", "t"), ("delete", "t"), ("get", "t")])
    assert not seen.succeeded
    assert [seen.answers[0].value, *seen.answers[1:]] == ["1", True, None]


def test_a_lease_ends(place):
    etcd = place.open().handle
    lease = etcd.grant(1)
    etcd.put("leased", 1, lease=lease)
    assert etcd.keep_alive(lease) == 1
    began = time.monotonic()
    assert until(lambda: etcd.get("leased") is None, 5)
    assert time.monotonic() - began > 0.9
    assert not etcd.revoke(lease)
    assert etcd.keep_alive(lease) == 0
    other = etcd.grant(60)
    etcd.put("leased", 1, lease=other)
    assert etcd.revoke(other)
    assert etcd.get("leased") is None


def test_what_is_sent_is_recorded(place):
    etcd = place.open().handle
    etcd.put("recorded", 1)
    etcd.get("recorded")
    (put, _, _), (got, value, error) = place.steps()
    assert (put, got, error) == ("kv/put", "kv/range", None)
    assert value["kvs"][0]["value"] == "1"


def test_definite_errors_and_writes(place):
    client = place.open()
    etcd = client.handle
    assert outcome(client, lambda: etcd.put("x", 1, lease=5)) == "fail"
    assert outcome(client, lambda: etcd.put("", 1)) == "fail"

    def wrote_before():
        etcd.put("x", 1)
        etcd.put("x", 1, lease=5)

    assert outcome(client, wrote_before) == "info"
    client.begin()
    etcd.txn([("create", "x", 0)], [("put", "x", 1)], [("get", "x")])
    etcd.get("x")
    assert not client.may_have_written()


def test_without_a_majority_nothing_is_certain(etcd_cluster, place):
    client = place.open(node="n1", timeout_s=1.0)
    for node in etcd_cluster.nodes[1:]:
        node.kill()
    try:
        assert outcome(client, lambda: client.handle.put("x", 1)) == "info"
        with pytest.raises((OSError, EtcdError)):
            place.open()
    finally:
        etcd_cluster.restart()


def test_a_connection_that_was_lost_is_not_made_again(etcd_cluster, place):
    client = place.open(node="n1")
    client.handle.put("x", 1)
    etcd_cluster.nodes[0].kill()
    try:
        assert outcome(client, lambda: client.handle.put("x", 2)) == "info"
    finally:
        etcd_cluster.restart()
    with pytest.raises(NotSent):
        client.handle.put("x", 3)
    assert outcome(client, lambda: client.handle.put("x", 3)) == "fail"
    with pytest.raises(Exception, match="lost"):
        client.settle()


def test_a_write_without_an_answer_is_indeterminate(etcd_cluster, place):
    client = place.open(timeout_s=1.0)
    etcd_cluster.cut([(node.name, CLIENTS) for node in etcd_cluster.nodes])
    try:
        assert outcome(client, lambda: client.handle.put("half", 2)) == "info"
    finally:
        etcd_cluster.reconnect()
    assert place.open().handle.get("half").value == "2"


def test_whoever_waits_is_freed_by_shutdown(etcd_cluster, place):
    client = place.open()
    etcd_cluster.pause()
    ended = []

    def call():
        ended.append((outcome(client, lambda: client.handle.put("stuck", 2)), time.monotonic()))

    thread = threading.Thread(target=call)
    try:
        thread.start()
        time.sleep(0.1)
        began = time.monotonic()
        client.shutdown()
        thread.join(5)
    finally:
        etcd_cluster.resume()
    ((how, when),) = ended
    assert how == "info"
    assert when - began < 0.5
    assert until(etcd_cluster.ready)


def test_workers_are_spread_and_counted(etcd_cluster, place):
    clients = [place.open(process=number) for number in range(3)]
    assert len({client._socket.getpeername() for client in clients}) == 3
    assert etcd_cluster.sessions() == 3
    clients[0].close()
    assert until(lambda: etcd_cluster.sessions() == 2, 3)
    etcd_cluster.terminate_sessions()
    assert until(lambda: etcd_cluster.sessions() == 0, 3)


def test_a_place_is_empty(etcd_cluster):
    one = Place(etcd_cluster, "gone")
    etcd = one.open().handle
    etcd.put("left", 1, lease=etcd.grant(60))
    one.leave()
    again = Place(etcd_cluster, "gone")
    assert again.open().handle.get("left") is None
    assert not etcd_cluster.primary().ask("lease/leases").get("leases")
    again.leave()


# --- runs ----------------------------------------------------------------------------------------


@pytest.fixture
def judged(tmp_path, household, etcd_cluster):
    with lent(household, ("etcd", "", etcd_cluster)) as servers:

        def call(target, *, seconds, **options):
            wish = Wish(target=target, time=seconds * SECOND, seed=1, **options)
            finished = run(wish, servers=servers, out=tmp_path, view=Silent())
            return json.loads(finished.result.to_json())

        yield call


@pytest.mark.parametrize(
    ("name", "anomaly"),
    [("lock/etcd-lease", "expired-hold"), ("set/etcd-guarded-by-client", "lost-element")],
)
def test_a_lease_that_a_pause_outlives_is_caught(judged, name, anomaly):
    result = judged(name, seconds=10)
    assert result["verdict"] == "violated"
    assert anomaly in [each["type"] for each in result["anomalies"]]


def test_a_write_that_etcd_guards_holds(judged):
    result = judged("set/etcd-guarded", seconds=10)
    assert result["verdict"] == "holds", result["reason"]


def test_registers_hold_under_faults(judged):
    # A member that was killed may take its time to come back on a machine that has much to do.
    result = judged("register/etcd-key", seconds=30, faults=("kill", "partition", "pause"))
    assert result["verdict"] == "holds", result["reason"]
