"""The isolation matrix on real servers, and that a wrong one is told.

The schedules are after Hermitage by Martin Kleppmann, CC BY 4.0.
"""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from contextlib import closing

import msgspec
import pytest

from dokkaebi.compose import Servers
from dokkaebi.harness.errors import Unavailable
from dokkaebi.suite.expectations import exit_code
from dokkaebi.suite.hermitage import cells, choose, matrix, play_on, run_cell
from dokkaebi.suite.hermitage.judged import finished
from dokkaebi.suite.hermitage.places import place
from dokkaebi.suite.hermitage.schedules import Condition, Schedule

SERVERS = ["postgres@18", "postgres@16", "postgres@15", "mariadb"]
MAY_LACK = {"postgres@15"}
"""Also where everything is installed: distributions have one version each."""


@pytest.fixture(scope="module")
def servers(household):
    with Servers(household) as ours:
        yield ours


def backend(servers, on):
    name, _, version = on.partition("@")
    try:
        return servers.get(name, version or None, None)
    except Unavailable as missing:
        if os.environ.get("CI") and on not in MAY_LACK:
            raise
        pytest.skip(str(missing))


@pytest.fixture(params=["postgres@18", "mariadb"])
def there(servers, request):
    """A place for schedules of the test's own."""
    server = backend(servers, request.param)
    spec = server.prepare("hermitage", isolation=None)
    with closing(place(server, spec.arguments)) as one:
        yield one
    server.finish()


# --- the matrix ----------------------------------------------------------------------------------


@pytest.mark.parametrize("on", SERVERS)
def test_the_matrix_is_as_expected_cell_by_cell(servers, on):
    name, _, version = on.partition("@")
    backend(servers, on)
    outcomes = list(matrix(name, version or None, servers))
    assert [outcome.cell for outcome in outcomes] == cells(name)
    found = {outcome.cell.name: (outcome.found, outcome.reason) for outcome in outcomes}
    assert found == {cell.name: (cell.expected, None) for cell in cells(name)}
    how = {outcome.cell.name: outcome.mechanism for outcome in outcomes}
    if name == "postgres":  # of MariaDB's versions only one was measured
        assert how == {cell.name: cell.mechanism for cell in cells(name)}


# --- teeth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", ["postgres@18", "mariadb"])
def test_an_expectation_that_is_flipped_turns_it_red(servers, on):
    server = backend(servers, on)
    asked = [f"{server.name}/read-committed/P4", f"{server.name}/serializable/G2-item"]
    right = choose(server.name, asked)
    flipped = {"A": "P", "P": "A"}
    wrong = [msgspec.structs.replace(cell, expected=flipped[cell.expected]) for cell in right]
    assert [cell.expected for cell in right] == ["A", "P"]

    done = finished(list(play_on(server, right)), seconds=0)
    assert [each.status for each in done.cells] == ["caught", "held"]
    assert exit_code(done.cells) == 0

    done = finished(list(play_on(server, wrong)), seconds=0)
    assert [each.status for each in done.cells] == ["violated", "missed"]
    assert exit_code(done.cells) == 1


@pytest.mark.parametrize("on", ["postgres@18", "mariadb"])
def test_a_server_with_a_lower_level_than_it_says_turns_it_red(servers, on):
    """What serializable prevents and read committed allows is found at read committed."""
    server = backend(servers, on)
    plain = [cell for cell in cells(server.name) if not cell.variant]
    allowed = [c.anomaly for c in plain if c.level == "read committed" and c.expected == "A"]
    promised = [c for c in plain if c.level == "serializable" and c.anomaly in allowed]
    lower = [msgspec.structs.replace(cell, level="read committed") for cell in promised]
    assert len(lower) >= 9
    assert [outcome.found for outcome in play_on(server, lower)] == ["A"] * len(lower)


# --- the traps -----------------------------------------------------------------------------------


def test_a_commit_of_a_transaction_that_failed_is_a_rollback(there):
    kind = "postgres" if "Postgres" in type(there).__name__ else "mariadb"
    level = "repeatable read" if kind == "postgres" else "serializable"
    (cell,) = choose(kind, [f"{kind}/{level.replace(' ', '-')}/P4"])
    outcome = run_cell(there, cell)
    refused = next(said for said in outcome.said if said.answer.error is not None)
    assert refused.answer.error in ("40001", "1213")
    (end,) = [s for s in outcome.said if s.step.ends and s.step.session == refused.step.session]
    assert (end.step.text, end.answer.ended, end.answer.error) == ("commit", "rollback", None)


def test_what_waits_is_completed_later(there):
    outcome = run_cell(there, any_cell(there), schedule=schedules_of("waits"))
    told = [(s.step.session, s.step.text.split()[0], s.waited) for s in outcome.said]
    assert told[:4] == [
        (1, "begin", False),
        (2, "begin", False),
        (1, "update", False),
        (1, "select", False),
    ]
    # The commit lets the other go on, and either may be heard of first.
    assert [each for each in told[4:] if each[0] == 1] == [(1, "commit", False)]
    assert [each for each in told[4:] if each[0] == 2] == [
        (2, "update", True),
        (2, "commit", False),
    ]
    assert outcome.final == ((1, 13), (2, 20))
    assert outcome.mechanism == "waits"
    assert outcome.found == "A"


def test_a_deadlock_is_not_taken_for_rest(there):
    outcome = run_cell(there, any_cell(there), schedule=schedules_of("deadlock"))
    assert outcome.mechanism in ("40P01", "1213")
    assert sum(said.answer.error is not None for said in outcome.said) == 1


def test_what_never_comes_to_rest_is_unknown_and_leaves_nothing(there):
    cell = any_cell(there)
    outcome = run_cell(there, cell, schedule=schedules_of("stuck"), patience_s=1.0)
    assert outcome.found is None
    assert not outcome.met
    assert "update test set value = 12" in outcome.reason
    assert run_cell(there, cell).met


def test_a_session_that_is_lost_is_unknown_and_leaves_nothing(there):
    cell = any_cell(there)
    outcome = run_cell(there, cell, schedule=schedules_of(f"lost {cell.on}"))
    assert outcome.found is None
    assert "a session was lost" in outcome.reason
    assert run_cell(there, cell).met


def any_cell(there):
    kind = "postgres" if "Postgres" in type(there).__name__ else "mariadb"
    (cell,) = choose(kind, [f"{kind}/read-committed/P4"])
    return cell


def schedules_of(name):
    return Schedule(
        anomaly=name,
        means=name,
        lines=LINES[name],
        occurs=(Condition(of="final", has=(1, 13)),),
    )


LINES = {
    "waits": """
        1 begin
        2 begin
        1 update test set value = 12 where id = 1
        2 update test set value = value + 1 where id = 1
        2 commit
        1 select * from test where id = 1
        1 commit""",
    "deadlock": """
        1 begin
        2 begin
        1 update test set value = 11 where id = 1
        2 update test set value = 22 where id = 2
        1 update test set value = 21 where id = 2
        2 update test set value = 12 where id = 1
        1 commit
        2 commit""",
    "stuck": """
        1 begin
        2 begin
        1 update test set value = 11 where id = 1
        2 update test set value = 12 where id = 1
        2 commit""",
    "lost postgres": """
        1 begin
        2 begin
        1 update test set value = 11 where id = 1
        2 update test set value = 12 where id = 1
        1 select pg_terminate_backend(pg_backend_pid())
        2 commit""",
    "lost mariadb": """
        1 begin
        2 begin
        1 update test set value = 11 where id = 1
        2 update test set value = 12 where id = 1
        1 kill hard connection connection_id()
        1 commit
        2 commit""",
}


# --- the command ---------------------------------------------------------------------------------


def command(tmp_path, *args):
    argv = [sys.executable, "-m", "dokkaebi", "suite", "hermitage", "--progress", "none", *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=200, cwd=tmp_path)


def test_the_command_prints_the_matrix(tmp_path):
    done = command(tmp_path, "--on", "postgres@16", "--only", "*/P4*")
    assert done.returncode == 0, done.stderr
    assert "16 of 16 cells as expected" in done.stdout
    assert "seen waits" in done.stdout
    assert "Martin Kleppmann" in done.stdout


def test_the_command_writes_json_and_junit(tmp_path):
    done = command(
        tmp_path, "--on", "postgres", "--only", "*/serializable/*", "--json", "--junit", "j.xml"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["cells"]) == 20
    assert all(cell["met"] and cell["found"] == "P" for cell in told["cells"])
    assert all(cell["steps"] for cell in told["cells"])
    suite = ET.parse(tmp_path / "j.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("20", "0", "0")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--on", "valkey"], "known for postgres and mariadb"),
        (["--on", "postgres:replicas"], "single servers"),
        (["--on", "postgres", "--only", "nothing"], "fits no cell"),
        (["--seeds", "3"], "schedules of hermitage are fixed"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, args, told):
    done = command(tmp_path, *args)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_server_that_is_not_here_is_skipped_with_the_reason(tmp_path):
    done = command(tmp_path, "--on", "postgres@9.6")
    assert done.returncode == 5
    assert "skipped" in done.stdout
    assert "install" in done.stdout
