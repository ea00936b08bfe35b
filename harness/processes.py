"""Operating-system processes: which one it is, and how a whole tree is stopped, continued, killed.

A tree is stopped from the parent down until no child is new, because a running parent forks; it
is killed only after all of it was listed, because orphans are no longer anybody's children.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

_LINUX = sys.platform.startswith("linux")


def boot_id() -> str:
    """What pids and start times are relative to: this boot, and this container's pid namespace."""
    if not _LINUX:
        return str(int(psutil.boot_time()))
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.readlink('/proc/self/ns/pid')}"


def start_of(pid: int) -> str | None:
    """When the process started, in a form that tells it from a later one with the same pid.

    On Linux the kernel's own ticks since boot: the wall clock may be set while we watch.
    None when there is no such process, or only a zombie of it.
    """
    try:
        if not _LINUX:
            return repr(psutil.Process(pid).create_time())
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (OSError, psutil.Error):
        return None
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def same(pid: int, start: str) -> bool:
    """Whether the process with this pid is still the one that started then."""
    return start_of(pid) == start


def living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that still run (zombies do not)."""
    return [process for process in processes if _status(process) not in _GONE]


def tree(root: psutil.Process) -> list[psutil.Process]:
    """The process and all its living descendants, the parent first."""
    try:
        return living([root, *root.children(recursive=True)])
    except psutil.NoSuchProcess:
        return []


def pause_tree(root: psutil.Process, *, wait_s: float = 1.0) -> list[psutil.Process]:
    """SIGSTOP the process and then its descendants until none is new; say which, parent first."""
    stopped: list[psutil.Process] = []
    while new := [process for process in tree(root) if process not in stopped]:
        for process in new:
            send(process, signal.SIGSTOP)
            # A child forked before the signal landed shows up only once the parent stands still.
            _await_stop(process, time.monotonic() + wait_s)
        stopped.extend(new)
    return living(stopped)


def resume(processes: Iterable[psutil.Process]) -> None:
    """SIGCONT, children (the last) first, so that no parent sees a child that does not answer."""
    for process in reversed(list(processes)):
        send(process, signal.SIGCONT)


def kill_all(processes: list[psutil.Process], *, wait_s: float = 5.0) -> list[psutil.Process]:
    """SIGKILL these and wait until they are gone; those that were not are returned."""
    for process in processes:
        send(process, signal.SIGKILL)
    deadline = time.monotonic() + wait_s
    while (left := living(processes)) and time.monotonic() < deadline:
        time.sleep(0.001)
    return left


def send(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal; a process that is gone (or was replaced) is left alone."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        pass


_GONE = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD, "gone")


def _status(process: psutil.Process) -> str:
    try:
        return process.status() if process.is_running() else "gone"
    except psutil.NoSuchProcess:
        return "gone"


def _await_stop(process: psutil.Process, deadline: float) -> None:
    still = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, *_GONE)
    while _status(process) not in still and time.monotonic() < deadline:
        time.sleep(0.0005)
