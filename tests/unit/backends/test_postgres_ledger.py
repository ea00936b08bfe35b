"""The account of an operation, statement by statement, as the server would answer."""

import psycopg
import pytest
from psycopg import pq

from dokkaebi.backends.postgres_ledger import Ledger
from dokkaebi.backends.postgres_statements import Kind
from dokkaebi.harness.trace import Tracer

IDLE, OPEN, FAILED = (
    pq.TransactionStatus.IDLE,
    pq.TransactionStatus.INTRANS,
    pq.TransactionStatus.INERROR,
)
UNKNOWN = pq.TransactionStatus.UNKNOWN
OK, BAD = pq.ConnStatus.OK, pq.ConnStatus.BAD


@pytest.fixture
def ledger():
    return Ledger(Tracer(epoch_ns=0), "postgres")


def error(sqlstate=None):
    one = psycopg.OperationalError("text")
    one.sqlstate = sqlstate
    return one


def begin_and_write(ledger):
    ledger.answered(Kind.BEGIN, b"BEGIN", OPEN)
    ledger.answered(Kind.WRITE, b"UPDATE 1", OPEN)


def test_a_read_writes_nothing(ledger):
    ledger.answered(Kind.READ, b"SELECT 1", IDLE)
    assert not ledger.may_have_written()


def test_an_autocommitted_write_counts(ledger):
    ledger.answered(Kind.WRITE, b"UPDATE 1", IDLE)
    assert ledger.may_have_written()


def test_an_autocommitted_write_that_was_refused_does_not(ledger):
    ledger.failed(Kind.WRITE, error("23505"), IDLE, OK)
    assert not ledger.may_have_written()


def test_a_write_in_a_transaction_counts_once_it_is_committed(ledger):
    begin_and_write(ledger)
    assert not ledger.may_have_written()
    ledger.answered(Kind.COMMIT, b"COMMIT", IDLE)
    assert ledger.may_have_written()


def test_what_an_error_rolled_back_does_not_count(ledger):
    begin_and_write(ledger)
    ledger.failed(Kind.WRITE, error("40001"), FAILED, OK)
    assert not ledger.may_have_written()
    ledger.answered(Kind.ROLLBACK, b"ROLLBACK", IDLE)
    ledger.answered(Kind.BEGIN, b"BEGIN", OPEN)
    ledger.answered(Kind.COMMIT, b"COMMIT", IDLE)
    assert not ledger.may_have_written()


def test_a_definite_error_as_the_answer_to_commit(ledger):
    begin_and_write(ledger)
    ledger.failed(Kind.COMMIT, error("40001"), IDLE, OK)
    assert not ledger.may_have_written()


def test_a_commit_answered_with_rollback_is_none_and_suspicious(ledger):
    begin_and_write(ledger)
    ledger.answered(Kind.COMMIT, b"ROLLBACK", IDLE)
    assert not ledger.may_have_written()
    assert ledger.suspicions == ["COMMIT answered ROLLBACK"]


def test_a_connection_lost_at_commit(ledger):
    begin_and_write(ledger)
    ledger.failed(Kind.COMMIT, error(), UNKNOWN, BAD)
    assert ledger.may_have_written()


def test_an_earlier_attempt_whose_commit_was_lost_is_not_forgotten(ledger):
    begin_and_write(ledger)
    ledger.failed(Kind.COMMIT, error(), UNKNOWN, BAD)
    ledger.answered(Kind.BEGIN, b"BEGIN", OPEN)
    ledger.failed(Kind.WRITE, error("40001"), FAILED, OK)
    assert ledger.may_have_written()


@pytest.mark.parametrize(
    ("kind", "open_before", "written"),
    [
        (Kind.WRITE, True, False),
        (Kind.COMMIT, True, True),
        (Kind.WRITE, False, True),
        (Kind.READ, True, False),
    ],
)
def test_a_server_that_ended_the_session(ledger, kind, open_before, written):
    if open_before:
        begin_and_write(ledger)
    ledger.failed(kind, error("57P01"), UNKNOWN, BAD)
    assert ledger.may_have_written() is written


def test_a_transaction_that_only_read_may_commit(ledger):
    ledger.answered(Kind.BEGIN, b"BEGIN", OPEN)
    ledger.answered(Kind.READ, b"SELECT 1", OPEN)
    ledger.answered(Kind.COMMIT, b"COMMIT", IDLE)
    assert not ledger.may_have_written()


def test_a_prepared_transaction_may_be_committed_by_anybody(ledger):
    begin_and_write(ledger)
    ledger.answered(Kind.PREPARE, b"PREPARE TRANSACTION", IDLE)
    assert ledger.may_have_written()


def test_a_session_lock_survives_the_rollback(ledger):
    ledger.answered(Kind.BEGIN, b"BEGIN", OPEN)
    ledger.answered(Kind.LOCK, b"SELECT 1", OPEN)
    ledger.answered(Kind.ROLLBACK, b"ROLLBACK", IDLE)
    assert ledger.may_have_written()


def test_a_lock_that_was_refused_was_not_taken(ledger):
    ledger.failed(Kind.LOCK, error("55P03"), IDLE, OK)
    assert not ledger.may_have_written()


def test_a_procedure_that_failed_may_have_committed_before(ledger):
    ledger.failed(Kind.ESCAPES, error("P0001"), IDLE, OK)
    assert ledger.may_have_written()


@pytest.mark.parametrize(("autocommit", "written"), [(True, True), (False, False)])
def test_in_a_pipeline_what_was_queued_counts(ledger, autocommit, written):
    ledger.queued(Kind.WRITE, autocommit)
    assert ledger.may_have_written() is written
    ledger.queued(Kind.COMMIT, autocommit)
    assert ledger.may_have_written()


def test_what_has_no_label_counts(ledger):
    ledger.unlabelled(IDLE)
    assert ledger.may_have_written()


def test_an_interrupted_statement_may_have_been_sent(ledger):
    ledger.failed(Kind.WRITE, KeyboardInterrupt(), IDLE, OK)
    assert ledger.may_have_written()


def test_a_new_operation_starts_with_a_clean_account(ledger):
    ledger.answered(Kind.WRITE, b"UPDATE 1", IDLE)
    ledger.answered(Kind.COMMIT, b"ROLLBACK", IDLE)
    ledger.forget()
    assert not ledger.may_have_written()
    assert not ledger.suspicions


class Warned:
    severity_nonlocalized = "WARNING"
    message_primary = "canceling wait for synchronous replication"


def test_a_warning_at_commit_is_suspicious(ledger):
    begin_and_write(ledger)
    ledger.notice(Warned)
    ledger.answered(Kind.COMMIT, b"COMMIT", IDLE)
    assert ledger.may_have_written()
    assert "canceling wait" in ledger.suspicions[0]


def test_a_warning_before_the_commit_is_not(ledger):
    ledger.notice(Warned)
    begin_and_write(ledger)
    ledger.answered(Kind.COMMIT, b"COMMIT", IDLE)
    assert not ledger.suspicions


def test_an_open_transaction_keeps_its_writes_into_the_next_operation(ledger):
    begin_and_write(ledger)
    ledger.forget(open=True)
    ledger.answered(Kind.COMMIT, b"COMMIT", IDLE)
    assert ledger.may_have_written()


def test_what_was_refused_for_others_is_counted_and_forgotten_with_the_operation(ledger):
    begin_and_write(ledger)
    for code in ("40001", "40P01", "55P03", "23505", None):
        ledger.failed(Kind.WRITE, error(code), FAILED, OK)
    assert ledger.aborts == 3
    ledger.forget()
    assert ledger.aborts == 0
