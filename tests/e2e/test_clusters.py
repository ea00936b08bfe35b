"""Clusters for real: they become ready, they break and heal, and the strategies that show it."""

import json
import time

import psycopg
import pytest
import redis

from dokkaebi import UsageError
from dokkaebi.backends import postgres_cluster
from dokkaebi.backends.postgres_cluster import PostgresCluster
from dokkaebi.backends.valkey_cluster import ValkeyCluster
from dokkaebi.compose import Servers, run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.protocols import CLIENTS
from dokkaebi.harness.spec import SECOND
from dokkaebi.results.live import Silent


@pytest.fixture(scope="module")
def servers(household):
    """Clusters that the runs of this module share, one after another."""
    with Servers(household) as shared:
        yield shared


@pytest.fixture
def judged(tmp_path, servers):
    """Run one test; answers its result as `--json` prints it."""

    def call(target, **options):
        wish = Wish(target=target, seed=1, **options)
        finished = run(wish, servers=servers, out=tmp_path, view=Silent())
        return json.loads(finished.result.to_json())

    return call


# --- the clusters themselves -----------------------------------------------------------------------


@pytest.fixture(scope="module", params=["replicas", "sync"])
def postgres(request, servers):
    return servers.get("postgres", None, request.param)


@pytest.fixture(scope="module", params=["replicas", "sentinel", "five"])
def valkey(request, servers):
    return servers.get("valkey", None, request.param)


def until(true, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def test_every_standby_has_what_the_primary_has(postgres):
    spec = postgres.prepare("test_standbys", isolation="serializable")
    try:
        with psycopg.connect(spec.dsn, autocommit=True) as primary:
            primary.execute("CREATE TABLE t (x int)")
            primary.execute("INSERT INTO t VALUES (1)")
        assert sorted(node.role for node in spec.nodes) == ["primary", "replica", "replica"]
        for node in spec.nodes:
            with psycopg.connect(node.dsn, autocommit=True) as one:

                def there(one=one):
                    found = one.execute("SELECT to_regclass('t')").fetchone()
                    return found != (None,) and one.execute("SELECT x FROM t").fetchall() == [(1,)]

                assert until(there)
                ((level,),) = one.execute("SHOW transaction_isolation").fetchall()
                assert level == ("serializable" if node.role == "primary" else "repeatable read")
    finally:
        postgres.finish()


def test_a_node_is_asked_for_by_role_or_name(postgres):
    spec = postgres.prepare("test_names", isolation=None)
    try:
        assert spec.node("replica", 1).role == "replica"
        assert spec.node("n2", 0).name == "n2"
        with pytest.raises(LookupError, match=r"no replica 2: it has n1"):
            spec.node("replica", 2)
    finally:
        postgres.finish()


def test_a_killed_primary_comes_back_and_is_followed(postgres):
    before = postgres.leader
    assert postgres.leader.kill()
    assert not postgres.ready()
    postgres.restart()
    assert postgres.ready()
    assert postgres.leader is before


def test_after_a_failover_the_old_primary_follows_the_new_one(postgres):
    old = postgres.leader
    old.kill()
    new = postgres.promote()
    assert new is not old
    assert new.role() == "primary"
    postgres.rejoin()
    assert old.role() == "replica"
    assert postgres.ready()


def test_a_standby_that_has_more_than_the_new_primary_follows_it_too(postgres):
    old = postgres.leader
    behind, ahead = [node for node in postgres.nodes if node is not old]
    postgres.cut([(old.name, behind.name), (behind.name, old.name)])
    try:
        old.ask("CREATE TABLE only_some_have_this AS SELECT generate_series(1, 1000)")
        assert until(lambda: ahead.received() > behind.received())
        assert postgres.promote(most=False) is behind
    finally:
        postgres.reconnect()
    postgres.rejoin()
    assert postgres.answers()
    ((timeline,),) = behind.ask(postgres_cluster.TIMELINE)
    assert timeline > 1
    for node in (old, ahead):
        assert node.ask(postgres_cluster.RECEIVED) == [(timeline,)]
    target = behind.applied()
    assert until(lambda: all(node.applied() >= target for node in postgres.nodes))


def test_a_replica_that_is_held_back_falls_behind_and_catches_up(postgres):
    replica = next(node for node in postgres.nodes if node is not postgres.leader)
    postgres.hold_back(replica)
    postgres.leader.ask("SELECT pg_create_restore_point('moved')")
    assert until(lambda: postgres.behind(replica) > 0)
    postgres.let_go(replica)
    assert until(lambda: postgres.behind(replica) == 0)


def test_a_cut_client_hangs_and_goes_on_after_the_healing(valkey):
    spec = valkey.prepare("test_cut", isolation=None)
    node = spec.node("server" if valkey.topology == "five" else "primary", 0)
    client = redis.Redis.from_url(node.dsn, socket_timeout=0.3)
    try:
        client.set("k", 1)
        began = time.monotonic()
        valkey.cut([(CLIENTS, node.name), (node.name, CLIENTS)])
        assert time.monotonic() - began < 0.1
        with pytest.raises(redis.TimeoutError):
            client.get("k")
        assert valkey.held().bytes > 0
        began = time.monotonic()
        valkey.reconnect()
        assert time.monotonic() - began < 0.1
        assert until(lambda: client.ping(), 1.0)
        assert valkey.held().bytes == 0
    finally:
        client.close()
        valkey.reconnect()
        valkey.finish()


def test_what_was_sent_into_a_cut_one_way_arrives_but_no_answer_does(valkey):
    spec = valkey.prepare("test_one_way", isolation=None)
    node = spec.node("server" if valkey.topology == "five" else "primary", 0)
    client = redis.Redis.from_url(node.dsn, socket_timeout=0.3)
    try:
        client.set("k", 1)
        valkey.cut([(node.name, CLIENTS)])
        with pytest.raises(redis.TimeoutError):
            client.set("k", 2)
        (struck,) = (each for each in valkey.nodes if each.name == node.name)
        with struck.admin() as server:
            assert server.get("k") == "2"
    finally:
        valkey.reconnect()
        client.close()
        valkey.finish()


def test_slow_links_keep_the_order_of_what_they_carry(valkey):
    spec = valkey.prepare("test_slow", isolation=None)
    node = spec.node("server" if valkey.topology == "five" else "primary", 0)
    client = redis.Redis.from_url(node.dsn)
    try:
        client.ping()
        for delay in (0.03, 0.0, 0.03, 0.0):
            valkey.slow([(CLIENTS, node.name)] if delay else [], delay_s=delay)
            client.rpush("list", *range(100))
        began = time.monotonic()
        valkey.slow([(CLIENTS, node.name)], delay_s=0.05)
        assert client.lrange("list", 0, -1) == [b"%d" % n for n in range(100)] * 4
        assert time.monotonic() - began >= 0.05
        assert valkey.held().slowed > 0
    finally:
        valkey.reconnect()
        client.close()
        valkey.finish()


@pytest.mark.parametrize("make", [PostgresCluster, ValkeyCluster])
def test_a_cluster_of_three_is_ready_soon_and_leaves_nothing(household, make):
    cluster = make(household)
    began = time.monotonic()
    try:
        cluster.start()
        ready = time.monotonic() - began
        assert cluster.ready()
        processes = cluster.processes()
        assert len(processes) >= 3
    finally:
        began = time.monotonic()
        cluster.stop()
    assert time.monotonic() - began < 3
    assert not [process for process in processes if process.is_running()]
    # 5 s are promised; three times that for a machine that has other things to do.
    assert ready < 15


def test_a_primary_that_was_stopped_goes_on_where_nobody_could_be_promoted(judged):
    # After a rolling restart nobody is a ready replica yet; what heals first waits for all nodes.
    both = "rolling-restart+failover-resumed"
    said = judged("set/sadd", on="valkey:replicas", faults=[both], lasts=SECOND // 3)
    assert {fault["name"] for fault in said["faults"]} == set(both.split("+"))


def test_a_new_primary_that_was_killed_too_is_started_before_anybody_follows_it(judged):
    said = judged("set/insert", on="postgres:replicas", faults=["failover+kill-primary"])
    assert [fault["took_effect"] for fault in said["faults"]] == [
        fault["count"] for fault in said["faults"]
    ]


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("set/insert", "kill+clock"),
        ("set/async-failover", "kill-primary+clock"),
        ("lock/redlock-jumping-clocks", "kill-minority+clock-majority"),
    ],
)
def test_the_clock_of_a_server_that_is_down_cannot_be_read_and_nothing_breaks(judged, name, faults):
    said = judged(name, faults=[faults], lasts=2 * SECOND)
    assert {fault["name"] for fault in said["faults"]} == set(faults.split("+"))


@pytest.mark.parametrize("failover", ["failover", "failover-running"])
def test_who_is_no_replica_any_more_cannot_be_held_back_and_that_is_said(
    judged, tmp_path, failover
):
    """The old primary is down, or thinks that it is one still."""
    said = judged("set/insert", on="postgres:replicas", faults=[f"{failover}+lag"])
    took = {fault["name"]: fault["took_effect"] for fault in said["faults"]}
    assert took[failover] >= 1
    lines = (tmp_path / "latest" / "history.jsonl").read_text().splitlines()
    lags = [
        op["ext"]["evidence"] for op in map(json.loads, lines) if op["f"] == "lag" and "ext" in op
    ]
    assert lags
    assert all("could not be held back" in sentence for sentence in lags)


def test_sessions_of_a_server_that_is_down_cannot_be_ended_and_that_is_said(judged):
    said = judged("set/insert", on="postgres", faults=["kill+terminate"], lasts=2 * SECOND)
    took = {fault["name"]: fault["took_effect"] for fault in said["faults"]}
    assert took["kill"] >= 1
    assert took["terminate"] == 0


@pytest.mark.parametrize(
    ("name", "fault", "sentence"),
    [
        ("set/insert", "partition", "no links of ours to cut"),
        ("set/insert", "failover", "no replica to promote"),
        ("set/insert", "kill-replicas", "no cluster"),
        ("set/async-replication", "partition-bridge", "can express only"),
        ("set/async-failover", "partition-ring", "needs 4 nodes; this cluster of postgres has 3"),
        ("lock/redlock", "lag", "no replica to hold back"),
    ],
)
def test_a_fault_that_cannot_be_expressed_is_refused(judged, name, fault, sentence):
    with pytest.raises(UsageError, match=sentence):
        judged(name, faults=[fault])
