"""Each format as its own tool writes it: what is read, what is refused, and where."""

import pytest

from dokkaebi.harness.errors import MalformedHistory
from dokkaebi.harness.formats import edn, edn_plain
from dokkaebi.harness.formats.edn_writer import edn_line
from dokkaebi.harness.formats.reading import read
from dokkaebi.harness.history import Op


def history(text, name="h"):
    return read(text.encode() if isinstance(text, str) else text, source=name).history


def operations(text):
    return [(op.process, op.f, op.type, op.asked, op.value) for op in history(text).operations()]


# --- Jepsen's EDN ---------------------------------------------------------------------------------

LINES = """\
{:type :invoke, :f :write, :value 3, :process 0, :time 10, :index 0}
{:type :info, :f :start, :value nil, :process :nemesis, :time 11, :index 1}
{:type :ok, :f :write, :value 3, :process 0, :time 12, :index 2}
"""


@pytest.mark.parametrize(
    "text",
    [
        LINES,
        f"[{LINES}]",
        f"  \n[{LINES}]\n\n",
        "; as Knossos has them\n" + LINES,
        LINES.replace("{", "#jepsen.history.Op{"),
        LINES.replace("{", "#jepsen.history.Op {"),
        LINES.replace(", ", "\n ,"),
        f"({LINES})",
        LINES.replace(":value 3", ":value #_old 3"),
        LINES.replace(":time", ':clock "a}[" :time'),
        LINES.replace("{:type", "{:exception {:via [#error{:cause nil}]}, :type"),
        LINES.replace("{", "^:meta {"),
    ],
)
def test_all_the_ways_that_jepsen_writes_events(text):
    found = history(text)
    assert [op.type for op in found] == ["invoke", "info", "ok"]
    assert [op.process for op in found] == [0, "nemesis", 0]
    assert [op.time for op in found] == [10, 11, 12]
    assert [op.value for op in found] == [3, None, 3]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (":a", "a"),
        (":a/b", "a/b"),
        ("sym", "sym"),
        ("nil", None),
        ("[1 [2 nil] ()]", [1, [2, None], []]),
        ("#{1 :b}", ["b", 1]),
        ("{0 100, :from 3}", {"0": 100, "from": 3}),
        ("#:n{:a 1 :m/b 2}", {"n/a": 1, "m/b": 2}),
        ("#jepsen.independent.tuple[1 2]", [1, 2]),
        ("#clojure.lang.MapEntry [1 #{2}]", [1, [2]]),
        ('#inst "2020-01-01"', "2020-01-01"),
        ('#object[a.B 0x1f "x"]', ["a.B", 31, "x"]),
        ("12345678901234567890123N", 12345678901234567890123),
        ("+5", 5),
        ("1/3", "1/3"),
        ("1.5M", "1.5M"),
        ("1e3", 1000.0),
        ("1e999", "1e999"),
        ("##NaN", "NaN"),
        ("##-Inf", "-Infinity"),
        ("\\a", "a"),
        ("\\newline", "\n"),
        ("\\u00e9", "é"),
        (r'"a\"\\\n\u00e9\ud83d\ude00"', 'a"\\\né😀'),
        (r'"\ud800"', "�"),
        ("[1 #_ #_ 2 3 4]", [1, 4]),
        ("[1 #_(a [b]) ; not this 9\n 2]", [1, 2]),
        ("^{:a 1} [1]", [1]),
        ("'a", "a"),
    ],
)
def test_values_of_edn_become_plain_json(text, value):
    assert edn.value_of(text) == value


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("{:a 1", 1, 1, "ends within"),
        ("{:a\n 1]", 2, 3, "'}' was expected"),
        (")", 1, 1, "closes nothing"),
        ("[1\n 2\n  01x]", 3, 3, "no number"),
        ('\n"abc', 2, 1, "within a string"),
        (r'["\q"]', 1, 3, "no escape"),
        ("{:a}", 1, 1, "without a value"),
        ("{:a 1 :a 2}", 1, 1, "twice"),
        ('{0 1 "0" 2}', 1, 1, "twice"),
        ("[1 #foo]", 1, 4, "before nothing"),
        ("[1 : ]", 1, 4, "names nothing"),
        ("[#]", 1, 2, "begins nothing known"),
    ],
)
def test_broken_edn_is_refused_with_line_column_and_the_text_around(text, line, column, reason):
    with pytest.raises(MalformedHistory) as refused:
        edn.parse(text, source="h.edn")
    assert (refused.value.line, refused.value.column) == (line, column)
    assert reason in str(refused.value)
    assert text.splitlines()[line - 1].strip()[:3] in str(refused.value)


def test_plain_maps_take_the_fast_way():
    assert edn_plain.rows(LINES) is not None
    assert edn_plain.rows(LINES.replace("{", "#jepsen.history.Op{")) is not None
    assert edn_plain.rows("; no\n" + LINES) is None


def test_the_line_of_an_event_is_told_wherever_it_stands():
    text = "; a comment\n[" + LINES + "\n\n{:type :ok, :f :read, :process 7}]"
    with pytest.raises(
        MalformedHistory, match="line 7: 'ok' of 'read' by process 7 completes nothing"
    ):
        history(text)


def test_times_that_run_behind_the_order_of_lines_are_raised_to_it():
    text = LINES.replace(":time 12", ":time 10")
    assert [op.time for op in history(text)] == [10, 11, 12]
    without = LINES.replace(":time 11, ", "")
    assert [op.time for op in history(without)] == [-1, -1, -1]


def test_a_clock_that_stood_still_says_no_more_than_the_order_of_lines():
    still = history(LINES.replace("10", "7").replace("11", "7").replace("12", "7"))
    assert still.time.tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("#{1 2 30}", "#{30 2 1}"),
        ('#{:b "a" nil 99999999999999999999}', '#{99999999999999999999 nil "a" :b}'),
        ("[[#{#{2 1} #{3}} 5]]", "[[#{#{3} #{1 2}} 5]]"),
        ("#{{:x 1 :y 2} {:x 1 :y 3}}", "#{{:y 3 :x 1} {:y 2 :x 1}}"),
    ],
)
def test_equal_sets_are_equal_values(one, same):
    assert edn.value_of(one) == edn.value_of(same)
    assert len(edn.value_of("#{3 1 2}")) == 3


@pytest.mark.parametrize("process", [-1, -2, -7])
@pytest.mark.parametrize(
    "event", ['{"process":%d,"type":"invoke","f":"x"}', "{:process %d :type :invoke :f :x}"]
)
def test_a_process_that_is_none_is_told_as_it_came(event, process):
    with pytest.raises(MalformedHistory, match=f"line 1: a process is .*, not {process}$"):
        history(event % process)


def test_operations_without_a_process_are_paired_by_function_the_latest_first():
    text = """
    {:type :invoke :f :read :value 1} {:type :invoke :f :write :value 2}
    {:type :invoke :f :read :value 3} {:type :ok :f :read :value 4}
    {:type :info :f :write :value 2} {:type :ok :f :read :value 5} {:type :invoke :f :read :value 6}
    """
    assert operations(text) == [
        (0, "read", "ok", 1, 5),
        (1, "write", "info", 2, 2),
        (2, "read", "ok", 3, 4),
        (0, "read", "info", 6, 6),
    ]
    with pytest.raises(MalformedHistory, match="operation 0: 'ok' of 'read' completes nothing"):
        history("{:type :ok :f :read}")


# --- elle-cli's JSON ------------------------------------------------------------------------------


def test_an_array_of_objects():
    text = '[{"type":"invoke","f":"read","process":0,"op-index":3},\n{"type":"ok","f":"read","process":0,"value":{"0":100}}]'
    assert operations(text) == [(0, "read", "ok", None, {"0": 100})]


def test_keys_that_spell_integers_mean_the_same_in_json_and_edn():
    edn_text = "{:type :invoke :f :read :process 0}{:type :ok :f :read :process 0 :value {0 100}}"
    json_text = '[{"type":"invoke","f":"read","process":0},{"type":"ok","f":"read","process":0,"value":{"0":100}}]'
    assert operations(edn_text) == operations(json_text)


def test_one_object_a_line_without_processes():
    text = '{"type":"invoke","f":"read"}\n\n{"type":"ok","f":"read","value":5}\n'
    assert operations(text) == [(0, "read", "ok", None, 5)]
    with pytest.raises(MalformedHistory, match='line 4: operation 2: its type is "no"'):
        history(text + '{"type":"no","f":"read"}\n')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[{"type":"invoke","f":"r","process":0},\n{"type":"ok" "f":"r"}]', "line 2, column 14"),
        ('[{"type":"invoke"},\n {"type":', "line 2"),
        ('[{"type":"invoke","f":"r","process":0},\n 5]', "line 2, column 2: operation 1"),
    ],
)
def test_broken_json_is_refused_with_line_column_and_the_text_around(text, told):
    with pytest.raises(MalformedHistory) as refused:
        history(text, "h.json")
    assert told in str(refused.value)


# --- AWDIT's text ---------------------------------------------------------------------------------


def test_sessions_of_transactions_that_know_no_time():
    found = history("w 0 1\nr 1 2\n-----\nr 0 1\n=====\nw 1 2\n")
    assert [(op.process, op.value) for op in found.operations()] == [
        (0, [["w", 0, 1], ["r", 1, 2]]),
        (0, [["r", 0, 1]]),
        (1, [["w", 1, 2]]),
    ]
    assert next(op.asked for op in found.operations()) == [["w", 0, 1], ["r", 1, None]]
    assert found.meta["realtime"] is False
    # All at one instant: closed intervals that touch are concurrent.
    assert {(op.call, op.ret) for op in found.operations()} == {(0, 0)}


# --- which one it is ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b'{"process":0,"type":"invoke","f":"x"}\n', "h.edn", "jsonl"),
        (b'\xef\xbb\xbf{"process":0,"type":"invoke","f":"x"}\n', "h", "jsonl"),
        (b'{"type":"invoke","f":"x"}\n', "h.jsonl", "json-lines"),
        (b' [\n {"type":"invoke","f":"x"}]', "h", "json"),
        (b"[]", "h.json", "json"),
        (b"{:type :invoke :f :x}", "h.json", "edn"),
        (b";; x\n\n; y\n[{:type :invoke :f :x}]", "-", "edn"),
        (b"w 1 1\n", "h", "awdit"),
    ],
)
def test_the_first_characters_say_which_format_it_is(data, name, kind):
    assert read(data, source=name).format == kind


# --- what is written ------------------------------------------------------------------------------


def test_keywords_stand_where_jepsen_has_them():
    def line(**more):
        return edn_line(Op(**more)).decode().strip()

    txn = [["append", "x", 1], ["r", 2, None], ["r", 3, [1, 2]]]
    assert (
        line(index=4, time=9, process=1, type="ok", f="txn", value=txn)
        == '{:index 4, :time 9, :process 1, :type :ok, :f :txn, :value [[:append "x" 1] [:r 2 nil] [:r 3 [1 2]]]}'
    )
    assert (
        line(process="nemesis", type="info", f="kill", value={"id": 1})
        == "{:process :nemesis, :type :info, :f :kill, :value {:id 1}}"
    )
    transfer = {"from": 0, "to": 1, "amount": 5}
    assert ":value {:from 0, :to 1, :amount 5}" in line(process=0, type="ok", f="t", value=transfer)
    assert ":value {0 10, 1 -2}" in line(process=0, type="ok", f="read", value={"0": 10, "1": -2})
    assert line(process=0, type="fail", f="a b", error='no "x"\n') == (
        '{:process 0, :type :fail, :f "a b", :value nil, :error "no \\"x\\"\\n"}'
    )
    assert ":dokkaebi {:result 7}" in line(process=0, type="ok", f="add", value=1, result=7)


def test_what_is_no_unicode_is_spelled_out():
    from dokkaebi.harness.formats.jsonl import decode_lines, encode_op
    from dokkaebi.harness.history import Op

    strange = Op(
        time=1, process=0, type="ok", f="read", value=["k\udcff", ["\ud800", 1]], error="\udcfe"
    )
    (read,) = decode_lines(encode_op(strange), source="x")
    assert (read.value, read.error) == (["k\\udcff", ["\\ud800", 1]], "\\udcfe")
    assert (read.time, read.process, read.type) == (1, 0, "ok")
