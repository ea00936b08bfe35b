"""The pytest plugin, run by pytest: real runs, failures that explain themselves, and xdist."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

pytest_plugins = ["pytester"]

COUNTERS = '''
import pytest

class Mine:
    """Read, add, write back."""
    workload = "counter"
    needs = ["postgres"]
    autocommit = True

    def setup(self, ctx):
        ctx.postgres.execute("CREATE TABLE c (id int PRIMARY KEY, n int)")
        for key, n in ctx.initial.items():
            ctx.postgres.execute("INSERT INTO c VALUES (%s, %s)", (key, n))

    def open(self, ctx):
        self.pg = ctx.postgres

    def read(self, key):
        return self.pg.execute("SELECT n FROM c WHERE id = %s", (key,)).fetchone()[0]

    def add(self, key, delta):
        self.pg.execute("UPDATE c SET n = %s WHERE id = %s", (self.read(key) + delta, key))

class Better(Mine):
    def add(self, key, delta):
        self.pg.execute("UPDATE c SET n = n + %s WHERE id = %s", (delta, key))
'''


@pytest.fixture
def project(pytester, tmp_path, monkeypatch):
    """A project of its own, whose pytest runs in a process of its own."""
    monkeypatch.setenv("DOKKAEBI_STATE_DIR", str(tmp_path / "state"))

    def run(text, *args, **outcomes):
        pytester.makepyfile(test_it=text)
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *args, timeout=150)
        result.assert_outcomes(**outcomes)
        return result

    return run


def test_strategies_that_hold_and_that_do_not(project, pytester):
    result = project(
        COUNTERS
        + """
@pytest.mark.dokkaebi(time="3s")
def test_better(dokkaebi):
    assert dokkaebi.run(Better).must_hold().verdict == "holds"

@pytest.mark.dokkaebi(time="3s")
def test_mine(dokkaebi):
    dokkaebi.run(Mine).must_hold()

@pytest.mark.dokkaebi(time="3s")
def test_teeth(dokkaebi):
    result = dokkaebi.run(Mine).must_catch("lost-update")
    assert result.anomalies and "lost" in result.explain()

def test_missed(dokkaebi):
    dokkaebi.run(Better, time="1s").must_catch("lost-update", tries=2)

def test_put_up_with(dokkaebi):
    dokkaebi.run(Mine, time="3s").must_hold(known={"lost-update": "see #7"})
""",
        "--junit-xml=j.xml",
        passed=3,
        failed=2,
    )
    text = result.stdout.str()
    for line in ("VIOLATED", "UPDATE c SET n", "dokkaebi check", "dokkaebi run", "to fix it"):
        assert line in text
    assert "lost-update not found with 2 seeds" in text
    root = ET.parse(pytester.path / "j.xml").getroot()
    reports = [each.get("value") for each in root.iter("property")]
    assert len(reports) >= 5
    assert all(report.endswith("report.html") for report in reports)
    assert (pytester.path / "dokkaebi-runs" / "latest" / "report.html").exists()


def test_unknown_fails_with_its_reason(project):
    result = project(
        COUNTERS
        + """
def test_idle(dokkaebi):
    dokkaebi.run(Better, time="1s", rate=5.0).must_hold()
""",
        failed=1,
    )
    assert "a pass needs 100" in result.stdout.str()


def test_what_makes_no_sense_is_told(project):
    result = project(
        COUNTERS
        + """
def test_option(dokkaebi):
    dokkaebi.run(Better, isolaton="serializable")

def test_time(dokkaebi):
    dokkaebi.run(Better, time=5)

def test_local(dokkaebi):
    class Here(Better): ...
    dokkaebi.run(Here)

def test_anomaly(dokkaebi):
    dokkaebi.run(Better, time="1s").must_catch("lost-updates")
""",
        failed=4,
    )
    text = result.stdout.str()
    assert "did you mean isolation?" in text
    assert 'time reads like "5s", not 5' in text
    assert "is made inside a function" in text
    assert "there is no anomaly 'lost-updates'" in text


def test_a_missing_server_skips_with_the_package(project):
    result = project(
        """
class Elsewhere:
    workload, needs = "ids", ["postgres@9"]
    def open(self, ctx): ...
    def next_id(self): return 1

def test_it(dokkaebi):
    dokkaebi.run("ids", on="postgres@9", faults=[], time="1s")
""",
        "-rs",
        skipped=1,
    )
    assert "postgres" in result.stdout.str()


def test_under_xdist_each_worker_has_servers_of_its_own(project):
    project(
        COUNTERS
        + """
@pytest.mark.parametrize("seed", [1, 2])
def test_better(dokkaebi, seed):
    dokkaebi.run(Better, time="2s", seed=seed).must_hold()
""",
        "-n",
        "2",
        passed=2,
    )


def test_options_reach_the_run(project, pytester):
    project(
        COUNTERS
        + """
def test_it(dokkaebi):
    result = dokkaebi.run(Better, time="4s").result
    assert (result.spec.seed, result.spec.time) == (7, 2_000_000_000)
""",
        "--dokkaebi-seed=7",
        "--dokkaebi-time-scale=0.5",
        "--dokkaebi-out=there",
        passed=1,
    )
    assert list((pytester.path / "there").glob("0001-*/report.html"))


UNUSED = """
import sys, pytest
assert pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]) == 5
print(*sorted(name for name in sys.modules))
"""


def test_unused_it_loads_nothing_but_itself(tmp_path):
    def modules(*args):
        done = subprocess.run(
            [sys.executable, "-c", UNUSED, str(tmp_path), *args],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        )
        return set(done.stdout.splitlines()[-1].split())

    with_it, without = modules(), modules("-p", "no:dokkaebi")
    assert with_it - without == {"dokkaebi", "dokkaebi.pytest_plugin"}
