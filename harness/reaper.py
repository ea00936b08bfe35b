"""The reaper: the parent of every server, worker and proxy that a harness starts.

Run as `python -m dokkaebi.harness.reaper SOCKET_FD REGISTRY`. It spawns what it is asked to and
reports exits. When the harness dies, however it dies, it kills all its descendants, undoes what
the registry says, removes the private folders and ends. It never outlives its harness.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .registry import Registry, read_records

_PR_SET_CHILD_SUBREAPER = 36
_HEADER = struct.Struct("!I")
_MOST_FDS = 8


class Channel:
    """Length-prefixed JSON messages, with file descriptors, over a unix stream socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._buffer = bytearray()
        self._fds: list[int] = []

    def send(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        """Send one message; raises OSError when the other side is gone."""
        data = json.dumps(message).encode()
        data = _HEADER.pack(len(data)) + data
        rest = data
        if fds:
            rest = data[socket.send_fds(self.socket, [data], fds) :]
        self.socket.sendall(rest)

    def receive(self) -> list[tuple[dict[str, Any], list[int]]] | None:
        """Read once; the messages that are complete now, or None when the other side is gone.

        Descriptors travel with their message's first byte, so they are here before its last.
        """
        try:
            data, fds, _, _ = socket.recv_fds(self.socket, 1 << 16, _MOST_FDS)
        except OSError:
            return None
        if not data:
            return None
        self._buffer += data
        self._fds += fds
        return self._complete()

    def _complete(self) -> list[tuple[dict[str, Any], list[int]]]:
        messages = []
        while len(self._buffer) >= _HEADER.size:
            end = _HEADER.size + _HEADER.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                break
            message = json.loads(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            count = message.get("fds", 0)
            taken, self._fds = self._fds[:count], self._fds[count:]
            messages.append((message, taken))
        return messages


class Reaper:
    """Spawns on request, reports exits, and tidies up when the harness is gone."""

    def __init__(self, channel: Channel, registry: Registry) -> None:
        self._channel = channel
        self._registry = registry
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._secrets: dict[int, dict[str, Any]] = {}
        self._harness = os.getppid()

    def serve(self) -> None:
        """Answer until the socket closes or the harness is no longer our parent."""
        woken, waker = socket.socketpair()
        for end in (woken, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel.socket, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            # A fork of the harness may hold the socket open after its death: look at the parent.
            while os.getppid() == self._harness:
                for key, _ in selector.select(timeout=0.5):
                    if key.fileobj is woken:
                        _drain(woken)
                    elif not self._answer():
                        return
                self._reap()

    def _answer(self) -> bool:
        messages = self._channel.receive()
        for message, fds in messages or ():
            if "keep" in message:
                self._secrets[message["keep"]] = message["arguments"]
                continue
            try:
                answer = self._spawn(message, fds)
            except Exception as error:  # whatever it was, the harness must hear of it
                answer = {"error": f"{type(error).__name__}: {error}"}
            finally:
                for fd in fds:
                    os.close(fd)
            try:
                self._channel.send({"answer": message["id"], **answer})
            except OSError:
                return False
        return messages is not None

    def _spawn(self, message: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        given = dict(zip(message["streams"], fds, strict=True))
        log = _open_log(message["log"])
        drop: dict[str, Any] = {}
        if message["user"] is not None:
            drop = {"user": message["user"], "group": message["group"], "extra_groups": []}
        try:
            child = subprocess.Popen(
                message["argv"],
                cwd=message["cwd"],
                env=message["env"],
                stdin=given.get("stdin", subprocess.DEVNULL),
                stdout=given.get("stdout", log),
                stderr=log,
                start_new_session=True,
                **drop,
            )
        finally:
            if log != subprocess.DEVNULL:
                os.close(log)
        self._children[child.pid] = child
        from .processes import start_of

        # Written here, not by the harness: should it die at this moment, heal still knows.
        start = start_of(child.pid)
        self._registry.write("process", pid=child.pid, start=start, name=str(message["argv"][0]))
        return {"pid": child.pid}

    def _reap(self) -> None:
        """Collect every dead child; adopted orphans are collected without a word."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is not None:
                child.returncode = os.waitstatus_to_exitcode(status)
                try:
                    self._channel.send({"exit": pid, "status": child.returncode})
                except OSError:
                    pass  # the harness is gone, which `serve` is about to notice

    def tidy(self, *, wait_s: float = 60.0) -> None:
        """Kill every descendant, undo the rest and remove the folders."""
        deadline = time.monotonic() + wait_s
        while self._kill_descendants() and time.monotonic() < deadline:
            time.sleep(0.002)
        from .heal import undo_rest

        undo_rest(read_records(self._registry.path), self._registry, self._secrets)

    def _kill_descendants(self) -> int:
        """SIGKILL what descends from us: children that were killed bring us theirs."""
        import psutil

        from .processes import living, send

        left = living(psutil.Process().children(recursive=True))
        for process in left:
            send(process, signal.SIGKILL)
        self._reap()
        return len(left)


def _open_log(path: str | None) -> int:
    if path is None:
        return subprocess.DEVNULL
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def _drain(sock: socket.socket) -> None:
    try:
        while sock.recv(4096):
            pass
    except BlockingIOError:
        pass


def _become_subreaper() -> None:
    """Make the kernel hand us the orphans among our descendants (Linux; elsewhere we do without)."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def main(arguments: list[str]) -> None:
    """Serve the harness at the other end of the given socket."""
    # Handlers rather than SIG_IGN, which our children would inherit through exec.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    _become_subreaper()
    channel = Channel(socket.socket(fileno=int(arguments[0])))
    os.set_inheritable(channel.socket.fileno(), False)
    reaper = Reaper(channel, Registry.join(Path(arguments[1])))
    try:
        reaper.serve()
    finally:
        reaper.tidy()


if __name__ == "__main__":
    main(sys.argv[1:])
