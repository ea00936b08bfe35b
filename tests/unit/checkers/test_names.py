"""The tables of anomalies and levels: complete, without doubles, each with its source."""

import re
from pathlib import Path

import pytest

import dokkaebi
from dokkaebi.checkers import anomalies, levels, remedies
from dokkaebi.harness.errors import UsageError

ROOT = Path(dokkaebi.__file__).parent.resolve()


def test_names_and_aliases_are_unique():
    for table in (anomalies.ANOMALIES, levels.LEVELS):
        names = [name for each in table.values() for name in (each.name, *each.aliases)]
        assert len(names) == len(set(names))


def test_everything_is_explained_in_one_line_with_a_source():
    for table in (anomalies.ANOMALIES, levels.LEVELS):
        for each in table.values():
            assert each.meaning.endswith(".")
            assert "\n" not in each.meaning
            assert len(each.meaning) <= 100
            assert each.source


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("lost-update", "lost-update"),
        ("P4", "lost-update"),
        ("write-skew", "G2-item"),
        ("G-single-realtime", "G-single"),
        ("G0-process", "G0"),
    ],
)
def test_a_definition_is_found_by_name_alias_or_variant(asked, found):
    assert anomalies.define(asked).name == found


def test_a_name_that_does_not_exist_lists_the_close_ones():
    with pytest.raises(UsageError, match="lost-update"):
        anomalies.define("lost-updates")
    with pytest.raises(UsageError):
        anomalies.define("lost-update-realtime")


def test_every_anomaly_that_a_checker_names_is_defined():
    named = set()
    for path in (ROOT / "checkers").glob("*.py"):
        named |= set(re.findall(r'type="([\w-]+)"', path.read_text()))
    assert named
    for name in named:
        anomalies.define(name)


def test_headlines_call_every_anomaly_something_that_people_say():
    for name in anomalies.ANOMALIES:
        for number in (1, 2):
            noun = anomalies.noun(name, number)
            assert re.fullmatch("[a-z ]+", noun), noun
    assert anomalies.noun("G-nonadjacent-realtime", 2) == "forked snapshots"
    assert anomalies.noun("duplicate-elements", 2) == "duplicated elements"
    assert anomalies.noun("lost-update") == "lost update"


TRANSACTIONAL = {each.name for each in anomalies.ANOMALIES.values() if each.cyclic or each.example}


def test_every_anomaly_of_transactions_has_a_remedy_of_its_own_that_says_who_permits_it():
    assert set(anomalies.ANOMALIES) >= set(remedies.REMEDIES) >= TRANSACTIONAL
    told = [*remedies.REMEDIES.values()]
    assert len(set(told)) == len(told)
    for text in told:
        assert re.search(r"\bpermits?\b|\bforbids?\b", text)
        assert text.endswith(".")
        assert len(text) <= 600


def test_what_an_order_closes_is_mended_by_that_order():
    assert "replica" in remedies.remedy("G-single-realtime")
    assert "session" in remedies.remedy("G0-process")
    assert remedies.remedy("double-hold") == ""


def test_rows_are_what_the_list_command_prints():
    for table in (anomalies, levels):
        for row in table.rows():
            assert {"name", "what", "aliases", "explained"} <= row.keys()
