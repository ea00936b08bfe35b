"""A Docker daemon of the tests' own: on a socket, in folders and in a mount namespace of its own.

It makes no bridge but those of the networks that are asked for, and no rules in the machine's
firewall where that forwards packets anyway: nothing is left of it, nobody else is disturbed.
"""

import contextlib
import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from dokkaebi import Broken
from dokkaebi.backends import containers, netns
from dokkaebi.backends.containers import Containers
from dokkaebi.backends.local import tail, wait_until
from dokkaebi.harness.processes import kill_all, living, tree

PROGRAMS = ("dockerd", "containerd", "runc")
READY_S = 30.0
STOP_S = 15.0

_KERNELS_WORDS = re.compile(
    "operation not permitted|operation not supported|permission denied|read-only file system|"
    "function not implemented|no such device|cgroup",
    re.IGNORECASE,
)


class CannotHere(Exception):
    """The kernel refuses what containers need; says in its own words what that was."""


@contextlib.contextmanager
def private_daemon(household):
    """A daemon, known to all by DOCKER_HOST as long as this lasts; it has run a container."""
    folder = household.folder("docker")
    socket = folder / "socket"
    daemon = household.spawn(
        [*_in_own_mounts(), *_dockerd(folder, socket)],
        log=folder / "log",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{socket}")
        for name in ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONTEXT"):
            patch.delenv(name, raising=False)
        try:
            wait_until(lambda: daemon.exited.is_set() or containers.missing() is None, READY_S)
            if containers.missing() is not None:
                raise _reason(f"dockerd does not answer: {_last_words(folder / 'log')}")
            _run_one(household)
            yield
        finally:
            _end(daemon)
            _remove_groups(household.base.name)
            shutil.rmtree(folder)


def lacking():
    """What has to be installed for a daemon of our own, or who we have to be; None if nothing."""
    absent = [name for name in PROGRAMS if shutil.which(name, path="/usr/sbin:/usr/bin") is None]
    if absent:
        return f"no {', '.join(absent)}: install docker.io (system package)"
    return None if netns.capable() else "a Docker daemon of our own needs root"


def forwards_nothing():
    """Whether the firewall, as a daemon of the machine's leaves it, lets through only what it was told.

    Another daemon that told it more would undo what the machine's own told it.
    """
    try:
        return "-P FORWARD DROP" in netns.run(["iptables", "-S", "FORWARD"])
    except OSError:
        return False


def _in_own_mounts():
    """What it mounts for its containers goes with it, however it ends."""
    return [netns.program("unshare"), "--mount", "--propagation", "private", "--"]


def _dockerd(folder, socket):
    config = folder / "daemon.json"
    settings = {
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "exec"),
        "pidfile": str(folder / "pid"),
        "deprecated-key-path": str(folder / "key.json"),
        "bridge": "none",
        "iptables": forwards_nothing(),
        "ip6tables": False,
        "ip-forward": False,
        "ip-masq": False,
        "userland-proxy": False,
        "cgroup-parent": f"/{folder.parent.name}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
    }
    config.write_text(json.dumps(settings))
    return ["/usr/sbin/dockerd", "--config-file", str(config), "--host", f"unix://{socket}"]


def _run_one(household):
    """Whether a container comes to life is not known before one did."""
    network = Containers(household)
    try:
        network.start()
        network.site("n1")
    except Broken as error:
        raise _reason(str(error)) from error
    finally:
        network.stop()


def _reason(words):
    """The kernel's refusal, or a fault of ours."""
    return CannotHere(words) if _KERNELS_WORDS.search(words) else Broken(words)


def _last_words(log):
    """The last errors that the daemon told."""
    told = re.findall(r'(?:level=(?:error|fatal) msg="|failed to )(.*)', log.read_text())
    return " | ".join(told[-2:]) or tail(log)


def _end(daemon):
    """It ends its containerd itself, if it is let; whatever is left then is killed."""
    if daemon.exited.is_set():
        return
    members = tree(daemon.process)
    os.kill(daemon.pid, signal.SIGTERM)
    daemon.wait(STOP_S)
    kill_all(living([*members, *tree(daemon.process)]))
    daemon.wait(STOP_S)


def _remove_groups(name):
    """Control groups of ours, with nobody in them any more: of one hierarchy, or of each."""
    for group in Path("/sys/fs/cgroup").glob(f"**/{name}"):
        group.rmdir()
