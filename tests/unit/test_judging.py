"""What the command says of a history reaches what judges it."""

import pytest

from dokkaebi.compose import check_run_as
from dokkaebi.harness.errors import UsageError
from dokkaebi.harness.spec import Spec
from dokkaebi.judging import Given, check_history, level_name, value_of
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


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("serializable", "serializable"), ("PL-3", "serializable"), ("SI", "snapshot-isolation"),
        ("Repeatable Read", "repeatable-read"), ("pl-ss", "strict-serializable"), ("pram", "PRAM"),
    ],
)  # fmt: skip
def test_levels_have_several_names(text, name):
    assert level_name(text) == name


def test_a_wrong_level_lists_the_close_ones():
    with pytest.raises(UsageError, match=r"did you mean .*serializable"):
        level_name("serializible")


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
    assert meter.notes == ["judged as counter: its reads are sums of what was added"]
    assert "judging: counter" in meter.stages


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
