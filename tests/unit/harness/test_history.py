"""Histories pair, keep their columns, and refuse what is malformed, with line and reason."""

import numpy as np
import pytest

from dokkaebi import History, MalformedHistory, Op
from dokkaebi.harness.formats import jsonl as module
from dokkaebi.harness.formats.jsonl import decode_lines, encode_op, read_jsonl, write_jsonl
from dokkaebi.harness.history import FOREVER


def op(time, process, kind, f="read", value=None, **more):
    return Op(time=time, process=process, type=kind, f=f, value=value, **more)


def text(*lines):
    return "".join(line + "\n" for line in lines).encode()


GOOD = [
    op(1, 0, "invoke", "write", [0, 5]),
    op(2, 1, "invoke", "read", [0, None]),
    op(3, 0, "ok", "write", [0, 5]),
    op(4, "nemesis", "info", "kill", {"id": 1, "do": "inject", "target": "server"}),
    op(5, 1, "ok", "read", [0, 5]),
    op(6, 0, "invoke", "write", [0, 6], phase="final"),
]


def test_events_come_back_as_they_went_in():
    history = History(GOOD)
    assert [history[i] for i in range(len(history))] == [
        Op(**{**{n: getattr(o, n) for n in o.__struct_fields__}, "index": i})
        for i, o in enumerate(GOOD)
    ]


def test_columns_and_pairs():
    history = History(GOOD)
    assert history.pair.tolist() == [2, 4, 0, -1, 1, -1]
    assert history.process.tolist() == [0, 1, 0, -1, 1, 0]
    assert history.time.dtype == np.int64
    assert [history.functions[i] for i in history.f] == [o.f for o in GOOD]


def test_an_invocation_without_completion_is_info_and_open_for_ever():
    last = list(History(GOOD).operations())[-1]
    assert (last.type, last.ret, last.end, last.phase) == ("info", FOREVER, -1, "final")


@pytest.mark.parametrize("process", [-1, -2, -7, -(2**31)])
@pytest.mark.parametrize("f", ["acquire", "release", "guard-read", "guard-write", "enter"])
def test_no_client_has_a_negative_number(process, f):
    """Checkers that number sessions (holds, sections) count on it."""
    events = [*GOOD[:1], op(1, process, "invoke", f, "a"), op(2, process, "ok", f, "a")]
    with pytest.raises(MalformedHistory, match="line 2: a process is"):
        History(events)


def test_operations_can_be_chosen_by_function_and_asked_for_by_either_end():
    history = History(GOOD)
    assert [o.value for o in history.operations("read")] == [[0, 5]]
    assert history.operation(4) == history.operation(1)


def test_without_times_the_order_of_lines_counts():
    history = History([op(-1, 0, "invoke"), op(-1, 0, "ok")])
    operation = next(history.operations())
    assert (operation.call, operation.ret) == (0, 1)


@pytest.mark.parametrize(
    ("events", "reason", "line"),
    [
        ([op(1, 0, "ok")], "completes nothing", 1),
        ([op(1, 0, "invoke"), op(2, 0, "invoke")], "is still open", 2),
        ([op(2, 0, "invoke"), op(1, 0, "ok")], "time runs backwards within process 0", 2),
        ([op(1, 0, "invoke"), op(2, 0, "ok", "write")], "completes an invocation of 'read'", 2),
        ([op(1, -3, "invoke")], "not -3", 1),
    ],
)
def test_what_does_not_pair_is_refused_with_line_and_reason(events, reason, line):
    with pytest.raises(MalformedHistory) as refused:
        History(events, source="x.jsonl")
    assert reason in str(refused.value)
    assert refused.value.line == line
    assert "x.jsonl" in str(refused.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (text('{"process": 0, "type": "maybe", "f": "read"}'), "maybe"),
        (text('{"process": 0, "f": "read"}'), "type"),
        (text("no json at all"), "no json at all"),
        (b'{"process": 0, "type": "invoke", "f": "\xff\xfe"}\n', "utf-8"),
        (text('{"process": "somebody", "type": "invoke", "f": "read"}'), "process"),
        (text("[1, 2]"), "[1, 2]"),
        (text("[" * 100_000), "[["),
    ],
)
def test_malformed_lines_are_refused_with_line_and_reason(data, reason):
    first = encode_op(op(1, 5, "invoke"))
    with pytest.raises(MalformedHistory) as refused:
        decode_lines(first + data, source="x")
    assert refused.value.line == 2
    assert reason.lower() in str(refused.value).lower()


def test_a_line_that_is_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(module, "MAX_LINE", 100)
    with pytest.raises(MalformedHistory, match="line 1: the line has"):
        decode_lines(b"x" * 101 + b"\n", source="x")


def test_a_hundred_megabytes_in_one_line_are_refused_without_being_parsed():
    with pytest.raises(MalformedHistory, match="100 MB"):
        decode_lines(b"[" * (100 * 2**20) + b"\n", source="x")


def test_a_torn_last_line_is_dropped_and_all_before_it_kept():
    whole = b"".join(map(encode_op, GOOD))
    for cut in range(1, len(encode_op(GOOD[-1]))):
        ops = decode_lines(whole[:-cut], source="x")
        assert ops[:5] == GOOD[:5]
        assert len(ops) in (5, 6)


def test_jsonl_round_trip(tmp_path):
    path = tmp_path / "history.jsonl"
    write_jsonl(History(GOOD), path)
    again = read_jsonl(path, meta={"ttl": 1})
    assert list(again) == list(History(GOOD))
    assert again.meta == {"ttl": 1}
    assert b"null" not in path.read_bytes().replace(b"[0,null]", b"")
