"""Reads elle-cli's JSON: an array of events, or one event a line where they have no process.

Keys of objects are texts, as everywhere in JSON; checkers hold 0 and "0" for one name.
"""

from __future__ import annotations

import msgspec

from ..errors import MalformedHistory
from .jsonl import MAX_LINE, Tick, around, chunks, deep, json_error, refuse_depth
from .rows import Row

_array = msgspec.json.Decoder(list[Row])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_row = msgspec.json.Decoder(Row)


def array(data: bytes, *, source: str) -> list[Row]:
    """The events of a JSON array; raise `MalformedHistory` with line, column and the text."""
    if deep(data):
        refuse_depth(data, source, 1)
    try:
        return _array.decode(data)
    except (msgspec.ValidationError, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise _located(error, data, source) from None


def _located(error: Exception, data: bytes, source: str) -> MalformedHistory:
    """The error where it is: the decoder tells the byte only where this is no JSON at all."""
    try:
        raws = _raws.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as broken:
        return json_error(broken, data, source=source)
    at = 0
    for number, raw in enumerate(raws):
        text = bytes(raw)
        at = max(data.find(text, at), at)
        try:
            _row.decode(text)
        except (msgspec.ValidationError, msgspec.DecodeError, ValueError, RecursionError) as wrong:
            before = data[:at]
            return MalformedHistory(
                f"operation {number}: {wrong} in {around(data, at)}",
                source=source,
                line=before.count(b"\n") + 1,
                column=at - before.rfind(b"\n"),
            )
        at += len(text)
    return MalformedHistory(str(error), source=source)


def lines(data: bytes, *, source: str, tick: Tick | None = None) -> tuple[list[Row], list[int]]:
    """The events of a text with one JSON object a line, and the lines that they stand in."""
    rows: list[Row] = []
    places: list[int] = []
    number = 1
    for start, stop in chunks(data, len(data)):
        for line in data[start:stop].split(b"\n")[: None if stop == len(data) else -1]:
            if line.strip():
                rows.append(_line(line, source, number))
                places.append(number)
            number += 1
        if tick is not None:
            tick(stop)
    return rows, places


def _line(line: bytes, source: str, number: int) -> Row:
    if len(line) > MAX_LINE:
        raise MalformedHistory(
            f"the line has {len(line) / 2**20:.0f} MB", source=source, line=number
        )
    if deep(line):
        refuse_depth(line, source, number)
    try:
        return _row.decode(line)
    except (msgspec.ValidationError, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise json_error(error, line, source=source, line=number) from None
