"""The household: everything that one harness process starts or makes outside its run folder.

It owns the reaper, the spawned processes, the private folders and the ports. Whatever happens to
the harness, nothing of it stays: see `reaper` (within seconds) and `heal` (if both were killed).
"""

from __future__ import annotations

import itertools
import os
import pwd
import random
import secrets
import site
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

import psutil

from .errors import Broken
from .processes import boot_id, start_of
from .reaper import Channel
from .registry import Registry

_ANSWER_S = 30.0
_CLOSE_S = 20.0
_LONGEST_BASE = 40
"""Unix socket paths end at 104 to 108 characters; folder and socket names need the rest."""


class Spawned:
    """A process that the reaper started for us."""

    def __init__(self, argv: Sequence[str], on_exit: Callable[[Spawned], None] | None) -> None:
        self.argv = tuple(argv)
        self.pid = 0
        self.status: int | None = None
        """The exit code, negative for a signal; None while it runs."""
        self.exited = threading.Event()
        self._on_exit = on_exit
        self._process: psutil.Process | None = None

    @property
    def process(self) -> psutil.Process:
        """The process; raises `psutil.NoSuchProcess` when it never could be looked at."""
        if self._process is None:
            raise psutil.NoSuchProcess(self.pid)
        return self._process

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for its end; the exit code, or None when it still runs."""
        self.exited.wait(timeout_s)
        return self.status

    def _began(self, pid: int) -> None:
        self.pid = pid
        try:
            self._process = psutil.Process(pid)
        except psutil.NoSuchProcess:
            pass  # it has ended, and its exit is the next message

    def _ended(self, status: int) -> None:
        self.status = status
        self.exited.set()
        if self._on_exit is not None:
            try:
                self._on_exit(self)
            except Exception:  # the thread that tells of all other exits must go on
                traceback.print_exc()

    def __repr__(self) -> str:
        return f"<Spawned {self.pid} {self.argv[0]}>"


class Household:
    """One per harness process; a context manager; every method may be called from any thread."""

    def __init__(self) -> None:
        self._registry = Registry.create()
        self._closed = False
        self._numbers = itertools.count(1)
        self._names = itertools.count(1)
        self._lock = threading.Lock()
        self._answers: dict[int, tuple[Spawned, Future[None]]] = {}
        self._spawned: dict[int, Spawned] = {}
        self._ports: dict[int, socket.socket | None] = {}
        pid = os.getpid()
        self._registry.write("harness", pid=pid, start=start_of(pid), boot=boot_id())
        self.base = self._make_base()
        self._channel, self._reaper = self._start_reaper()
        self._reader = threading.Thread(target=self._read, name="household", daemon=True)
        self._reader.start()
        _HOUSEHOLDS.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- who and where ---------------------------------------------------------------------------

    @property
    def user(self) -> tuple[int, int] | None:
        """The (uid, gid) that servers drop to when we are root; None when we are not."""
        if os.geteuid() != 0:
            return None
        nobody = pwd.getpwnam("nobody")
        return nobody.pw_uid, nobody.pw_gid

    def folder(self, name: str, *, owner: int | None = None, open: bool = False) -> Path:
        """A new private folder, only its owner's; its path is short enough for unix sockets.

        One that is `open` others may read from.
        """
        path = self.base / f"{name[:24]}-{next(self._names)}"
        path.mkdir(mode=0o700)
        if open:
            path.chmod(0o755)
        if owner is not None:
            os.chown(path, owner, -1)
        return path

    def free_port(self) -> int:
        """A loopback port that is this household's until it closes.

        It lies below the range from which the kernel picks the ports of outgoing connections, so
        that nobody can take it by accident while a killed server is down.
        """
        rng = random.SystemRandom()
        for _ in range(1000):
            port = rng.randrange(10_000, 30_000)
            with self._lock:
                if port not in self._ports and _is_free(port):
                    claim = _claim(port)
                    if claim is not None:
                        self._ports[port] = claim[0]
                        return port
        raise Broken("no free port found between 10000 and 30000")

    def python_environment(self) -> dict[str, str]:
        """An environment in which `sys.executable` finds this package."""
        environment = dict(os.environ)
        home = str(Path(__file__).parents[2])
        if home not in site.getsitepackages():
            known = environment.get("PYTHONPATH")
            environment["PYTHONPATH"] = f"{known}{os.pathsep}{home}" if known else home
        return environment

    # --- processes -------------------------------------------------------------------------------

    def spawn(
        self,
        argv: Sequence[str],
        *,
        log: Path | None = None,
        cwd: str | Path = "/",
        env: Mapping[str, str] | None = None,
        user: int | None = None,
        group: int | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        on_exit: Callable[[Spawned], None] | None = None,
    ) -> Spawned:
        """Start a process as the reaper's child, in a session of its own.

        `stdin` and `stdout` are descriptors of ours, which the caller still closes; without them
        stdin is empty and the output goes to `log`, as stderr always does. `on_exit` is called in
        the household's own thread. Raises `Broken` when it cannot be started.
        """
        fds = {"stdin": stdin, "stdout": stdout}
        given = {name: fd for name, fd in fds.items() if fd is not None}
        spawned = Spawned(argv, on_exit)
        self._ask(
            spawned,
            {
                "argv": [str(word) for word in argv],
                "cwd": str(cwd),
                "env": dict(os.environ if env is None else env),
                "log": None if log is None else str(log),
                "user": user,
                "group": group,
                "streams": list(given),
                "fds": len(given),
            },
            list(given.values()),
        )
        return spawned

    def _ask(self, spawned: Spawned, message: dict[str, Any], fds: list[int]) -> None:
        answered: Future[None] = Future()
        with self._lock:
            if self._closed:
                raise Broken(f"cannot start {message['argv'][0]}: the household is closed")
            number = next(self._numbers)
            self._answers[number] = (spawned, answered)
            try:
                self._channel.send({"id": number, **message}, fds)
            except OSError:
                raise Broken(self._obituary()) from None
        try:
            answered.result(_ANSWER_S)
        except TimeoutError:
            raise Broken(f"the reaper did not start {message['argv'][0]} in time") from None

    def _read(self) -> None:
        while (messages := self._channel.receive()) is not None:
            for message, _ in messages:
                if "exit" in message:
                    self._spawned.pop(message["exit"])._ended(message["status"])
                else:
                    self._answered(message)
        with self._lock:
            waiting = list(self._answers.values())
            self._answers.clear()
        for _, answered in waiting:
            answered.set_exception(Broken(self._obituary()))

    def _answered(self, message: dict[str, Any]) -> None:
        with self._lock:
            spawned, answered = self._answers.pop(message["answer"])
        if "error" in message:
            answered.set_exception(Broken(f"cannot start {spawned.argv[0]}: {message['error']}"))
            return
        spawned._began(message["pid"])
        self._spawned[spawned.pid] = spawned
        answered.set_result(None)

    # --- what to undo ----------------------------------------------------------------------------

    def register_run(self, folder: Path) -> None:
        """Remember a run folder, wherever `--out` put it."""
        self._registry.write("run", path=str(folder.resolve()))

    def undo_on_death(
        self, call: str, arguments: Mapping[str, Any], *, secret: Mapping[str, Any] | None = None
    ) -> int:
        """Before doing something outside our own processes: say how to undo it if we die.

        `call` is `module:function`, called with `arguments` as keywords by the reaper or by
        `heal`; it may answer a sentence. What is `secret` (an address with its password) replaces
        arguments when the reaper does it, and is never written to disk. Returns the number for
        `undone`.
        """
        number = next(self._numbers)
        self._registry.write("undo", number=number, call=call, arguments=dict(arguments))
        if secret:
            with self._lock:
                self._channel.send({"keep": number, "arguments": dict(secret)})
        return number

    def undone(self, number: int) -> None:
        """What was announced as this number has been undone."""
        self._registry.write("undone", number=number)

    # --- beginning and end -----------------------------------------------------------------------

    def _make_base(self) -> Path:
        base = _short_base() / f"dokkaebi-{secrets.token_hex(4)}"
        self._registry.write("folder", path=str(base))
        base.mkdir(mode=0o700)
        base.chmod(0o711)  # others may pass through to what is theirs, and see nothing
        return base

    def _start_reaper(self) -> tuple[Channel, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair()
        argv = [sys.executable, "-P", "-m", "dokkaebi.harness.reaper"]
        with theirs, (self.base / "reaper.log").open("wb") as log:
            reaper = subprocess.Popen(
                [*argv, str(theirs.fileno()), str(self._registry.path)],
                cwd="/",
                env=self.python_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._registry.write("reaper", pid=reaper.pid, start=start_of(reaper.pid))
        return Channel(ours), reaper

    def _obituary(self) -> str:
        try:
            last = (self.base / "reaper.log").read_text().strip().splitlines()[-1:]
        except OSError:
            last = []
        return " ".join(["the reaper process has ended:", *(last or ["it was killed"])])

    def close(self) -> None:
        """End everything that is left and remove every folder; safe to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            # Closing is the same as dying: the reaper tidies up when the socket ends.
            self._channel.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        try:
            self._reaper.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._reaper.kill()
        self._reader.join(1.0)
        self._channel.socket.close()
        self._release()

    def _forget(self) -> None:
        """In a fork of ours: let go of all that tells others that the harness lives."""
        self._closed = True
        self._channel.socket.close()
        self._registry.close()
        for claim in self._ports.values():
            if claim is not None:
                claim.close()

    def _release(self) -> None:
        for claim in self._ports.values():
            if claim is not None:
                claim.close()
        self._registry.close()
        if self._registry.path.exists():  # the reaper did not come to the end of its work
            from .heal import heal

            heal()


_HOUSEHOLDS: weakref.WeakSet[Household] = weakref.WeakSet()


def _forget_all() -> None:
    for household in list(_HOUSEHOLDS):
        household._forget()


os.register_at_fork(after_in_child=_forget_all)


def _short_base() -> Path:
    """Where private folders go: short, and open to the user that servers drop to."""
    chosen = Path(tempfile.gettempdir())
    if len(str(chosen)) <= _LONGEST_BASE and (os.geteuid() != 0 or passable(chosen)):
        return chosen
    return Path("/tmp")


def passable(folder: Path) -> bool:
    """Whether any user may pass through this folder and all its parents."""
    folder = folder.resolve()
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: an old connection in TIME_WAIT does not keep them from the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _claim(port: int) -> tuple[socket.socket | None] | None:
    """Keep other harnesses of this machine from the port while its server is down.

    Linux: an abstract socket name, which the kernel frees when we die. Elsewhere nothing.
    """
    if not sys.platform.startswith("linux"):
        return (None,)
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0dokkaebi-port-{port}")
    except OSError:
        claim.close()
        return None
    return (claim,)
