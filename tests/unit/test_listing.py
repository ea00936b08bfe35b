"""`dokkaebi list`, as wide as terminals are."""

import io

import pytest
from rich.console import Console

from dokkaebi.harness.plugins import strategies
from dokkaebi.results.listing import listing

KINDS = ("workloads", "strategies", "backends", "faults", "models", "levels", "anomalies")


def listed(kind, width):
    console = Console(file=io.StringIO(), width=width)
    listing(kind, None, console=console, as_json=False)
    return console.file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_no_word_is_cut_at_any_width(kind):
    words = listed(kind, 400).split()
    for width in (60, 80, 120, 200):
        text = listed(kind, width)
        assert max(map(len, text.splitlines())) <= width
        # A table has its heads besides, and tells the same.
        assert set(text.split()) ^ set(words) <= {"name", "methods", "needs", "verdict", "what"}


def test_strategies_say_what_they_need_how_they_end_and_what_they_do():
    text = listed("strategies", 80)
    assert "counter/select-then-update-mariadb  mariadb  unsafe lost-update\n" in text
    assert all(f"{name}  " in text for name in strategies())


def test_what_a_fault_does_is_told_without_its_name():
    (line,) = [line for line in listed("faults", 200).splitlines() if line.startswith("bit-flip ")]
    assert line.split(maxsplit=1)[1].rstrip() == "One bit of a file turns."
