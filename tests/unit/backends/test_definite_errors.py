"""The tables of definite errors, row by row; and what must never stand in them."""

import sqlite3

import psycopg
import pytest
import redis

from dokkaebi.backends import postgres_errors, sqlite_client, valkey_commands
from dokkaebi.backends.postgres_client import PostgresClient
from dokkaebi.backends.valkey_client import ValkeyClient
from dokkaebi.backends.valkey_wires import NotSent, NotSentTimeout


def words(text):
    return text.split()


POSTGRES = words(
    """40001 40002 40P01 55006 55P02 55P03 57014 57P01 57P03 25P03 25P04
0A000 21000 22003 22P02 23000 23502 23503 23505 23514 23P01 25001 25006 25P02 26000 28000 2BP01
34000 3B001 3D000 3F000 42601 42703 42P01 42501 44000 53100 53200 53300 54000 P0001 P0002"""
)

UNPROVEN = words(
    """08000 08003 08006 08007 40000 40003 57P02 57P04 58000 58030 XX000 XX001 HV000
01000 00000 F0000 72000"""
)


def definite_in_postgres(error):
    return PostgresClient.definite(object.__new__(PostgresClient), error)


@pytest.mark.parametrize("sqlstate", POSTGRES)
def test_a_definite_sqlstate(sqlstate):
    assert postgres_errors.reason(sqlstate)
    error = psycopg.Error("text")
    error.sqlstate = sqlstate
    assert definite_in_postgres(error)


@pytest.mark.parametrize("sqlstate", [*UNPROVEN, None, ""])
def test_a_sqlstate_that_proves_nothing(sqlstate):
    assert postgres_errors.reason(sqlstate) is None
    error = psycopg.OperationalError("server closed the connection unexpectedly")
    error.sqlstate = sqlstate
    assert not definite_in_postgres(error)


def test_every_row_of_postgres_is_tested():
    assert set(postgres_errors.CODES) <= set(POSTGRES)
    assert set(postgres_errors.CLASSES) <= {sqlstate[:2] for sqlstate in POSTGRES}


def test_only_the_drivers_errors_are_looked_at():
    error = ValueError("no")
    error.sqlstate = "40001"
    assert not definite_in_postgres(error)


VALKEY = [
    (redis.ResponseError("WRONGTYPE Operation against a key"), "WRONGTYPE"),
    (redis.ResponseError("value is not an integer or out of range"), "ERR"),
    (redis.exceptions.OutOfMemoryError("command not allowed"), "OOM"),
    (redis.exceptions.ReadOnlyError("You can't write against a read only replica."), "READONLY"),
    (redis.exceptions.NoScriptError("No matching script."), "NOSCRIPT"),
    (redis.exceptions.ExecAbortError("Transaction discarded"), "EXECABORT"),
    (redis.exceptions.BusyLoadingError("loading"), "LOADING"),
    (redis.exceptions.NoPermissionError("no"), "NOPERM"),
    (redis.exceptions.AuthenticationError("no"), "NOAUTH"),
    (redis.exceptions.MovedError("1 127.0.0.1:1"), "MOVED"),
    (redis.exceptions.AskError("1 127.0.0.1:1"), "ASK"),
    (redis.exceptions.TryAgainError("x"), "TRYAGAIN"),
    (redis.exceptions.ClusterDownError("x"), "CLUSTERDOWN"),
    (redis.exceptions.ClusterCrossSlotError("x"), "CROSSSLOT"),
    (redis.exceptions.MasterDownError("x"), "MASTERDOWN"),
    *(
        (redis.ResponseError(f"{code} text"), code)
        for code in words("NOREPLICAS MISCONF BUSY BUSYKEY BUSYGROUP NOGROUP NOPROTO WRONGPASS")
    ),
    (
        redis.ResponseError("Command # 1 (SET a b) of pipeline caused error: WRONGTYPE no"),
        "WRONGTYPE",
    ),
]


def definite_in_valkey(error):
    return ValkeyClient.definite(object.__new__(ValkeyClient), error)


@pytest.mark.parametrize(("error", "code"), VALKEY)
def test_a_definite_reply(error, code):
    assert valkey_commands.reply_code(error) == code
    assert code in valkey_commands.DEFINITE
    assert definite_in_valkey(error)


def test_every_row_of_valkey_is_tested():
    assert {code for _, code in VALKEY} == set(valkey_commands.DEFINITE)


@pytest.mark.parametrize(
    "error",
    [
        redis.ConnectionError("Connection closed by server."),
        redis.TimeoutError("Timeout reading from socket"),
        redis.ResponseError("UNBLOCKED force unblock from blocking operation"),
        redis.ResponseError("MYCODE from a script"),
        redis.WatchError("A ConnectionError occurred while watching one or more keys"),
        ValueError("WRONGTYPE"),
    ],
)
def test_a_reply_that_proves_nothing(error):
    assert not definite_in_valkey(error)


@pytest.mark.parametrize(
    "error", [NotSent("x"), NotSentTimeout("x"), redis.WatchError("Watched variable changed.")]
)
def test_nothing_was_sent_or_nothing_was_executed(error):
    assert definite_in_valkey(error)


def test_scripts_have_a_shorter_table():
    proven = valkey_commands.PROVEN_OF_SCRIPTS
    assert proven == {"NOSCRIPT", "READONLY", "LOADING", "EXECABORT"}
    assert set(valkey_commands.DEFINITE) >= proven


def sqlite_error(name):
    error = sqlite3.OperationalError("text")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize("name", sqlite_client.DEFINITE)
def test_a_definite_result_code(name):
    client = object.__new__(sqlite_client.SqliteClient)
    assert client.definite(sqlite_error(name))
    assert client.definite(sqlite_error(f"{name}_EXTENDED"))


@pytest.mark.parametrize(
    "name", ["SQLITE_IOERR", "SQLITE_FULL", "SQLITE_INTERRUPT", "SQLITE_CORRUPT", "SQLITE_NOMEM"]
)
def test_a_result_code_that_proves_nothing(name):
    client = object.__new__(sqlite_client.SqliteClient)
    assert not client.definite(sqlite_error(name))
    assert not client.definite(sqlite3.ProgrammingError("closed"))
