"""What etcd's answers mean for an operation, and how its gateway writes things, without a server."""

import pytest

from dokkaebi.backends import etcd_client
from dokkaebi.backends.etcd_client import EtcdError, EtcdWorker
from dokkaebi.backends.etcd_server import member_id
from dokkaebi.backends.worker import NotSent

DEFINITE = (3, 5, 7, 9, 11, 12, 16)


def definite(error):
    return EtcdWorker.definite(object.__new__(EtcdWorker), error)


@pytest.mark.parametrize("code", DEFINITE)
def test_a_definite_code(code):
    assert definite(EtcdError(code, "text"))


@pytest.mark.parametrize("code", [0, 1, 2, 4, 8, 10, 13, 14, 15, 99])
def test_a_code_that_proves_nothing(code):
    """14 is also what a proposal is answered whose leader was lost on the way."""
    assert not definite(EtcdError(code, "etcdserver: request timed out"))


def test_every_row_is_tested():
    assert set(etcd_client.DEFINITE) == set(DEFINITE)


def test_only_what_was_not_sent_is_definite_of_the_wire():
    assert definite(NotSent("lost"))
    assert not definite(ConnectionResetError("reset"))
    assert not definite(TimeoutError("timed out"))


@pytest.mark.parametrize(
    ("path", "then", "otherwise", "succeeded", "wrote"),
    [
        ("kv/put", (), (), False, True),
        ("kv/range", (), (), False, False),
        ("lease/grant", (), (), False, True),
        ("kv/txn", [("put", "a", 1)], [("get", "a")], True, True),
        ("kv/txn", [("put", "a", 1)], [("get", "a")], False, False),
        ("kv/txn", [("get", "a")], [("delete", "a")], True, False),
        ("kv/txn", [("get", "a")], [("delete", "a")], False, True),
        ("kv/txn", [], [], True, False),
    ],
)
def test_only_the_branch_that_ran_has_written(path, then, otherwise, succeeded, wrote):
    request = {
        "success": [etcd_client._step(*step) for step in then],
        "failure": [etcd_client._step(*step) for step in otherwise],
    }
    assert etcd_client._wrote(path, request, {"succeeded": succeeded}) == wrote


def test_what_is_shown_of_a_request_is_text():
    request = {"success": [etcd_client._step("put", "ä", 1)], "header": {"revision": "1"}}
    assert etcd_client._shown(request) == {
        "success": [{"request_put": {"key": "ä", "value": "1", "lease": "0"}}]
    }


def test_the_id_of_a_member():
    """As etcd 3.4 computed it for this address and token."""
    assert member_id("http://127.0.0.1:31080", "tok") == f"{17976337394448077797:x}"
