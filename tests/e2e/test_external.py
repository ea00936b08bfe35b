"""Servers that somebody else runs (`--dsn`): a run's own place there, and nothing else."""

import subprocess
import sys
from urllib.parse import quote

import pymysql
import pytest
import redis
from places import Place, until

from dokkaebi import Broken, Unavailable, UsageError
from dokkaebi.backends import external_mariadb
from dokkaebi.backends.external import external
from dokkaebi.compose import Servers, run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.registry import harnesses_folder
from dokkaebi.harness.spec import SECOND
from dokkaebi.results.live import Silent

PASSWORD = "s:cr/t@"


@pytest.fixture
def mariadb_user(mariadb_server):
    """The address of a user who may do nothing but make databases for runs."""
    mariadb_server.ask(f"CREATE USER tenant@`%` IDENTIFIED BY '{PASSWORD}'")
    mariadb_server.ask(r"GRANT ALL ON `dokkaebi\_%`.* TO tenant@`%`")
    yield f"mysql://tenant:{quote(PASSWORD, safe='')}@127.0.0.1:{mariadb_server.port}"
    mariadb_server.ask("DROP USER tenant@`%`")


def databases(mariadb_server):
    return {name for (name,) in mariadb_server.ask(r"SHOW DATABASES LIKE 'dokkaebi\_%'")}


def test_an_external_postgres_gets_a_database_and_loses_it(postgres_server, household):
    server = external(postgres_server._admin_dsn(), household)
    server.start()
    assert server.version == postgres_server.version
    place = Place(server, "outside")
    assert place.open().handle.execute("SELECT current_database()").fetchone() == (
        "dokkaebi_outside",
    )
    place.leave()
    server.stop()
    assert server._ask("SELECT 1 FROM pg_database WHERE datname = 'dokkaebi_outside'") == []


ORPHAN = """
import sys, time
from dokkaebi.backends import external_mariadb
from dokkaebi.backends.external import external
from dokkaebi.harness.household import Household
household = Household()
external(sys.argv[1], household).prepare("orphan", isolation=None)
external(sys.argv[2], household).prepare("orphan", isolation=None)
external(sys.argv[3], household).prepare("orphan", isolation=None)
print("ready", flush=True)
time.sleep(60)
"""


def test_what_a_killed_harness_made_elsewhere_is_removed(
    postgres_server, valkey_server, mariadb_server, mariadb_user
):
    address = postgres_server._admin_dsn().replace("postgres@", "postgres:secret@")
    there = f"valkey://127.0.0.1:{valkey_server.port}/7"
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, address, there, mariadb_user],
        stdout=subprocess.PIPE,
        text=True,
    ) as harness:
        assert harness.stdout.readline() == "ready\n"
        (registry,) = harnesses_folder().glob(f"{harness.pid}-*")
        assert "drop_database" in registry.read_text()
        assert "secret" not in registry.read_text()
        assert quote(PASSWORD, safe="") not in registry.read_text()
        harness.kill()
    orphan = "SELECT 1 FROM pg_database WHERE datname = 'dokkaebi_orphan'"
    assert until(lambda: not postgres_server._ask(orphan))
    with redis.Redis(port=valkey_server.port, db=7) as left:
        assert until(lambda: left.dbsize() == 0)
    assert until(lambda: not databases(mariadb_server))
    assert until(lambda: not registry.exists())


def test_an_external_postgres_that_allows_no_database_is_refused(postgres_server):
    postgres_server._ask("CREATE ROLE humble LOGIN")
    dsn = postgres_server._admin_dsn().replace("postgres@", "humble@")
    with pytest.raises(UsageError, match="CREATEDB"):
        external(dsn).start()
    postgres_server._ask("DROP ROLE humble")


def test_an_external_valkey_must_be_empty_and_is_claimed(valkey_server, household):
    address = f"valkey://127.0.0.1:{valkey_server.port}"
    with redis.Redis(port=valkey_server.port, db=3) as precious:
        precious.set("precious", 1)
        with pytest.raises(UsageError, match="must be empty"):
            external(f"{address}/3", household).prepare("outside", isolation=None)
        server = external(f"{address}/5", household)
        server.start()
        place = Place(server, "outside")
        place.open().handle.set("k", 1)
        with pytest.raises(UsageError, match="run outside"):
            external(f"{address}/5").prepare("other", isolation=None)
        place.leave()
        server.stop()
        assert precious.get("precious") == b"1"
        precious.delete("precious")
    with redis.Redis(port=valkey_server.port, db=5) as left:
        assert left.dbsize() == 0


def test_an_address_where_nobody_answers(household):
    for scheme in ("postgresql", "mysql", "redis"):
        with pytest.raises(Unavailable, match="does not answer"):
            external(f"{scheme}://127.0.0.1:{household.free_port()}").start()


def test_an_external_mariadb_gets_a_database_and_loses_it(mariadb_server, mariadb_user, household):
    server = external(mariadb_user, household)
    server.start()
    assert server.version == mariadb_server.version
    assert server.answers()
    place = Place(server, "outside")
    with pymysql.connect(**mariadb_server.address()) as other:
        handle = place.open().handle
        handle.query("CREATE TABLE t (k int)")
        assert handle.db == b"dokkaebi_outside"
        assert databases(mariadb_server) == {"dokkaebi_outside"}
        assert server.sessions() == 1
        assert server.interrupt("terminate") == 1
        assert until(lambda: server.sessions() == 0)
        other.ping(reconnect=False)
    place.leave()
    assert databases(mariadb_server) == set()


def test_the_isolation_on_an_external_mariadb_is_that_of_the_runs_sessions_alone(
    mariadb_server, mariadb_user, household
):
    server = external(mariadb_user, household)
    place = Place(server, "level", isolation="serializable")
    asked = "SELECT @@tx_isolation"
    with place.open().handle.cursor() as cursor:
        cursor.execute(asked)
        assert cursor.fetchall() == (("SERIALIZABLE",),)
    assert "init_command=SET%20SESSION" in place.spec.dsn
    assert mariadb_server.ask(asked) == [("REPEATABLE-READ",)]
    place.leave()


def test_an_external_mariadb_that_allows_no_database_is_refused(mariadb_server, mariadb_user):
    mariadb_server.ask(r"REVOKE ALL ON `dokkaebi\_%`.* FROM tenant@`%`")
    server = external(mariadb_user)
    server.start()
    with pytest.raises(UsageError, match="GRANT ALL ON") as raised:
        server.prepare("outside", isolation=None)
    assert PASSWORD not in str(raised.value)
    assert quote(PASSWORD, safe="") not in str(raised.value)


def test_a_database_that_a_prepared_transaction_holds_is_left_and_said(
    mariadb_server, mariadb_user, monkeypatch
):
    monkeypatch.setattr(external_mariadb, "_LOCK_WAIT_S", 1)
    server = external(mariadb_user)
    place = Place(server, "held")
    handle = place.open(autocommit=True).handle
    for statement in (
        "CREATE TABLE t (k int)",
        "XA START 'mine'",
        "INSERT INTO t VALUES (1)",
        "XA END 'mine'",
        "XA PREPARE 'mine'",
    ):
        handle.query(statement)
    with pytest.raises(Broken, match="Lock wait timeout"):
        place.leave()
    mariadb_server.ask("XA ROLLBACK 'mine'")
    mariadb_server.ask("DROP DATABASE dokkaebi_held")


@pytest.mark.parametrize(
    ("strategy", "verdict"),
    [
        ("counter/select-then-update-mariadb", "violated"),
        ("counter/for-update-mariadb", "holds"),
    ],
)
def test_a_run_on_a_mariadb_of_somebody_elses(
    strategy, verdict, mariadb_server, mariadb_user, household, tmp_path
):
    wish = Wish(strategy=strategy, dsn=[mariadb_user], time=4 * SECOND, faults=["cancel"])
    with Servers(household) as servers:
        finished = run(wish, servers=servers, out=tmp_path, view=Silent())
    assert finished.result.verdict.verdict == verdict
    assert databases(mariadb_server) == set()
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert PASSWORD.encode() not in written
    assert quote(PASSWORD, safe="").encode() not in written
