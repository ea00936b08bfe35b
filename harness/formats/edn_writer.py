"""Writes events as Jepsen and Elle read them: one EDN map a line.

Keywords stand where Jepsen has them (types, functions, micro-operations, the nemesis, fields of
maps), account names and other keys that spell integers are integers. What Jepsen does not know of
(results, tokens, phases) goes under `:dokkaebi`, so that reading it again gives the same history.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from ..history import NEMESIS, Op

_KEYWORD: Final = re.compile(r"[A-Za-z*!_?$%&=<>][A-Za-z0-9*!_?$%&=<>.+-]*", re.ASCII)
_WHOLE: Final = re.compile(r"-?[1-9][0-9]{0,17}|0", re.ASCII)
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_ESCAPED: Final = re.compile(r'["\\\x00-\x1f\x7f\u2028\u2029]')
_MICRO: Final = frozenset({"append", "r", "w", "read", "write", "cas"})
_OURS: Final = ("node", "result", "phase", "attempts", "conn", "ext")

OURS: Final = "dokkaebi"
"""The field of an event that holds what other tools do not know of."""


def edn_line(op: Op) -> bytes:
    """One event as a line of EDN, its newline included."""
    parts = [] if op.index < 0 else [f":index {op.index}"]
    if op.time >= 0:
        parts.append(f":time {op.time}")
    process = f":{NEMESIS}" if op.process == NEMESIS else str(op.process)
    value = _micro_operations(op.value) or _value(op.value)
    parts += [f":process {process}", f":type :{op.type}", f":f {_name(op.f)}", f":value {value}"]
    if op.error is not None:
        parts.append(f":error {_text(op.error)}")
    ours = {name: value for name in _OURS if (value := getattr(op, name)) is not None}
    if ours:
        parts.append(f":{OURS} {_value(ours)}")
    return f"{{{', '.join(parts)}}}\n".encode()


def _micro_operations(value: Any) -> str:
    """A transaction's micro-operations, their functions as keywords; empty if it is none."""
    if not isinstance(value, list) or not value:
        return ""
    for mop in value:
        if not isinstance(mop, list) or len(mop) != 3:
            return ""
        if not isinstance(mop[0], str) or mop[0] not in _MICRO:
            return ""
    mops = (f"[:{f} {_value(key)} {_value(item)}]" for f, key, item in value)
    return f"[{' '.join(mops)}]"


def _value(value: Any) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(key)} {_value(item)}' for key, item in value.items())}}}"
    return _text(msgspec.json.encode(value).decode())


def _key(key: Any) -> str:
    text = key if isinstance(key, str) else msgspec.json.encode(key).decode()
    return text if _WHOLE.fullmatch(text) else _name(text)


def _name(text: str) -> str:
    return f":{text}" if _KEYWORD.fullmatch(text) else _text(text)


def _text(text: str) -> str:
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04x}"
