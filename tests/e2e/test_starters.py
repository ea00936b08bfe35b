"""The files that `dokkaebi init` writes run as they stand, and get the verdict that they say."""

import json
import os
import subprocess
import sys

import pytest

from dokkaebi.starting import file_name, starters


@pytest.mark.parametrize("workload", starters())
def test_it_gets_the_verdict_that_it_says(tmp_path, workload):
    def dokkaebi(*args):
        return subprocess.run(
            [sys.executable, "-m", "dokkaebi", *args],
            cwd=tmp_path,
            env={**os.environ, "DOKKAEBI_STATE_DIR": str(tmp_path / "state")},
            capture_output=True,
            text=True,
            timeout=90,
        )

    assert dokkaebi("init", workload).returncode == 0
    brief = () if workload == "lock" else ("--time", "3s")
    done = dokkaebi("run", file_name(workload), *brief, "--seed", "1", "--json")
    assert done.stdout, done.stderr
    said = json.loads(done.stdout)
    expected, anomaly = said["spec"]["expect"], said["spec"]["anomaly"]
    found = {each["type"] for each in said["anomalies"]}
    assert (said["verdict"], done.returncode) == (
        ("holds", 0) if expected == "safe" else ("violated", 1)
    ), said["reason"]
    assert anomaly in found if anomaly else not found
