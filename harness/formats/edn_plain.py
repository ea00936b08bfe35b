"""The fast way through EDN: maps of simple values, turned into JSON token by token.

All that it does not know for certain it leaves to the reader of all EDN: it then says `None`.
A map becomes a JSON list between two empty objects, which plain EDN cannot make otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

import msgspec

from .edn import key_of
from .jsonl import deep
from .rows import Row

_CHUNK: Final = 2**20
_LONGEST: Final = 2**24

_TEXT: Final = re.compile(r'"([^"\\\x00-\x1f\x7f]*(?:\\[tnr"\\][^"\\\x00-\x1f\x7f]*)*)"')
_KEYWORD: Final = re.compile(r":([A-Za-z0-9*!_?$%&=<>.+/-]+)", re.ASCII)
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,17}", re.ASCII)
_OP: Final = "#jepsen.history.Op{"
_MARK: Final[dict[str, Any]] = {}


class NotPlain(Exception):
    """Something that this way does not know."""


class _Tokens(dict[str, str]):
    """EDN tokens as JSON; those that come often are remembered."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__(
            {"nil": "null", "true": "true", "false": "false"},
            **{"[": "[", "]": "]", "{": "[{}", "}": "{}]"},
        )
        self._texts = texts

    def __missing__(self, token: str) -> str:
        if token.isdecimal() and token.isascii() and len(token) < 18 and token[0] != "0":
            return token
        if _INTEGER.fullmatch(token) or _FLOAT.fullmatch(token):
            return token
        if token[0] == '"':
            return self._texts[int(token[1:])]
        keyword = _KEYWORD.fullmatch(token)
        if keyword is None:
            raise NotPlain
        self[token] = text = f'"{keyword[1]}"'
        return text


def rows(text: str, tick: Callable[[int], None] | None = None) -> list[Row] | None:
    """The events of a text of plain maps, in a vector or one after the other; None: not plain."""
    text = text.strip()
    start, end = (1, len(text) - 1) if text[:1] == "[" and text[-1:] == "]" else (0, len(text))
    found: list[Row] = []
    shape = _Shapes()
    try:
        while start < end:
            stop = _cut(text, start, end)
            for form in _lists(text[start:stop]):
                # What is not there is found behind the last mark.
                form.append(None)
                found.append(Row(*shape[tuple(form[1:-2:2])](form)))
            start = stop
            if tick is not None:
                tick(stop)
    except (NotPlain, TypeError):
        return None
    return found


class _Shapes(dict[tuple[Any, ...], Callable[[Any], tuple[Any, ...]]]):
    """How the fields of a `Row` are taken from a map with these keys, its values between them."""

    def __missing__(self, keys: tuple[Any, ...]) -> Callable[[Any], tuple[Any, ...]]:
        if len(set(keys)) != len(keys) or not all(type(key) is str for key in keys):
            raise NotPlain
        places = {key: 2 * place + 2 for place, key in enumerate(keys)}
        self[keys] = take = itemgetter(*(places.get(name, -1) for name in Row.__struct_fields__))
        return take


def _cut(text: str, start: int, end: int) -> int:
    """A place between two maps about a chunk further on."""
    if end - start <= _CHUNK:
        return end
    stop = text.rfind("}\n", start, start + _CHUNK)
    if stop < 0:
        stop = text.rfind("},\n", start, start + _CHUNK)
    if stop < 0:
        if end - start > _LONGEST:
            raise NotPlain
        return end
    return stop + 1


def forms(text: str) -> list[dict[str, Any]]:
    """The maps of a text of plain EDN, one after the other; raises `NotPlain`."""
    return [_map(form) for form in _lists(text)]


def _lists(text: str) -> list[list[Any]]:
    """Each map at the top as a list of its keys and values between two marks."""
    texts: list[str] = []

    def held(match: re.Match[str]) -> str:
        # Without brackets, so that the commas beside brackets can be taken away below.
        texts.append(match[0].replace("[", "\\u005b").replace("]", "\\u005d"))
        return f' "{len(texts) - 1} '

    if '"' in text:
        text = _TEXT.sub(held, text)
        if text.count('"') != len(texts):
            raise NotPlain
    text = text.replace(_OP, "{").replace(",", " ")
    maps, ends = text.count("{"), text.count("}")
    for bracket in "[]{}":
        text = text.replace(bracket, f" {bracket} ")
    json = ",".join(map(_Tokens(texts).__getitem__, text.split()))
    data = f"[{json}]".replace("[,", "[").replace(",]", "]").encode()
    if deep(data):
        raise NotPlain
    try:
        values: list[Any] = msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise NotPlain from None
    # Without a map within a map only the outermost lists need to be looked at.
    flat = maps == ends == len(values)
    for value in values:
        if type(value) is not list or len(value) % 2 or not value:
            raise NotPlain
        if value[0] != _MARK or value[-1] != _MARK:
            raise NotPlain
        if not flat:
            value[1:-1] = map(_plain, value[1:-1])
    return values


def _map(form: list[Any]) -> dict[str, Any]:
    keys = form[1:-1:2]
    found = dict(zip(map(_key, keys), form[2:-1:2], strict=True))
    if len(found) != len(keys):
        raise NotPlain
    return found


def _key(key: Any) -> str:
    if type(key) in (list, dict):
        raise NotPlain
    return key if type(key) is str else key_of(key)


def _plain(value: Any) -> Any:
    """A value with the maps in it; a mark that frames no map comes from brackets that cross."""
    if type(value) is not list:
        if type(value) is dict:
            raise NotPlain
        return value
    if value and type(value[0]) is dict:
        if len(value) % 2 or type(value[-1]) is not dict:
            raise NotPlain
        return {key: _plain(item) for key, item in _map(value).items()}
    return [_plain(item) for item in value]
