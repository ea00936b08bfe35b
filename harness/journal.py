"""The journal: what each worker process wrote while the run went on, and its merge into a history.

A segment belongs to one OS process for ever (`journal/<slot>-<incarnation>.jsonl`), so that only
its last line can be torn. An invocation is handed to the kernel before the strategy is called;
what the kernel has survives SIGKILL of the writer.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from .formats.jsonl import decode_lines, encode_op
from .history import History, Op

PARENT = "parent.jsonl"
"""The harness's own segment: the nemesis, and the `info` of operations whose process was killed."""


class Segment:
    """An append-only file of events, written through a shared mapping.

    What is in the mapping is the kernel's: it survives SIGKILL of the writer, like `write(2)`, but
    without giving up the interpreter lock on every operation. Room is allocated before it is
    mapped, so that a full disk is an error and not a SIGBUS; what is left of it is NUL.
    """

    CHUNK = 1 << 18

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        self._start = self._at = 0
        self._map = self._room(0)

    def _room(self, start: int) -> mmap.mmap:
        """Map the chunk of the file that begins at `start`."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self._fd, start, self.CHUNK)
        else:
            os.ftruncate(self._fd, start + self.CHUNK)
        return mmap.mmap(self._fd, self.CHUNK, offset=start)

    def append(self, *ops: Op) -> None:
        """Hand these events to the kernel."""
        for op in ops:
            line = encode_op(op)
            with self._lock:
                end = self._at + len(line)
                if end <= self.CHUNK:
                    self._map[self._at : end] = line
                    self._at = end
                else:
                    self._across(line)

    def _across(self, line: bytes) -> None:
        """A line that does not fit into what is left of the chunk."""
        while line:
            part = line[: self.CHUNK - self._at]
            self._map[self._at : self._at + len(part)] = part
            self._at += len(part)
            line = line[len(part) :]
            if self._at == self.CHUNK:
                self._map.close()
                self._start += self.CHUNK
                self._at = 0
                self._map = self._room(self._start)

    def close(self) -> None:
        """Cut the unused room off; what was appended stays."""
        with self._lock:
            self._map.close()
            os.ftruncate(self._fd, self._start + self._at)
            os.close(self._fd)


class Glimpse(msgspec.Struct, frozen=True):
    """As much of an event as somebody who follows a run needs; quicker to read than an `Op`."""

    time: int
    process: int | str
    type: str
    f: str
    value: msgspec.Raw = msgspec.Raw(b"null")


class Follower:
    """Reads the segments of a folder as they grow, each event once."""

    _decode = msgspec.json.Decoder(Glimpse).decode_lines

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._offsets: dict[str, int] = {}

    def poll(self) -> list[Glimpse]:
        """The events that were completed on disk since the last call, segment by segment."""
        news: list[Glimpse] = []
        for path in sorted(self.folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path.name, 0))
                data = file.read()
            whole = data.rfind(b"\n") + 1
            if not whole:
                continue
            try:
                news.extend(self._decode(data[:whole]))
            except msgspec.DecodeError:
                continue  # a line whose bytes are not all visible yet; the next look sees them
            self._offsets[path.name] = self._offsets.get(path.name, 0) + whole
        return news


def merge(segments: Iterable[list[Op]], *, meta: Mapping[str, Any] | None = None) -> History:
    """Merge segments into one history: by time, invocations first, then process.

    Times within a process strictly increase, so the order within each process is kept whatever
    the order of lines within a segment is.
    """
    ops = [op for segment in segments for op in segment]
    ops.sort(key=lambda op: (op.time, op.type != "invoke", str(op.process)))
    return History(ops, meta=meta, source="the merged journal")


def read_segments(folder: Path) -> list[list[Op]]:
    """Every segment of a journal folder; a torn last line of each is dropped."""
    return [
        decode_lines(path.read_bytes().rstrip(b"\0"), source=str(path))
        for path in sorted(folder.glob("*.jsonl"))
    ]
