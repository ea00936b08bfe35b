"""The repro lines: exact, quoted for the shell, and no longer than they must be."""

import shlex

import pytest

from dokkaebi.harness.choosing import Wish, choose
from dokkaebi.harness.spec import SECOND, Spec
from dokkaebi.results.repro import check_line, command_line, quoted


def spec(**more) -> Spec:
    return Spec(**{"workload": "counter", "strategy": "c.py:C", "label": "c.py:C", **more})


def test_a_plain_spec_is_a_short_line():
    assert command_line(spec(seed=4)) == "dokkaebi run c.py:C --faults none --seed 4"


def test_everything_that_differs_from_its_default_is_said():
    line = command_line(
        spec(
            backend="postgres@16", isolation="repeatable read", faults=("kill", "pause-client"),
            every=3 * SECOND, lasts=500_000_000, aim="holder", level="serializable", workers=4,
            processes=1, rate=50.0, time=120 * SECOND, op_timeout=SECOND, params={"keys": 3},
            dsn=("postgresql://me:secret@db/x",), provider="docker", require_progress=True, seed=9,
        )
    )  # fmt: skip
    assert shlex.split(line) == [
        "dokkaebi", "run", "c.py:C", "--on", "postgres@16", "--isolation", "repeatable read",
        "--provider", "docker", "--dsn", "postgresql://me:***@db/x", "--faults",
        "kill,pause-client", "--every", "3s", "--for", "500ms", "--aim", "holder", "--level",
        "serializable", "--workers", "4", "--processes", "1", "--rate", "50/s", "--time", "2m",
        "--op-timeout", "1s", "--param", "keys=3", "--require-progress", "--seed", "9",
    ]  # fmt: skip


def test_a_level_is_said_once():
    told = spec(
        workload="append", level="serializable", params={"level": "serializable", "keys": 9}
    )
    assert command_line(told).count("serializable") == 1
    by_parameter = spec(workload="append", params={"level": "serializable"})
    assert "--param level=serializable" in command_line(by_parameter)


@pytest.mark.parametrize("label", ["counter/select-then-update", "lock/set-nx-plain-del"])
def test_a_built_in_strategy_with_its_own_faults_and_parameters_needs_only_its_name(label):
    workload, _, name = label.partition("/")
    chosen, _ = choose(Wish(target=workload, strategy=name, seed=5))
    assert command_line(chosen) == f"dokkaebi run {workload} --strategy {name} --seed 5"


def test_a_parameter_that_was_changed_is_said():
    wish = Wish(target="lock", strategy="set-nx-plain-del", params={"ttl": "0.5"}, faults=())
    line = command_line(choose(wish)[0])
    assert "--param ttl=0.5" in line
    assert "--faults none" in line
    assert "--param names" not in line


@pytest.mark.parametrize("word", ["it's", "a\nb", "\u202ex", "\x1b[31m", "back\\slash\n", "plain"])
def test_quoted_words_come_back_as_they_were_and_show_nothing_hidden(word):
    text = quoted(word)
    assert text.isprintable()
    if text.startswith("$'"):
        body = text[2:-1].replace("\\'", "'")
        assert body.encode("ascii", "backslashreplace").decode("unicode_escape") == word
    else:
        assert shlex.split(text) == [word]


def test_a_path_below_the_working_folder_is_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check_line(tmp_path / "runs" / "0001 a") == "dokkaebi check 'runs/0001 a'"
