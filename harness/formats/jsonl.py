"""Our own format, JSONL: one event a line, as `Op` has it; a torn last line was never written.

A killed run leaves the last line torn; anything else that is malformed is refused, with line,
column and the text around.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..collecting import undisturbed
from ..errors import MalformedHistory
from ..history import History, Op

MAX_LINE = 64 * 2**20
"""Bytes that one line of a history may have."""

MAX_DEPTH = 64
"""How deep lists and maps may stand in one another."""

_CHUNK = 2**20
_AROUND = 40

_decoder = msgspec.json.Decoder(Op)
_encoder = msgspec.json.Encoder()
_BYTE = re.compile(r"\(byte (\d+)\)")
_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

Tick = Callable[[int], None]
"""Is told how many bytes have been read."""


def encode_op(op: Op) -> bytes:
    """One event as a line of JSONL, its newline included.

    What a driver decoded from bytes that are no text (lone surrogates) is spelled out: `\\udcff`.
    """
    try:
        return _encoder.encode(op) + b"\n"
    except UnicodeEncodeError:
        return _encoder.encode(_spelled_out(msgspec.to_builtins(op))) + b"\n"


def _spelled_out(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list | tuple):
        return [_spelled_out(each) for each in value]
    if isinstance(value, dict):
        return {_spelled_out(key): _spelled_out(each) for key, each in value.items()}
    return value


def decode_lines(data: bytes, *, source: str, tick: Tick | None = None) -> list[Op]:
    """Decode JSONL; drop a torn last line, refuse anything else that is malformed."""
    ops: list[Op] = []
    end = data.rfind(b"\n") + 1
    number = 1
    with undisturbed():
        for start, stop in chunks(data, end):
            chunk = data[start:stop]
            ops += _decode_chunk(chunk, source, number)
            number += chunk.count(b"\n")
            if tick is not None:
                tick(stop)
    if data[end:].strip() and not _torn(data[end:]):
        ops.append(_decode(data[end:], source, number))
    return ops


def torn_note(data: bytes) -> str:
    """That the last line is torn and was left out, with its number; empty where it is whole."""
    end = data.rfind(b"\n") + 1
    if not data[end:].strip() or not _torn(data[end:]):
        return ""
    line = data.count(b"\n") + 1
    return (
        f"line {line}, the last one, is torn and left out (a killed writer leaves "
        f"such a line): {around(data, end)}"
    )


def read_jsonl(path: Path, *, meta: Mapping[str, Any] | None = None) -> History:
    """Read a history from a JSONL file; raise `MalformedHistory` with line and reason."""
    return History(decode_lines(path.read_bytes(), source=str(path)), meta=meta, source=str(path))


def write_jsonl(history: Iterable[Op], path: Path) -> None:
    """Write a history as JSONL, one event a line."""
    with path.open("wb") as file:
        file.writelines(encode_op(op) for op in history)


# --- pieces that the other formats use ------------------------------------------------------------


def chunks(data: bytes, end: int) -> Iterator[tuple[int, int]]:
    """Cut at line ends into pieces of a megabyte or one line: (start, stop)."""
    start = 0
    while start < end:
        stop = data.rfind(b"\n", start, start + _CHUNK) + 1
        if not stop:
            stop = data.find(b"\n", start) + 1 or end
        yield start, min(stop, end)
        start = stop


def deep(data: bytes) -> bool:
    """Whether brackets may stand deeper than `MAX_DEPTH` (those within texts count too)."""
    brackets = np.frombuffer(data.translate(None, _BUT_BRACKETS), dtype=np.uint8)
    if len(brackets) <= MAX_DEPTH:
        return False
    # '[' and '{' are 0x5b and 0x7b, ']' and '}' 0x5d and 0x7d.
    depth = np.cumsum(np.where(brackets & 2, 1, -1))
    return int((depth - np.minimum.accumulate(np.minimum(depth, 0))).max()) > MAX_DEPTH


def around(data: bytes, at: int) -> str:
    """The text around a place in a line, in quotes."""
    first = data.rfind(b"\n", 0, at) + 1
    last = data.find(b"\n", at) if b"\n" in data[at:] else len(data)
    start = max(first, at - _AROUND)
    stop = min(last, start + 2 * _AROUND)
    text = data[start:stop].decode("utf-8", "replace")
    return f"{'…' if start > first else ''}{text!r}{'…' if stop < last else ''}"


def json_error(error: Exception, data: bytes, *, source: str, line: int = 1) -> MalformedHistory:
    """What the decoder said of `data`, which begins at `line`, with line, column and the text."""
    place = _BYTE.search(str(error))
    if isinstance(error, UnicodeDecodeError):
        at = error.start
    elif "truncated" in str(error):
        at = len(data)
    else:
        at = int(place[1]) if place else 0
    before = data[:at]
    return MalformedHistory(
        f"{_BYTE.sub('', str(error)).strip()} in {around(data, at)}",
        source=source,
        line=line + before.count(b"\n"),
        column=len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        if place or at
        else None,
    )


# --- one chunk, one line --------------------------------------------------------------------------


def _decode_chunk(chunk: bytes, source: str, number: int) -> list[Op]:
    if len(chunk) <= MAX_LINE and not deep(chunk):
        try:
            return _decoder.decode_lines(chunk)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            pass  # line by line, to say which one
    lines = chunk.split(b"\n")
    return [_decode(line, source, number + i) for i, line in enumerate(lines) if line.strip()]


def _torn(line: bytes) -> bool:
    """Whether a line that no newline ends is not one whole event."""
    try:
        _decode(line, "", 0)
    except MalformedHistory:
        return True
    return False


def _decode(line: bytes, source: str, number: int) -> Op:
    if len(line) > MAX_LINE:
        raise MalformedHistory(
            f"the line has {len(line) / 2**20:.0f} MB; "
            f"at most {MAX_LINE // 2**20} MB were expected",
            source=source,
            line=number,
        )
    if deep(line):
        refuse_depth(line, source, number)
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise json_error(error, line, source=source, line=number) from None


def refuse_depth(line: bytes, source: str, number: int) -> None:
    """Refuse brackets that truly stand too deep; those in texts do not count."""
    depth, text, skip = 0, False, False
    for at, byte in enumerate(line):
        if skip:
            skip = False
        elif text:
            skip, text = byte == 0x5C, byte != 0x22
        elif byte == 0x22:
            text = True
        elif byte in b"[{":
            depth += 1
        elif byte in b"]}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise MalformedHistory(
                f"more than {MAX_DEPTH} lists and maps in one another in {around(line, at)}",
                source=source,
                line=number,
                column=at + 1,
            )
