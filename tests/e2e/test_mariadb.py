"""MariaDB for real: servers and the cluster, what their clients say about operations, strategies."""

import json
import threading
import time

import pytest
from places import Place, lent, outcome, until

from dokkaebi import Broken, Unavailable, UsageError
from dokkaebi.backends import mariadb_found
from dokkaebi.backends.mariadb import MariaDB
from dokkaebi.backends.mariadb_cluster import MariaDBCluster
from dokkaebi.backends.mariadb_raw import blocked, connect
from dokkaebi.compose import run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.plugins import strategies
from dokkaebi.harness.processes import living
from dokkaebi.harness.protocols import (
    Cluster,
    Interrupt,
    Kill,
    Lag,
    Logs,
    Pause,
    PowerLoss,
    Promote,
)
from dokkaebi.harness.spec import SECOND
from dokkaebi.results.live import Silent

pymysql = pytest.importorskip("pymysql")

TABLE = "CREATE TABLE t (k int PRIMARY KEY, v int NOT NULL)"


@pytest.fixture(scope="module")
def servers(household, mariadb_server):
    """Servers that the tests of this module share, one after another."""
    with lent(household, ("mariadb", "", mariadb_server)) as shared:
        yield shared


@pytest.fixture
def mariadb(mariadb_server):
    return mariadb_server


@pytest.fixture(params=["replicas", "semisync"])
def cluster(request, mariadb_server, servers):
    """After the single server, which says whether there is a MariaDB at all."""
    return servers.get("mariadb", None, request.param)


@pytest.fixture
def place(mariadb):
    one = Place(mariadb, "place")
    handle = one.open(autocommit=True).handle
    handle.query(TABLE)
    handle.query("INSERT INTO t VALUES (1, 1), (2, 2)")
    handle.close()
    yield one
    one.leave()


def rows(connection, question="SELECT k, v FROM t ORDER BY k", *values):
    with connection.cursor() as cursor:
        cursor.execute(question, values or None)
        return list(cursor.fetchall())


def values(connection):
    """What a connection sees now, whatever it saw before."""
    connection.rollback()
    return dict(rows(connection))


# --- the server ----------------------------------------------------------------------------------


def test_the_server_has_its_powers(mariadb):
    assert mariadb.answers()
    for power in (Kill, Pause, Logs, Interrupt, PowerLoss):
        assert isinstance(mariadb, power)
    assert mariadb.version[0].isdigit()
    assert mariadb.logs()[0].exists()
    assert mariadb.settings()["innodb_flush_log_at_trx_commit"] == "2"
    assert abs(mariadb.now() - time.time()) < 5


def test_what_was_acknowledged_survives_kill_and_restart(mariadb, place):
    handle = place.open().handle
    handle.query("INSERT INTO t VALUES (3, 3)")
    handle.commit()
    handle.query("INSERT INTO t VALUES (4, 4)")
    killed = mariadb.kill()
    assert killed
    assert not living(killed)
    assert not mariadb.answers()
    mariadb.restart()
    assert rows(place.open().handle) == [(1, 1), (2, 2), (3, 3)]


def test_pause_and_resume(mariadb):
    stopped = mariadb.pause()
    try:
        assert {process.status() for process in stopped} == {"stopped"}
        assert not mariadb.answers()
    finally:
        mariadb.resume()
    assert until(mariadb.answers)


def test_a_durable_server_says_so_and_leaves_nothing(household, mariadb):
    server = MariaDB(household, topology="durable")
    server.start()
    settings = server.settings()
    assert (settings["innodb_flush_log_at_trx_commit"], settings["sync_binlog"]) == ("1", "1")
    processes = server.processes()
    server.stop()
    server.stop()
    assert not living(processes)
    assert not server.folder.exists()


def test_what_is_not_here_is_refused_with_how_to_get_it(household, mariadb, monkeypatch):
    with pytest.raises(UsageError, match="topology"):
        MariaDB(household, topology="moebius")
    with pytest.raises(Unavailable, match="install mariadb-server"):
        MariaDB(household, version="7777")
    monkeypatch.setattr(mariadb_found, "find_spec", lambda name: None)
    assert MariaDB.available() == []
    with pytest.raises(Unavailable, match="pip install 'dokkaebi\\[mariadb\\]'"):
        MariaDB(household)


# --- a run's place -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "level", ["read-uncommitted", "read committed", "repeatable_read", "serializable"]
)
def test_the_isolation_reaches_every_session_and_survives_a_restart(mariadb, level):
    spec = mariadb.prepare("level", isolation=level)
    try:
        named = level.replace("_", "-").replace(" ", "-").upper()
        for again in (False, True):
            if again and level == "serializable":
                mariadb.kill()
                mariadb.restart()
            own = connect(spec.arguments)
            assert rows(own, "SELECT @@tx_isolation") == [(named,)]
            own.close()
    finally:
        mariadb.finish()
    assert mariadb.settings()["tx_isolation"] == "REPEATABLE-READ"


def test_an_unknown_isolation_is_refused(mariadb):
    with pytest.raises(UsageError, match="serializable"):
        mariadb.prepare("level", isolation="snapshot")


def test_sessions_are_counted_and_ended(mariadb, place):
    mine, other = place.open(), place.open()
    assert mariadb.sessions() == 2
    assert mariadb.interrupt("cancel") == 0
    assert mariadb.interrupt("terminate") == 2
    assert until(lambda: mariadb.sessions() == 0)
    assert outcome(mine, lambda: mine.handle.query("INSERT INTO t VALUES (7, 7)")) == "info"
    with pytest.raises(Broken):
        mine.settle()
    # That nothing was sent is certain once the driver knows that the connection is closed.
    assert outcome(mine, lambda: mine.handle.query("INSERT INTO t VALUES (7, 7)")) == "fail"
    assert other.conn != mine.conn


def test_a_statement_is_cancelled(mariadb, place):
    client = place.open()
    ended = []

    def sleep():
        ended.append(outcome(client, lambda: client.handle.query("SELECT sleep(20)")))

    thread = threading.Thread(target=sleep)
    thread.start()
    struck = []
    assert until(lambda: struck.append(mariadb.interrupt("cancel")) or any(struck), 5)
    thread.join(5)
    assert ended == ["fail"]


# --- what is sent --------------------------------------------------------------------------------


def test_what_is_sent_is_recorded_with_its_values(place):
    handle = place.open().handle
    place.steps()
    with handle.cursor() as cursor:
        cursor.execute("UPDATE t SET v = %s WHERE k = %s", (7, 1))
        cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(3, 3), (4, 4)])
    handle.commit()
    with handle.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute("SELECT v FROM t WHERE k = %s", (1,))
        assert cursor.fetchone() == {"v": 7}
    with pytest.raises(pymysql.err.IntegrityError):
        handle.query("INSERT INTO t VALUES (1, 1)")
    told = place.steps()
    assert [text for text, _, _ in told] == [
        "UPDATE t SET v = %s WHERE k = %s",
        "INSERT INTO t VALUES (%s, %s)",
        "COMMIT",
        "SELECT v FROM t WHERE k = 1",
        "INSERT INTO t VALUES (1, 1)",
    ]
    assert told[0][1] == "1 rows"
    assert told[-1][2] == "1062: Duplicate entry '1' for key 'PRIMARY'"


def test_a_connection_is_never_made_again(mariadb, place):
    """The driver's own `ping` and `connect` would, and hide what was lost."""
    client = place.open()
    client.handle.ping(reconnect=True)
    mariadb.terminate_sessions()
    assert until(lambda: mariadb.sessions() == 0)
    with pytest.raises(pymysql.err.MySQLError):
        client.handle.ping(reconnect=True)
    with pytest.raises(pymysql.err.InterfaceError, match="not made again"):
        client.handle.connect()
    assert not client.handle.open
    assert mariadb.sessions() == 0


def test_a_commit_that_would_do_nothing_raises(place):
    handle = place.open(autocommit=True).handle
    with pytest.raises(UsageError, match="autocommit = False"):
        handle.commit()
    handle.begin()
    handle.query("INSERT INTO t VALUES (5, 5)")
    handle.commit()


def test_coroutines_are_refused(place):
    with pytest.raises(UsageError, match="synchronous"):
        place.open(asynchronous=True)


# --- how operations end --------------------------------------------------------------------------


def waiting(server, client, call):
    """A call that is under way in a thread of its own, and waits for a lock; its outcome comes."""
    ended = []
    thread = threading.Thread(target=lambda: ended.append(outcome(client, call)))
    thread.start()
    assert until(lambda: blocked(server, [client.conn]), 5)
    return thread, ended


def test_a_deadlock_takes_the_whole_transaction_back(mariadb, place):
    one, two = place.open(), place.open()
    one.handle.query("UPDATE t SET v = 10 WHERE k = 1")
    thread, ended = waiting(mariadb, two, lambda: _twice(two, "UPDATE t SET v = 20 WHERE k = 2", 1))
    # Which of the two is ended is InnoDB's choice.
    first = outcome(one, lambda: one.handle.query("UPDATE t SET v = 10 WHERE k = 2"))
    one.settle()
    thread.join(5)
    two.settle()
    assert sorted([first, *ended]) == ["fail", "ok"]
    assert values(two.handle) == {1: 1, 2: 2}


def _twice(client, statement, key):
    client.handle.query(statement)
    client.handle.query(f"UPDATE t SET v = 20 WHERE k = {key}")


def test_a_changed_row_takes_the_whole_transaction_back(place):
    one, two = place.open(), place.open()
    one.handle.query("SET SESSION innodb_snapshot_isolation = ON")

    def overtaken():
        one.handle.query("UPDATE t SET v = 30 WHERE k = 2")
        rows(one.handle)
        two.handle.query("UPDATE t SET v = 10 WHERE k = 1")
        two.handle.commit()
        one.handle.query("UPDATE t SET v = v + 1 WHERE k = 1")

    assert outcome(one, overtaken) == "fail"
    assert not one.left_open()
    assert values(two.handle) == {1: 10, 2: 2}


def test_a_lock_that_is_not_given_takes_back_the_statement_only(place):
    """1205: what came before it is still open; whoever commits keeps it."""
    one, two = place.open(), place.open()
    one.handle.query("SET SESSION innodb_lock_wait_timeout = 1")
    two.handle.query("UPDATE t SET v = 20 WHERE k = 2")

    def refused():
        one.handle.query("UPDATE t SET v = 10 WHERE k = 2")

    def refused_after_a_write():
        one.handle.query("UPDATE t SET v = 10 WHERE k = 1")
        refused()

    assert outcome(one, refused) == "fail"
    one.settle()
    assert outcome(one, refused_after_a_write) == "info"
    assert one.left_open()
    one.handle.commit()
    two.settle()
    assert values(two.handle) == {1: 10, 2: 2}


def test_a_refused_insert_fails_and_what_came_before_does_not(place):
    client = place.open()
    insert = "INSERT INTO t VALUES (1, 1)"
    assert outcome(client, lambda: client.handle.query(insert)) == "fail"
    client.settle()

    def after_a_commit():
        client.handle.query("UPDATE t SET v = 5 WHERE k = 2")
        client.handle.commit()
        client.handle.query(insert)

    assert outcome(client, after_a_commit) == "info"


def test_a_table_that_cannot_be_made_commits_what_was_open(place):
    client, other = place.open(), place.open()

    def defined():
        client.handle.query("UPDATE t SET v = 5 WHERE k = 2")
        client.handle.query(TABLE)

    assert outcome(client, defined) == "info"
    assert values(other.handle)[2] == 5


def test_a_statement_that_was_interrupted_alone_may_have_been_committed(mariadb, place):
    holder, alone, inside = place.open(), place.open(autocommit=True), place.open()
    holder.handle.query("UPDATE t SET v = 9 WHERE k = 1")
    for client, expected in ((alone, "info"), (inside, "fail")):
        thread, ended = waiting(
            mariadb, client, lambda c=client: c.handle.query("UPDATE t SET v = 8 WHERE k = 1")
        )
        mariadb.ask(f"KILL QUERY {client.conn}")
        thread.join(5)
        assert ended == [expected]


def test_a_commit_without_an_answer_is_indeterminate(mariadb, place):
    client = place.open()

    def unanswered():
        client.handle.query("UPDATE t SET v = 5 WHERE k = 2")
        mariadb.pause()
        try:
            threading.Timer(0.3, client.shutdown).start()
            client.handle.commit()
        finally:
            mariadb.resume()

    assert outcome(client, unanswered) == "info"


def test_a_server_that_stands_still_is_not_waited_for(mariadb, place):
    client = place.open()
    mariadb.pause()
    try:
        began = time.monotonic()
        with pytest.raises(pymysql.err.OperationalError):
            place.open(timeout_s=1)
        assert time.monotonic() - began < 10
    finally:
        mariadb.resume()
    # Once it is open, only the operation's own deadline ends a wait.
    client.handle.query("SELECT sleep(3)")
    assert client.handle._sock.gettimeout() is None


def test_what_is_left_open_is_rolled_back(place):
    client, other = place.open(), place.open()
    rows(client.handle)  # a read alone opens one, and would go on showing this moment
    assert client.left_open()
    assert client.settle()
    other.handle.query("UPDATE t SET v = 7 WHERE k = 1")
    other.handle.commit()
    client.handle.query("UPDATE t SET v = 8 WHERE k = 2")
    client.settle()
    assert rows(client.handle) == [(1, 7), (2, 2)]
    client.settle()
    assert not client.settle()


def test_a_schedules_connections_have_their_levels_and_are_seen_to_wait(mariadb, place):
    one = connect(place.spec.arguments, isolation="read committed")
    two = connect(place.spec.arguments, isolation="serializable")
    three = connect(place.spec.arguments, snapshot=True)
    level = "SELECT @@tx_isolation, @@innodb_snapshot_isolation"
    assert [rows(each, level) for each in (one, two, three)] == [
        [("READ-COMMITTED", 0)],
        [("SERIALIZABLE", 0)],
        [("REPEATABLE-READ", 1)],
    ]
    one.query("UPDATE t SET v = 3 WHERE k = 1")
    ids = {one.thread_id(), two.thread_id()}
    assert blocked(mariadb, ids) == set()
    thread = threading.Thread(target=lambda: rows(two))
    thread.start()
    assert until(lambda: blocked(mariadb, ids) == {two.thread_id()}, 5)
    one.commit()
    thread.join(5)
    assert until(lambda: blocked(mariadb, ids) == set(), 5)
    for each in (one, two, three):
        each.close()


# --- the cluster ---------------------------------------------------------------------------------


def test_the_replica_has_what_the_primary_has_and_takes_no_writes(cluster):
    for power in (Cluster, Kill, Pause, Logs, Promote, Lag, Interrupt):
        assert isinstance(cluster, power)
    place = Place(cluster, "replica")
    try:
        primary = place.open(autocommit=True).handle
        primary.query(TABLE)
        primary.query("INSERT INTO t VALUES (1, 1)")
        replica = place.open(node=place.spec.node("replica", 0).name)
        assert until(lambda: cluster.behind(cluster.nodes[1]) == 0)
        assert values(replica.handle) == {1: 1}
        write = "INSERT INTO t VALUES (2, 2)"
        assert outcome(replica, lambda: replica.handle.query(write)) == "fail"
    finally:
        place.leave()


def test_a_replica_that_is_held_back_falls_behind_and_catches_up(cluster):
    place = Place(cluster, "lag")
    replica = next(node for node in cluster.nodes if node is not cluster.leader)
    try:
        handle = place.open(autocommit=True).handle
        handle.query(TABLE)
        cluster.hold_back(replica)
        handle.query("INSERT INTO t VALUES (1, 1)")
        assert until(lambda: cluster.behind(replica) > 0)
        cluster.let_go(replica)
        assert until(lambda: cluster.behind(replica) == 0)
    finally:
        place.leave()


def test_a_killed_primary_comes_back_and_is_followed(cluster):
    before = cluster.leader
    assert before.kill()
    assert not cluster.ready()
    cluster.restart()
    assert cluster.ready()
    assert cluster.leader is before


def test_after_a_failover_the_old_primary_is_made_anew(cluster):
    """What it alone knew is gone; what the replica had received is there."""
    place = Place(cluster, "failover")
    old = cluster.leader
    other = next(node for node in cluster.nodes if node is not old)
    try:
        handle = place.open(autocommit=True).handle
        handle.query(TABLE)
        handle.query("INSERT INTO t VALUES (1, 1)")
        assert until(lambda: cluster.behind(other) == 0)
        cluster.cut([(old.name, other.name), (other.name, old.name)])
        ended = []
        lost = place.open(autocommit=True)
        thread = threading.Thread(
            target=lambda: ended.append(
                outcome(lost, lambda: lost.handle.query("INSERT INTO t VALUES (2, 2)"))
            )
        )
        thread.start()
        thread.join(1)
        # Only where the replica must have it does its commit wait.
        assert bool(ended) == (cluster.topology == "replicas")
        assert until(lambda: cluster.held().bytes > 0)
        old.kill()
        assert cluster.promote() is other
        thread.join(5)
        assert ended == ["ok" if cluster.topology == "replicas" else "info"]
        cluster.reconnect()
        cluster.rejoin()
        assert (other.role(), old.role()) == ("primary", "replica")
        assert values(place.open().handle) == {1: 1}
        assert values(place.open(node=old.name).handle) == {1: 1}
    finally:
        cluster.reconnect()
        place.leave()


def test_isolation_reaches_the_replica(cluster):
    spec = cluster.prepare("levels", isolation="serializable")
    try:
        for node in spec.nodes:
            one = connect(node.arguments)
            assert rows(one, "SELECT @@tx_isolation") == [("SERIALIZABLE",)]
            one.close()
    finally:
        cluster.finish()


def test_a_cluster_leaves_nothing(household, mariadb):
    cluster = MariaDBCluster(household)
    try:
        cluster.start()
        processes = cluster.processes()
        assert len(processes) >= 2
    finally:
        cluster.stop()
    assert not living(processes)


# --- strategies ----------------------------------------------------------------------------------

ELSEWHERE = ("append", "wr", "set", "unique", "constraint")
"""Their strategies are tried in test_catalogue.py."""

MINE = {
    name: strategy
    for name, strategy in strategies().items()
    if strategy.needs == ("mariadb",)
    and (strategy.expect == "live" or name.partition("/")[0] not in ELSEWHERE)
}


@pytest.fixture
def judged(tmp_path, mariadb, servers):
    """Run one test; answers its result as `--json` prints it."""

    def call(target, *, seconds=3, **options):
        wish = Wish(target=target, time=seconds * SECOND, seed=1, **options)
        finished = run(wish, servers=servers, out=tmp_path, view=Silent())
        return json.loads(finished.result.to_json())

    return call


@pytest.mark.parametrize("name", MINE)
def test_a_strategy_is_what_it_says(judged, name):
    strategy = MINE[name]
    said = judged(name, faults=[])
    kinds = {found["kind"] for found in said["anomalies"]}
    types = {found["type"] for found in said["anomalies"]}
    if strategy.expect == "safe":
        assert (said["verdict"], said["reason"]) == ("holds", "")
    elif strategy.expect == "unsafe":
        assert said["verdict"] == "violated"
        assert strategy.anomaly in types
    else:
        assert "safety" not in kinds
        assert strategy.anomaly in types or (
            strategy.anomaly == "deadlock" and said["stats"]["deadlocks"] > 0
        )


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("counter/snapshot-isolation-retry", "kill"),
        ("bank/for-update-ordered-mariadb", "kill-client"),
        ("set/insert-mariadb", "kill"),
        ("unique/unique-index-mariadb", "terminate"),
        ("counter/optimistic-version-mariadb", "cancel"),
    ],
)
def test_a_safe_strategy_holds_under_a_fault(judged, name, fault):
    said = judged(name, seconds=4, faults=[fault])
    assert (said["verdict"], said["reason"]) == ("holds", "")
    assert said["faults"][0]["took_effect"]


def test_a_failover_loses_what_the_replica_did_not_have(tmp_path, mariadb, servers):
    for name, verdict in (
        ("set/async-failover-mariadb", "violated"),
        ("set/semisync-failover", "holds"),
    ):
        finished = run(Wish(target=name, seed=1), servers=servers, out=tmp_path, view=Silent())
        said = json.loads(finished.result.to_json())
        assert said["verdict"] == verdict, said["reason"]
        assert all(each["took_effect"] for each in said["faults"])
