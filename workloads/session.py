"""How a workload's operations become calls of a strategy's methods, and answers completions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..harness.protocols import Answer, Ask

REFUSED = "refused"
"""The error of a completion by which the system looked and said no."""


class Method(msgspec.Struct, frozen=True):
    """One function of a workload: how the strategy is called, and what its answer means."""

    call: Callable[[Any, Any], Any]
    """(strategy, asked value) -> what the strategy returned."""
    answer: Callable[[Any, Any], Answer]
    """(asked value, what was returned) -> completion; raises TypeError for a senseless answer."""


class MethodSession:
    """The plain session: each function is one method of the strategy."""

    def __init__(self, strategy: Any, methods: Mapping[str, Method]) -> None:
        self._strategy = strategy
        self._methods = methods

    def call(self, ask: Ask) -> Any:
        """Call the strategy's method."""
        return self._methods[ask.f].call(self._strategy, ask.value)

    def answer(self, ask: Ask, returned: Any) -> Answer:
        """Read the method's answer."""
        return self._methods[ask.f].answer(ask.value, returned)

    def ended(self, ask: Ask, answer: Answer) -> Answer:
        """Nothing more was done by the same call."""
        return answer

    def close(self) -> None:
        """Nothing was opened."""


def done(asked: Any, returned: Any) -> Answer:
    """The answer of a method whose return value means nothing."""
    return Answer(type="ok")


def yes_or_no(asked: Any, returned: Any) -> Answer:
    """The answer of a method that answers yes or no: a falsy one is a refusal."""
    return Answer(type="ok") if returned else Answer(type="fail", error=REFUSED)


def read_value(asked: Any, returned: Any) -> Answer:
    """The answer of `read(key)`: `[key, value]`; None read nil."""
    return Answer(type="ok", value=[asked[0], plain_value(returned)])


def plain_value(value: Any) -> Any:
    """A value as JSON has it; text and bytes that spell an integer become that integer.

    Servers answer bytes and text columns where integers were written.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    text = str(value)
    try:
        return int(text)
    except ValueError:
        return text


def integer(value: Any, what: str) -> int:
    """An integer answer; raise TypeError naming what was expected and what came."""
    plain = plain_value(value)
    if isinstance(plain, int) and not isinstance(plain, bool):
        return plain
    raise TypeError(f"{what} must answer an int, not {value!r}")
