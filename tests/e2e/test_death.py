"""The harness is killed at a random moment: nothing is left, what was recorded is judged."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

from dokkaebi.backends import disks

MOMENTS = int(os.environ.get("DOKKAEBI_DEATHS", "4"))
STRUCK = (
    ("counter/for-update", "pause"),
    ("counter/for-update", "kill"),
    ("counter/for-update", "pause-client"),
    ("set/async-failover", "partition-primary+failover"),
    ("set/async-failover", "lag"),
    ("set/async-failover", "failover-resumed"),
    ("lock/redlock", "rolling-restart"),
    ("set/async-replication", "pause-primary"),
    ("long-fork/primary-only", "slow"),
    ("lock/session-advisory-lock", "terminate"),
    ("lock/redlock-jumping-clocks", "clock-majority"),
    ("set/wait-here", "bit-flip"),
    ("set/sync-failover", "truncate"),
    *([("set/sadd-synced", "power-loss")] if disks.can() else []),
)
"""A kind of fault each; all of them with DOKKAEBI_DEATHS=14."""


def ours(state):
    """Every living process that was started with this state folder in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DOKKAEBI_STATE_DIR") == str(state):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return [p for p in found if p.status() != psutil.STATUS_ZOMBIE]


def mounts():
    """What servers' own disks are mounted on."""
    found = (part.mountpoint for part in psutil.disk_partitions(all=True))
    return [place for place in found if "-disk-" in place and "dokkaebi" in place]


def until_it_works(harness, folder):
    """Wait until the workers have recorded their first operations."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and harness.poll() is None:
        for segment in folder.glob("dokkaebi-runs/*/journal/1-*.jsonl"):
            if b'"ok"' in segment.read_bytes():
                return
        time.sleep(0.05)
    pytest.fail("the run did not begin within a minute")


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_kill_9_of_the_harness_leaves_nothing_and_loses_nothing(tmp_path, moment):
    rng = random.Random(moment)
    state = tmp_path / "state"
    env = {**os.environ, "DOKKAEBI_STATE_DIR": str(state)}
    strategy, faults = STRUCK[moment % len(STRUCK)]
    command = [sys.executable, "-m", "dokkaebi", "run", strategy, "--faults", faults]
    command += ["--time", "6s", "--for", "2s", "--seed", str(moment), "--progress", "none"]
    harness = subprocess.Popen(
        command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until_it_works(harness, tmp_path)
    time.sleep(rng.uniform(0.0, 4.5))
    before = [p.pid for p in psutil.Process(harness.pid).children(recursive=True)]
    assert len(before) >= 3, "the reaper and both workers were there, whatever the nemesis does"
    os.kill(harness.pid, signal.SIGKILL)
    harness.wait()
    deadline = time.monotonic() + 5
    while mounts() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not mounts()
    while (left := [pid for pid in before if psutil.pid_exists(pid)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    assert not left, [psutil.Process(pid).cmdline() for pid in left if psutil.pid_exists(pid)]

    def dokkaebi(*args):
        return subprocess.run(
            [sys.executable, "-m", "dokkaebi", *args],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
        )

    checked = dokkaebi("check", "dokkaebi-runs", "--json")
    assert checked.returncode in (0, 1, 3), checked.stderr
    said = json.loads(checked.stdout)
    assert said["judged"] > 0
    assert any("the run ended" in note for note in said["notes"])
    if said["spec"]["workload"] in ("counter", "set"):
        assert said["verdict"] == "unknown"
        assert "ended before the final reads" in said["reason"]
    again = dokkaebi(
        "run", "counter/for-update", "--faults", "none", "--time", "1s", "--seed", "1", "--json"
    )
    assert again.returncode == 0, again.stderr
    assert not ours(state)


def test_ctrl_c_saves_and_judges_what_there_is_and_exits_130(tmp_path):
    env = {**os.environ, "DOKKAEBI_STATE_DIR": str(tmp_path / "state")}
    harness = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "dokkaebi",
            "run",
            "counter/update-in-place",
            "--faults",
            "none",
            "--time",
            "60s",
            "--seed",
            "1",
        ],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until_it_works(harness, tmp_path)
    time.sleep(1)
    harness.send_signal(signal.SIGINT)
    out, err = harness.communicate(timeout=30)
    assert harness.returncode == 130, err
    assert "UNKNOWN" in out
    assert (tmp_path / "dokkaebi-runs" / "latest" / "history.jsonl").stat().st_size > 1000
    assert (tmp_path / "dokkaebi-runs" / "latest" / "verdict.json").exists()
    assert not ours(tmp_path / "state")
