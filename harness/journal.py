"""The journal: what each worker process wrote while the run went on, and its merge into a history.

A segment belongs to one OS process for ever (`journal/<slot>-<incarnation>.jsonl`), so that only
its last line can be torn. An invocation is handed to the kernel before the strategy is called;
what the kernel has survives SIGKILL of the writer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .history import History, Op, decode_lines, encode_op

PARENT = "parent.jsonl"
"""The harness's own segment: the nemesis, and the `info` of operations whose process was killed."""


class Segment:
    """An append-only file of events, one `write(2)` at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def append(self, *ops: Op) -> None:
        """Hand these events to the kernel in one write."""
        data = b"".join(map(encode_op, ops))
        written = os.write(self._fd, data)
        while written < len(data):  # a disk that fills up writes in part, then raises ENOSPC
            written += os.write(self._fd, data[written:])

    def close(self) -> None:
        """Close the file; what was appended stays."""
        os.close(self._fd)


class Follower:
    """Reads the segments of a folder as they grow, each event once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._offsets: dict[str, int] = {}

    def poll(self) -> list[Op]:
        """The events that were completed on disk since the last call, segment by segment."""
        news: list[Op] = []
        for path in sorted(self.folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path.name, 0))
                data = file.read()
            whole = data.rfind(b"\n") + 1
            if whole:
                self._offsets[path.name] = self._offsets.get(path.name, 0) + whole
                news.extend(decode_lines(data[:whole], source=str(path)))
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
        decode_lines(path.read_bytes(), source=str(path)) for path in sorted(folder.glob("*.jsonl"))
    ]
