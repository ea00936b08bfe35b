"""Servers that the end-to-end tests share, each in a household of this test process."""

import contextlib
import os
import signal

import pytest
from dockers import CannotHere, forwards_nothing, lacking, private_daemon

from dokkaebi.backends import containers, netns
from dokkaebi.backends.etcd import Etcd
from dokkaebi.backends.mariadb import MariaDB
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


@pytest.fixture(scope="session")
def docker_daemon(household):
    """A Docker daemon of our own while the tests last, or the machine's that rules its firewall.

    Skipped where the kernel refuses, with its words; what could be installed is a failure in CI.
    """
    absent = lacking()
    if absent is not None:
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(absent)
        if containers.missing() is not None:
            pytest.skip(f"{absent}; {containers.missing()}")
        yield
        return
    if forwards_nothing() and containers.missing() is None:
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(private_daemon(household))
        except CannotHere as refused:
            pytest.skip(str(refused))
        yield


@pytest.fixture(scope="session")
def demand(request):
    """Skip with what a provider lacks, or with who we are; but no nftables is a failure on CI's root."""

    def call(provider):
        if provider == "docker":
            request.getfixturevalue("docker_daemon")
        lacks = {"local": lambda: None, "netns": netns.missing, "docker": containers.missing}[
            provider
        ]()
        if lacks and provider != "local" and os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(lacks)
        if lacks:
            pytest.skip(lacks)

    return call


def started(backend, *arguments, **options):
    try:
        server = backend(*arguments, **options)
    except Unavailable as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    server.start()
    return server


def shared(backend, scope, **options):
    """A fixture: one of these servers, or clusters, for all tests of a scope."""

    @pytest.fixture(scope=scope)
    def server(household):
        one = started(backend, household, **options)
        yield one
        one.stop()

    return server


postgres_server = shared(Postgres, "session")
valkey_server = shared(Valkey, "session")
mariadb_server = shared(MariaDB, "module")
etcd_cluster = shared(Etcd, "module")
nats_cluster = shared(Nats, "module")
rabbitmq_server = shared(Rabbit, "module")
rabbitmq_cluster = shared(RabbitCluster, "module", topology="three")
zookeeper_cluster = shared(ZooKeeper, "module")
