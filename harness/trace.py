"""The trace: what each operation really sent, beside the history (`trace/<slot>-<incarnation>.jsonl`).

Keyed by (process, number of the invocation within that process). Rows are buffered and written
in the background; a killed process may lose its last rows, never its history.

A file's rows are JSON arrays: `[id, text]` gives a statement its number, and
`[process, n, started, nanoseconds, node, id, arguments, got, error]` is one step.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

MAX_TEXT = 2000
MAX_VALUE = 200
MAX_ROWS = 5
"""How many rows of a result are kept."""

EACH = "each"
"""The name under which the arguments of an `executemany` stand."""

_EXACT = 2**53
"""Integers from here on are written as text: other readers of JSON would round them."""


class Step(msgspec.Struct, frozen=True):
    """One statement or command as it went over the wire.

    `started` and `ended` are ns since the start of the run; `got` is the result, cut to a sensible
    length; `error` the error's text where there was one.
    """

    process: int
    n: int
    started: int
    ended: int
    node: str
    sent: str
    args: Any
    got: Any
    error: str | None


class Tracer:
    """Where one worker's clients record what they send.

    Not shared between threads, except that `drain` may be called from another one.
    """

    __slots__ = ("_epoch_ns", "_rows", "n", "process")

    def __init__(self, *, epoch_ns: int) -> None:
        self._epoch_ns = epoch_ns
        self._rows: list[tuple[Any, ...]] = []
        self.process = 0
        self.n = 0

    def record(
        self,
        node: str,
        sent: str,
        args: Any,
        started: int,
        ended: int,
        got: Any,
        error: str | None = None,
    ) -> None:
        """Record one step; `started` and `ended` are monotonic ns. Cheap: nothing is formatted."""
        self._rows.append(
            (
                self.process,
                self.n,
                started - self._epoch_ns,
                ended - started,
                node,
                sent,
                args,
                got,
                error,
            )
        )

    def drain(self) -> list[tuple[Any, ...]]:
        """Take the rows recorded so far."""
        # Cut, not swapped: the worker's thread may be about to append to this very list.
        rows = self._rows[:]
        del self._rows[: len(rows)]
        return rows


class TraceFile:
    """One worker process's trace file; `write` may be called from several threads."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._encoder = msgspec.json.Encoder(enc_hook=lambda value: cut(repr(value)))
        self._texts: dict[str, int] = {}
        self._lock = threading.Lock()

    def write(self, tracer: Tracer) -> None:
        """Move a tracer's rows to the file."""
        rows = tracer.drain()
        if not rows:
            return
        with self._lock:
            out: list[Any] = []
            for process, n, started, took, node, text, args, got, error in rows:
                number = self._texts.get(text)
                if number is None:
                    number = self._texts[text] = len(self._texts)
                    out.append((number, text[:MAX_TEXT]))
                args, got = plain(args), plain(got)
                out.append((process, n, started, took, node, number, args, got, error))
            self._file.write(self._encoder.encode_lines(out))
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_trace(folder: Path, wanted: Collection[tuple[int, int]]) -> list[Step]:
    """The steps of the wanted (process, invocation number) pairs, in order of time."""
    keys = set(wanted)
    steps: list[Step] = []
    for path in sorted(folder.glob("*.jsonl")):
        steps.extend(_read(path, keys))
    return sorted(steps, key=lambda step: (step.started, step.ended))


def _read(path: Path, keys: set[tuple[int, int]]) -> Iterator[Step]:
    texts: dict[int, str] = {}
    for line in path.read_bytes().split(b"\n")[:-1]:
        row = msgspec.json.decode(line)
        if len(row) == 2:
            texts[row[0]] = row[1]
        elif (row[0], row[1]) in keys:
            process, n, started, took, node, text, args, got, error = row
            yield Step(process, n, started, started + took, node, texts[text], args, got, error)


_AS_IT_IS = frozenset({type(None), bool, float})


def each(parameters: Any) -> Mapping[str, Any]:
    """The arguments of a statement that is sent once for each of them (`executemany`)."""
    # An iterator is the driver's to consume.
    kept = list(parameters[:MAX_ROWS]) if isinstance(parameters, Sequence) else "…"
    return {EACH: kept}


def plain(value: Any, depth: int = 3) -> Any:
    """A value as plain, short JSON: bytes as text, long things cut, strange things by their repr."""
    kind = type(value)  # exact types first: nearly every value is one of these
    if kind in _AS_IT_IS:
        return value
    if kind is int:
        return value if -_EXACT < value < _EXACT else str(value)
    if kind is str:
        return value if len(value) <= MAX_VALUE and value.isascii() else cut(value)
    if depth and kind in (tuple, list):
        return [plain(item, depth - 1) for item in value[:20]]
    return _plain_strange(value, depth)


def _plain_strange(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return cut(str.__str__(value))  # a class of its own may have a repr of its own
    if isinstance(value, bytes | bytearray | memoryview):
        return cut(bytes(value[: MAX_VALUE * 4]).decode("utf-8", "backslashreplace"))
    if depth and isinstance(value, dict):
        return {cut(str(plain(k, 0))): plain(v, depth - 1) for k, v in list(value.items())[:20]}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth - 1) for item in list(value)[:20]]
    return cut(repr(value))


def cut(text: str) -> str:
    """At most `MAX_VALUE` characters, with an ellipsis where something is missing."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"
