"""What servers on this machine share: where their binaries are, and how their processes live.

Servers run as an unprivileged user when we are root, in private folders, on private ports, and
are children of the reaper.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import msgspec
import psutil

from ..harness.errors import Broken, Unavailable
from ..harness.household import Household, Spawned, passable
from ..harness.processes import kill_all, living, pause_tree, resume, send, tree
from .clocks import Clock
from .disks import Disk
from .network import Site

NOTHING: Mapping[str, str] = MappingProxyType({})
START_S = 30.0
STOP_S = 10.0
SETUP_LINES = 30


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A server program that is on this machine: its version and where it lies."""

    name: str
    version: str
    where: Path
    """The folder of its programs, or the program itself."""
    source: str
    """The wheel it came in, or `this machine`."""


def wheel_folder(package: str) -> Path | None:
    """Where an installed package lies, without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def of_version(servers: Sequence[Found], name: str, version: str | None, missing: str) -> Found:
    """The first of the servers found here that is of this version; `Unavailable` says what is."""
    for server in servers:
        if version is None or (server.version + ".").startswith(version + "."):
            return server
    here = ", ".join(server.version for server in servers) or "none"
    raise Unavailable(f"{name} {version or ''} is not here (found: {here}); {missing}")


def readable(folder: Path, *, beside: Sequence[Path] = ()) -> Path:
    """The folder (or program) itself, or where the unprivileged user cannot reach it, a copy.

    `beside` are folders that must keep their place relative to it (shared libraries). Copies are
    made once per version of the original, in a cache folder, and only when we are root.
    """
    if os.geteuid() != 0 or passable(folder):
        return folder
    root = Path(os.path.commonpath([folder, *beside]))
    if root == folder:
        root = folder.parent
    stamp = folder.stat()
    target = _cache_folder() / f"{folder.name}-{stamp.st_ino:x}-{stamp.st_mtime_ns:x}"
    if not target.exists():
        _copy([folder, *beside], root, target)
    return target / folder.relative_to(root)


def _copy(folders: Sequence[Path], root: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    making = target.with_name(f"{target.name}.{os.getpid()}")
    for folder in folders:
        if folder.is_dir():
            shutil.copytree(folder, making / folder.relative_to(root), symlinks=True)
        else:
            making.mkdir(exist_ok=True)
            shutil.copy2(folder, making / folder.name)
    for place in (making, *making.rglob("*")):
        if not place.is_symlink():
            place.chmod(0o755 if place.stat().st_mode & 0o100 else 0o644)
    try:
        making.rename(target)
    except OSError:  # another harness was quicker
        shutil.rmtree(making, ignore_errors=True)


def _cache_folder() -> Path:
    """The user's cache folder if others may pass through it, else the machine's (we are root)."""
    import platformdirs

    for place in (platformdirs.user_cache_path("dokkaebi"), Path("/var/cache/dokkaebi")):
        standing = next(parent for parent in (place, *place.parents) if parent.exists())
        if passable(standing):
            return place
    return Path("/tmp") / "dokkaebi-cache"


class LocalServer:
    """One server of ours: its folder, port, log, and the life of its processes."""

    name: str
    version: str
    start_s = START_S
    """How long it may take to answer when it is started."""

    def __init__(self, household: Household, *, site: Site | None = None) -> None:
        self.household = household
        self.site = site or Site()
        self.port = 0
        self.folder: Path | None = None
        self.clock: Clock | None = None
        """A clock of its own; None is the machine's."""
        self.disk: Disk | None = None
        """A disk of its own; None is the machine's."""
        self.spoilt = False
        """Whether its files were damaged: it has to be made anew from its peers."""
        self._server: Spawned | None = None
        self._paused: list[psutil.Process] = []

    # --- for the subclass ------------------------------------------------------------------------

    def answers(self) -> bool:
        """Whether the server answers a simple question right now."""
        raise NotImplementedError

    def _argv(self) -> list[str]:
        raise NotImplementedError

    def _settle_in(self) -> Path:
        """Make the private folder; where the server writes is owned by the user it runs as."""
        user = self.household.user
        self.folder = self.household.folder(self.name, owner=user[0] if user else None)
        self.port = self.household.free_port()
        return self.folder

    def _run(self, argv: Sequence[str | Path], *, timeout_s: float = 60.0) -> None:
        """Run a tool of the server to its end, as the server's user; raise `Broken` if it fails."""
        log = self._log("setup")
        status = self._spawn(argv, log).wait(timeout_s)
        if status != 0:
            how = "did not end in time" if status is None else f"ended with status {status}"
            # Installers end with advice; why they failed stands before it.
            raise Broken(f"{Path(argv[0]).name} {how}: {tail(log, SETUP_LINES)}")

    def _spawn(
        self, argv: Sequence[str | Path], log: Path, more: Mapping[str, str] = NOTHING
    ) -> Spawned:
        words, user = [str(word) for word in argv], self.household.user
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        if self.site.enter:  # as ourselves; on the other side it becomes the user
            # What is meant for the server (a library to load first) is not for those before it.
            words = ["/usr/bin/env", *(f"{name}={value}" for name, value in more.items()), *words]
            return self.household.spawn(self.site.command(words, user), log=log, env=environment)
        environment |= more
        uid, gid = user or (None, None)
        return self.household.spawn(words, log=log, env=environment, user=uid, group=gid)

    # --- gear of its own -------------------------------------------------------------------------

    def own_disk(self) -> None:
        """Give the server a disk of its own, before it is made; raises `Unavailable`."""
        self.disk = Disk(self.household, self.name)

    def lose_power(self) -> bool:
        """Cut the power: un-synced writes are lost, no process is left; whether it was seen."""
        if self.disk is None:
            raise Broken(f"{self.name} has no disk of its own")
        # Without power nobody answers: who lived on for a moment, and took a failed sync for a
        # success (as MariaDB does with its binary log's), would acknowledge what is lost.
        self.pause()
        cut = self.disk.lose_power()
        self.kill()
        self.disk.come_back()
        return cut

    def own_clock(self) -> None:
        """Give the server a clock of its own, from its next start on; raises `Unavailable`."""
        self.clock = Clock(self.household.folder(f"{self.name}-clock", open=True) / "shift")

    def now(self) -> float:
        """The server's wall clock, in seconds since 1970, as it says itself."""
        raise NotImplementedError

    def _launch(self) -> None:
        """Start the server's process and wait until it answers."""
        if self.disk is not None:
            self.disk.settle()
        log = self._log("server")
        self._server = self._spawn(
            self._argv(), log, self.clock.environment() if self.clock else {}
        )
        server = self._server
        if not wait_until(lambda: server.exited.is_set() or self.answers(), self.start_s):
            self.kill()
            raise Broken(f"{self.name} did not answer within {self.start_s:g} s: {tail(log)}")
        if server.exited.is_set():
            raise Broken(f"{self.name} ended with status {server.status}: {tail(log)}")

    def _log(self, name: str) -> Path:
        # In a folder of our own: the reaper opens logs as us, never where another user may write.
        return self.household.base / f"{self._place().name}.{name}.log"

    def _place(self) -> Path:
        if self.folder is None:
            raise Broken(f"{self.name} was not started")
        return self.folder

    # --- powers ----------------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """All living processes of the server, the parent first."""
        if self._server is None or self._server.exited.is_set():
            return []
        return tree(self._server.process)

    def kill(self) -> list[psutil.Process]:
        """SIGKILL every process of the server until none is left; say which."""
        if self._server is None or self._server.exited.is_set():
            return []
        # Standing still first: a parent that runs on might fork one more.
        doomed = pause_tree(self._server.process)
        left = kill_all(doomed)
        if left:
            raise Broken(f"{self.name}: {len(left)} processes survived SIGKILL")
        self._server.wait(STOP_S)
        self._paused = []
        return doomed

    def restart(self) -> None:
        """Start it again on the same port and data, if it is down, and wait until it answers."""
        if self._server is None or self._server.exited.is_set():
            self._launch()

    def pause(self) -> list[psutil.Process]:
        """SIGSTOP every process, the parent first; say which."""
        if self._server is None or self._server.exited.is_set():
            return []
        self._paused = pause_tree(self._server.process)
        return self._paused

    def resume(self) -> None:
        """SIGCONT every process, children first."""
        if self._server is not None and not self._server.exited.is_set():
            resume(tree(self._server.process))
        resume(living(self._paused))
        self._paused = []

    def logs(self) -> list[Path]:
        """The server's log file."""
        return [self._log("server")] if self.folder is not None else []

    # --- the end ---------------------------------------------------------------------------------

    def _end(self, number: signal.Signals) -> None:
        """Ask the server to end, then kill what is left."""
        if self._server is None or self._server.exited.is_set():
            return
        self.resume()
        members = tree(self._server.process)
        send(self._server.process, number)
        if self._server.wait(STOP_S) is None:
            self.kill()
        kill_all(living(members))

    @property
    def storage(self) -> Path:
        """Where its data lie: its private folder, or its own disk."""
        return self.disk.mount if self.disk else self._place()

    def _move_out(self) -> None:
        if self.disk is not None:
            self.disk.remove()
            self.disk = None
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def wait_until(true: Callable[[], bool], timeout_s: float, *, every_s: float = 0.01) -> bool:
    """Poll until it is true; whether it became so in time."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


def tail(path: Path, lines: int = 5) -> str:
    """The last lines of a log, for an error message."""
    try:
        return " | ".join(path.read_text("utf-8", "replace").strip().splitlines()[-lines:])
    except OSError:
        return "no log"


def within(timeout_s: float, ask: Callable[[], object]) -> bool:
    """Whether a question that may hang was answered, without an error, in time."""
    answered = threading.Event()

    def run() -> None:
        try:
            ask()
        except Exception:
            return
        answered.set()

    asking = threading.Thread(target=run, daemon=True)
    asking.start()
    asking.join(timeout_s)
    return answered.is_set()
