"""NATS for real: the cluster's life, its links, and what its clients say about operations."""

import threading
import time

import pytest
from places import Place, outcome, until

from dokkaebi import UsageError
from dokkaebi.backends.nats_client import NatsError
from dokkaebi.backends.worker import NotSent
from dokkaebi.harness.protocols import CLIENTS, Cluster, Kill, Logs, Pause


@pytest.fixture
def place(nats_cluster):
    assert until(nats_cluster.ready)
    one = Place(nats_cluster, "place")
    yield one
    one.leave()


def stream(client, **more):
    """A stream with a consumer, on all servers."""
    client.handle.add_stream("jobs", ["job"], **more)
    client.handle.add_consumer("jobs", "workers", ack_wait_s=1)
    return client.handle


def published(place, text, seconds=15.0):
    """Publish as soon as the stream has a leader, as clients that are opened anew would."""

    def tried():
        client = place.open(timeout_s=1.0)
        return outcome(client, lambda: client.handle.publish("job", text)) == "ok"

    return until(tried, seconds)


def stored(place, node):
    """How many messages the stream has, as its leader says; none while it has no leader."""
    try:
        info = place.open(node=node, timeout_s=1.0).handle.stream_info("jobs")
    except TimeoutError:
        return 0
    return info["state"]["messages"]


def fetched(place, data, seconds=40.0):
    """Fetch until this message comes: the consumer elects a leader of its own, and a message whose
    delivery was cut short comes again."""
    came = []

    def tried():
        client = place.open(timeout_s=3.0)
        outcome(client, lambda: came.append(client.handle.fetch("jobs", "workers", wait_s=1)))
        return any(message is not None and message.data == data for message in came)

    return until(tried, seconds)


# --- the cluster ---------------------------------------------------------------------------------


def test_the_cluster_has_its_powers(nats_cluster):
    for power in (Cluster, Kill, Pause, Logs):
        assert isinstance(nats_cluster, power)
    roles = sorted(node.role() for node in nats_cluster.nodes)
    assert roles == ["follower", "follower", "leader"]
    assert nats_cluster.primary().role() == "leader"
    assert nats_cluster.version[0].isdigit()
    assert nats_cluster.settings()["sync_interval"] == "120s"


def test_servers_meet_at_the_doors_alone(nats_cluster):
    """Nobody has told another a way around them."""
    known = {node.ports.route for node in nats_cluster.nodes}
    for node in nats_cluster.nodes:
        for route in node.ask("/routez")["routes"]:
            assert not (route["did_solicit"] and route["port"] in known)


def test_the_leader_is_that_of_the_run_s_stream(nats_cluster, place):
    nats = stream(place.open())
    leader = nats.stream_info("jobs")["cluster"]["leader"]
    assert until(lambda: nats_cluster.primary().name == leader, 3)


def test_the_home_of_a_single_replica_is_the_primary_wherever_it_is(nats_cluster, place):
    """Who leads the cluster's own group has no stream of its own then, and is not it."""
    last = nats_cluster.nodes[-1]
    if last.leads() == last.name:  # it would not come before any other home
        last.kill()
        nats_cluster.restart()
    nats, homes = place.open().handle, set()

    def home_found():
        nats.add_stream("jobs", ["job"], replicas=1, storage="memory")
        home = nats.stream_info("jobs")["cluster"]["leader"]
        assert until(lambda: nats_cluster.primary().name == home, 3)
        nats.delete_stream("jobs")
        homes.add(home)
        return len(homes) == len(nats_cluster.nodes)

    assert until(home_found, 30), homes


def test_what_was_acknowledged_survives_the_leaders_death(nats_cluster, place):
    nats = stream(place.open())
    for number in range(20):
        nats.publish("job", str(number))
    old = nats_cluster.primary()
    assert len(old.kill()) == 1
    assert not old.answers()
    assert published(place, "later")
    assert nats_cluster.primary() is not old
    nats_cluster.restart()
    assert until(lambda: stored(place, old.name) >= 21, 15)


def test_all_are_killed_and_come_back(nats_cluster, place):
    stream(place.open())
    assert published(place, "kept")
    nats_cluster.kill()
    nats_cluster.restart()
    assert published(place, "later")
    assert fetched(place, b"kept")


def test_a_paused_server_does_not_answer(nats_cluster):
    node = nats_cluster.nodes[0]
    assert [process.status() for process in node.pause()] == ["stopped"]
    assert not node.answers()
    node.resume()
    assert until(nats_cluster.ready)


def test_a_leader_that_is_cut_off_is_replaced(nats_cluster, place):
    stream(place.open())
    old = nats_cluster.primary()
    others = [node for node in nats_cluster.nodes if node is not old]
    nats_cluster.cut([pair for o in others for pair in ((old.name, o.name), (o.name, old.name))])
    try:
        assert until(lambda: nats_cluster.primary() in others)
        assert nats_cluster.held().bytes > 0
        alone = place.open(node=old.name, timeout_s=1.0)
        assert outcome(alone, lambda: alone.handle.publish("job", "x")) in ("fail", "info")
    finally:
        nats_cluster.reconnect()
    assert until(nats_cluster.ready)
    assert until(lambda: old.role() == "follower")


def test_other_topologies_and_isolation_are_refused(household, nats_cluster):
    with pytest.raises(UsageError, match="no topology"):
        type(nats_cluster)(household, topology="five")
    with pytest.raises(UsageError, match="no isolation"):
        nats_cluster.prepare("x", isolation="serializable")


# --- its clients ---------------------------------------------------------------------------------


def test_messages_go_in_and_come_out(place):
    nats = stream(place.open())
    assert nats.fetch("jobs", "workers") is None
    first = nats.publish("job", "é", headers={"Nats-Msg-Id": "1"})
    again = nats.publish("job", "é", headers={"Nats-Msg-Id": "1"})
    assert (first.stream, first.duplicate, again.duplicate) == ("jobs", False, True)
    assert first.sequence == again.sequence
    message = nats.fetch("jobs", "workers")
    assert (message.data.decode(), message.delivered) == ("é", 1)
    assert message.headers["Nats-Msg-Id"] == "1"
    nats.ack(message)
    assert nats.consumer_info("jobs", "workers")["num_ack_pending"] == 0
    assert nats.streams() == ["jobs"]


def test_what_is_not_acknowledged_comes_again(place):
    nats = stream(place.open())
    nats.publish("job", "1")
    assert nats.fetch("jobs", "workers").delivered == 1
    assert nats.fetch("jobs", "workers") is None
    message = nats.fetch("jobs", "workers", wait_s=3)
    assert message.delivered == 2
    nats.nak(message)
    message = nats.fetch("jobs", "workers", wait_s=3)
    assert message.delivered == 3
    nats.send_ack(message)
    assert nats.fetch("jobs", "workers", wait_s=1.5) is None


def test_an_answer_that_was_given_up_is_not_taken_for_the_next(place):
    nats = stream(place.open(timeout_s=0.3))
    with pytest.raises(TimeoutError):
        nats.fetch("jobs", "workers", wait_s=1)
    nats.publish("job", "1")
    assert nats.stream_info("jobs")["state"]["messages"] == 1


def test_what_is_sent_is_recorded(place):
    nats = stream(place.open())
    place.steps()
    nats.publish("job", "1")
    nats.fetch("jobs", "workers")
    (subject, stored, error), (asked, got, _) = place.steps()
    assert (subject, stored["sequence"], error) == ("job", 1, None)
    assert asked.startswith("$JS.API.CONSUMER.MSG.NEXT")
    assert got["data"] == "1"


def test_definite_errors_and_writes(place):
    client = place.open()
    nats = stream(client)
    assert outcome(client, lambda: nats.publish("nobody", "x")) == "fail"
    assert outcome(client, lambda: nats.fetch("jobs", "nobody")) == "fail"
    assert outcome(client, lambda: nats.stream_info("none")) == "fail"
    expected = {"Nats-Expected-Last-Sequence": "7"}
    assert outcome(client, lambda: nats.publish("job", "x", headers=expected)) == "fail"

    def wrote_before():
        nats.publish("job", "x")
        nats.publish("nobody", "x")

    assert outcome(client, wrote_before) == "info"
    client.begin()
    nats.stream_info("jobs")
    assert not client.may_have_written()


def test_without_a_majority_nothing_is_certain(nats_cluster, place):
    client = place.open(node="n1", timeout_s=1.0)
    nats = stream(client)
    for node in nats_cluster.nodes[1:]:
        node.kill()
    try:
        assert outcome(client, lambda: nats.publish("job", "x")) in ("info", "fail")
        with pytest.raises((OSError, NatsError)):
            nats.publish("job", "x")
    finally:
        nats_cluster.restart()


def test_a_connection_that_was_lost_is_not_made_again(nats_cluster, place):
    client = place.open(node="n1")
    stream(client)
    nats_cluster.nodes[0].kill()
    try:
        assert outcome(client, lambda: client.handle.publish("job", "2")) == "info"
    finally:
        nats_cluster.restart()
    with pytest.raises(NotSent):
        client.handle.publish("job", "3")
    assert outcome(client, lambda: client.handle.publish("job", "3")) == "fail"
    with pytest.raises(Exception, match="lost"):
        client.settle()


def test_a_message_without_an_answer_is_indeterminate(nats_cluster, place):
    client = place.open(timeout_s=1.0)
    stream(client)
    nats_cluster.cut([(node.name, CLIENTS) for node in nats_cluster.nodes])
    try:
        assert outcome(client, lambda: client.handle.publish("job", "2")) == "info"
    finally:
        nats_cluster.reconnect()
    assert place.open().handle.fetch("jobs", "workers", wait_s=2).data == b"2"


def test_whoever_waits_is_freed_by_shutdown(nats_cluster, place):
    client = place.open()
    stream(client)
    nats_cluster.pause()
    ended = []

    def call():
        ended.append((outcome(client, lambda: client.handle.publish("job", "2")), time.monotonic()))

    thread = threading.Thread(target=call)
    try:
        thread.start()
        time.sleep(0.1)
        began = time.monotonic()
        client.shutdown()
        thread.join(5)
    finally:
        nats_cluster.resume()
    ((how, when),) = ended
    assert how == "info"
    assert when - began < 0.5
    assert until(nats_cluster.ready)


def test_workers_are_spread_and_counted(nats_cluster, place):
    clients = [place.open(process=number) for number in range(3)]
    assert len({client._wire.socket.getpeername() for client in clients}) == 3
    assert nats_cluster.sessions() == 3
    clients[0].close()
    assert until(lambda: nats_cluster.sessions() == 2, 3)
    nats_cluster.terminate_sessions()
    assert until(lambda: nats_cluster.sessions() == 0, 3)


def test_a_place_is_empty(nats_cluster):
    one = Place(nats_cluster, "gone")
    stream(one.open()).publish("job", "left")
    one.leave()
    again = Place(nats_cluster, "gone")
    assert again.open().handle.streams() == []
    again.leave()
