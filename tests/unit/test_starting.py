"""Files to begin with: one for each workload, for whom a name is taken, and what they declare."""

import ast

import pytest

from dokkaebi import UsageError
from dokkaebi.harness.choosing import Wish, choose
from dokkaebi.harness.plugins import registered
from dokkaebi.starting import file_name, starter, starters, write_starter


def test_each_workload_has_one():
    assert starters() == sorted(registered("workloads"))


@pytest.mark.parametrize("workload", sorted(registered("workloads")))
def test_it_is_a_strategy_and_says_how_to_run_it(tmp_path, workload):
    path = write_starter(workload, tmp_path)
    spec, chosen = choose(Wish(target=str(path)))
    assert spec.workload == workload
    assert chosen.strategy.expect in ("safe", "unsafe")
    told = " ".join(ast.get_docstring(ast.parse(starter(workload))).split())
    assert f"As it stands it is {chosen.strategy.expect}" in told
    assert f"`dokkaebi run {file_name(workload)}`" in told
    anomaly = getattr(chosen.strategy, "anomaly", "finds nothing")
    assert anomaly in told


def test_what_is_there_stays_as_it_is(tmp_path):
    path = write_starter("lock", tmp_path)
    path.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        write_starter("lock", tmp_path)
    assert path.read_text() == "mine"


def test_a_wrong_name_lists_the_close_ones(tmp_path):
    with pytest.raises(UsageError, match="did you mean counter"):
        write_starter("countr", tmp_path)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell):
    from click.testing import CliRunner

    from dokkaebi.cli import main

    told = CliRunner().invoke(main, ["completion", shell])
    assert told.exit_code == 0
    assert "_DOKKAEBI_COMPLETE" in told.output
    asked = {
        "COMP_WORDS": "dokkaebi sh",
        "COMP_CWORD": "1",
        "_DOKKAEBI_COMPLETE": f"{shell}_complete",
    }
    done = CliRunner().invoke(main, [], env=asked, prog_name="dokkaebi")
    assert shell != "bash" or "shrink" in done.output
