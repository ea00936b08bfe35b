"""The pieces of sentences: what could be taken for something else is told apart."""

import pytest

from dokkaebi.checkers.wording import either, label, show, span


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1, "1"), ("1", '"1"'), ("-1.5e3", '"-1.5e3"'), (None, "nil"), ("nil", '"nil"'),
        ("true", '"true"'), (True, "true"), ("", '""'), ("x1", "x1"), ("lock-1", "lock-1"),
        (["1", 1], '["1",1]'),
    ],
)  # fmt: skip
def test_a_text_that_looks_like_a_number_is_quoted(value, said):
    assert show(value) == said


def test_in_one_sentence_both_can_be_told_apart():
    assert either([1, "1"]) == '1 or "1"'


def test_keys_are_one_whatever_json_made_of_them():
    assert label(1) == label("1")


@pytest.mark.parametrize(
    ("nanoseconds", "said"),
    [(0, "0 ns"), (12, "12 ns"), (35_000, "35 µs"), (412_000_000, "412 ms"), (2 * 10**9, "2.0 s")],
)
def test_no_length_of_time_is_rounded_to_nothing(nanoseconds, said):
    assert span(nanoseconds) == said
