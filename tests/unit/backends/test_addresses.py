"""Addresses: what a run's sessions are told to connect to, and what may be written to disk."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from dokkaebi import UsageError
from dokkaebi.backends.external import external
from dokkaebi.backends.external_mariadb import ExternalMariaDB, arguments
from dokkaebi.backends.external_postgres import ExternalPostgres
from dokkaebi.backends.external_undo import without_password
from dokkaebi.backends.external_valkey import ExternalValkey
from dokkaebi.backends.postgres_runs import isolation_name, run_dsn
from dokkaebi.backends.valkey_runs import named_dsn
from dokkaebi.harness.protocols import Kill, Pause


@pytest.mark.parametrize(
    "asked", ["repeatable read", "repeatable-read", "REPEATABLE_READ", " Repeatable  Read "]
)
def test_isolation_names(asked):
    assert isolation_name(asked) == "repeatable read"


def test_an_unknown_isolation_names_the_known_ones():
    with pytest.raises(UsageError, match=r"snapshot.*read committed.*serializable"):
        isolation_name("snapshot")


def test_the_isolation_travels_in_the_address():
    dsn = run_dsn(
        "postgresql://me:secret@db:5433/app?options=-c%20work_mem%3D1MB&sslmode=require",
        database="dokkaebi_1",
        session="dokkaebi-1",
        isolation="repeatable read",
    )
    told = conninfo_to_dict(dsn)
    assert told["dbname"] == "dokkaebi_1"
    assert told["application_name"] == "dokkaebi-1"
    assert told["sslmode"] == "require"
    assert told["options"] == ("-c work_mem=1MB -c default_transaction_isolation=repeatable\\ read")
    assert (told["user"], told["password"], told["port"]) == ("me", "secret", "5433")


def test_a_valkey_address_has_the_drivers_scheme_and_the_sessions_name():
    assert named_dsn("valkey://h:1/5", "dokkaebi-1") == "redis://h:1/5?client_name=dokkaebi-1"
    assert named_dsn("valkeys://h/0", "x").startswith("rediss://h/0")


@pytest.mark.parametrize(
    ("dsn", "kind"),
    [
        ("postgres://h/d", ExternalPostgres),
        ("postgresql://h/d", ExternalPostgres),
        ("mysql://h", ExternalMariaDB),
        ("mariadb://h", ExternalMariaDB),
        ("redis://h/1", ExternalValkey),
        ("valkey://h/1", ExternalValkey),
    ],
)
def test_the_scheme_names_the_backend_and_gives_no_power_over_it(dsn, kind):
    backend = external(dsn)
    assert type(backend) is kind
    assert not isinstance(backend, Kill)
    assert not isinstance(backend, Pause)


def test_another_scheme_is_refused_without_its_password():
    with pytest.raises(UsageError, match=r"oracle://me:\*\*\*@h.*mariadb") as raised:
        external("oracle://me:secret@h/d")
    assert "secret" not in str(raised.value)


def test_no_password_reaches_the_disk():
    told = without_password("postgresql://me:secret@h:1/d?password=secret")
    assert told == "postgresql://me@h:1/d"


def test_an_address_of_mariadb_as_the_driver_takes_it():
    assert arguments("mysql://me:a%40b@db:3307/?ssl_ca=/ca.pem") == {
        "host": "db",
        "port": 3307,
        "user": "me",
        "password": "a@b",
        "ssl_ca": "/ca.pem",
    }
    assert arguments("mariadb://db") == {"host": "db", "port": 3306}


def test_an_unknown_option_of_an_address_of_mariadb_names_the_known_ones():
    with pytest.raises(UsageError, match=r"'sslmode' is no option.*ssl_ca") as raised:
        arguments("mysql://me:secret@db/?sslmode=require")
    assert "secret" not in str(raised.value)
