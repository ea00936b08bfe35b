"""The lattice of levels: an order, with what each excludes, and what anomalies say of all of it."""

import pytest
from planted import NAMES, NOT

from dokkaebi.checkers import levels
from dokkaebi.checkers.anomalies import ANOMALIES, GROUPS, SUFFIXES, define, implied
from dokkaebi.harness.errors import UsageError


def test_no_level_is_weaker_than_itself_through_others():
    for name in levels.LEVELS:
        for below in levels.weaker(name) - {name}:
            assert name not in levels.weaker(below)


def test_strict_serializability_promises_everything_but_for_sites_of_their_own():
    assert set(NAMES.values()) <= levels.weaker("strict-serializable")
    assert "linearizable" in levels.weaker("strict-serializable")


def test_a_stronger_level_excludes_all_that_a_weaker_one_does():
    for name in levels.LEVELS:
        for below in levels.weaker(name):
            assert levels.proscribed(below) <= levels.proscribed(name)


def test_everything_that_a_level_excludes_has_a_meaning():
    for name in levels.LEVELS:
        for anomaly in levels.proscribed(name):
            assert anomaly in GROUPS or define(anomaly)


@pytest.mark.parametrize("anomaly", NOT)
def test_what_an_anomaly_rules_out(anomaly):
    broken = levels.ruled_out([anomaly]) & set(NAMES.values())
    short = NOT[anomaly]
    expected = set(NAMES.values()) if short == "everything" else {NAMES[s] for s in short.split()}
    assert broken == expected


def test_the_weakest_broken_levels_and_those_that_fall_with_them():
    broken = levels.ruled_out(["G2-item"])
    assert levels.weakest(broken) == ("repeatable-read",)
    assert set(levels.also(broken)) == {
        "serializable",
        "strong-session-serializable",
        "strict-serializable",
        "session-serializable",
    }
    assert levels.strongest(broken) == "strong-snapshot-isolation"
    assert levels.strongest(()) == "strict-serializable"
    assert levels.strongest(levels.ruled_out(["garbage-read"])) is None


def test_snapshot_isolation_permits_write_skew_and_no_read_skew():
    assert "snapshot-isolation" not in levels.ruled_out(["G2-item"])
    assert "snapshot-isolation" in levels.ruled_out(["G-single"])
    assert "snapshot-isolation" in levels.ruled_out(["lost-update"])


def test_anomalies_of_other_rooms_rule_out_nothing():
    assert levels.ruled_out(["conservation", "double-hold"]) == frozenset()


def test_a_cycle_is_also_one_when_more_orders_are_looked_at():
    assert {"G-single-process", "G-single-realtime", "G2-item-realtime", "G2"} <= implied(
        ["G-single"]
    )
    assert "G-single" not in implied(["G-single-process"])
    assert implied(["G0-realtime"]) == {"G0-realtime", "G1c-realtime"}


def test_a_stronger_level_stands_before_a_weaker_one():
    for at, name in enumerate(levels.STRENGTH):
        assert not levels.weaker(name) & set(levels.STRENGTH[:at])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("SI", "snapshot-isolation"),
        ("PL-2.99", "repeatable-read"),
        ("repeatable read", "repeatable-read"),
        ("Serializable", "serializable"),
        ("read_committed", "read-committed"),
        ("PL-3", "serializable"),
        ("pl-ss", "strict-serializable"),
        ("pram", "PRAM"),
    ],
)
def test_a_level_is_found_by_name_or_alias(asked, found):
    assert levels.named(asked).name == found


def test_a_level_that_does_not_exist_lists_the_close_ones():
    with pytest.raises(UsageError, match=r"did you mean .*serializable"):
        levels.named("serialisable")


def test_transactional_anomalies_are_shown_by_an_example():
    shown = [each for each in ANOMALIES.values() if each.example]
    assert len(shown) >= 17
    for each in shown:
        assert len(each.example.splitlines()) == 4
    assert {"G0", "G1a", "G1b", "G1c", "G-single", "G2-item", "lost-update"} <= {
        each.name for each in shown
    }
    assert set(SUFFIXES) == {"-process", "-realtime"}
