"""The SQLite client on a file: its account, its trace, its end of transactions."""

import sqlite3

import pytest

from dokkaebi import UsageError
from dokkaebi.backends.sqlite_client import open_client, reads_only
from dokkaebi.harness.protocols import ClientOptions
from dokkaebi.harness.trace import Tracer


@pytest.fixture
def connect(tmp_path):
    opened = []

    def open_(**options):
        tracer = Tracer(epoch_ns=0)
        client = open_client(
            {"path": str(tmp_path / "t.db"), "node": "sqlite"},
            ClientOptions(tracer=tracer, **options),
        )
        opened.append(client)
        return client, client.handle, tracer

    client, handle, _ = open_()
    handle.executescript("CREATE TABLE t (k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 0)")
    client.begin()
    yield open_
    for client in opened:
        client.close()


def sent(tracer):
    return [(row[5], row[7]) for row in tracer.drain()]


def test_a_write_counts_once_it_is_committed(connect):
    client, handle, tracer = connect()
    handle.execute("UPDATE t SET v = v + 1 WHERE k = ?", (1,))
    assert client.left_open()
    assert not client.may_have_written()
    handle.commit()
    assert client.may_have_written()
    assert sent(tracer) == [
        ("BEGIN -- implicit", None),
        ("UPDATE t SET v = v + 1 WHERE k = ?", "1 rows"),
        ("COMMIT", None),
    ]


def test_settle_rolls_back(connect):
    client, handle, _ = connect()
    assert client.settle() is False
    handle.execute("UPDATE t SET v = 9")
    assert client.settle() is True
    assert not client.may_have_written()
    assert handle.execute("SELECT v FROM t").fetchone() == (0,)


def test_with_commits_and_is_traced(connect):
    client, handle, tracer = connect()
    with handle:
        handle.execute("UPDATE t SET v = 1")
    assert client.may_have_written()
    assert sent(tracer)[-1] == ("COMMIT", None)
    client.begin()
    with pytest.raises(sqlite3.IntegrityError), handle:
        handle.executemany("INSERT INTO t VALUES (?, 0)", [(2,), (1,)])
    assert not client.may_have_written()


def test_autocommit_writes_at_once_and_refuses_a_void_commit(connect):
    client, handle, _ = connect(autocommit=True)
    handle.execute("UPDATE t SET v = 1")
    assert client.may_have_written()
    with pytest.raises(UsageError, match="autocommit"):
        handle.commit()


def test_a_constraint_is_definite(connect):
    client, handle, _ = connect()
    with pytest.raises(sqlite3.IntegrityError) as raised:
        handle.execute("INSERT INTO t VALUES (1, 1)")
    assert client.definite(raised.value)
    assert not client.may_have_written()


def test_a_busy_commit_is_definite_and_rolled_back(connect):
    client, handle, _ = connect()
    _, other, _ = connect()
    handle.execute("PRAGMA busy_timeout = 0")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as raised:
        handle.execute("UPDATE t SET v = 1")
    assert client.definite(raised.value)
    assert not client.may_have_written()
    client.settle()
    other.rollback()


def test_fetched_rows_are_seen_and_not_taken(connect):
    _, handle, tracer = connect()
    handle.executemany("INSERT INTO t VALUES (?, ?)", [(k, k) for k in range(2, 20)])
    handle.commit()
    tracer.drain()
    assert len(handle.execute("SELECT k FROM t").fetchall()) == 19
    assert [row[0] for row in handle.execute("SELECT k FROM t LIMIT 2")] == [1, 2]
    ((_, many), (_, two)) = sent(tracer)
    assert many == [(1,), (2,), (3,), (4,), (5,)]
    assert two == [(1,), (2,)]


def test_a_script_counts_whatever_it_says(connect):
    client, handle, _ = connect()
    handle.executescript("SELECT 1")
    assert client.may_have_written()


def test_there_is_no_asynchronous_client(connect):
    with pytest.raises(UsageError, match="synchronous"):
        connect(asynchronous=True)


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("SELECT 1", True),
        ("-- x\n/* y */ select 1", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", True),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", False),
        ("UPDATE t SET v = 1", False),
        ("REPLACE INTO t VALUES (1, 1)", False),
    ],
)
def test_what_reads_only(text, reads):
    assert reads_only(text) is reads
