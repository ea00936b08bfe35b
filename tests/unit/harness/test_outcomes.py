"""SOUNDNESS: `fail` only if nothing can have happened."""

import pytest

from dokkaebi import Failed
from dokkaebi.harness import outcomes
from dokkaebi.harness.outcomes import causes, describe


class Definite(Exception):
    sqlstate = "40001"


def raised(error, cause=None):
    """The error as it is caught: with the frames through which it came."""
    try:
        raise error from cause
    except type(error) as caught:
        return caught


class Client:
    """A client whose table holds `Definite`, and which may or may not have written."""

    recorded_in = frozenset({__name__})

    def __init__(self, wrote=False):
        self.wrote = wrote

    def definite(self, error):
        return isinstance(error, Definite)

    def may_have_written(self):
        return self.wrote


def test_1_1_a_definite_error_without_a_write_is_fail():
    answer = outcomes.classify(raised(Definite("could not serialize")), [Client()])
    assert (answer.type, answer.error) == ("fail", "40001 could not serialize")


def test_1_1_a_definite_error_after_a_write_outside_what_it_rolled_back_is_info():
    assert outcomes.classify(raised(Definite()), [Client(wrote=True)]).type == "info"


def test_1_1_a_write_on_another_connection_makes_it_info():
    assert outcomes.classify(raised(Definite()), [Client(), Client(wrote=True)]).type == "info"


def test_1_1_what_is_not_in_the_table_is_info():
    assert outcomes.classify(ConnectionResetError("gone"), [Client()]).type == "info"
    assert outcomes.classify(KeyError("bug"), [Client()]).type == "info"


def test_1_1_the_error_is_found_through_cause_and_orig():
    wrapped = raised(ValueError("wrapped"), raised(Definite()))
    assert outcomes.classify(wrapped, [Client()]).type == "fail"
    orm = ValueError("orm")
    orm.orig = raised(Definite())
    assert outcomes.classify(orm, [Client()]).type == "fail"


def test_1_1_never_through_context():
    def handled_and_then_something_else():
        try:
            raise Definite
        except Definite:
            raise ConnectionResetError("later, and not because of it")  # noqa: B904

    with pytest.raises(ConnectionResetError) as raised:
        handled_and_then_something_else()
    assert isinstance(raised.value.__context__, Definite)
    assert outcomes.classify(raised.value, [Client()]).type == "info"


def test_1_4_on_untraced_connections_only_failed_is_definite():
    assert outcomes.classify(raised(Definite()), [Client()], untraced=True).type == "info"
    assert outcomes.classify(Failed("no"), [Client()], untraced=True).type == "fail"
    kept = outcomes.classify(raised(Definite()), [Client()], untraced=True, single_transaction=True)
    assert kept.type == "fail"


def test_1_4_an_error_that_did_not_come_through_our_client_is_info():
    assert outcomes.classify(Definite(), [Client()]).type == "info"
    kept = outcomes.classify(Definite(), [Client()], single_transaction=True)
    assert kept.type == "fail"


def test_failed_is_definite_whatever_was_written():
    assert outcomes.classify(Failed("sold out"), [Client(wrote=True)]).type == "fail"


def test_causes_end_even_when_they_go_round():
    one, two = ValueError(1), ValueError(2)
    one.__cause__, two.__cause__ = two, one
    assert list(causes(one)) == [one, two]


@pytest.mark.parametrize(
    ("error", "text"),
    [(ValueError(), "ValueError: no message"), (Definite("a\n b"), "40001 a b")],
)
def test_errors_are_described_in_one_line(error, text):
    assert describe(error) == text


def test_long_errors_are_cut():
    assert len(describe(ValueError("x" * 10_000))) <= 300
