"""JUnit, GitHub and the page: valid, within their limits, and harmless whatever stands in them."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
import xmlschema

from dokkaebi.harness.choosing import Wish
from dokkaebi.results.index import render
from dokkaebi.suite.cases import Cell, Suite
from dokkaebi.suite.expectations import judge_cell
from dokkaebi.suite.github import LARGEST, MOST, commands, step_summary, tell_github
from dokkaebi.suite.junit import junit
from dokkaebi.suite.page import page_of
from dokkaebi.suite.past import Past
from dokkaebi.suite.runner import Finished
from dokkaebi.suite.tasks import Found, Outcome

SCHEMA = Path(__file__).parents[2] / "lib" / "junit-10.xsd"
HOSTILE = "</script><b onload=x>|\x00\ud800\u202e'\"&%0A::error::\n]]>"


NAME = HOSTILE.replace("\ud800", "")


def finished(number=1, sentence=HOSTILE):
    cells = []
    for i in range(number):
        cell = Cell(
            case=f"{NAME} {i}", fault="none", wish=Wish(), seeds=(1,), budget=0,
            must_hold="its promise", known={"G0": HOSTILE},
        )  # fmt: skip
        for said in ("violated", "holds", "unknown", "broke", "unavailable"):
            found = (Found(type="lost-update", sentence=sentence),) if said == "violated" else ()
            outcome = Outcome(seed=1, said=said, reason=sentence, found=found, seconds=1.25)
            cells.append(judge_cell(cell, [outcome]))
    suite = Suite(name=NAME, cells=tuple(judged.cell for judged in cells))
    return Finished(suite=suite, cells=tuple(cells), seconds=3.5)


def test_junit_obeys_the_common_schema():
    schema = xmlschema.XMLSchema(SCHEMA)
    document = junit(finished())
    schema.validate(document.decode())
    assert b'tests="5" failures="2" errors="1" skipped="1"' in document


def test_the_schema_would_refuse_another_document():
    schema = xmlschema.XMLSchema(SCHEMA)
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate('<testsuite name="x"><testcase/></testsuite>')


def test_at_most_nine_annotations_each_one_line():
    lines = commands(finished(5).cells)
    assert len(lines) == MOST == 9
    assert all(line.startswith(("::error title=", "::warning title=")) for line in lines)
    assert not any("\n" in line for line in lines)
    assert "7 more cells are not met" in lines[-1]


def test_the_step_summary_stays_below_its_limit(tmp_path, monkeypatch):
    path = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    said = []
    tell_github(finished(300, sentence="ü" * 5000), said.append)
    size = path.stat().st_size
    assert LARGEST * 0.9 < size < LARGEST
    assert "more cells are left out here" in path.read_text()
    assert len(said) == 9


def test_a_row_of_the_summary_stays_a_row():
    rows = [line for line in step_summary(finished()).splitlines() if line.startswith("| ")]
    assert len(rows) == 6  # the head and five cells
    for row in rows:
        assert row.replace("\\|", "").count("|") == 5
        assert "<b onload" not in row


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)


def test_nothing_hostile_acts_on_the_page(tmp_path):
    page = render(page_of(finished(), past=Past(tmp_path, "x")), tmp_path)
    page.encode("utf-8")
    tags = Tags()
    tags.feed(page)
    assert "b" not in tags.seen
    assert page.count("<script>") == page.count("</script>") == 1
    assert not {"\u202e", "\x00"} & set(page)


def test_earlier_runs_are_told_beside_each_cell(tmp_path):
    done = finished()
    Past(tmp_path, NAME).add(done.cells)
    name = done.cells[0].cell.name
    assert [each.status for each in Past(tmp_path, NAME).of(name)] == [
        "violated", "held", "unknown", "broke", "skipped",
    ]  # fmt: skip
    (tmp_path / "cells.jsonl").open("a").write('{"torn": ')
    assert Past(tmp_path, NAME).signs(name) == "✖✔?!–"
