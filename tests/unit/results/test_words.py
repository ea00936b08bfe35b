"""Words: nothing hidden gets through, numbers read as people write them."""

import pytest

from dokkaebi.harness.history import FOREVER
from dokkaebi.results import words


@pytest.mark.parametrize(
    "bad",
    ["\x00", "\x1b[31m", "\x9b", "\u202e", "\u2066", "\u200f", "\u200b", "\u2028", "\ufeff",
     "\ud800", "\n", "\r", "\t", "\U000e0041"],
)  # fmt: skip
def test_what_cannot_be_seen_is_escaped(bad):
    text = words.clean(f"a{bad}b")
    assert text.isprintable()
    assert text.encode("utf-8")


def test_a_long_text_is_cut_and_says_how_long_it_was():
    text = words.clean("x" * 1_000_000, 80)
    assert len(text) <= 80
    assert text.endswith("… (1,000,000 characters)")


@pytest.mark.parametrize(
    ("f", "value", "said"),
    [
        ("add", ["c0", 1], "add c0 1"),
        ("read", ["c0", None], "read c0"),
        ("read", None, "read"),
        ("cas", ["r", [3, 4]], "cas r 3 → 4"),
        ("transfer", {"from": 0, "to": 3, "amount": 5}, "transfer 5 from 0 to 3"),
        ("txn", [["r", 5, None], ["append", 6, 3]], "txn r 5 · append 6 3"),
        ("acquire", "lock-1", "acquire lock-1"),
        ("write", {"a": [True, None]}, 'write {"a": [true, null]}'),
        ("write", ["x", "1"], 'write x "1"'),
        ("txn", [["r", "5", None], ["w", 5, "nil"]], 'txn r "5" · w 5 "nil"'),
        ("read", [["r", 3, None], ["r", 4, None]], "read r 3 · r 4"),
        ("read", [["x", 3, None]], 'read [["x", 3, null]]'),
    ],
)
def test_operations_read_as_people_say_them(f, value, said):
    assert words.asked(f, value) == said


@pytest.mark.parametrize(
    ("nanoseconds", "said"),
    [(12, "12 ns"), (350_000, "350 µs"), (12_400_000, "12.4 ms"), (1_300_000_000, "1.3 s"),
     (125_000_000_000, "2 min 5 s"), (FOREVER, "for ever")],
)  # fmt: skip
def test_lengths_of_time_have_the_unit_that_suits_them(nanoseconds, said):
    assert words.span(nanoseconds) == said
