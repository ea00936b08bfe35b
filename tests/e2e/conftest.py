"""Servers that the end-to-end tests share, each in a household of this test process."""

import os
import signal

import pytest

from dokkaebi.backends.etcd import Etcd
from dokkaebi.backends.nats import Nats
from dokkaebi.backends.postgres import Postgres
from dokkaebi.backends.rabbitmq import Rabbit, RabbitCluster
from dokkaebi.backends.valkey import Valkey
from dokkaebi.backends.zookeeper import ZooKeeper
from dokkaebi.harness.errors import Unavailable
from dokkaebi.harness.household import Household


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory):
    """No test looks at, or heals, what the user's own harnesses left."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("state")
        patch.setenv("DOKKAEBI_STATE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def heard_interrupts():
    """A shell starts background commands deaf to Ctrl-C, and children would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def household(state_folder):
    with Household() as one:
        yield one


def started(backend, *arguments, **options):
    try:
        server = backend(*arguments, **options)
    except Unavailable as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    server.start()
    return server


@pytest.fixture(scope="session")
def postgres_server(household):
    server = started(Postgres, household)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey_server(household):
    server = started(Valkey, household)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def etcd_cluster(household):
    cluster = started(Etcd, household)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def nats_cluster(household):
    cluster = started(Nats, household)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def rabbitmq_server(household):
    server = started(Rabbit, household)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def rabbitmq_cluster(household):
    cluster = started(RabbitCluster, household, topology="three")
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def zookeeper_cluster(household):
    cluster = started(ZooKeeper, household)
    yield cluster
    cluster.stop()
