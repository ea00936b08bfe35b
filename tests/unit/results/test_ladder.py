"""The ladder as data: who sent what, what is guilty, and what happens when things are missing."""

import io

import msgspec
import pytest
from rich.console import Console

from dokkaebi.bench import sample_runs as samples
from dokkaebi.harness.history import History, Op
from dokkaebi.harness.trace import Step
from dokkaebi.harness.verdict import Anomaly
from dokkaebi.results import ladder, store, terminal
from dokkaebi.results.picture import picture


def drawn(tmp_path, name):
    folder = store.new_run(tmp_path, name)
    result, history = samples.SAMPLES[name](folder)
    anomaly = result.verdict.anomalies[0]
    return picture(anomaly, history, trace=folder / store.TRACE, faults=result.faults)


def test_keys_of_the_trace_count_invocations_within_a_process():
    events = []
    for i, process in enumerate([3, 1, 3, 3]):
        events += [
            Op(time=2 * i, process=process, type="invoke", f="add"),
            Op(time=2 * i + 1, process=process, type="ok", f="add"),
        ]
    history = History(events)
    assert ladder.trace_keys(history, [0, 2, 4, 6]) == {(3, 0): 0, (1, 0): 2, (3, 1): 4, (3, 2): 6}


def test_a_lost_update_shows_what_was_sent_and_accuses_the_second_write(tmp_path):
    shown = drawn(tmp_path, "counter").ladder
    assert [column.title for column in shown.columns] == ["process 0", "process 1"]
    texts = [row.text for row in shown.rows]
    assert "SELECT value FROM counters WHERE key = 'c0'" in texts
    guilty = [row for row in shown.rows if row.guilty]
    assert [row.text for row in guilty] == ["UPDATE counters SET value = 42 WHERE key = 'c0'"]
    assert guilty[0].note == "overwrites process 0's change, which it had not seen"
    assert [arrow.number for arrow in shown.arrows] == [1, 2]
    assert "read and got 41 before" in shown.arrows[0].sentence


def test_a_statement_that_waited_is_told_in_two_rows(tmp_path):
    kinds = [row.kind for row in drawn(tmp_path, "counter").ladder.rows if "UPDATE" in row.text]
    assert kinds == ["sent", "step", "got"]


def test_what_only_tidied_up_before_the_call_is_not_shown(tmp_path):
    folder = store.new_run(tmp_path, "tidy")
    recorder = samples.Recorder()
    one = recorder.op(0, "add", ["x", 1], 10_000, 90_000, steps=[
        (-5_000, 2_000, "ROLLBACK", None, None), (10_000, 20_000, "UPDATE x", None, "UPDATE 1")
    ])  # fmt: skip
    history = recorder.history()
    recorder.write_trace(folder / store.TRACE)
    anomaly = Anomaly(type="lost-update", sentence="", ops=(samples.find(history, *one),))
    shown = ladder.build(anomaly, history, trace=folder / store.TRACE)
    assert [row.text for row in shown.rows if row.kind != "return"] == ["add x 1", "UPDATE x"]


def test_a_cycle_has_an_arrow_for_each_edge_with_its_sentence(tmp_path):
    shown = drawn(tmp_path, "append").ladder
    assert len(shown.arrows) == 2
    for arrow in shown.arrows:
        assert shown.rows[arrow.source].access == "read"
        assert shown.rows[arrow.target].access == "write"
    assert [row.label for row in shown.rows if row.label] == ["T1", "T2"]


def test_a_lock_has_lanes_and_a_ladder_with_the_pause_and_the_end_of_the_lease(tmp_path):
    found = drawn(tmp_path, "lock")
    assert [hold.process for hold in found.lanes.holds] == [15, 9]
    assert [fault.name for fault in found.lanes.faults] == ["pause-client"]
    events = [row.text for row in found.ladder.rows if row.kind == "event"]
    assert any("pause-client" in text for text in events)
    assert any("lease of lock-2 runs out" in text for text in events)
    assert [row.text for row in found.ladder.rows if row.guilty] == ["→ t170"]


def test_without_a_trace_the_rows_are_the_operations(tmp_path):
    found = drawn(tmp_path, "register")
    assert not found.ladder.traced
    assert {row.kind for row in found.ladder.rows} == {"whole", "call", "return"}
    assert found.prefix.states == ("8", "9")
    guilty = [row for row in found.ladder.rows if row.guilty]
    assert [(row.text, row.got) for row in guilty] == [("read r9", "→ 7")]


def test_without_times_the_rows_have_the_numbers_of_their_events():
    history = History([Op(process=0, type="invoke", f="write", value=1),
                       Op(process=0, type="ok", f="write", value=1),
                       Op(process=1, type="invoke", f="read"),
                       Op(process=1, type="ok", f="read", value=0)])  # fmt: skip
    found = picture(Anomaly(type="stale-read", sentence="s", ops=(0, 2)), history).ladder
    assert [found.when(row) for row in found.rows] == ["0", "2"]
    console = Console(file=io.StringIO(), width=80)
    console.print(terminal.ladder_table(found, width=80))
    assert console.file.getvalue().split()[0] == "event"


@pytest.mark.parametrize(
    "evidence",
    [
        {"kind": "lanes"},
        {"kind": "lanes", "holds": [{"process": 1}]},
        {"kind": "lanes", "holds": []},
        {"kind": "linearizability", "op": 999},
        {"kind": "linearizability", "op": 0, "prefix": None, "states": None, "concurrent": None},
        {"kind": "ladder", "edges": [{"from": 0, "to": 77}, "nonsense", {}]},
        {"kind": "something new"},
        {},
    ],
)
def test_missing_evidence_becomes_a_warning_and_never_an_error(evidence):
    history = History([Op(time=1, process=0, type="invoke", f="read"),
                       Op(time=2, process=0, type="ok", f="read", value=3)])  # fmt: skip
    anomaly = Anomaly(type="stale-read", sentence="s", ops=(0, 5, -3), evidence=evidence)
    found = picture(anomaly, history)
    assert found.ladder is not None or found.warnings


@pytest.mark.parametrize(
    ("sent", "args", "text"),
    [
        ("SELECT n FROM t WHERE k = %s", ["a'b"], "SELECT n FROM t WHERE k = 'a''b'"),
        ("UPDATE t SET n = $2 WHERE k = $1", ["k", 5], "UPDATE t SET n = 5 WHERE k = 'k'"),
        ("SELECT %(a)s, %(b)s", {"a": None, "b": 2}, "SELECT NULL, 2"),
        ("SELECT %s", [1, 2], "SELECT %s 1 2"),
        ("SET", ["k", "v", "NX", "PX", 1000], "SET k v NX PX 1000"),
        ("BEGIN -- implicit", None, "BEGIN (implicit)"),
        (
            "UPDATE t SET n = %(n)s WHERE k = %(k)s",
            {"each": [{"n": 1, "k": 2}, {"n": 3, "k": 4}]},
            "UPDATE t SET n = 1 WHERE k = 2; UPDATE t SET n = 3 WHERE k = 4",
        ),
        (
            "INSERT INTO t VALUES (?)",
            {"each": [[1], [2]]},
            "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)",
        ),
        ("SELECT %(each)s", {"each": 7}, "SELECT 7"),
    ],
)
def test_bound_values_stand_where_the_placeholders_were(sent, args, text):
    step = Step(0, 0, 0, 1, "n", sent, args, None, None)
    assert ladder.sent_text(step) == text


@pytest.mark.parametrize(
    ("got", "text"),
    [([["41"]], "41"), ([], "no rows"), ([["0", "7"], ["3", "0"]], "(0, 7), (3, 0)"),
     ([["1", "27"]], "(1, 27)"),
     ("UPDATE 1", "1 row"), ("ROLLBACK", "ROLLBACK"), (None, ""), ("OK", "OK")],
)  # fmt: skip
def test_answers_read_short(got, text):
    step = Step(0, 0, 0, 1, "n", "COMMIT", None, got, None)
    assert ladder.got_text(step) == text


@pytest.mark.parametrize(
    ("sent", "does"),
    [
        ("select 1", "read"), ("  UPDATE t", "write"), ("COMMIT", "commit"), ("EXEC", "commit"),
        ("SET k v", "write"), ("SET LOCAL x = 1", "other"), ("BEGIN", "other"), ("GET", "read"),
        ("INCRBY", "write"), ("hello", "other"),
    ],
)  # fmt: skip
def test_statements_and_commands_are_told_apart(sent, does):
    assert ladder.access(sent) == does


def test_a_ladder_is_a_value():
    shown = ladder.Ladder(columns=(), rows=())
    assert msgspec.json.decode(msgspec.json.encode(shown), type=ladder.Ladder) == shown


def test_a_long_cycle_is_a_ring(tmp_path):
    ring = drawn(tmp_path, "ring").ring
    assert [node.label for node in ring.nodes] == [f"T{i}" for i in range(1, 8)]
    assert [(edge.source, edge.target) for edge in ring.edges] == [
        (i, (i + 1) % 7) for i in range(7)
    ]
    assert drawn(tmp_path, "append").ring is None


def test_an_overlap_too_short_to_be_seen_is_shown_closer(tmp_path):
    lanes = drawn(tmp_path, "lock").lanes
    assert lanes.closer() is None
    first = lanes.overlap[0]
    short = msgspec.structs.replace(lanes, overlap=(first, first + 1_000_000))
    assert short.closer().window == (first - 600_000, first + 1_600_000)
    assert short.closer().holds == lanes.holds


def test_a_release_of_somebody_elses_lock_is_accused_too(tmp_path):
    folder = store.new_run(tmp_path, "lock")
    result, history = samples.lock(folder)
    anomaly = result.verdict.anomalies[0]
    stray = int(history.invocations()[0])
    anomaly = msgspec.structs.replace(anomaly, type="double-hold", ops=(*anomaly.ops, stray))
    shown = picture(anomaly, history, trace=folder / store.TRACE).ladder
    notes = [row.note for row in shown.rows if row.guilty]
    assert any("process 15's" in note for note in notes)
    assert any(note.startswith("granted while") for note in notes)
