"""Schedules drawn at random: whatever breaks in whatever order, a run ends with a verdict, everything
is healed, and nothing is left."""

import json
import os
import random

import psutil
import pytest

from dokkaebi.backends.etcd import Etcd
from dokkaebi.backends.mariadb import MariaDB
from dokkaebi.backends.nats import Nats
from dokkaebi.backends.rabbitmq import Rabbit
from dokkaebi.backends.zookeeper import ZooKeeper
from dokkaebi.compose import Servers, run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.faults import shortest
from dokkaebi.harness.plugins import find, registered
from dokkaebi.harness.spec import SECOND
from dokkaebi.results.live import Silent

SCHEDULES = int(os.environ.get("DOKKAEBI_SCHEDULES", "4"))
"""200 in `make soak`."""

TARGETS = (
    ("set/insert", "postgres", None),
    ("set/insert", "postgres", "replicas"),
    ("set/insert", "postgres", "sync"),
    ("set/sadd", "valkey", "replicas"),
    ("set/sadd", "valkey", "sentinel"),
    ("counter/update-in-place", "postgres", "pgbouncer"),
    ("lock/redlock", "valkey", "five"),
    *([("register/etcd-key", "etcd", None)] if Etcd.available() else []),
    *([("register/znode", "zookeeper", None)] if ZooKeeper.available() else []),
    *(
        [("set/insert-mariadb", "mariadb", topology) for topology in (None, *MariaDB.clusters)]
        if MariaDB.available()
        else []
    ),
    *(
        [("lock/rabbitmq-one-message", "rabbitmq", topology) for topology in Rabbit.topologies]
        if Rabbit.available()
        else []
    ),
    *([("queue/nats-at-least-once", "nats", None)] if Nats.available() else []),
)


@pytest.fixture(scope="module")
def servers(household):
    """Clusters that the runs of this module share, one after another."""
    with Servers(household) as shared:
        yield shared


def drawn(seed, servers):
    """A target, faults that can strike it (some two at once), and how long each lasts."""
    rng = random.Random(f"schedule {seed}")
    target, backend, topology = rng.choice(TARGETS)
    server = servers.get(backend, None, topology)
    can = [name for name in registered("faults") if find("faults", name)().missing(server) is None]
    faults = []
    for _ in range(rng.randint(1, 3)):
        parts = rng.sample(can, 2) if rng.random() < 0.3 and len(can) > 1 else [rng.choice(can)]
        faults.append("+".join(parts))
    return target, f"{backend}:{topology}" if topology else backend, faults, rng.uniform(0.2, 1.5)


def workers():
    """The worker processes that live."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if "dokkaebi.harness.worker" in process.cmdline():
                found.add(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_a_run_under_random_faults_ends_with_a_verdict_and_leaves_nothing(tmp_path, servers, seed):
    target, on, faults, seconds = drawn(seed, servers)
    faults = list(dict.fromkeys(faults))
    lasts = int(seconds * SECOND)
    wish = Wish(
        target=target,
        on=on,
        faults=faults,
        lasts=lasts,
        time=max(4 * SECOND, shortest(len(faults), lasts)),
        seed=seed,
    )
    told = f"{target} on {on}, {faults} of {seconds:.2f} s"
    before = workers()
    finished = run(wish, servers=servers, out=tmp_path, view=Silent())
    assert finished.result.verdict.verdict in ("holds", "violated", "unknown"), told
    folder = finished.result.folder
    notes = [json.loads(line) for line in (folder / "faults.jsonl").read_text().splitlines()]
    assert {note["id"] for note in notes if "at" in note} == {
        note["id"] for note in notes if "healed" in note
    }, told
    backend, _, topology = on.partition(":")
    server = servers.get(backend, None, topology or None)
    assert server.answers(), told
    assert not workers() - before, told
    assert not [p for p in server.processes() if p.status() == psutil.STATUS_STOPPED], told
