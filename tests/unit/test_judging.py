"""What the command says of a history reaches what judges it."""

import json

import pytest

from dokkaebi.compose import check_run_as
from dokkaebi.harness.errors import MalformedHistory, UsageError
from dokkaebi.harness.result import CheckerResult
from dokkaebi.harness.spec import Spec
from dokkaebi.harness.verdict import Verdict
from dokkaebi.judging import Given, _something_judged, check_history, value_of
from dokkaebi.results import store
from dokkaebi.results.meter import Meter


class Said(Meter):
    """Remembers what was said."""

    def __init__(self):
        super().__init__()
        self.notes = []
        self.stages = []

    def note(self, text):
        self.notes.append(text)

    def stage(self, name):
        self.stages.append(name)


@pytest.fixture
def judged(tmp_path):
    def judge(text, meter=None, **given):
        path = tmp_path / "h"
        path.write_text(text)
        finished = check_history(str(path), Given(**given), meter=meter or Said())
        return finished.result.verdict, finished.history

    return judge


def events(*operations):
    lines = []
    for f, asked, answer in operations:
        lines.append(f"{{:process 0 :type :invoke :f :{f} :value {asked}}}")
        lines.append(f"{{:process 0 :type :ok :f :{f} :value {answer}}}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5), ("nil", None), ("null", None), ("x", "x"), ('"5"', "5"), ("true", True),
        ('{"x": 0}', {"x": 0}), ("{:x 0, :y 1}", {"x": 0, "y": 1}), ("[1 2]", [1, 2]), ("a b", "a b"),
    ],
)  # fmt: skip
def test_values_are_json_or_edn_or_text(text, value):
    assert value_of(text) == value


def test_the_level_reaches_the_checkers(judged):
    one = "{:process 0 :type %s :f :txn :value [[:append 1 1]]}"
    text = "\n".join((one % ":invoke", one % ":ok"))
    _, history = judged(text, level="PL-2")
    assert history.meta["level"] == "read-committed"
    assert history.meta["workload"] == "append"


def test_without_real_time_the_level_needs_none_and_that_is_said(judged):
    meter = Said()
    verdict, history = judged("w 1 1\n=====\nr 1 1\n", meter)
    assert verdict.verdict == "holds"
    assert history.meta["level"] == "strong-session-serializable"
    assert any("no real time" in note for note in meter.notes)
    with pytest.raises(UsageError, match="real time"):
        judged("w 1 1\n", model="multi-register")


def test_what_is_judged_and_when_is_said(judged):
    meter = Said()
    judged(events(("add", 1, 1), ("read", "nil", 1)), meter)
    assert meter.notes[-1] == "judged as counter: its reads are sums of what was added"
    assert "judging: counter" in meter.stages


TIMED = "".join(
    f'{{"process":0,"type":"{kind}","f":"{f}","value":["x",{value}],"time":%d}}\n'
    for f, value in (("add", "2"), ("read", "2"))
    for kind in ("invoke", "ok")
)


def test_a_torn_last_line_is_left_out_and_that_is_said(judged):
    meter = Said()
    verdict, history = judged(TIMED % (1, 2, 3, 4) + '{"process":0,"ty', meter)
    assert (verdict.verdict, len(history)) == ("holds", 4)
    assert len([note for note in meter.notes if note.startswith("line 5, the last one")]) == 1


def test_a_last_line_without_a_newline_is_whole(judged):
    meter = Said()
    _, history = judged((TIMED % (1, 2, 3, 4)).removesuffix("\n"), meter)
    assert (len(history), len(meter.notes)) == (4, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TIMED % (5, 5, 5, 5), "all its times are equal"),
        (TIMED.replace(',"time":%d', ""), "by the place in the file"),
        (events(("add", 1, 1), ("read", "nil", 1)), "by the place in the file"),
        (events(("add", 1, 1)).replace("}", " :time 7}"), "by the place in the file"),
    ],
)
def test_what_tells_real_time_is_said_where_the_times_do_not(judged, text, told):
    meter = Said()
    judged(text, meter, workload="counter")
    assert [told in note for note in meter.notes] == [True]


def test_times_that_tell_need_no_note(judged):
    meter = Said()
    judged(TIMED % (1, 2, 3, 4), meter, workload="counter")
    assert meter.notes == []


LOCKS = "".join(
    f'{{"process":0,"type":"{kind}","f":"{f}","value":"a","time":%d}}\n'
    for f, end in (("acquire", "%s"), ("release", "fail"))
    for kind in ("invoke", end)
)


def test_what_is_taken_for_granted_of_locks_is_said(judged):
    meter = Said()
    verdict, _ = judged(LOCKS % (1, "ok", 2, 3, 4), meter)
    assert (verdict.verdict, verdict.judged > 0) == ("holds", True)
    assert any("leases of 1 s" in note and "--param lease=null" in note for note in meter.notes)


def test_a_lock_that_nobody_ever_held_is_unknown(judged):
    assert judged(LOCKS % (1, "fail", 2, 3, 4))[0].verdict == "unknown"


def test_progress_alone_proves_nothing():
    holds = Verdict(verdict="holds", judged=7)
    nothing = Verdict(verdict="holds", judged=0)
    each = {"x": CheckerResult(verdict=nothing, seconds=0.0)}
    assert not _something_judged(each | {"progress": CheckerResult(verdict=holds, seconds=0.0)})
    assert _something_judged(each | {"y": CheckerResult(verdict=holds, seconds=0.0)})


def test_acknowledged_adds_without_a_read_contradict_nothing(judged):
    verdict, _ = judged(events(("add", 1, 1), ("add", 1, 1)))
    assert (verdict.verdict, verdict.judged) == ("holds", 2)


def test_a_bank_from_elsewhere_is_held_to_what_its_first_read_saw(judged):
    rich = ("read", "nil", "{:a 10, :b -5}")
    poor = ("read", "nil", "{:a 4, :b 0}")
    assert judged(events(rich), params={"allow_negative": "true"})[0].verdict == "holds"
    assert [a.type for a in judged(events(rich))[0].anomalies] == ["overdraft"]
    both = judged(events(rich, poor), params={"allow_negative": "true"})[0]
    assert [a.type for a in both.anomalies] == ["conservation"]
    assert judged(events(poor), params={"total": "4"})[0].verdict == "holds"
    assert judged(events(poor), params={"total": "5"})[0].verdict == "violated"


def test_accounts_named_like_ours_are_not_taken_for_ours(judged):
    before = ("read", "nil", "{0 20, 1 20, 2 20, 3 20, 4 20}")
    move = ("transfer", "{:from 0, :to 1, :amount 5}", "{:from 0, :to 1, :amount 5}")
    after = ("read", "nil", "{0 15, 1 25, 2 20, 3 20, 4 20}")
    gone = ("read", "nil", "{0 15, 1 20, 2 20, 3 20, 4 20}")
    assert judged(events(before, move, after))[0].verdict == "holds"
    assert [a.type for a in judged(events(before, move, gone))[0].anomalies] == ["conservation"]
    said = judged(events(before, move, after), initial="100")[0]
    assert said.verdict == "violated"


def test_every_counter_begins_with_what_was_said(judged):
    for key in (":a", "99"):
        text = events(("add", f"[{key} 1]", f"[{key} 1]"), ("read", f"[{key} nil]", f"[{key} 11]"))
        assert judged(text, initial="10")[0].verdict == "holds"
        assert judged(text, initial="9")[0].verdict == "violated"


def test_registers_of_a_transaction_may_have_numbers_as_names(judged):
    text = events(("txn", "[[:read 1 nil] [:read 2 nil]]", "[[:read 1 1] [:read 2 0]]"))
    for initial in ("{1 1, 2 0}", '{"1": 1, "2": 0}'):
        assert judged(text, model="multi-register", initial=initial)[0].verdict == "holds"
    assert judged(text, model="multi-register", initial="{1 1}")[0].verdict == "violated"


@pytest.mark.parametrize(
    ("model", "initial", "expected"),
    [
        ("multi-register", "5", "begin with a map of keys to values, not with 5"),
        ("set", "abc", "begins with a list of elements, not with abc"),
        ("counter", "abc", "begins with a whole number, not with abc"),
    ],
)
def test_a_beginning_of_the_wrong_kind_is_refused(judged, model, initial, expected):
    with pytest.raises(UsageError, match=expected):
        judged(events(("add", "1", "1")), model=model, initial=initial)


def test_a_level_is_no_promise_of_a_register_from_elsewhere(judged):
    text = events(("write", "1", "1"))
    with pytest.raises(UsageError, match="a model is judged for linearizable"):
        judged(text, level="sequential")
    assert judged(text, level="linearizable")[0].verdict == "holds"


def ours(*lines):
    """A JSONL history: (process, type, f, value, time or None)."""
    return "".join(
        json.dumps(
            {"process": process, "type": kind, "f": f, "value": value}
            | ({} if time is None else {"time": time})
        )
        + "\n"
        for process, kind, f, value, time in lines
    )


def test_where_some_events_have_no_time_their_places_count(judged):
    text = ours(
        (0, "invoke", "write", 1, None),
        (1, "invoke", "read", None, 1000),
        (1, "ok", "read", None, 2000),
        (0, "ok", "write", 1, 3000),
    )
    said = Said()
    assert judged(text, said, model="cas-register")[0].verdict == "holds"
    assert any("not all its events have times" in note for note in said.notes)


@pytest.mark.parametrize(
    ("first", "initial", "verdict"),
    [
        (0, None, "holds"),
        (None, None, "holds"),
        (0, "nil", "violated"),
        (7, "7", "holds"),
        (7, None, "violated"),
    ],
)
def test_registers_without_a_run_begin_at_what_they_show(judged, first, initial, verdict):
    lines = [
        (0, "invoke", "read", ["x", None], 1),
        (0, "ok", "read", ["x", first], 2),
        (0, "invoke", "cas", ["x", [first, 1]], 3),
        (0, "ok", "cas", ["x", [first, 1]], 4),
    ]
    assert judged(ours(*lines), initial=initial)[0].verdict == verdict


def test_members_who_were_there_before_the_recording(judged):
    there = ("read", '["shift" nil]', '["shift" ["alice" "bob"]]')
    leave = [("leave", f'["shift" "{who}"]', f'["shift" "{who}"]') for who in ("alice", "bob")]
    rest = ("read", '["shift" nil]', '["shift" ["bob"]]')
    none = ("read", '["shift" nil]', '["shift" []]')
    assert judged(events(there, leave[0], rest), workload="constraint")[0].verdict == "holds"
    said = judged(events(there, *leave, none), workload="constraint")[0]
    assert [a.type for a in said.anomalies] == ["G2-item"]
    # Nobody knows whether anybody ever had to be there.
    assert judged(events(none), workload="constraint")[0].verdict == "unknown"


@pytest.mark.parametrize(
    ("take", "note", "verdict"),
    [("dequeue", "more than once", "holds"), ("consume", "exactly once", "violated")],
)
def test_what_a_queue_is_taken_to_promise_is_said(judged, take, note, verdict):
    said = Said()
    text = events(("enqueue", "1", "1"), (take, "nil", "1"), (take, "nil", "1"))
    assert judged(text, said, workload="queue")[0].verdict == verdict
    assert any(note in told for told in said.notes)
    told = Said()
    assert (
        judged(text, told, workload="queue", params={"delivery": "at-least"})[0].verdict == "holds"
    )
    assert not any("--param delivery" in each for each in told.notes)


def test_a_model_takes_its_parameters(judged):
    text = events(("read", "nil", 5))
    assert judged(text, model="register", initial="5")[0].verdict == "holds"
    assert judged(text, model="register", params={"initial": "6"})[0].verdict == "violated"
    with pytest.raises(UsageError, match="'colour'; its parameters are initial"):
        judged(text, model="register", params={"colour": "5"})
    with pytest.raises(UsageError, match="'initial'"):
        judged(events(("acquire", "nil", "nil")), model="mutex", initial="5")


def test_operations_that_a_model_does_not_know_are_bad_input(judged):
    with pytest.raises(UsageError, match=r"operation 0: add .* is not what register asks"):
        judged(events(("add", 1, 1)), model="register")


BAD = '{"process":0,"type":"%s","f":"txn","value":[["append",1]],"time":%d}\n'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n" + BAD % ("invoke", 1) + "\n\n" + BAD % ("ok", 2) + '{"proc', 2),
        ("\n\n{:process 0 :type :invoke :f :txn :value [[:append 1]]}", 3),
        ('{"type":"invoke","f":"txn","value":[["append",1]]}', 1),
    ],
)
def test_a_malformed_transaction_is_told_with_file_and_line(judged, text, line):
    with pytest.raises(MalformedHistory, match=f"h, line {line}: operation 0: a micro-operation"):
        judged(text, workload="append")


def test_where_no_line_is_known_the_operation_is_named(judged):
    with pytest.raises(UsageError, match=r"h: operation 1: 'ok' of 'x'"):
        judged('[{"process":0,"type":"invoke","f":"y"},{"process":1,"type":"ok","f":"x"}]')


def test_queues_and_ledgers_are_judged(judged):
    queue = ("enqueue", 1, 1), ("consume", "nil", 1)
    assert judged(events(*queue))[0].verdict == "holds"
    twice = judged(events(*queue, ("consume", "nil", 1)))[0]
    assert [a.type for a in twice.anomalies] == ["duplicate-effect"]
    again = judged(events(*queue, ("consume", "nil", 1)), params={"delivery": "at-least"})[0]
    assert again.verdict == "holds"
    jepsens = judged(events(("enqueue", 1, 1), ("drain", "nil", "[]")), workload="queue")[0]
    assert [a.type for a in jepsens.anomalies] == ["lost-message"]
    ledger = ("execute", "[1 5]", "[1 5]"), ("read", "nil", "[[1 5]]")
    assert judged(events(*ledger))[0].verdict == "holds"
    double = judged(events(*ledger, ("read", "nil", "[[1 5] [1 5]]")))[0]
    assert [a.type for a in double.anomalies] == ["duplicate-effect"]


LIMITS = {
    "admission": (
        '{"process":%d,"type":"invoke","f":"enter","value":%d}',
        '{"process":%d,"type":"ok","f":"enter","value":%d}',
        {"limit": "2"},
        "over-admission",
    ),
    "rate-limit": (
        '{"process":%d,"type":"invoke","f":"allow","value":7,"x":%d}',
        '{"process":%d,"type":"ok","f":"allow","value":7,"x":%d}',
        {"limit": "2"},
        "over-admission",
    ),
    "approx-count": (
        '{"process":%d,"type":"invoke","f":"visit","value":%d}',
        '{"process":%d,"type":"ok","f":"visit","value":%d}',
        {"error": "0"},
        "bad-estimate",
    ),
}


@pytest.mark.parametrize("workload", LIMITS)
def test_limits_and_estimates_are_judged(judged, workload):
    invoked, answered, params, anomaly = LIMITS[workload]

    def text(many, estimate):
        lines = [invoked % (n, n) for n in range(many)] + [answered % (n, n) for n in range(many)]
        if workload == "approx-count":
            lines.append('{"process":9,"type":"invoke","f":"estimate"}')
            lines.append(f'{{"process":9,"type":"ok","f":"estimate","value":{estimate}}}')
        if workload == "admission":
            leaving = '{"process":%d,"type":"invoke","f":"leave","value":%d}'
            lines += [leaving % (n, n) for n in range(many)]
        stamped = [f'{{"time":{n * 1000},{line[1:]}' for n, line in enumerate(lines)]
        return "\n".join(stamped)

    assert judged(text(2, 2), params=params, workload=workload)[0].verdict == "holds"
    wrong = judged(text(12, 30), params=params, workload=workload)[0]
    assert [each.type for each in wrong.anomalies] == [anomaly]


def test_a_cache_is_compared_with_its_source(judged):
    good = ("write", "[1 2]", "[1 2]"), ("read", "[1 nil]", "[1 2]"), ("source", "[1 nil]", "[1 2]")
    assert judged(events(*good), workload="cache")[0].verdict == "holds"
    stale = (*good, ("write", "[1 3]", "[1 3]"), good[1], ("source", "[1 nil]", "[1 3]"))
    found = judged(events(*stale), workload="cache")[0]
    assert [each.type for each in found.anomalies] == ["divergence"]


def test_a_budget_that_is_too_small_is_unknown(judged):
    each = "{{:process {0} :type :{1} :f :write :value {0}}}"
    lines = [each.format(process, kind) for kind in ("invoke", "ok") for process in range(6)]
    lines.append(events(("cas", "[3 3]", "[3 3]"), ("cas", "[4 4]", "[4 4]")))
    text = "\n".join(lines)
    assert judged(text, model="cas-register")[0].verdict == "violated"
    small, _ = judged(text, model="cas-register", budget=1)
    assert (small.verdict, "budget" in small.reason) == ("unknown", True)


def test_a_run_can_be_judged_for_something_else_and_stays_as_it_is(tmp_path):
    folder = store.new_run(tmp_path, "counter")
    Spec(workload="counter", strategy="c:C", label="counter", params={"start": 3}).save(
        folder / store.SPEC
    )
    (folder / store.HISTORY).write_text(
        '{"time":1,"process":0,"type":"invoke","f":"read","value":["x",null]}\n'
        '{"time":2,"process":0,"type":"ok","f":"read","value":["x",3]}\n'
    )
    meter = Said()
    kept = check_run_as(folder, Given(params={"start": "3"}), meter=meter)
    assert kept.history.meta["start"] == 3
    lost = check_run_as(folder, Given(model="register", initial="4"), meter=meter)
    assert lost.result.verdict.verdict == "violated"
    assert not (folder / store.VERDICT).exists()
