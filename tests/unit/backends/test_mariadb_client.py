"""MariaDB's definite errors, and the account of an operation as the server would answer it."""

import pytest

err = pytest.importorskip("pymysql.err")

from dokkaebi.backends import mariadb_errors  # noqa: E402
from dokkaebi.backends.mariadb_client import MariaDBClient  # noqa: E402
from dokkaebi.backends.mariadb_ledger import Ledger  # noqa: E402
from dokkaebi.backends.postgres_statements import Kind  # noqa: E402
from dokkaebi.harness.outcomes import describe  # noqa: E402
from dokkaebi.harness.trace import Tracer  # noqa: E402

ROLLED_BACK = [1020, 1213]
INTERRUPTED = [1053, 1317, 1927, 1969]
STATEMENT = [
    *(1205, 1022, 1048, 1062, 1169, 1216, 1217, 1364, 1369, 1451, 1452, 1526, 1586, 4025),
    *(1264, 1265, 1292, 1365, 1366, 1406, 1411, 1690, 1046, 1049, 1050, 1051, 1052, 1054, 1055),
    *(1064, 1065, 1093, 1109, 1110, 1136, 1146, 1193, 1231, 1242, 1305, 1318, 1568, 1644, 1040),
    *(1044, 1045, 1114, 1142, 1143, 1203, 1227, 1290, 1370, 1412, 1792, 1836),
]
UNPROVEN = [2006, 2013, 2003, 2014, 1105, 1180, 1196, 1030, 1025, 1158, 1159, 1160, 1161, 1]


def definite(error):
    return MariaDBClient.definite(object.__new__(MariaDBClient), error)


@pytest.mark.parametrize("number", [*ROLLED_BACK, *INTERRUPTED, *STATEMENT])
def test_a_definite_number(number):
    assert definite(err.OperationalError(number, "text"))


@pytest.mark.parametrize("number", UNPROVEN)
def test_a_number_that_proves_nothing(number):
    assert not definite(err.OperationalError(number, "text"))


def test_every_row_is_tested():
    assert set(mariadb_errors.ROLLED_BACK) == set(ROLLED_BACK)
    assert set(mariadb_errors.INTERRUPTED) == set(INTERRUPTED)
    assert set(mariadb_errors.STATEMENT) == set(STATEMENT)


def test_only_the_servers_errors_are_looked_at():
    assert definite(err.InterfaceError(0, ""))  # the connection was closed: nothing was sent
    assert not definite(err.OperationalError(0, ""))
    assert not definite(err.ProgrammingError("execute() first"))
    assert not definite(err.MySQLError())
    assert not definite(ValueError(1213, "text"))


def test_an_error_is_told_by_its_number():
    error = err.OperationalError(1213, "Deadlock found", sqlstate="40001")
    assert describe(error) == "1213 Deadlock found"
    assert describe(ConnectionResetError(104, "reset")).startswith("ConnectionResetError:")


# --- the account ---------------------------------------------------------------------------------


class Account:
    """A ledger, and short names for what happens to it."""

    def __init__(self, autocommit=False):
        self.ledger = Ledger(Tracer(epoch_ns=0), "mariadb")
        self.autocommit = autocommit

    def did(self, kind, open=True, warnings=0):
        self.ledger.answered(kind, open=open, autocommit=self.autocommit, warnings=warnings)

    def failed(self, kind, number, connected=True):
        self.ledger.failed(kind, number, connected=connected, autocommit=self.autocommit)

    @property
    def wrote(self):
        return self.ledger.may_have_written()


@pytest.fixture
def account():
    return Account()


@pytest.fixture
def alone():
    return Account(autocommit=True)


def test_a_read_writes_nothing_and_leaves_a_transaction_open(account):
    account.did(Kind.READ, open=None)
    assert not account.wrote
    assert account.ledger.open


def test_under_autocommit_a_read_leaves_nothing_open_and_a_write_counts(alone):
    alone.did(Kind.READ, open=None)
    assert not alone.ledger.open
    alone.did(Kind.WRITE, open=False)
    assert alone.wrote


def test_under_autocommit_a_refused_write_does_not_count(alone):
    alone.failed(Kind.WRITE, 1062)
    assert not alone.wrote
    assert not alone.ledger.open


def test_what_is_open_counts_until_it_is_rolled_back(account):
    account.did(Kind.WRITE)
    assert account.wrote
    account.did(Kind.ROLLBACK, open=False)
    assert not account.wrote


@pytest.mark.parametrize("number", ROLLED_BACK)
def test_some_errors_roll_the_transaction_back(account, number):
    account.did(Kind.WRITE)
    account.failed(Kind.WRITE, number)
    assert not account.wrote
    assert not account.ledger.open


@pytest.mark.parametrize("number", [1205, 1062, 1317])
def test_most_errors_take_back_the_statement_only(account, number):
    """1205 above all: what came before it is still there, and a COMMIT would keep it."""
    account.failed(Kind.WRITE, number)
    assert not account.wrote
    assert account.ledger.open
    account.did(Kind.WRITE)
    account.failed(Kind.WRITE, number)
    assert account.wrote
    account.did(Kind.COMMIT, open=False)
    assert account.wrote


def test_a_commit_counts_and_a_new_operation_forgets_it(account):
    account.did(Kind.WRITE)
    account.did(Kind.COMMIT, open=False)
    assert account.wrote
    account.ledger.forget()
    assert not account.wrote


def test_a_commit_that_fails_proves_nothing(account):
    for number in (1180, 1317):
        account.did(Kind.WRITE)
        account.failed(Kind.COMMIT, number)
        assert account.wrote
        account.ledger.forget()


def test_a_commit_that_ends_in_a_deadlock_was_rolled_back(account):
    account.did(Kind.WRITE)
    account.failed(Kind.COMMIT, 1213)
    assert not account.wrote


@pytest.mark.parametrize("kind", [Kind.BEGIN, Kind.ESCAPES])
@pytest.mark.parametrize("fails", [True, False])
def test_a_new_transaction_and_a_definition_commit_what_was_open(account, kind, fails):
    account.did(Kind.WRITE)
    if fails:
        account.failed(kind, 1050)
    else:
        account.did(kind)
    account.did(Kind.ROLLBACK, open=False)
    assert account.wrote


def test_under_autocommit_an_interrupted_write_may_have_been_committed(alone):
    alone.failed(Kind.WRITE, 1317)
    assert alone.wrote


def test_an_error_that_is_not_in_the_table_proves_nothing(alone):
    alone.failed(Kind.WRITE, 1105)
    assert alone.wrote


def test_a_connection_that_was_lost_leaves_everything_unknown(account):
    account.did(Kind.READ, open=None)
    account.failed(Kind.READ, None, connected=False)
    assert account.wrote
    assert not account.ledger.open


def test_what_was_never_sent_wrote_nothing(account):
    account.failed(Kind.WRITE, 0, connected=False)
    assert not account.wrote


def test_a_rollback_that_warns_did_not_take_everything_back(account):
    account.did(Kind.WRITE)
    account.did(Kind.ROLLBACK, open=False, warnings=1)
    assert account.wrote


def test_a_commit_that_warns_is_suspicious(account):
    account.did(Kind.WRITE)
    account.did(Kind.COMMIT, open=False, warnings=1)
    assert account.ledger.suspicions == ["COMMIT answered with 1 warnings"]


def test_what_has_no_name_counts(account):
    account.ledger.unlabelled()
    assert account.wrote
