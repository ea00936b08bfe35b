"""Reads EDN, Jepsen's notation: all of it, with the line and column of what is wrong.

Values become plain JSON ones, so that a history means the same in both: keywords and symbols are
texts without the colon, sets and lists are lists (equal sets equal ones), keys of maps are texts,
unknown tags say nothing. Ratios, decimals, characters and infinities are texts, because rounding
would change them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from ..errors import MalformedHistory
from .jsonl import MAX_DEPTH, around

DIGITS: Final = 4000
"""How many digits a number may have."""

_TOKEN: Final = re.compile(
    r"""
      (?P<skip>    [\s,]+ | ;[^\n]* | \#![^\n]* )
    | (?P<open>    \#\{ | [\[({] )
    | (?P<close>   [\])}] )
    | (?P<text>    \#?"[^"\\]*(?:\\.[^"\\]*)*" )
    | (?P<atom>    [^\s,\[\](){}"\\;^\#'`~@][^\s,\[\](){}"\\;^]* )
    | (?P<drop>    \#_ | \#\^ | \^ )
    | (?P<symbolic>\#\#(?:-?Inf|NaN) )
    | (?P<spaced>  \#:[^\s,\[\](){}"\\;^]+ )
    | (?P<tag>     \#[^\W\d_][^\s,\[\](){}"\\;^]* )
    | (?P<char>    \\(?:u[0-9A-Fa-f]{4}(?!\w)|o[0-7]{1,3}(?!\w)|newline|space|tab|return|backspace
                      |formfeed|[^\s]) (?![\w]) )
    | (?P<quote>   \#' | ['`~@] )
    """,
    re.VERBOSE | re.DOTALL,
)
_INTEGER: Final = re.compile(r"([+-]?(?:0|[1-9]\d*))N?", re.ASCII)
_FLOAT: Final = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?M", re.ASCII)
_RATIO: Final = re.compile(r"[+-]?\d+/\d+", re.ASCII)
_HEX: Final = re.compile(r"[+-]?0[xX][0-9A-Fa-f]+N?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d", re.ASCII)
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED: Final = {"t": "\t", "r": "\r", "n": "\n", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
_NAMED: Final = {
    "newline": "\n",
    "space": " ",
    "tab": "\t",
    "return": "\r",
    "backspace": "\b",
    "formfeed": "\f",
}
_SYMBOLIC: Final = {"##Inf": "Infinity", "##-Inf": "-Infinity", "##NaN": "NaN"}
_WORDS: Final[dict[str, Any]] = {"nil": None, "true": True, "false": False}
_CLOSES: Final = {"[": "]", "(": ")", "{": "}", "#{": "}"}


@dataclass(slots=True)
class _Frame:
    """A form that is being read: a list, a map, or a prefix that waits for the form it is of."""

    kind: str
    at: int
    items: list[Any]
    space: str = ""


class _Wrong(Exception):
    """What is wrong, and where in the text."""

    def __init__(self, reason: str, at: int) -> None:
        self.reason, self.at = reason, at


def parse(
    text: str, *, source: str = "EDN", tick: Callable[[int], None] | None = None
) -> list[tuple[Any, int]]:
    """Every form of a text with the line that it begins in, a single list's forms one by one.

    Raises `MalformedHistory` with line, column and the text around.
    """
    try:
        forms = [*_forms(text, tick)]
        if len(forms) == 1 and isinstance(forms[0][0], _Listed):
            forms = [*forms[0][0].parts]
    except _Wrong as wrong:
        raise _malformed(wrong, text, source) from None
    line, seen, found = 1, 0, []
    for value, at in forms:
        line += text.count("\n", seen, at)
        seen = at
        found.append(
            (list(map(_first, value.parts)) if isinstance(value, _Listed) else value, line)
        )
    return found


def value_of(text: str, *, source: str = "EDN") -> Any:
    """The value of a text that is one EDN form."""
    try:
        forms = [*_forms(text)]
    except _Wrong as wrong:
        raise _malformed(wrong, text, source) from None
    if len(forms) != 1:
        raise MalformedHistory(f"one form was expected, not {len(forms)}", source=source)
    value = forms[0][0]
    return list(map(_first, value.parts)) if isinstance(value, _Listed) else value


@dataclass(slots=True)
class _Listed:
    """A list at the top of the text: its forms with where they begin."""

    parts: list[tuple[Any, int]]


def _first(pair: tuple[Any, int]) -> Any:
    return pair[0]


def _malformed(wrong: _Wrong, text: str, source: str) -> MalformedHistory:
    first = text.rfind("\n", 0, wrong.at) + 1
    window = text[max(first, wrong.at - 200) : wrong.at + 200]
    data = window.encode("utf-8", "replace")
    at = len(window[: min(200, wrong.at - first)].encode("utf-8", "replace"))
    return MalformedHistory(
        f"{wrong.reason} in {around(data, at)}",
        source=source,
        line=text.count("\n", 0, wrong.at) + 1,
        column=wrong.at - first + 1,
    )


# --- forms ----------------------------------------------------------------------------------------


def _forms(text: str, tick: Callable[[int], None] | None = None) -> Iterator[tuple[Any, int]]:
    """The forms at the top, each with where it begins; no recursion, so any depth is told."""
    stack: list[_Frame] = []
    at, end, match = 0, len(text), _TOKEN.match
    while at < end:
        token = match(text, at)
        if token is None:
            raise _Wrong(_no_token(text, at), at)
        kind = token.lastgroup
        begin, at = at, token.end()
        if kind == "skip":
            continue
        if tick is not None and len(stack) < 2:
            tick(begin)
        if kind == "atom":
            value: Any = _atom(token.group(), begin)
        elif kind == "open":
            if len(stack) >= MAX_DEPTH:
                raise _Wrong(f"more than {MAX_DEPTH} lists and maps in one another", begin)
            stack.append(_Frame(token.group(), begin, []))
            continue
        elif kind == "close":
            value, begin = _closed(stack, token.group(), begin)
        elif kind == "text":
            value = _unescaped(token.group(), begin)
        elif kind == "symbolic":
            value = _SYMBOLIC[token.group()]
        elif kind == "char":
            value = _character(token.group()[1:])
        else:
            if len(stack) >= MAX_DEPTH:
                raise _Wrong(f"more than {MAX_DEPTH} forms in one another", begin)
            space = token.group()[2:].lstrip(":") if kind == "spaced" else ""
            stack.append(_Frame(str(kind), begin, [], space))
            continue
        begin = _prefixed(stack, begin)
        if begin < 0:
            continue
        if not stack:
            yield value, begin
        elif len(stack) == 1 and stack[0].kind in "[(":
            stack[0].items.append((value, begin))
        else:
            stack[-1].items.append(value)
    if stack:
        raise _Wrong(
            f"the text ends within what begins here with {text[stack[-1].at]!r}", stack[-1].at
        )


def _prefixed(stack: list[_Frame], begin: int) -> int:
    """Where a form begins with its tags; -1 if it is to be left out."""
    while stack and stack[-1].kind not in _CLOSES:
        frame = stack.pop()
        if frame.kind == "drop":
            # Whatever else stood before it belongs to the form that comes next.
            return -1
        begin = frame.at
    return begin


def _closed(stack: list[_Frame], close: str, at: int) -> tuple[Any, int]:
    """The value of the form that ends here, and where it begins."""
    if not stack:
        raise _Wrong(f"{close!r} closes nothing", at)
    frame = stack.pop()
    if frame.kind not in _CLOSES:
        raise _Wrong("a tag or #_ stands before nothing", frame.at)
    if _CLOSES[frame.kind] != close:
        raise _Wrong(f"{close!r} where {_CLOSES[frame.kind]!r} was expected", at)
    if frame.kind == "{":
        space = stack[-1].space if stack and stack[-1].kind == "spaced" else ""
        return _map(frame, space), frame.at
    if not stack and frame.kind in "[(":
        return _Listed(frame.items), frame.at
    if frame.kind == "#{":
        return _set(frame.items), frame.at
    return frame.items, frame.at


def _set(items: list[Any]) -> list[Any]:
    """A set as a list in an order of its own, so that equal sets are equal values."""
    if all(type(item) is int for item in items):
        return sorted(items)
    return sorted(items, key=partial(json.dumps, sort_keys=True))


def _map(frame: _Frame, space: str) -> dict[str, Any]:
    items = frame.items
    if len(items) % 2:
        raise _Wrong("a map has a key without a value", frame.at)
    names = [key_of(key) for key in items[::2]]
    if space:
        names = [f"{space}/{name}" if "/" not in name else name for name in names]
    found = dict(zip(names, items[1::2], strict=True))
    if len(found) != len(names):
        raise _Wrong("a map has a key twice", frame.at)
    return found


def key_of(key: Any) -> str:
    """A map's key as JSON has it: a text."""
    return key if isinstance(key, str) else msgspec.json.encode(key).decode()


# --- what is no list ------------------------------------------------------------------------------


def _atom(text: str, at: int) -> Any:
    if text[0] == ":":
        if len(text) == 1:
            raise _Wrong("':' names nothing", at)
        return text[1:]
    if _NUMBER.match(text):
        return _number(text, at)
    return _WORDS.get(text, text)


def _number(text: str, at: int) -> Any:
    if len(text) > DIGITS:
        raise _Wrong(f"a number of {len(text)} digits", at)
    whole = _INTEGER.fullmatch(text)
    if whole:
        return int(whole[1])
    if _FLOAT.fullmatch(text):
        number = float(text)
        # What a double cannot hold stays as it is written.
        return number if abs(number) != float("inf") else text
    if _HEX.fullmatch(text):
        return int(text.rstrip("N"), 16)
    if _RATIO.fullmatch(text) or _DECIMAL.fullmatch(text):
        return text
    raise _Wrong(f"{text[:40]!r} is no number", at)


def _unescaped(text: str, at: int) -> str:
    start = text.index('"') + 1
    raw = text[start:-1]
    if "\\" not in raw or text[0] == "#":
        return raw

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "u" and len(code) == 5:
            return chr(int(code[1:], 16))
        if code[0] in "01234567":
            return chr(int(code, 8))
        if code not in _ESCAPED:
            raise _Wrong(f"'\\{code}' is no escape", at + start + match.start())
        return _ESCAPED[code]

    return _whole(_ESCAPE.sub(one, raw))


def _whole(text: str) -> str:
    """Halves of characters joined; one that stands alone is no character."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _character(name: str) -> str:
    if name in _NAMED:
        return _NAMED[name]
    if len(name) > 1:
        return _whole(chr(int(name[1:], 16 if name[0] == "u" else 8)))
    return name


def _no_token(text: str, at: int) -> str:
    if text[at] == '"' or text.startswith('#"', at):
        return "the text ends within a string that begins here"
    return f"{text[at]!r} begins nothing known"
