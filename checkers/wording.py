"""Small pieces of the sentences that verdicts are told in: times, amounts, values, lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..harness.interning import Map, Truth
from ..harness.interning import freeze as freeze
from ..harness.quoting import quoted

SECOND = 1_000_000_000
_MILLISECOND = 1_000_000
_MICROSECOND = 1_000
_WIDTH = 60


def span(nanoseconds: int) -> str:
    """A length of time as people say it: `2.0 s`, `412 ms`, `35 µs`, `120 ns`."""
    if nanoseconds >= SECOND:
        return f"{nanoseconds / SECOND:.1f} s"
    if nanoseconds >= _MILLISECOND:
        return f"{nanoseconds / _MILLISECOND:.0f} ms"
    if nanoseconds >= _MICROSECOND:
        return f"{nanoseconds / _MICROSECOND:.0f} µs"
    return f"{nanoseconds} ns"


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 add`, `3 adds`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def label(value: Any) -> str:
    """A key as JSON's objects know it, so that 1 and "1" are one key."""
    if isinstance(value, str):
        return value
    if value is None:
        return "nil"
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, msgspec.MsgspecError):
        return repr(value)


def titled(name: str) -> str:
    """The name of an account or a counter, as `label` gives it, cut to a sensible length."""
    return name if len(name) <= _WIDTH else f"{name[: _WIDTH - 1]}…"


def show(value: Any) -> str:
    """A value as it stands in the history, cut to a sensible length; nil where there is none.

    A text has no quotes unless it could be taken for a number.
    """
    return titled(quoted(value) if isinstance(value, str) else label(value))


def either(values: Iterable[Any], *, most: int = 5) -> str:
    """Some possible values: `3`, `3 or 4`, `1, 2, 3 or one of 9 others`."""
    shown = [show(value) for value in values]
    if len(shown) > most:
        shown = [*shown[:most], f"one of {len(shown) - most} others"]
    return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def capital(sentence: str) -> str:
    """The sentence with a capital first letter, the rest untouched."""
    return sentence[:1].upper() + sentence[1:]


def plain(value: Any) -> Any:
    """A frozen value as plain JSON again, for evidence."""
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted((plain(item) for item in value), key=repr)
    if isinstance(value, Map):
        named = ((k if isinstance(k, str) else repr(plain(k)), plain(v)) for k, v in value.items)
        return dict(sorted(named))
    if isinstance(value, Truth):
        return value.value
    return value if isinstance(value, str | int | float | None) else repr(value)
