"""`dokkaebi suite`, end to end: real runs side by side, their verdicts, and what is told of them."""

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import msgspec
import psutil
import pytest

from dokkaebi import compose
from dokkaebi.checkers.progress import ProgressChecker
from dokkaebi.harness.choosing import Wish, make_workload
from dokkaebi.harness.errors import Unavailable
from dokkaebi.harness.plugins import find, registered, strategies
from dokkaebi.harness.spec import SECOND
from dokkaebi.harness.verdict import Verdict
from dokkaebi.results.live import Silent
from dokkaebi.suite.cases import cells_of
from dokkaebi.suite.catalogue import case_of
from dokkaebi.suite.expectations import judge_cell
from dokkaebi.suite.tasks import Found, Outcome

MET = """
[suite]
time = "2s"

[[case]]
name = "versions"
strategy = "counter/optimistic-version-sqlite"
faults = ["none"]
must-hold = true

[[case]]
name = "teeth"
strategy = "counter/select-then-update"
time = "4s"
must-catch = ["lost-update"]
"""
NOT_MET = """
[[case]]
name = "a safe one made unsafe"
strategy = "counter/select-then-update"
time = "4s"
must-hold = true
"""
BROKEN = """
[[case]]
name = "broken"
strategy = "broken.py"
must-hold = true
"""
BROKEN_STRATEGY = """
class Broken:
    workload, needs = "ids", ["sqlite"]

    def open(self, ctx):
        raise RuntimeError("no way in")

    def next_id(self): ...
"""


@pytest.fixture
def suite(tmp_path):
    """Write a suite file and run it; answers the finished process."""

    def call(text, *args, check=None):
        (tmp_path / "s.toml").write_text(text)
        done = subprocess.run(
            command("s.toml", *args),
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=200,
        )
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    return call


def command(*args):
    return [sys.executable, "-m", "dokkaebi", "suite", *args]


def environment(tmp_path):
    ours = {"DOKKAEBI_STATE_DIR": str(tmp_path / "state"), "COLUMNS": "160"}
    return {**os.environ, **ours}


def test_a_suite_that_is_met(suite, tmp_path):
    done = suite(MET, "--jobs", "2", "--junit", "out/j.xml", check=0)
    assert "versions" in done.stdout
    assert "s: 2 cells (2 met)" in done.stdout
    assert "caught" in done.stderr
    root = ET.parse(tmp_path / "out" / "j.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("2", "0")
    page = (tmp_path / "dokkaebi-runs" / "index.html").read_text()
    assert "Every cell that ran is as it must be" in page
    assert "report.html" in page
    suite(MET, "--only", "teeth", "-q", check=0)
    lines = (tmp_path / "dokkaebi-runs" / "cells.jsonl").read_text().splitlines()
    assert [json.loads(line)["cell"] for line in lines] == [
        "versions/none",
        "teeth/none",
        "teeth/none",
    ]


def test_a_safe_strategy_made_unsafe_turns_it_red(suite, tmp_path):
    done = suite(MET + NOT_MET, "--jobs", "2", "--json", "--github", check=1)
    document = json.loads(done.stdout[: done.stdout.rindex("}") + 1])
    statuses = {cell["case"]: cell["status"] for cell in document["cells"]}
    assert statuses == {
        "versions": "held",
        "teeth": "caught",
        "a safe one made unsafe": "violated",
    }
    assert "::error title=a safe one made unsafe/none%3A violated" in done.stdout


def test_a_known_anomaly_is_put_up_with_once_it_is_accepted(suite, tmp_path):
    suite(MET + NOT_MET, "--only", "a safe*", check=1)
    case = "a safe one made unsafe"
    suite(MET + NOT_MET, "--accept", f"{case}:lost-update", "--reason", "see #7", check=0)
    accepted = (tmp_path / "s.toml").read_text()
    assert 'lost-update = "see #7"' in accepted
    suite(accepted, "--only", "a safe*", check=0)


def test_a_cell_that_breaks_does_not_end_the_suite(suite, tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN_STRATEGY)
    done = suite(MET + BROKEN, "--jobs", "2", check=4)
    assert "no way in" in done.stdout
    assert "3 cells (2 met, 1 broke)" in done.stdout


def test_nothing_runs_where_the_file_makes_no_sense(suite, tmp_path):
    done = suite(MET.replace("lost-update", "lost-updates"), check=2)
    assert "case 'teeth'" in done.stderr
    assert not (tmp_path / "dokkaebi-runs").exists()
    done = subprocess.run(command("catalog"), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "catalogue" in done.stderr


def test_interrupted_it_tells_what_there_is_and_leaves_nothing(tmp_path):
    (tmp_path / "s.toml").write_text(MET.replace('"2s"', '"60s"'))
    running = subprocess.Popen(
        command("s.toml", "--jobs", "1"),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not list(tmp_path.glob("dokkaebi-runs/0001*/journal/*")) and time.monotonic() < until:
        time.sleep(0.1)
    children = psutil.Process(running.pid).children(recursive=True)
    assert children
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=40)
    assert running.returncode == 130, out + err
    assert "2 interrupted" in out
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


# --- on a cluster ---------------------------------------------------------------------------------


@pytest.fixture
def scheduler(tmp_path):
    """A Dask scheduler's address, and a function that begins a worker there."""
    begun = []

    def begin(*args):
        process = subprocess.Popen(
            [sys.executable, "-m", *args],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        begun.append(process)
        return process

    file = tmp_path / "scheduler.json"
    begin(
        "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
        "--no-dashboard", "--scheduler-file", str(file),
    )  # fmt: skip
    until = time.monotonic() + 60
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(0.2)
    address = json.loads(file.read_text())["address"]

    def worker():
        return begin(
            "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny",
            "--no-dashboard", "--host", "127.0.0.1", "--local-directory", str(tmp_path / "dask"),
        )  # fmt: skip

    yield address, worker
    for process in begun:
        process.kill()
        process.wait()


def test_a_cluster_that_loses_a_worker_tells_the_same(suite, scheduler, tmp_path):
    import distributed

    address, worker = scheduler
    first, _ = worker(), worker()
    with distributed.Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    text = MET + NOT_MET
    (tmp_path / "s.toml").write_text(text)
    running = subprocess.Popen(
        command("s.toml", "--cluster", address, "--json", "-q"),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    )
    # It is at work when it has a process of its own.
    until = time.monotonic() + 60
    while not psutil.Process(first.pid).children() and time.monotonic() < until:
        time.sleep(0.1)
    lost = psutil.Process(first.pid).children(recursive=True)
    assert lost
    first.kill()
    out, _ = running.communicate(timeout=180)
    assert running.returncode == 1
    away = {cell["case"]: cell["status"] for cell in json.loads(out)["cells"]}
    here = json.loads(suite(text, "--jobs", "2", "--json", "-q", check=1).stdout)
    assert away == {cell["case"]: cell["status"] for cell in here["cells"]}
    runs = [run for cell in json.loads(out)["cells"] for run in cell["runs"]]
    assert all(os.path.exists(os.path.join(run["folder"], "report.html")) for run in runs)
    _, alive = psutil.wait_procs(lost, timeout=15)
    assert not alive


def test_a_cluster_that_is_not_there_is_told(suite):
    done = suite(MET, "--cluster", "tcp://127.0.0.1:1", check=5)
    assert "no scheduler answers there" in done.stderr


# --- teeth ----------------------------------------------------------------------------------------


def unsafe_one(workload):
    """An unsafe strategy of a workload that needs no cluster and no fault, if there is one."""
    for name, strategy in strategies().items():
        plain = not getattr(strategy, "faults", ()) and ":" not in "".join(strategy.needs)
        if strategy.workload == workload and strategy.expect == "unsafe" and plain:
            return name
    return None


TOOTHED = [name for name in registered("workloads") if unsafe_one(name)]


def blind(workload):
    """The workload with checkers that see nothing."""

    class Blind:
        def __init__(self, checker):
            self.name = checker.name

        def check(self, history):
            return Verdict(verdict="holds", judged=len(history))

    class Blinded(type(workload)):
        def checkers(self, meta):
            every = super().checkers(meta)
            return [c if isinstance(c, ProgressChecker) else Blind(c) for c in every]

    return Blinded(**msgspec.structs.asdict(workload))


@pytest.mark.parametrize("workload", TOOTHED)
def test_a_blinded_checker_is_noticed(household, tmp_path, workload):
    name = unsafe_one(workload)
    (cell,) = cells_of(case_of(name, strategies()[name]))
    with compose.Servers(household) as servers:
        for seed in range(1, 6):
            wish = Wish(target=name, time=4 * SECOND, seed=seed)
            try:
                done = compose.run(wish, servers=servers, out=tmp_path, view=Silent())
            except Unavailable as missing:
                if os.environ.get("CI"):
                    raise
                pytest.skip(str(missing))
            if judge_cell(cell, [outcome_of(done.result)]).status == "caught":
                break
        else:
            pytest.fail("never caught")
    spec = done.result.spec
    seeing = make_workload(find("workloads", workload), spec.params)
    again = [
        compose.judge_run(done.history, spec, each, folder=None, environment={})
        for each in (seeing, blind(seeing))
    ]
    statuses = [judge_cell(cell, [outcome_of(result)]).status for result in again]
    assert statuses == ["caught", "missed"]


def outcome_of(result):
    found = [Found(type=a.type, sentence=a.sentence, kind=a.kind) for a in result.verdict.anomalies]
    return Outcome(seed=1, said=result.verdict.verdict, found=tuple(found))
