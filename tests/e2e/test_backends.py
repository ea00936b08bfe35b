"""The servers for real: their lives, and what their clients say about each operation."""

import asyncio
import threading
import time

import psycopg
import pytest
import redis
from places import Place, until

from dokkaebi import Broken, Unavailable, UsageError
from dokkaebi.backends.postgres import Postgres
from dokkaebi.backends.sqlite import Sqlite
from dokkaebi.backends.valkey import Valkey
from dokkaebi.harness.processes import living
from dokkaebi.harness.protocols import Kill, Logs, Pause

TABLE = "CREATE TABLE t (k int PRIMARY KEY, v int NOT NULL CHECK (v < 1000))"


# --- the life of a server ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["postgres_server", "valkey_server"])
def test_a_server_has_its_powers(name, request):
    server = request.getfixturevalue(name)
    assert server.answers()
    for power in (Kill, Pause, Logs):
        assert isinstance(server, power)
    assert server.processes()[0].is_running()
    assert server.logs()[0].exists()
    assert server.version[0].isdigit()


@pytest.mark.parametrize("name", ["postgres_server", "valkey_server"])
def test_pause_and_resume(name, request):
    server = request.getfixturevalue(name)
    stopped = server.pause()
    try:
        assert {process.status() for process in stopped} == {"stopped"}
        assert stopped[0] == server.processes()[0]
        assert not server.answers()
    finally:
        server.resume()
    assert until(server.answers)


def test_what_postgres_acknowledged_survives_kill_and_restart(postgres_server):
    place = Place(postgres_server, "kept")
    handle = place.open(autocommit=True).handle
    handle.execute(TABLE)
    handle.execute("INSERT INTO t VALUES (1, 1)")
    killed = postgres_server.kill()
    assert len(killed) > 5
    assert not living(killed)
    assert not postgres_server.answers()
    postgres_server.restart()
    again = place.open().handle
    assert again.execute("SELECT v FROM t").fetchone() == (1,)
    place.leave()


def test_what_valkey_acknowledged_survives_kill_and_restart(valkey_server):
    place = Place(valkey_server, "kept")
    place.open().handle.set("k", 1)
    assert len(valkey_server.kill()) == 1
    valkey_server.restart()
    assert place.open().handle.get("k") == b"1"
    place.leave()


def test_a_volatile_valkey_forgets(household):
    server = Valkey(household, topology="volatile")
    server.start()
    place = Place(server, "lost")
    place.open().handle.set("k", 1)
    server.kill()
    server.restart()
    assert place.open().handle.get("k") is None
    place.leave()
    server.stop()
    server.stop()
    assert not server.processes()


def test_the_older_postgres_of_the_wheel(household):
    try:
        server = Postgres(household, version="16")
    except Unavailable as missing:
        pytest.skip(str(missing))
    server.start()
    assert server.version.startswith("16")
    assert server.answers()
    server.stop()
    assert server.folder is not None
    assert not server.folder.exists()


@pytest.mark.parametrize("backend", [Postgres, Valkey])
def test_a_version_that_is_not_here_names_the_package(household, backend):
    with pytest.raises(Unavailable, match="install"):
        backend(household, version="7777")


@pytest.mark.parametrize("backend", [Postgres, Valkey, Sqlite])
def test_an_unknown_topology_is_refused(household, backend):
    with pytest.raises(UsageError, match="topology"):
        backend(household, topology="moebius")


def test_settings_that_differ_are_told(postgres_server, valkey_server):
    settings = postgres_server.settings()
    assert settings["fsync"] == "off"
    assert "data_directory" not in settings
    assert valkey_server.settings()["appendfsync"] == "always"


# --- a run's place -------------------------------------------------------------------------------


def test_sessions_are_counted_and_ended_by_their_name(postgres_server):
    place = Place(postgres_server, "named")
    mine, stranger = place.open(), psycopg.connect(postgres_server._admin_dsn())
    own = psycopg.connect(place.spec.dsn)  # what a strategy opens itself carries the name, too
    assert postgres_server.sessions() == 2
    own.execute("SELECT 1")
    postgres_server.terminate_sessions()
    assert until(lambda: postgres_server.sessions() == 0)
    with pytest.raises(psycopg.OperationalError):
        mine.handle.execute("SELECT 1")
    stranger.execute("SELECT 1")
    for one in (own, stranger):
        one.close()
    place.leave()


def test_valkeys_sessions_too(valkey_server):
    place = Place(valkey_server, "named")
    client = place.open()
    assert valkey_server.sessions() == 1
    valkey_server.terminate_sessions()
    assert until(lambda: valkey_server.sessions() == 0)
    with pytest.raises(redis.ConnectionError) as raised:
        client.handle.get("k")
    assert client.definite(raised.value)
    assert not client.may_have_written()
    with pytest.raises(Broken):
        client.settle()
    place.leave()


@pytest.mark.parametrize("autocommit", [True, False])
def test_the_isolation_reaches_every_kind_of_statement(postgres_server, autocommit):
    place = Place(postgres_server, "level", isolation="repeatable-read")
    handle = place.open(autocommit=autocommit).handle
    show = "SELECT current_setting('transaction_isolation')"
    assert handle.execute(show).fetchone() == ("repeatable read",)
    place.leave()
    with pytest.raises(UsageError, match="serializable"):
        postgres_server.prepare("level", isolation="snapshot")


def test_a_database_is_dropped_with_whoever_is_in_it(postgres_server):
    place = Place(postgres_server, "dropped")
    handle = place.open(autocommit=True).handle
    handle.execute(TABLE)
    handle.execute("BEGIN")
    handle.execute("INSERT INTO t VALUES (1, 1)")
    handle.execute("PREPARE TRANSACTION 'undecided'")
    postgres_server.finish()
    assert postgres_server._ask("SELECT 1 FROM pg_database WHERE datname LIKE 'dokkaebi%'") == []
    place.leave()


def test_valkey_is_empty_between_runs(valkey_server):
    place = Place(valkey_server, "first")
    place.open().handle.set("k", 1)
    place.leave()
    place = Place(valkey_server, "second")
    assert place.open().handle.dbsize() == 0
    place.leave()
    with pytest.raises(UsageError, match="isolation"):
        valkey_server.prepare("third", isolation="serializable")


# --- what PostgreSQL's clients say ---------------------------------------------------------------


@pytest.fixture
def place(postgres_server):
    one = Place(postgres_server, "accounts", isolation="serializable")
    with psycopg.connect(one.spec.dsn, autocommit=True) as setup:
        setup.execute(TABLE)
        setup.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
    yield one
    one.leave()


def conflict(place, client, *, at_commit):
    """Make a serialization failure: at the UPDATE, or as the answer to COMMIT."""
    other = place.open().handle
    mine = client.handle
    mine.execute("SELECT sum(v) FROM t")
    other.execute("SELECT sum(v) FROM t")
    if at_commit:
        mine.execute("UPDATE t SET v = v + 1 WHERE k = 1")
        other.execute("UPDATE t SET v = v + 1 WHERE k = 2")
        other.commit()
        mine.commit()
    else:
        other.execute("UPDATE t SET v = v + 1 WHERE k = 1")
        other.commit()
        mine.execute("UPDATE t SET v = v + 1 WHERE k = 2")
        mine.execute("UPDATE t SET v = v + 1 WHERE k = 1")


@pytest.mark.parametrize("at_commit", [True, False], ids=["at commit", "before"])
def test_a_serialization_failure_took_its_own_writes_with_it(place, at_commit):
    client = place.open()
    with pytest.raises(psycopg.errors.SerializationFailure) as raised:
        conflict(place, client, at_commit=at_commit)
    assert client.definite(raised.value)
    assert not client.may_have_written()
    assert client.settle() is not at_commit


def test_an_earlier_commit_of_the_same_operation_is_remembered(place):
    client = place.open()
    client.handle.execute("UPDATE t SET v = v + 1 WHERE k = 1")
    client.handle.commit()
    with pytest.raises(psycopg.errors.SerializationFailure) as raised:
        conflict(place, client, at_commit=False)
    assert client.definite(raised.value)
    assert client.may_have_written()
    client.settle()
    client.begin()
    assert not client.may_have_written()


def test_an_autocommitted_write_before_an_error(place):
    client = place.open(autocommit=True)
    client.handle.execute("UPDATE t SET v = v + 1 WHERE k = 1")
    with pytest.raises(psycopg.errors.UniqueViolation) as raised:
        client.handle.execute("INSERT INTO t VALUES (1, 1)")
    assert client.definite(raised.value)
    assert client.may_have_written()


def test_an_autocommitted_write_that_failed(place):
    client = place.open(autocommit=True)
    client.handle.execute("SELECT v FROM t")
    with pytest.raises(psycopg.errors.CheckViolation) as raised:
        client.handle.execute("UPDATE t SET v = 1000")
    assert client.definite(raised.value)
    assert not client.may_have_written()
    assert client.settle() is False


def test_a_commit_that_was_a_rollback(place):
    client = place.open()
    client.handle.execute("UPDATE t SET v = 5 WHERE k = 1")
    with pytest.raises(psycopg.errors.UniqueViolation):
        client.handle.execute("INSERT INTO t VALUES (1, 1)")
    client.handle.commit()
    assert client.suspicions() == ["COMMIT answered ROLLBACK"]
    assert not client.may_have_written()
    assert place.steps()[-1] == ("COMMIT", b"ROLLBACK", None)
    client.begin()
    assert not client.suspicions()


def test_savepoints_count_when_the_outer_transaction_commits(place):
    client = place.open()
    with client.handle.transaction():
        with client.handle.transaction():
            client.handle.execute("UPDATE t SET v = 1 WHERE k = 1")
        assert not client.may_have_written()
    assert client.may_have_written()
    words = [text.split()[0] for text, _, _ in place.steps()]
    assert words == ["BEGIN", "SAVEPOINT", "UPDATE", "RELEASE", "COMMIT"]


def test_a_transaction_left_open_is_rolled_back(place):
    client = place.open()
    client.handle.execute("UPDATE t SET v = 7 WHERE k = 1")
    assert client.left_open()
    assert not client.may_have_written()
    assert client.settle() is True
    assert client.settle() is False
    assert client.handle.execute("SELECT v FROM t WHERE k = 1").fetchone() == (0,)


@pytest.mark.parametrize("method", ["commit", "rollback"])
def test_a_void_commit_names_the_attribute(place, method):
    client = place.open(autocommit=True)
    client.handle.execute("UPDATE t SET v = 1 WHERE k = 1")
    with pytest.raises(UsageError, match=rf"{method}\(\).*`autocommit = False`"):
        getattr(client.handle, method)()
    client.handle.execute("BEGIN")
    getattr(client.handle, method)()
    plain = place.open()
    getattr(plain.handle, method)()


def test_the_trace_shows_what_was_sent_and_got(place):
    client = place.open()
    cursor = client.handle.execute("SELECT k, v FROM t WHERE k >= %s ORDER BY k", (1,))
    assert cursor.fetchall() == [(1, 0), (2, 0)]
    client.handle.execute("INSERT INTO t SELECT g, 0 FROM generate_series(3, 20) g")
    client.handle.execute("SELECT k FROM t ORDER BY k")
    client.handle.rollback()
    rows = place.tracer.drain()
    assert [row[5] for row in rows][:2] == [
        "BEGIN -- implicit",
        "SELECT k, v FROM t WHERE k >= %s ORDER BY k",
    ]
    assert rows[1][6:9] == ((1,), ((b"1", b"0"), (b"2", b"0")), None)
    assert rows[2][7] == b"INSERT 0 18"
    assert len(rows[3][7]) == 6
    assert rows[3][7][-1] == "… 20 rows"
    starts = [row[2] for row in rows]
    assert starts == sorted(starts)
    assert all(took > 0 for took in (row[3] for row in rows))


def test_every_way_to_write_is_accounted_for(place):
    client = place.open(autocommit=True)
    handle = client.handle

    def copy():
        with handle.cursor().copy("COPY t FROM STDIN") as rows:
            rows.write_row((50, 1))

    def pipeline():
        with handle.pipeline():
            handle.execute("UPDATE t SET v = 2 WHERE k = 1")

    def prepared_outside():
        psycopg.ClientCursor(handle).execute("UPDATE t SET v = 3 WHERE k = 1")

    ways = [
        lambda: handle.cursor().executemany("UPDATE t SET v = %s WHERE k = 1", [(1,), (2,)]),
        copy,
        pipeline,
        prepared_outside,
        lambda: list(handle.cursor().stream("UPDATE t SET v = 4 WHERE k = 1 RETURNING v")),
        lambda: handle.execute(b"UPDATE t SET v = 5 WHERE k = 1"),
        lambda: handle.execute(psycopg.sql.SQL("UPDATE t SET v = 6 WHERE k = 1")),
    ]
    for way in ways:
        client.begin()
        assert not client.may_have_written()
        way()
        assert client.may_have_written()


def test_a_named_cursor_reads(place):
    client = place.open()
    with client.handle.cursor("named") as cursor:
        cursor.execute("SELECT k FROM t ORDER BY k")
        assert cursor.fetchone() == (1,)
    client.handle.commit()
    assert not client.may_have_written()
    assert any(text.startswith("FETCH") for text, _, _ in place.steps())


def blocked(place, client, statement="UPDATE t SET v = 9 WHERE k = 1"):
    """Run a statement behind another session's row lock, in a thread; (thread, errors, other)."""
    other = place.open().handle
    other.execute("UPDATE t SET v = 8 WHERE k = 1")
    errors = []

    def run():
        try:
            client.handle.execute(statement)
        except psycopg.Error as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    waiting = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
    assert until(lambda: place.backend._ask(waiting, (client.conn,)))
    return thread, errors, other


@pytest.mark.parametrize("autocommit", [True, False])
def test_shutdown_frees_a_blocked_call_at_once(place, autocommit):
    client = place.open(autocommit=autocommit)
    thread, errors, other = blocked(place, client)
    began = time.monotonic()
    client.shutdown()
    thread.join(1.0)
    assert not thread.is_alive()
    assert time.monotonic() - began < 1.0
    assert not client.definite(errors[0])
    assert client.may_have_written()
    with pytest.raises((Broken, psycopg.Error)):
        client.settle()
    other.rollback()


def test_a_session_that_the_server_ended_lost_only_its_transaction(place):
    client = place.open()
    client.handle.execute("UPDATE t SET v = 1 WHERE k = 2")
    thread, errors, other = blocked(place, client)
    place.backend._ask("SELECT pg_terminate_backend(%s)", (client.conn,))
    thread.join(5.0)
    assert errors[0].sqlstate == "57P01"
    assert client.definite(errors[0])
    assert not client.may_have_written()
    other.rollback()


def test_closing_a_client_in_use_crashes_nothing(place):
    client = place.open()
    thread, _, other = blocked(place, client)
    client.close()
    thread.join(2.0)
    assert not thread.is_alive()
    other.rollback()


def test_the_asynchronous_client(place):
    async def run():
        client = await place.open(asynchronous=True)
        handle = client.handle
        async with handle.transaction():
            await handle.execute("UPDATE t SET v = 1 WHERE k = 1")
        assert client.may_have_written()
        client.begin()
        await handle.execute("SELECT v FROM t")
        assert await client.settle() is True
        assert await client.settle() is False
        with pytest.raises(psycopg.errors.CheckViolation) as raised:
            await handle.execute("UPDATE t SET v = 1000")
        assert client.definite(raised.value)
        assert not client.may_have_written()
        await client.close()
        voids = await place.open(asynchronous=True, autocommit=True)
        with pytest.raises(psycopg.errors.CheckViolation):
            await voids.handle.execute("UPDATE t SET v = 1000")
        with pytest.raises(UsageError, match="autocommit"):
            await voids.handle.commit()
        assert not voids.may_have_written()
        await voids.close()

    asyncio.run(run())
    assert [text for text, _, _ in place.steps()][:3] == [
        "BEGIN",
        "UPDATE t SET v = 1 WHERE k = 1",
        "COMMIT",
    ]


def test_shutdown_frees_an_asynchronous_call(place):
    other = place.open().handle
    other.execute("UPDATE t SET v = 8 WHERE k = 1")

    async def run():
        client = await place.open(asynchronous=True)
        timer = threading.Timer(0.2, client.shutdown)
        timer.start()
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            await client.handle.execute("UPDATE t SET v = 9 WHERE k = 1")
        assert time.monotonic() - began < 1.2
        assert client.may_have_written()
        await client.close()

    asyncio.run(run())
    other.rollback()


# --- what Valkey's clients say -------------------------------------------------------------------


@pytest.fixture
def keys(valkey_server):
    one = Place(valkey_server, "accounts")
    yield one
    one.leave()


def test_writes_reads_and_refusals(keys):
    client = keys.open()
    handle = client.handle
    assert handle.get("k") is None
    assert not client.may_have_written()
    handle.set("k", "v")
    assert client.may_have_written()
    client.begin()
    assert handle.set("k", "other", nx=True) is None
    assert not client.may_have_written()
    with pytest.raises(redis.ResponseError) as raised:
        handle.incr("k")
    assert client.definite(raised.value)
    assert not client.may_have_written()
    assert keys.steps()[1] == ("SET", b"OK", None)
    assert handle.get("k") == b"v"


def test_what_a_script_wrote_before_it_raised_stays(keys):
    client = keys.open()
    script = client.handle.register_script(
        "redis.call('set', KEYS[1], 'x'); return redis.call('incr', KEYS[1])"
    )
    with pytest.raises(redis.ResponseError) as raised:
        script(keys=["k"])
    assert client.may_have_written()
    assert client.definite(raised.value)  # of a single command it would be; the account says no
    assert client.handle.get("k") == b"x"
    sent = [text for text, _, _ in keys.steps()]
    assert sent[:3] == ["EVALSHA", "SCRIPT LOAD", "EVALSHA"]


def test_a_script_that_is_not_there_did_nothing(keys):
    client = keys.open()
    with pytest.raises(redis.exceptions.NoScriptError) as raised:
        client.handle.evalsha("0" * 40, 0)
    assert client.definite(raised.value)
    assert not client.may_have_written()


def test_a_transaction_counts_when_it_was_executed(keys):
    client, other = keys.open(), keys.open()
    with client.handle.pipeline() as pipe:
        pipe.watch("k")
        pipe.multi()
        pipe.set("k", 1)
        other.handle.set("k", 2)
        with pytest.raises(redis.WatchError) as raised:
            pipe.execute()
    assert client.definite(raised.value)
    assert not client.may_have_written()
    with client.handle.pipeline() as pipe:
        pipe.set("k", "text")
        pipe.incr("k")
        with pytest.raises(redis.ResponseError):
            pipe.execute()
    assert client.may_have_written()
    assert client.settle() is False


def test_a_transaction_that_was_refused_did_nothing(keys):
    client = keys.open()
    with client.handle.pipeline() as pipe:
        pipe.set("k", 1)
        pipe.execute_command("SET", "k")
        with pytest.raises(redis.ResponseError) as raised:
            pipe.execute()
    assert client.definite(raised.value)
    assert not client.may_have_written()


def test_what_was_left_open_is_reset(keys):
    client = keys.open()
    pipe = client.handle.pipeline()
    pipe.watch("k")
    assert client.settle() is True
    client.handle.execute_command("MULTI")
    assert client.left_open()
    assert client.settle() is True
    assert not client.left_open()
    assert client.settle() is False
    assert client.handle.set("k", 1) is True
    pipe.reset()


def test_the_drivers_hidden_retries_are_off(keys):
    handle = keys.open().handle
    assert handle.get_retry().get_retries() == 0
    assert handle.get_connection_kwargs()["socket_timeout"] == 5.0


def test_a_lost_connection_is_not_made_again(keys):
    client = keys.open()
    client.handle.set("k", 1)
    keys.backend.terminate_sessions()
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            client.handle.get("k")
    assert client.may_have_written()
    with pytest.raises(Broken):
        client.settle()


def test_a_connection_that_was_put_back_may_be_used_again(keys):
    client = keys.open()
    with client.handle.pubsub() as channel:
        channel.subscribe("c")
        assert client.settle() is False
        keys.open().handle.publish("c", "hello")
        messages = [channel.get_message(timeout=1.0) for _ in range(2)]
    assert messages[-1]["data"] == b"hello"
    assert client.settle() is False
    assert client.handle.set("k", 1) is True
    with client.handle.pubsub() as channel:
        channel.subscribe("c")
    assert client.handle.get("k") == b"1"


def test_a_redis_lock_is_traced_like_the_rest(keys):
    client = keys.open()
    with client.handle.lock("l", timeout=5):
        pass
    assert [text for text, _, _ in keys.steps() if text.startswith(("SET", "EVALSHA"))]


def test_shutdown_frees_a_blocked_command(keys):
    client = keys.open()
    errors = []

    def run():
        try:
            client.handle.blpop("none", timeout=4)
        except redis.ConnectionError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.1)
    client.shutdown()
    thread.join(1.0)
    assert not thread.is_alive()
    assert not client.definite(errors[0])
    assert client.may_have_written()


def test_valkeys_asynchronous_client(keys):
    async def run():
        client = await keys.open(asynchronous=True)
        handle = client.handle
        assert await handle.set("k", 1) is True
        assert client.may_have_written()
        client.begin()
        async with handle.pipeline() as pipe:
            pipe.get("k")
            assert await pipe.execute() == [b"1"]
        assert not client.may_have_written()
        assert await client.settle() is False
        timer = threading.Timer(0.1, client.shutdown)
        timer.start()
        with pytest.raises(redis.ConnectionError):
            await handle.blpop("none", timeout=4)
        assert client.may_have_written()
        with pytest.raises(Broken):
            await client.settle()
        await client.close()

    asyncio.run(run())
    assert [text for text, _, _ in keys.steps()][:2] == ["SET", "MULTI"]


# --- SQLite, and the servers of others -----------------------------------------------------------


def test_a_file_for_each_run(household):
    backend = Sqlite(household)
    assert not isinstance(backend, Kill)
    backend.start()
    place = Place(backend, "one", isolation="serializable")
    handle = place.open().handle
    handle.execute("CREATE TABLE t (k)")
    handle.execute("INSERT INTO t VALUES (1)")
    assert backend.sessions() == 1
    handle.rollback()
    assert backend.sessions() == 0
    place.leave()
    with pytest.raises(UsageError, match="serializable"):
        backend.prepare("two", isolation="read committed")
