"""Nothing outlives its harness: not when it is killed, not when its server stands still."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from dokkaebi.harness.errors import Broken
from dokkaebi.harness.heal import heal
from dokkaebi.harness.household import Household
from dokkaebi.harness.processes import living
from dokkaebi.harness.registry import harnesses_folder

# A harness that runs a server, says who its processes are, and waits to be killed.
HARNESS = """
import sys, time
from dokkaebi.harness.household import Household
from dokkaebi.backends.{module} import {name}
household = Household()
server = {name}(household)
server.start()
{then}
print(household.base, household._reaper.pid, *(p.pid for p in server.processes()), flush=True)
time.sleep(60)
"""


class Harness:
    """A harness in a process of its own, and what it left."""

    def __init__(self, module="postgres", name="Postgres", then=""):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HARNESS.format(module=module, name=name, then=then)],
            stdout=subprocess.PIPE,
            text=True,
        )
        base, reaper, *pids = self.process.stdout.readline().split()
        self.base = Path(base)
        self.reaper = psutil.Process(int(reaper))
        self.processes = [psutil.Process(int(pid)) for pid in pids]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def left(self):
        found = [*living([self.reaper, *self.processes]), *segments(self.processes)]
        if self.base.exists():
            found.append(self.base)
        return found + list(harnesses_folder().glob(f"{self.process.pid}-*"))

    def gone_within(self, seconds):
        deadline = time.monotonic() + seconds
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.left()


def segments(processes):
    """System V shared memory that one of the processes made."""
    table = Path("/proc/sysvipc/shm")
    if not table.exists():
        return []
    makers = {str(process.pid) for process in processes}
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    return [row for row in rows if row[4] in makers]


@pytest.mark.parametrize(
    ("module", "name", "then"),
    [
        ("postgres", "Postgres", ""),
        ("postgres", "Postgres", "server.pause()"),
        ("valkey", "Valkey", "server.pause()"),
    ],
    ids=["running postgres", "stopped postgres", "stopped valkey"],
)
def test_nothing_is_left_of_a_killed_harness(module, name, then):
    harness = Harness(module, name, then)
    assert len(living(harness.processes)) == len(harness.processes) > 0
    harness.kill()
    assert harness.gone_within(5.0), harness.left()


FORK = """
import os
if os.fork() == 0:
    time.sleep(4)
    os._exit(0)
"""


def test_a_fork_of_the_harness_does_not_keep_it_alive():
    harness = Harness("valkey", "Valkey", FORK)
    harness.kill()
    assert harness.gone_within(3.0), harness.left()


def test_heal_does_it_when_the_reaper_was_killed_too():
    harness = Harness(then="server.pause()")
    harness.reaper.kill()
    harness.kill()
    assert len(living(harness.processes)) == len(harness.processes)
    told = heal()
    assert sum(sentence.startswith("killed postgres") for sentence in told) == len(
        harness.processes
    )
    assert f"removed {harness.base}" in told
    assert not harness.left()
    assert heal() == []


def test_heal_finds_the_orphans_of_a_killed_server():
    harness = Harness(then="server.pause()")
    harness.reaper.kill()
    harness.kill()
    harness.processes[0].kill()  # its stopped children have no recorded parent any more
    assert living(harness.processes[1:])
    heal()
    assert not harness.left()


def test_a_living_harness_is_not_healed(household):
    child = household.spawn(["sleep", "60"])
    assert heal() == []
    assert living([child.process])
    child.process.kill()
    assert child.wait(5) == -signal.SIGKILL


def test_the_reaper_ignores_what_a_terminal_sends(household):
    child = household.spawn(["sleep", "60"])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(household._reaper.pid, number)
    assert household.spawn(["true"]).wait(5) == 0
    # Its children do not inherit that.
    child.process.terminate()
    assert child.wait(5) == -signal.SIGTERM


def test_a_process_with_streams_and_a_log(household, tmp_path):
    inner, outer = os.pipe()
    answer, told = os.pipe()
    ended = []
    log = tmp_path / "its.log"
    child = household.spawn(
        ["sh", "-c", "read line; echo $line; echo $WORD >&2; exit 3"],
        log=log,
        env={"WORD": "beside"},
        stdin=inner,
        stdout=told,
        on_exit=ended.append,
    )
    for fd in (inner, told):
        os.close(fd)
    os.write(outer, b"hello\n")
    assert child.wait(5) == 3
    assert os.read(answer, 100) == b"hello\n"
    assert log.read_text() == "beside\n"
    assert ended == [child]
    for fd in (outer, answer):
        os.close(fd)


def test_what_cannot_be_started_says_why(household):
    with pytest.raises(Broken, match="FileNotFoundError"):
        household.spawn(["/no/such/program"])


def test_python_children_find_the_package(household, tmp_path):
    child = household.spawn(
        [sys.executable, "-c", "import dokkaebi"],
        env=household.python_environment(),
        log=tmp_path / "log",
    )
    assert child.wait(10) == 0, (tmp_path / "log").read_text()


def test_folders_are_private_short_and_passable(household):
    owner = household.user[0] if household.user else None
    folder = household.folder("postgres", owner=owner)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o711
    assert len(str(folder)) < 70
    if owner is not None:
        assert folder.stat().st_uid == owner


def test_ports_are_given_once(household):
    ports = [household.free_port() for _ in range(50)]
    assert len(set(ports)) == 50


def test_closing_ends_everything_and_undoes_the_rest(tmp_path):
    target = tmp_path / "fault"
    target.write_text("")
    with Household() as one:
        child = one.spawn(["sh", "-c", "sleep 60 & sleep 60"])
        family = [child.process, *child.process.children()]
        one.undo_on_death("os:remove", {"path": "redacted"}, secret={"path": str(target)})
        base, registry = one.base, one._registry.path
    assert not living(family)
    assert not base.exists()
    assert not registry.exists()
    assert not target.exists()
    with pytest.raises(Broken, match="closed"):
        one.spawn(["true"])


def test_a_dead_reaper_is_noticed_and_cleaned_up_after():
    with Household() as one:
        child = one.spawn(["sleep", "60"])
        one._reaper.kill()
        one._reaper.wait()
        with pytest.raises(Broken, match="reaper"):
            one.spawn(["true"])
        base = one.base
    assert not living([child.process])
    assert not base.exists()
