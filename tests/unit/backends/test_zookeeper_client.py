"""What kazoo's errors and requests mean for an operation, without a server."""

import pytest

exceptions = pytest.importorskip("kazoo.exceptions")

from kazoo.protocol import serialization  # noqa: E402
from kazoo.retry import KazooRetry  # noqa: E402

from dokkaebi.backends import zookeeper_client  # noqa: E402
from dokkaebi.backends.zookeeper_client import Ledger, NotSent, ZooKeeperClient  # noqa: E402
from dokkaebi.harness.trace import Tracer  # noqa: E402

DEFINITE = [
    "NoNodeError",
    "NodeExistsError",
    "BadVersionError",
    "NotEmptyError",
    "NoAuthError",
    "NoChildrenForEphemeralsError",
    "EphemeralOnLocalSessionError",
    "InvalidACLError",
    "BadArgumentsError",
    "UnimplementedError",
    "NotReadOnlyCallError",
    "RolledBackError",
]

UNPROVEN = [
    "ConnectionLoss",
    "SessionExpiredError",
    "OperationTimeoutError",
    "SessionMovedError",
    "AuthFailedError",
    "ConnectionClosedError",
    "SystemZookeeperError",
    "RuntimeInconsistency",
    "DataInconsistency",
    "MarshallingError",
]

CREATE = serialization.Create("/a", b"", [], 0)
CHECK = serialization.CheckVersion("/a", 1)


def definite(error):
    return ZooKeeperClient.definite(object.__new__(ZooKeeperClient), error)


@pytest.mark.parametrize("name", DEFINITE)
def test_a_definite_error(name):
    assert definite(getattr(exceptions, name)())


@pytest.mark.parametrize("name", UNPROVEN)
def test_an_error_that_proves_nothing(name):
    assert not definite(getattr(exceptions, name)())


def test_every_row_is_tested():
    assert {error.__name__ for error in zookeeper_client.DEFINITE} == set(DEFINITE)


def test_nothing_was_sent():
    assert definite(NotSent("lost"))


def test_nobody_tries_again_what_cannot_be_sent():
    """Kazoo's recipes do, whatever else happens to a connection."""
    tries = []

    def call():
        tries.append(1)
        raise NotSent("lost")

    with pytest.raises(NotSent):
        KazooRetry(max_tries=-1, delay=0)(call)
    assert len(tries) == 1


@pytest.fixture
def ledger():
    one = Ledger(Tracer(epoch_ns=0), "zookeeper")
    one.muted = False
    return one


@pytest.mark.parametrize(
    ("request_", "value", "error", "wrote", "unanswered"),
    [
        (CREATE, "/a", None, True, 0),
        (CREATE, None, exceptions.NodeExistsError(), False, 0),
        (CREATE, None, exceptions.ConnectionLoss(), False, 1),
        (serialization.GetData("/a", None), None, exceptions.ConnectionLoss(), False, 0),
        (serialization.Transaction([CHECK, CREATE]), [True, "/a"], None, True, 0),
        (serialization.Transaction([CHECK]), [True], None, False, 0),
        (
            serialization.Transaction([CHECK, CREATE]),
            [exceptions.BadVersionError(), exceptions.RuntimeInconsistency()],
            None,
            False,
            0,
        ),
    ],
)
def test_the_account_of_an_operation(ledger, request_, value, error, wrote, unanswered):
    ledger.sent(request_)
    ledger.answered(request_, 0, value, error)
    assert (ledger.wrote, ledger.unanswered) == (wrote, unanswered)
    ledger.forget()
    assert (ledger.wrote, ledger.unanswered) == (False, 0)


def test_watchers_and_access_lists_are_not_recorded(ledger):
    ledger.answered(CREATE, 0, "/a", None)
    assert ledger.tracer.drain()[0][5:7] == ("Create", ["/a", b"", 0])
