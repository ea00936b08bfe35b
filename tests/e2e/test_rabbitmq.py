"""RabbitMQ for real: its life, alone and as a cluster, its links, and what its clients say."""

import random
import threading
import time

import psutil
import pytest
from places import Place, outcome, until

from dokkaebi import UsageError
from dokkaebi.harness.protocols import CLIENTS, Cluster, Kill, Logs, Pause
from dokkaebi.nemesis.targets import chosen, lacks

pika = pytest.importorskip("pika")
PERSISTENT = pika.BasicProperties(delivery_mode=2)

pytestmark = pytest.mark.timeout(900)
"""An Erlang takes its time to start where others are at work too."""


@pytest.fixture
def place(rabbitmq_server):
    assert until(rabbitmq_server.ready)
    one = Place(rabbitmq_server, "place")
    yield one
    one.leave()


@pytest.fixture
def shared(rabbitmq_cluster):
    assert until(rabbitmq_cluster.ready, 60)
    one = Place(rabbitmq_cluster, "place")
    yield one
    one.leave()


def channel_of(client, *, kind="classic", queue="jobs"):
    """A channel with confirms, and a queue."""
    channel = client.handle.channel()
    channel.confirm_delivery()
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": kind})
    return channel


def publish(channel, text, queue="jobs"):
    channel.basic_publish("", queue, text, PERSISTENT, mandatory=True)


def got(channel, seconds=5.0):
    """The next message, as soon as there is one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        method, _, body = channel.basic_get("jobs")
        if method is not None:
            return method, body
        time.sleep(0.02)
    return None, None


def published(place, text, *, node=None, seconds=30.0):
    """Publish as soon as it is confirmed, as clients that are opened anew would."""

    def tried():
        client = place.open(node=node)
        channel = client.handle.channel()
        channel.confirm_delivery()
        return outcome(client, lambda: publish(channel, text)) == "ok"

    return until(tried, seconds)


# --- one server ----------------------------------------------------------------------------------


def test_a_server_has_its_powers(rabbitmq_server):
    for power in (Cluster, Kill, Pause, Logs):
        assert isinstance(rabbitmq_server, power)
    assert rabbitmq_server.version[0].isdigit()
    assert rabbitmq_server.shapes == ("clients",)


def test_it_listens_on_loopback_and_has_no_epmd(rabbitmq_server):
    processes = rabbitmq_server.processes()
    assert "epmd" not in {process.name() for process in processes}
    ports = rabbitmq_server.nodes[0].ports
    listening = [
        each.laddr
        for process in processes
        for each in process.net_connections()
        if each.status == psutil.CONN_LISTEN
    ]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert {ports.nodes, ports.probe} <= {address.port for address in listening}


def test_what_was_confirmed_survives_a_kill(rabbitmq_server, place):
    channel = channel_of(place.open())
    for number in range(20):
        publish(channel, str(number))
    assert rabbitmq_server.kill()
    assert not rabbitmq_server.answers()
    rabbitmq_server.restart()
    channel = place.open().handle.channel()
    found = [channel.basic_get("jobs", auto_ack=True)[2] for _ in range(21)]
    assert found == [*(str(number).encode() for number in range(20)), None]


def test_a_cluster_of_one_is_struck_whole_whatever_is_drawn(rabbitmq_server):
    drawn = [chosen(rabbitmq_server, "any", random.Random(seed)) for seed in range(8)]
    assert drawn == [([rabbitmq_server.nodes[0]], "server rabbitmq")] * 8
    assert lacks(rabbitmq_server, Kill, "any") is None
    assert "one server, no cluster" in lacks(rabbitmq_server, Kill, "replicas")


def test_a_paused_server_does_not_answer(rabbitmq_server):
    assert {process.status() for process in rabbitmq_server.pause()} == {"stopped"}
    assert not rabbitmq_server.answers()
    rabbitmq_server.resume()
    assert until(rabbitmq_server.ready)


def test_other_topologies_and_isolation_are_refused(household, rabbitmq_server):
    with pytest.raises(UsageError, match="no topology"):
        type(rabbitmq_server)(household, topology="five")
    with pytest.raises(UsageError, match="no isolation"):
        rabbitmq_server.prepare("x", isolation="serializable")


# --- its clients ---------------------------------------------------------------------------------


def test_what_is_not_acknowledged_comes_back_with_the_connection(place):
    client = place.open()
    channel = channel_of(client)
    publish(channel, "1")
    assert channel.basic_get("jobs")[2] == b"1"
    client.close()
    method, body = got(place.open().handle.channel())
    assert (method.redelivered, body) == (True, b"1")


def test_what_is_sent_is_recorded(place):
    channel = channel_of(place.open())
    place.steps()
    publish(channel, "1")
    channel.basic_get("jobs", auto_ack=True)
    (sent, _, error), (asked, got, _) = place.steps()
    assert (sent, error, asked) == ("basic_publish", None, "basic_get")
    assert got[2] == "1"


def test_definite_errors_and_writes(place):
    client = place.open()
    channel = channel_of(client)
    assert outcome(client, lambda: publish(channel, "x", queue="nowhere")) == "fail"

    def wrote_before():
        publish(channel, "x")
        publish(channel, "x", queue="nowhere")

    assert outcome(client, wrote_before) == "info"
    assert outcome(client, lambda: channel.basic_get("nowhere")) == "fail"
    with pytest.raises(Exception, match="closed"):
        client.settle()
    # Nothing is sent on a channel that is closed.
    assert outcome(client, lambda: publish(channel, "x")) == "fail"
    client = place.open()
    channel = client.handle.channel()
    channel.queue_purge("jobs")
    client.begin()
    assert channel.basic_get("jobs")[0] is None
    assert not client.may_have_written()


def test_a_connection_that_was_lost_is_not_made_again(rabbitmq_server, place):
    client = place.open()
    channel = channel_of(client)
    rabbitmq_server.terminate_sessions()
    assert outcome(client, lambda: publish(channel, "2")) == "info"
    assert outcome(client, lambda: publish(channel, "3")) == "fail"
    with pytest.raises(Exception, match="lost"):
        client.settle()
    assert until(lambda: rabbitmq_server.sessions() == 0, 3)


def test_a_message_without_a_confirmation_is_indeterminate(rabbitmq_server, place):
    client = place.open()
    channel = channel_of(client)
    rabbitmq_server.cut([("n1", CLIENTS)])
    threading.Timer(1.0, client.shutdown).start()
    try:
        assert outcome(client, lambda: publish(channel, "2")) == "info"
    finally:
        rabbitmq_server.reconnect()
    assert got(place.open().handle.channel())[1] == b"2"


def test_whoever_waits_is_freed_by_shutdown(rabbitmq_server, place):
    client = place.open()
    channel = channel_of(client)
    rabbitmq_server.pause()
    ended = []

    def call():
        ended.append((outcome(client, lambda: publish(channel, "2")), time.monotonic()))

    thread = threading.Thread(target=call)
    try:
        thread.start()
        time.sleep(0.1)
        began = time.monotonic()
        client.shutdown()
        thread.join(5)
        client.close()
    finally:
        rabbitmq_server.resume()
    ((how, when),) = ended
    assert how == "info"
    assert when - began < 1.0
    assert until(rabbitmq_server.ready)


def test_a_place_is_empty(rabbitmq_server):
    one = Place(rabbitmq_server, "gone")
    publish(channel_of(one.open()), "left")
    one.leave()
    again = Place(rabbitmq_server, "gone")
    client = again.open()
    channel = client.handle.channel()
    assert outcome(client, lambda: channel.basic_get("jobs")) == "fail"
    again.leave()


# --- three ---------------------------------------------------------------------------------------


def cut_off(cluster, node):
    """Nobody and this node hear of each other."""
    others = [other for other in cluster.nodes if other is not node]
    cluster.cut([pair for o in others for pair in ((node.name, o.name), (o.name, node.name))])
    return others


def test_all_see_each_other_and_one_leads(rabbitmq_cluster, shared):
    channel_of(shared.open(), kind="quorum")
    roles = sorted(node.role() for node in rabbitmq_cluster.nodes)
    assert roles == ["follower", "follower", "leader"]
    assert rabbitmq_cluster.primary().role() == "leader"
    assert [node.sees() for node in rabbitmq_cluster.nodes] == [(3, 0)] * 3


def test_a_quorum_queue_survives_its_leaders_death(rabbitmq_cluster, shared):
    channel = channel_of(shared.open(), kind="quorum")
    for number in range(10):
        publish(channel, str(number))
    old = rabbitmq_cluster.primary()
    old.kill()
    try:
        other = next(node for node in rabbitmq_cluster.nodes if node is not old)
        assert published(shared, "later", node=other.name)
        assert rabbitmq_cluster.primary() is not old
    finally:
        rabbitmq_cluster.restart()
    channel = shared.open(node=old.name).handle.channel()
    assert channel.basic_get("jobs")[2] == b"0"


def test_a_node_that_is_cut_off_pauses_itself(rabbitmq_cluster, shared):
    channel_of(shared.open(node="n1"), kind="quorum")
    alone = rabbitmq_cluster.nodes[0]
    others = cut_off(rabbitmq_cluster, alone)
    try:
        assert until(lambda: alone.sees() == (0, 0), 30)
        assert until(lambda: {node.sees()[0] for node in others} == {2}, 30)
        assert rabbitmq_cluster.held().bytes > 0
        assert published(shared, "later", node=others[0].name)
    finally:
        rabbitmq_cluster.reconnect()
    assert until(rabbitmq_cluster.ready, 60)


def test_nodes_that_do_not_find_together_are_started_anew(rabbitmq_cluster, shared, monkeypatch):
    monkeypatch.setattr("dokkaebi.backends.rabbitmq.WHOLE_S", 0.0)
    before = {node.name: node.processes()[0].pid for node in rabbitmq_cluster.nodes}
    alone = rabbitmq_cluster.nodes[0]
    channel_of(shared.open(node="n2"), kind="quorum")
    cut_off(rabbitmq_cluster, alone)
    assert published(shared, "kept", node="n2")
    assert until(lambda: alone.sees() == (0, 0), 30)
    rabbitmq_cluster.reconnect()
    assert until(rabbitmq_cluster.ready, 60)
    after = {node.name: node.processes()[0].pid for node in rabbitmq_cluster.nodes}
    assert len({pid for name, pid in after.items() if before[name] == pid}) == 1
    assert after["n1"] != before["n1"]
    assert got(shared.open(node="n1").handle.channel(), 30)[1] == b"kept"


def test_workers_are_spread_and_counted(rabbitmq_cluster, shared):
    clients = [shared.open(process=number) for number in range(3)]
    assert len({client._socket.getpeername() for client in clients}) == 3
    assert rabbitmq_cluster.sessions() == 3
    rabbitmq_cluster.terminate_sessions()
    assert until(lambda: rabbitmq_cluster.sessions() == 0, 3)
