"""Specs round-trip; durations and addresses read and print as documented."""

import pytest

from dokkaebi import Spec, UsageError
from dokkaebi.harness.spec import load_spec, parse_duration, redact, show_duration


def test_a_spec_round_trips_through_its_file(tmp_path):
    spec = Spec(
        workload="lock",
        strategy="/x/mylock.py:MyLock",
        label="mylock.py",
        needs=("valkey",),
        faults=("pause-client",),
        seed=7,
        params={"ttl": 0.5, "lease": None},
        isolation="repeatable read",
    )
    spec.save(tmp_path / "spec.json")
    assert load_spec(tmp_path / "spec.json") == spec


def test_a_spec_of_another_schema_or_with_unknown_fields_is_refused(tmp_path):
    path = tmp_path / "spec.json"
    Spec(schema=99, workload="x", strategy="y", label="z").save(path)
    with pytest.raises(UsageError, match="schema 99"):
        load_spec(path)
    path.write_text('{"workload":"x","strategy":"y","label":"z","colour":"red"}')
    with pytest.raises(UsageError, match="colour"):
        load_spec(path)
    with pytest.raises(UsageError, match="no run"):
        load_spec(tmp_path / "none" / "spec.json")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("500ms", 500_000_000),
        ("30s", 30_000_000_000),
        ("2m", 120_000_000_000),
        ("1.5s", 15 * 10**8),
    ],
)
def test_durations(text, ns):
    assert parse_duration(text) == ns
    assert parse_duration(show_duration(ns)) == ns


@pytest.mark.parametrize("text", ["", "5", "s", "5 parsecs", "-3s"])
def test_what_is_no_duration_is_refused_with_examples(text):
    with pytest.raises(UsageError, match="500ms, 30s or 2m"):
        parse_duration(text)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:hunter2@db:5432/x",
        "redis://:hunter2@localhost/1",
        "host=db password=hunter2 user=me",
        "host=db password='hunter2 x' user=me",
        "postgres://me@db/x?password=hunter2&sslmode=disable",
    ],
)
def test_passwords_are_redacted(url):
    assert "hunter2" not in redact(url)
    assert "***" in redact(url)
