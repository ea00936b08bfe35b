"""What NATS's answers mean for an operation, and how its protocol is read, without a server."""

import json
import socket
import time

import pytest

from dokkaebi.backends import nats_client
from dokkaebi.backends.nats_client import NatsError, NatsWorker, Stored
from dokkaebi.backends.nats_server import Ports, configuration
from dokkaebi.backends.nats_wire import Delivery, Wire, packed
from dokkaebi.backends.worker import NotSent

DEFINITE = (10013, 10014, 10025, 10054, 10058, 10059, 10060, 10070, 10071, 10164)


def definite(error):
    return NatsWorker.definite(object.__new__(NatsWorker), error)


@pytest.mark.parametrize("code", [*DEFINITE, 503])
def test_a_definite_code(code):
    assert definite(NatsError(code, "text"))


@pytest.mark.parametrize("code", [0, 404, 408, 500, 10008, 10009, 10023, 10077])
def test_a_code_that_proves_nothing(code):
    """Without a leader, or without room, a message may have been proposed before."""
    assert not definite(NatsError(code, "text"))


def test_every_row_is_tested():
    assert set(nats_client.DEFINITE) == set(DEFINITE)


def test_only_what_was_not_sent_is_definite_of_the_wire():
    assert definite(NotSent("lost"))
    assert not definite(ConnectionResetError("reset"))
    assert not definite(TimeoutError("timed out"))


# --- the protocol --------------------------------------------------------------------------------


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Wire(ours), theirs


def soon(seconds=1.0):
    return time.monotonic() + seconds


def test_messages_are_read_whatever_their_pieces(pair):
    wire, server = pair
    said = (
        b"MSG job 7 4\r\n1\r\n2\r\n"
        b"MSG job 7 back 2\r\nab\r\n"
        b"HMSG job 8 $JS.ACK.x 24 26\r\nNATS/1.0\r\nNats-Id: 1\r\n\r\nab\r\n"
        b"HMSG in 9 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"
        b"PONG\r\n"
    )
    for at in range(len(said)):
        server.sendall(said[at : at + 1])
    assert wire.receive(soon()) == Delivery("job", 7, "", b"1\r\n2")
    assert wire.receive(soon()) == Delivery("job", 7, "back", b"ab")
    assert wire.receive(soon()) == Delivery("job", 8, "$JS.ACK.x", b"ab", {"Nats-Id": "1"})
    assert wire.receive(soon()) == Delivery("in", 9, "", b"", {}, 503)
    assert wire.receive(soon()) == "PONG"


def test_a_server_that_asks_is_answered(pair):
    wire, server = pair
    server.sendall(b"PING\r\nINFO {}\r\n")
    assert wire.receive(soon()) == "INFO {}"
    assert server.recv(100) == b"PONG\r\n"


def test_a_request_makes_room_for_one_answer(pair):
    wire, server = pair
    wire.request("job", b"ab", packed({"Nats-Msg-Id": "1"}), "_INBOX.1", 3)
    wire.publish("job", b"")
    assert server.recv(1000) == (
        b"SUB _INBOX.1 3\r\nUNSUB 3 1\r\n"
        b"HPUB job _INBOX.1 28 30\r\nNATS/1.0\r\nNats-Msg-Id: 1\r\n\r\nab\r\n"
        b"PUB job 0\r\n\r\n"
    )


def test_a_deadline_loses_nothing(pair):
    wire, server = pair
    server.sendall(b"PO")
    with pytest.raises(TimeoutError):
        wire.receive(soon(0.01))
    assert not wire.lost
    server.sendall(b"NG\r\n")
    assert wire.receive(soon()) == "PONG"


def test_after_the_end_nothing_is_sent(pair):
    wire, server = pair
    server.close()
    with pytest.raises(ConnectionResetError):
        wire.receive(soon())
    assert wire.lost
    with pytest.raises(NotSent):
        wire.publish("job", b"")


# --- what answers say ----------------------------------------------------------------------------


def answer(**told):
    return Delivery("in", 1, "", json.dumps(told).encode())


def test_what_a_stream_answers():
    assert nats_client._stored(answer(stream="jobs", seq=7)) == Stored("jobs", 7, False)
    assert nats_client._stored(answer(stream="jobs", seq=7, duplicate=True)).duplicate
    with pytest.raises(NatsError, match="wrong last sequence") as caught:
        nats_client._stored(answer(error={"err_code": 10071, "description": "wrong last sequence"}))
    assert caught.value.code == 10071


@pytest.mark.parametrize(
    "address", ["$JS.ACK.jobs.workers.2.7.9.1.0", "$JS.ACK._.hash.jobs.workers.2.7.9.1.0.token"]
)
def test_a_message_says_where_it_stood(address):
    message = nats_client._message(Delivery("job", 1, address, b"x"))
    assert (message.delivered, message.sequence, message.data) == (2, 7, b"x")


def test_a_consumer_without_a_message_says_so():
    assert nats_client._message(Delivery("in", 1, "", b"", {}, 404)) is None
    assert nats_client._message(Delivery("in", 1, "", b"", {}, 408)) is None
    with pytest.raises(NatsError):
        nats_client._message(Delivery("in", 1, "", b"", {}, 409))


def test_a_server_waits_for_as_many_as_there_are(tmp_path):
    text = configuration(
        "n3", 1, Ports(2, 3, 4), [("10.0.0.9", 5), ("10.0.0.3", 2)], tmp_path, listen="0.0.0.0"
    )
    assert 'routes: ["nats-route://10.0.0.9:5", "nats-route://10.0.0.3:2"]' in text
    assert 'listen: "0.0.0.0:1"' in text
    assert 'advertise: "127.0.0.1:4"' in text
