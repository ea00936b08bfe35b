"""The page of many tests: a map, what to look at, and links that lead to reports."""

import json
import re

import pytest

from dokkaebi import UsageError
from dokkaebi.results.collected import index_runs
from dokkaebi.results.index import Field, Page, Past, render, write_index

GOOD = Past(tone="good", sign="✔", said="held", ops_per_second=1000.0, p99_ms=4.0)
BAD = Past(tone="bad", sign="✖", said="violated", ops_per_second=500.0, p99_ms=8.0)


def page(*fields):
    return Page(
        title="t", verdict="violated", sign="✖", statement="not so", sum="2 of 3", fields=fields
    )


def test_each_case_is_a_row_and_each_fault_a_column(tmp_path):
    report = tmp_path / "runs" / "0001-x" / "report.html"
    fields = [
        Field(case="a", fault="none", past=[GOOD, GOOD, BAD], reason="lost", report=report),
        Field(case="a", fault="kill", past=[GOOD]),
        Field(case="b", fault="kill", past=[GOOD]),
    ]
    text = render(page(*fields), tmp_path)
    (table,) = re.findall(r'<table class="map">(.*?)</table>', text, re.DOTALL)
    assert re.findall(r'<th class="turned"><span>(\w+)', table) == ["none", "kill"]
    rows = re.findall(r'<tr data-name="(\w)">(.*?)</tr>', table)
    assert [(name, row.count("<td")) for name, row in rows] == [("a", 2), ("b", 2)]
    assert rows[1][1].count("<td></td>") == 1
    assert 'href="runs/0001-x/report.html"' in rows[0][1]
    assert rows[0][1].count("<rect") == 3
    assert 'href="#cell-2"' in rows[0][1]


def test_the_last_run_is_held_against_the_one_before(tmp_path):
    text = render(page(Field(case="a", fault="none", past=[GOOD, BAD])), tmp_path)
    assert "500/s (-50%)" in text
    assert "8 ms (+100%)" in text


def test_whatever_a_case_is_called_nothing_of_it_runs(tmp_path):
    evil = "</script><img src=x onerror=alert(1)>\"'"
    field = Field(case=evil, fault=evil, past=[BAD], reason=evil, must=evil, notes=[evil])
    text = render(page(field), tmp_path)
    assert "<img" not in text
    assert text.count("<script>") == text.count("</script>") == 1


def stored(folder, number, verdict, label="counter/x"):
    path = folder / f"{number:04d}-x"
    path.mkdir(parents=True)
    spec = {"label": label, "faults": ["kill"], "backend": "postgres"}
    (path / "spec.json").write_text(json.dumps(spec))
    (path / "report.html").write_text("")
    if verdict:
        told = {
            "verdict": verdict,
            "reason": "few",
            "anomalies": [{"type": "G0", "sentence": "T1 and T2"}] if verdict == "violated" else [],
            "stats": {"ops_per_second": 10.0, "seconds": 1.0, "latency_ms": {"p99": 1.0}},
            "spec": spec,
        }
        (path / "verdict.json").write_text(json.dumps(told))


def test_a_folder_of_runs_is_told_by_the_last_run_of_each_test(tmp_path):
    stored(tmp_path, 1, "violated")
    stored(tmp_path, 2, "holds")
    stored(tmp_path, 3, "violated", label="bank/y")
    stored(tmp_path, 4, None, label="set/z")
    text = index_runs(tmp_path).read_text()
    assert "4 runs of 3 tests" in text
    assert "Some of these tests were violated the last time" in text
    assert "T1 and T2" in text
    assert "set/z on postgres" in text
    assert 'href="0002-x/report.html"' in text


def test_a_folder_without_runs_is_told(tmp_path):
    with pytest.raises(UsageError, match="there are no runs in"):
        index_runs(tmp_path)


def test_the_page_is_there_completely_or_not_at_all(tmp_path):
    path = write_index(page(Field(case="a", fault="none", past=[GOOD])), tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
