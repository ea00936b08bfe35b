"""The terminal: verdict first, whatever the width, with nothing hidden and nothing only coloured."""

import io
import re

import pytest
from rich.console import Console

from dokkaebi.bench import sample_runs as samples
from dokkaebi.harness.figures import Figures
from dokkaebi.harness.history import History, Op
from dokkaebi.harness.result import Result, Stats
from dokkaebi.harness.verdict import Anomaly, Verdict
from dokkaebi.results import live, store
from dokkaebi.results.draw_lanes import draw_prefix
from dokkaebi.results.picture import picture
from dokkaebi.results.terminal import summary


def printed(tmp_path, name, width, **more):
    folder = store.new_run(tmp_path, name)
    result, history = samples.SAMPLES[name](folder)
    console = Console(
        file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False, **more
    )
    summary(result, history, console, remedy=samples.remedy)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 100, 200])
@pytest.mark.parametrize("name", ["counter", "lock", "register", "append", "passing", "unproved"])
def test_it_fits_its_width_and_says_the_verdict_first(tmp_path, name, width):
    text = printed(tmp_path, name, width)
    first = {"passing": "✔ HOLDS", "unproved": "? UNKNOWN"}.get(name, "✖ VIOLATED")
    assert text.startswith(first)
    lines = [line for line in text.splitlines() if "dokkaebi " not in line]
    assert max(map(len, lines)) <= width
    assert "\x1b" not in text


def test_a_pass_says_no_more_than_it_knows(tmp_path):
    text = printed(tmp_path, "passing", 100)
    assert "no violation found in" in text
    assert "correct" not in text


def test_the_first_anomaly_stands_there_with_its_remedy_and_both_repro_lines(tmp_path):
    text = printed(tmp_path, "counter", 120)
    assert "17 lost updates in" in text
    assert "✖ UPDATE … after 3 ms" in text or "✖ …" in text
    assert "^ overwrites process 0's change" in text
    assert "to fix it  Let the database do the arithmetic" in text
    assert re.search(r"check again \(exact\) +dokkaebi check ", text)
    assert re.search(r"run again \(may differ\) +dokkaebi run counter ", text)
    assert "does not fix the operating" in text


def test_levels_are_said(tmp_path):
    text = printed(tmp_path, "append", 100)
    assert "not serializable: 3 write skews (G2-item)" in text
    assert "nothing here contradicts snapshot-isolation" in text


@pytest.mark.parametrize("states", [[], [3, "4"]])
def test_states_are_told_where_they_are_known(states):
    history = History(
        [
            Op(time=1, process=0, type="invoke", f="dequeue"),
            Op(time=2, process=0, type="ok", f="dequeue", value=7),
        ]
    )
    evidence = {"kind": "linearizability", "key": None, "op": 0, "states": states}
    anomaly = Anomaly(type="nonlinearizable", sentence="So it is.", ops=(0,), evidence=evidence)
    verdict = Verdict(verdict="violated", anomalies=(anomaly,), judged=1)
    result = Result(
        verdict=verdict, checkers={}, stats=Stats(ok=1), faults=(), spec=None, folder=None
    )
    console = Console(file=io.StringIO(), width=100)
    summary(result, history, console)
    text = console.file.getvalue()
    assert "1 nonlinearizable object in" in text
    assert "none" not in text
    assert ('possible values just before: 3, "4"' in text) == bool(states)
    drawn = draw_prefix(picture(anomaly, history).prefix, name="a", title="A")
    assert ("possible values" in drawn) == bool(states)


def test_colour_is_only_added(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")  # on a dumb one rich takes a width of its own
    plain = printed(tmp_path, "counter", 100)
    coloured = printed(tmp_path, "counter", 100, force_terminal=True, color_system="standard")
    assert "\x1b[" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert bare.replace("0002-", "0001-") == plain


def test_hostile_values_reach_no_terminal(tmp_path):
    text = printed(tmp_path, "hostile", 100)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200f]", text)
    assert len(text) < 60_000


FIGURES = Figures(
    elapsed_ns=14_200_000_000, total_ns=30_000_000_000, ok=41_090, fail=788, info=24,
    rates=(900.0, 1400.0, 0.0), p50_ms=2.1, p99_ms=18.0, max_ms=812.0, fault="kill postgres",
    faults_injected=2, faults_took_effect=1, anomalies=3,
)  # fmt: skip


def test_the_live_picture_shows_every_figure():
    console = Console(file=io.StringIO(), width=80)
    console.print(live.panel("counter", FIGURES, 80))
    text = console.file.getvalue()
    for part in ("14.2 s of 30 s", "41,090 ok", "788 failed", "24 unknown", "p99 18 ms",
                 "NOW kill postgres", "2 injected, 1 took effect", "3 so far", "▆█▁"):  # fmt: skip
        assert part in text


def test_the_plain_view_speaks_every_ten_seconds_and_at_each_edge_of_a_fault(capsys):
    def at(second, fault=None):
        return Figures(elapsed_ns=second * 1_000_000_000, total_ns=60_000_000_000, fault=fault)

    with live.PlainView("counter") as view:
        for figures in (at(0), at(4), at(9), at(11), at(12, "kill"), at(13, "kill"), at(14)):
            view.update(figures)
        view.note("done\x1b[31m")
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    starts = [line.split(" s of")[0] for line in lines[1:-1]]
    assert starts == ["0.0", "11.0", "12.0", "14.0"]
    assert lines[0] == "counter"
    assert "\x1b" not in said.err


@pytest.mark.parametrize("progress", ["auto", "plain"])
def test_without_a_terminal_the_view_is_plain(progress):
    console = Console(file=io.StringIO())
    assert isinstance(live.make_view(progress, "x", console=console), live.PlainView)
    assert isinstance(live.make_view("none", "x", console=console), live.Silent)
