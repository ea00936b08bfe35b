"""ZooKeeper for real: the ensemble's life, its links, and what its clients say about operations."""

import json
import threading
import time

import pytest
from places import Place, lent, outcome, until

from dokkaebi import UsageError
from dokkaebi.compose import run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.protocols import CLIENTS, Cluster, Kill, Logs, Pause, StartAnew
from dokkaebi.harness.spec import SECOND
from dokkaebi.results.live import Silent

exceptions = pytest.importorskip("kazoo.exceptions")


@pytest.fixture
def place(zookeeper_cluster):
    assert until(zookeeper_cluster.ready)
    one = Place(zookeeper_cluster, "place")
    yield one
    one.leave()


# --- the ensemble --------------------------------------------------------------------------------


def test_the_ensemble_has_its_powers(zookeeper_cluster):
    for power in (Cluster, Kill, Pause, Logs):
        assert isinstance(zookeeper_cluster, power)
    roles = sorted(node.role() for node in zookeeper_cluster.nodes)
    assert roles == ["follower", "follower", "leader"]
    assert zookeeper_cluster.primary().role() == "leader"
    assert zookeeper_cluster.version[0].isdigit()
    assert zookeeper_cluster.settings()["tickTime"] == "300"


def test_what_was_acknowledged_survives_the_leaders_death(zookeeper_cluster, place):
    client = place.open()
    client.handle.create("/kept", b"1")
    old = zookeeper_cluster.primary()
    assert len(old.kill()) == 1
    assert not old.answers()
    assert until(lambda: zookeeper_cluster.primary() is not old)
    assert place.open().handle.get("/kept")[0] == b"1"
    zookeeper_cluster.restart()
    assert zookeeper_cluster.ready()
    assert place.open(node=old.name).handle.get("/kept")[0] == b"1"


def test_all_are_killed_and_come_back(zookeeper_cluster, place):
    place.open().handle.create("/kept-by-all", b"1")
    zookeeper_cluster.kill()
    zookeeper_cluster.restart()
    assert place.open().handle.get("/kept-by-all")[0] == b"1"


def test_one_that_looks_whole_and_opens_no_sessions_is_started_anew(
    zookeeper_cluster, place, monkeypatch
):
    place.open().handle.create("/kept-anew", b"1")
    assert isinstance(zookeeper_cluster, StartAnew)
    assert zookeeper_cluster.answers()
    with monkeypatch.context() as patched:
        patched.setattr(zookeeper_cluster, "ready", lambda: True)
        zookeeper_cluster.pause()
        assert not zookeeper_cluster.answers()
        zookeeper_cluster.resume()
    zookeeper_cluster.start_anew()
    assert zookeeper_cluster.answers()
    assert place.open().handle.get("/kept-anew")[0] == b"1"


def test_a_paused_server_does_not_answer(zookeeper_cluster):
    node = zookeeper_cluster.nodes[0]
    assert [process.status() for process in node.pause()] == ["stopped"]
    assert not node.answers()
    node.resume()
    assert until(zookeeper_cluster.ready)


def test_a_count_of_sessions_waits_for_a_slow_server(zookeeper_cluster, place):
    place.open()
    leader = zookeeper_cluster.primary()
    leader.pause()
    back = threading.Timer(0.7, leader.resume)
    back.start()
    try:
        assert leader.sessions() == 1
    finally:
        back.join()
    assert until(zookeeper_cluster.ready)


def test_a_leader_that_is_cut_off_is_replaced(zookeeper_cluster):
    cluster = zookeeper_cluster
    old = cluster.primary()
    others = [node for node in cluster.nodes if node is not old]
    cluster.cut([pair for o in others for pair in ((old.name, o.name), (o.name, old.name))])
    try:
        assert until(lambda: {node.role() for node in others} == {"leader", "follower"})
        assert until(lambda: old.role() == "unknown")
        assert cluster.primary() in others
        assert cluster.held().bytes > 0
    finally:
        cluster.reconnect()
    assert until(cluster.ready)


def test_a_follower_that_is_only_heard_is_dropped(zookeeper_cluster):
    """One direction: what it sends reaches nobody."""
    cluster = zookeeper_cluster
    leader = cluster.primary()
    mute, other = (node for node in cluster.nodes if node is not leader)
    cluster.cut([(mute.name, leader.name), (mute.name, other.name)])
    try:
        assert until(lambda: leader.followers() == 1)
        assert leader.role() == "leader"
        assert cluster.held().bytes > 0
    finally:
        cluster.reconnect()
    assert until(cluster.ready)


def test_other_topologies_and_isolation_are_refused(household, zookeeper_cluster):
    with pytest.raises(UsageError, match="no topology"):
        type(zookeeper_cluster)(household, topology="five")
    with pytest.raises(UsageError, match="no isolation"):
        zookeeper_cluster.prepare("x", isolation="serializable")


# --- its clients ---------------------------------------------------------------------------------


def test_what_is_sent_is_recorded(place):
    client = place.open()
    client.handle.create("/recorded", b"1")
    client.handle.get("/recorded")
    (created, path, _), (got, value, error) = place.steps()
    assert (created, got, error) == ("Create", "GetData", None)
    assert path.endswith("/recorded")
    assert value[0] == b"1"


def test_definite_errors_and_writes(place):
    client = place.open()
    handle = client.handle
    handle.create("/there", b"1")
    assert outcome(client, lambda: handle.create("/there", b"1")) == "fail"
    assert outcome(client, lambda: handle.get("/not-there")) == "fail"
    assert outcome(client, lambda: handle.set("/there", b"2", version=7)) == "fail"

    def wrote_before():
        handle.set("/there", b"3")
        handle.delete("/not-there")

    assert outcome(client, wrote_before) == "info"


def test_a_transaction_that_was_rolled_back_wrote_nothing(place):
    client = place.open()
    client.handle.create("/checked", b"1")
    for version, wrote in ((7, False), (0, True)):
        client.begin()
        steps = client.handle.transaction()
        steps.check("/checked", version)
        steps.set_data("/checked", b"2")
        steps.commit()
        assert client.may_have_written() == wrote


def test_a_connection_that_was_lost_is_not_made_again(zookeeper_cluster, place):
    node = zookeeper_cluster.nodes[0]
    client = place.open(node=node.name)
    node.kill()
    try:
        assert until(lambda: client.handle.lost, 3)
        # Nothing was sent: kazoo itself would keep the request until it is connected anew.
        assert outcome(client, lambda: client.handle.create("/after", b"1")) == "fail"
        with pytest.raises(Exception, match="lost"):
            client.settle()
    finally:
        zookeeper_cluster.restart()
    assert client.handle.lost
    assert not client.handle.connected


def test_a_write_without_an_answer_is_indeterminate(zookeeper_cluster, place):
    client = place.open()
    client.handle.create("/half", b"1")
    zookeeper_cluster.cut([(node.name, CLIENTS) for node in zookeeper_cluster.nodes])
    try:
        assert outcome(client, lambda: client.handle.set("/half", b"2")) == "info"
    finally:
        zookeeper_cluster.reconnect()
    assert place.open().handle.get("/half")[0] == b"2"


def test_recipes_end_with_the_connection(zookeeper_cluster, place):
    """Kazoo's lock tries again without limit, but not on a client that is gone."""
    client = place.open(node="n1")
    zookeeper_cluster.nodes[0].kill()
    try:
        began = time.monotonic()
        assert outcome(client, client.handle.Lock("/lock").acquire) in ("fail", "info")
        assert time.monotonic() - began < 4
    finally:
        zookeeper_cluster.restart()


def test_whoever_waits_is_freed_by_shutdown(zookeeper_cluster, place):
    client = place.open()
    client.handle.create("/stuck", b"1")
    zookeeper_cluster.pause()
    ended = []

    def call():
        ended.append((outcome(client, lambda: client.handle.set("/stuck", b"2")), time.monotonic()))

    thread = threading.Thread(target=call)
    try:
        thread.start()
        time.sleep(0.1)
        began = time.monotonic()
        client.shutdown()
        thread.join(5)
    finally:
        zookeeper_cluster.resume()
    ((how, when),) = ended
    assert how == "info"
    assert when - began < 0.5
    assert until(zookeeper_cluster.ready)


def test_workers_are_spread_and_sessions_counted(zookeeper_cluster, place):
    clients = [place.open(process=number) for number in range(3)]
    assert len({client.handle._connection._socket.getpeername() for client in clients}) == 3
    assert until(lambda: zookeeper_cluster.sessions() == 3, 3)
    clients[0].close()
    assert until(lambda: zookeeper_cluster.sessions() == 2, 3)
    zookeeper_cluster.terminate_sessions()
    assert until(lambda: zookeeper_cluster.sessions() == 0, 3)
    assert all(client.handle.lost for client in clients)


def test_an_ephemeral_znode_goes_with_its_session(zookeeper_cluster, place):
    holder, other = place.open(), place.open()
    holder.handle.create("/ephemeral", b"", ephemeral=True)
    holder.shutdown()
    began = time.monotonic()
    assert until(lambda: other.handle.exists("/ephemeral") is None, 5)
    assert time.monotonic() - began > 0.5


def test_a_place_is_removed(zookeeper_cluster):
    one = Place(zookeeper_cluster, "gone")
    handle = one.open().handle
    handle.create("/a/b/c", b"", makepath=True)
    one.leave()
    again = Place(zookeeper_cluster, "gone")
    assert again.open().handle.get_children("/") == []
    again.leave()


# --- runs ----------------------------------------------------------------------------------------


@pytest.fixture
def judged(tmp_path, household, zookeeper_cluster):
    with lent(household, ("zookeeper", "", zookeeper_cluster)) as servers:

        def call(target, *, seconds, **options):
            wish = Wish(target=target, time=seconds * SECOND, seed=1, **options)
            finished = run(wish, servers=servers, out=tmp_path, view=Silent())
            return json.loads(finished.result.to_json())

        yield call


def test_a_lock_that_ends_with_its_session_is_caught(judged):
    result = judged("lock/zookeeper-ephemeral", seconds=8)
    assert result["verdict"] == "violated"
    assert "expired-hold" in [anomaly["type"] for anomaly in result["anomalies"]]


def test_registers_hold_under_faults(judged):
    result = judged("register/znode", seconds=20, faults=("partition", "kill"))
    assert result["verdict"] == "holds", result["reason"]


def test_a_run_goes_on_once_the_ensemble_was_started_anew(judged, zookeeper_cluster, monkeypatch):
    ensemble, begun = type(zookeeper_cluster), []

    def start_anew():
        begun.append(True)
        zookeeper_cluster.ready_s = ensemble.ready_s
        ensemble.start_anew(zookeeper_cluster)

    def answers():
        return bool(begun) and ensemble.answers(zookeeper_cluster)

    monkeypatch.setattr(zookeeper_cluster, "ready_s", 0.5)
    monkeypatch.setattr(zookeeper_cluster, "answers", answers)
    monkeypatch.setattr(zookeeper_cluster, "start_anew", start_anew)
    result = judged("register/znode", seconds=3, faults=())
    assert begun == [True]
    assert result["verdict"] == "holds", result["reason"]
