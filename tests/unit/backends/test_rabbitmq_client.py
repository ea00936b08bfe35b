"""What RabbitMQ's errors mean for an operation, and what it is told at its start."""

import base64
import hashlib

import pytest

from dokkaebi.backends.rabbitmq_server import PASSWORD, definitions

exceptions = pytest.importorskip("pika.exceptions")


@pytest.fixture(scope="module")
def client():
    from dokkaebi.backends import rabbitmq_client

    return rabbitmq_client


@pytest.mark.parametrize("code", [403, 404, 405, 406])
def test_a_refusal_is_definite(client, code):
    assert client.is_definite(exceptions.ChannelClosedByBroker(code, "text"))


@pytest.mark.parametrize("code", [200, 311, 312, 313, 320, 402, 501, 504, 506, 541])
def test_a_code_that_proves_nothing(client, code):
    assert not client.is_definite(exceptions.ChannelClosedByBroker(code, "text"))


def test_every_row_is_tested(client):
    assert set(client.REFUSALS) == {403, 404, 405, 406}


def test_what_was_not_sent_or_not_routed_is_definite(client):
    assert client.is_definite(exceptions.ChannelWrongStateError("closed"))
    assert client.is_definite(exceptions.ConnectionWrongStateError("closed"))
    assert client.is_definite(exceptions.UnroutableError([]))


@pytest.mark.parametrize(
    "error",
    [
        exceptions.NackError([]),
        exceptions.StreamLostError("lost"),
        exceptions.ConnectionClosedByBroker(320, "shutdown"),
        exceptions.ConnectionClosed(404, "text"),
        ConnectionResetError("reset"),
        TimeoutError("timed out"),
    ],
    ids=repr,
)
def test_an_error_that_proves_nothing(client, error):
    """A message that was refused by one mirror may stand in another."""
    assert not client.is_definite(error)


def test_the_user_s_password_is_hashed_as_the_server_expects_it():
    (user,) = definitions()["users"]
    raw = base64.b64decode(user["password_hash"])
    assert raw[4:] == hashlib.sha256(raw[:4] + PASSWORD.encode()).digest()
