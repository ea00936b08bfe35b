"""Reads a history of any format: from its bytes, packed or not, to what checkers judge.

What it is shows in its first characters; the name's ending decides only where they do not.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from ..collecting import undisturbed
from ..errors import MalformedHistory, UsageError
from ..history import NEMESIS, History, Op
from ..pairing import no_process
from . import awdit, edn, edn_plain, elle_cli, jsonl, rows
from .compressed import unpack

Format = Literal["jsonl", "json-lines", "json", "edn", "awdit"]

NAMES: Final[dict[Format, str]] = {
    "jsonl": "JSONL",
    "json-lines": "JSON, one event a line",
    "json": "a JSON array",
    "edn": "EDN",
    "awdit": "AWDIT's text",
}
_ENDINGS: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".edn": "edn",
    ".txt": "awdit",
}
_OPERATION: Final = re.compile(r"operation (\d+)\b")
_PACKED: Final = (".gz", ".zst", ".zstd")
_BOMS: Final = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}

Tick = Callable[[int, int], None]
"""Is told how many bytes have been read, and of how many."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A history with the format that it was recorded in, and `notes` on what the file lacks.

    `lines` are the lines that its events stand in, None where nobody knows.
    """

    history: History
    format: Format
    notes: tuple[str, ...] = ()
    lines: Sequence[int] | None = None

    @property
    def ours(self) -> bool:
        """Whether it is in our own format, where operations look as our workloads have them."""
        return self.format == "jsonl"

    def placed(self, error: UsageError, source: str) -> UsageError:
        """What is wrong with an operation, with the file and the line that it stands in."""
        reason = error.reason if isinstance(error, MalformedHistory) else str(error)
        named = _OPERATION.match(reason)
        if named is None:
            return error
        index = int(named[1])
        return MalformedHistory(
            reason, source=source, line=self.lines[index] if self.lines else None
        )


def read_file(path: Path, *, tick: Tick | None = None) -> Recorded:
    """Read a history file of any format."""
    return read(path.read_bytes(), source=str(path), tick=tick)


def read(data: bytes, *, source: str, tick: Tick | None = None) -> Recorded:
    """Read a history; raise `MalformedHistory` with line, column and the text around."""
    data = _utf8(unpack(data, source=source), source)
    kind = _format(data, source)
    total = len(data)

    def told(done: int) -> None:
        if tick is not None:
            tick(min(done, total), total)

    with undisturbed():
        events, lines = _READERS[kind](data, source, told)
    lines = lines or _lines(data, kind, len(events))
    history = _paired(events, lines, source)
    if kind == "awdit":
        return Recorded(history.with_meta(realtime=False), kind)
    notes = (_torn_note(data, kind), _order_note(history))
    return Recorded(history, kind, tuple(filter(None, notes)), lines)


def _lines(data: bytes, kind: Format, events: int) -> Sequence[int] | None:
    """The lines that events stand in, where each stands in one of its own."""
    if kind not in ("jsonl", "edn"):
        return None
    whole = data.rstrip(b"\0\n")
    if whole.count(b"\n") + 1 == events:
        return range(1, events + 1)
    filled = [number for number, line in enumerate(whole.split(b"\n"), start=1) if line.strip()]
    torn = kind == "jsonl" and bool(jsonl.torn_note(whole))
    return filled[:events] if len(filled) == events + torn else None


def _torn_note(data: bytes, kind: Format) -> str:
    return jsonl.torn_note(data.rstrip(b"\0")) if kind == "jsonl" else ""


def _order_note(history: History) -> str:
    """How real time is told where the times do not tell it; empty where they do."""
    if len(history) < 2 or (first := int(history.time.min())) != int(history.time.max()):
        return ""
    if first < 0:
        return (
            "not all its events have times: "
            "what came first in real time is told by the place in the file"
        )
    return "all its times are equal: what different processes did is taken to be concurrent"


def _paired(events: list[Op], lines: Sequence[int] | None, source: str) -> History:
    """A history whose errors name the lines that its events stand in, or else the events."""
    try:
        return History(events, source=source)
    except MalformedHistory as error:
        if error.line is None:
            raise
        at = error.line - 1
        process = events[at].process
        # Columns have a number of their own for -1; it is told as it came.
        reason = no_process(process) if process != NEMESIS and process < 0 else error.reason
        if lines is None:
            raise MalformedHistory(f"operation {at}: {reason}", source=source) from None
        raise MalformedHistory(reason, source=source, line=lines[at]) from None


# --- which format ---------------------------------------------------------------------------------


def _utf8(data: bytes, source: str) -> bytes:
    for mark, name in _BOMS.items():
        if data.startswith(mark):
            raise MalformedHistory(f"the text is {name}; UTF-8 was expected", source=source)
    if len(data) >= 4 and [byte == 0 for byte in data[:4]] in (
        [False, True] * 2,
        [True, False] * 2,
    ):
        raise MalformedHistory(
            "the text has NUL bytes, as UTF-16 has; UTF-8 was expected", source=source, line=1
        )
    return data.removeprefix(codecs.BOM_UTF8)


def _format(data: bytes, source: str) -> Format:
    if not data.strip(b"\0 \t\r\n"):
        raise MalformedHistory("the history is empty: it has no operation to judge", source=source)
    found = _sniffed(data)
    if found is not None:
        return found
    name = source.lower()
    for ending in _PACKED:
        name = name.removesuffix(ending)
    by_name = _ENDINGS.get(Path(name).suffix)
    if by_name is not None:
        return by_name
    raise MalformedHistory(
        "this is no history that is known here (JSONL, Jepsen's EDN, elle-cli's JSON, AWDIT's "
        f"text): it begins with {jsonl.around(data, len(data) - len(data.lstrip()))}",
        source=source,
        line=1,
    )


def _sniffed(data: bytes) -> Format | None:
    """What the first characters say; None if they say nothing."""
    head = data[:4096].lstrip(b" \t\r\n,")
    while head.startswith(b";"):
        head = head[head.find(b"\n") + 1 :].lstrip(b" \t\r\n,") if b"\n" in head else b""
        if not head:
            return "edn"
    inner = head[1:].lstrip(b" \t\r\n,")
    if head.startswith(b"{"):
        if inner[:1] not in (b'"', b"}"):
            return "edn"
        return "jsonl" if _has_process(data) else "json-lines"
    if head.startswith(b"["):
        first = inner[1:].lstrip(b" \t\r\n,")[:1] if inner.startswith(b"{") else inner[:1]
        return "edn" if first in (b":", b"#", b";", b"(") or inner[:1] in (b"#", b";") else "json"
    if head.startswith((b"#", b"(", b"^")):
        return "edn"
    if head.startswith((b"w ", b"r ", b"w\t", b"r\t", b"-----", b"=====")):
        return "awdit"
    return None


class _Process(msgspec.Struct):
    process: msgspec.Raw | None = None


def _has_process(data: bytes) -> bool:
    """Whether the first event names its process, as all of ours do."""
    end = data.find(b"\n")
    try:
        first = msgspec.json.decode(data[: end if end >= 0 else None], type=_Process)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return True
    return first.process is not None


# --- each format ----------------------------------------------------------------------------------

_Told = Callable[[int], None]
_Events = tuple[list[Op], Sequence[int] | None]


def _read_jsonl(data: bytes, source: str, tick: _Told) -> _Events:
    data = data.rstrip(b"\0")
    events = jsonl.decode_lines(data, source=source, tick=tick)
    if not events:
        # Nothing but a torn line: more likely no history at all. Its error says which.
        events = jsonl.decode_lines(data + b"\n", source=source)
    return events, None


def _read_json_lines(data: bytes, source: str, tick: _Told) -> _Events:
    found, lines = elle_cli.lines(data, source=source, tick=tick)
    return rows.events(found, source=source, lines=lines), lines


def _read_json(data: bytes, source: str, tick: _Told) -> _Events:
    return rows.events(elle_cli.array(data, source=source), source=source), None


def _read_edn(data: bytes, source: str, tick: _Told) -> _Events:
    text = _text(data, source)
    plain = edn_plain.rows(text, tick)
    if plain is not None:
        try:
            return rows.events(plain, source=source), None
        except MalformedHistory:
            pass  # the reader of all EDN says which line
    forms = edn.parse(text, source=source, tick=tick)
    lines = [line for _, line in forms]
    found: list[rows.Row] = []
    for form, line in forms:
        if not isinstance(form, dict):
            raise MalformedHistory(
                f"a map was expected for an event, not {rows.shown(form)}",
                source=source,
                line=line,
            )
        found.append(
            rows.Row(**{name: value for name, value in form.items() if name in rows.FIELDS})
        )
    return rows.events(found, source=source, lines=lines), lines


def _read_awdit(data: bytes, source: str, tick: _Told) -> _Events:
    return awdit.events(_text(data, source), source=source, tick=tick), None


def _text(data: bytes, source: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise jsonl.json_error(error, data, source=source) from None


_READERS: Final[dict[Format, Callable[[bytes, str, _Told], _Events]]] = {
    "jsonl": _read_jsonl,
    "json-lines": _read_json_lines,
    "json": _read_json,
    "edn": _read_edn,
    "awdit": _read_awdit,
}
