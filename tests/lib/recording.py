"""A client that touches no server: tests of the lane tell it how to behave."""

from __future__ import annotations

from typing import Any, ClassVar


class Definite(Exception):
    """An error of this client's table of definite errors."""

    sqlstate = "40001"


def refuse(error: BaseException) -> None:
    """Raise an error as the connection would: from here."""
    raise error


class Connection:
    """What a strategy gets; a test sets these to say what the operation did."""

    def __init__(self) -> None:
        self.wrote = False
        self.open = False
        self.suspicious: list[str] = []
        self.stuck = False


class Client:
    """The client around it; `opened` are all that were made since the list was cleared."""

    recorded_in: ClassVar[frozenset[str]] = frozenset({__name__})
    opened: ClassVar[list[Client]] = []

    def __init__(self) -> None:
        self.handle = Connection()
        self.conn = len(self.opened)
        self.shut = self.closed = False
        self.rolled_back = 0
        self.opened.append(self)

    def begin(self) -> None:
        self.handle.wrote = False
        self.handle.suspicious = []

    def definite(self, error: BaseException) -> bool:
        return isinstance(error, Definite)

    def may_have_written(self) -> bool:
        return self.handle.wrote

    def suspicions(self) -> list[str]:
        return self.handle.suspicious

    def left_open(self) -> bool:
        return self.handle.open

    def settle(self) -> bool:
        if self.handle.stuck:
            raise ConnectionError("cannot be rolled back")
        self.rolled_back += self.handle.open
        self.handle.open = False
        return False

    def shutdown(self) -> None:
        self.shut = True

    def close(self) -> None:
        self.closed = True


def open_client(arguments: Any, options: Any) -> Client:
    return Client()
