"""Every error that Dokkaebi raises on purpose, and the exit code each one means.

DokkaebiError
├── UsageError          2   what was asked for makes no sense
│   └── MalformedHistory    a history file that cannot be read, with line and reason
├── Broken              4   the harness, a server or the strategy broke; no promise was judged
│   └── StrategyBroken      the user's own traceback stands in `.traceback`
├── Unavailable         5   nothing could run: a server or a power is missing here
└── Failed                  raised by strategies: this operation certainly did not happen
"""

from __future__ import annotations


class DokkaebiError(Exception):
    """Anything that Dokkaebi raises on purpose."""

    exit_code = 4


class UsageError(DokkaebiError):
    """The command, the configuration or the input is wrong; says what was expected and what came."""

    exit_code = 2


class MalformedHistory(UsageError):
    """A history that cannot be read; nothing of it is judged."""

    def __init__(
        self,
        reason: str,
        *,
        source: str = "history",
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.reason, self.source, self.line, self.column = reason, source, line, column
        where = source if line is None else f"{source}, line {line}"
        if column is not None:
            where += f", column {column}"
        super().__init__(f"{where}: {reason}")


class Broken(DokkaebiError):
    """The harness, a server or the strategy broke: this says nothing about the promise."""

    exit_code = 4


class StrategyBroken(Broken):
    """The strategy raised before the run began; `traceback` is its own, trimmed to its file."""

    def __init__(self, message: str, traceback: str = "") -> None:
        self.traceback = traceback
        super().__init__(message)


class Unavailable(DokkaebiError):
    """Nothing could run: a server, a wheel or a power is missing on this machine."""

    exit_code = 5


class Failed(DokkaebiError):
    """Raise this from a strategy when the operation certainly did not happen."""
