"""From what a strategy raised to `fail` or `info`.

`fail` only if nothing can have happened: an error of the backend's table of definite errors, and
an operation whose own trace shows no write outside what that error rolled back. Everything else
is `info`: it may have happened, and may yet happen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .errors import Failed
from .protocols import Answer, Client

MAX_ERROR = 300


def classify(
    error: BaseException,
    clients: Sequence[Client],
    *,
    untraced: bool = False,
    single_transaction: bool = False,
) -> Answer:
    """The completion of an operation that raised `error`.

    `untraced`: the strategy opened connections of its own, of which only `Failed` is definite,
    unless it promises `single_transaction`.
    """
    said = describe(error)
    if isinstance(error, Failed):
        return Answer(type="fail", error=said)
    definite = any(
        client.definite(cause) and (single_transaction or _came_through(cause, client))
        for cause in causes(error)
        for client in clients
    )
    trusted = single_transaction or not untraced
    if definite and trusted and not any(client.may_have_written() for client in clients):
        return Answer(type="fail", error=said)
    return Answer(type="info", error=said)


def _came_through(error: BaseException, client: Client) -> bool:
    """Whether this error was raised on the client's own connection: its frames say so.

    One from a connection that the strategy opened by itself proves nothing: we did not see what
    that connection had written before.
    """
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") in client.recorded_in:
            return True
        trace = trace.tb_next
    return False


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from: `.orig` and `__cause__`.

    Never `__context__`: it may hold an older error that was handled long ago.
    """
    seen: set[int] = set()
    todo: list[BaseException] = [error]
    while todo:
        one = todo.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo.extend(
            other
            for other in (getattr(one, "orig", None), one.__cause__)
            if isinstance(other, BaseException)
        )


def describe(error: BaseException) -> str:
    """`CODE text` where the error has an SQLSTATE or error number, else `Class: text`."""
    code = next((c for one in causes(error) if (c := _code(one))), type(error).__name__ + ":")
    text = " ".join(_text(error).split()) or "no message"
    said = f"{code} {text}"
    return said if len(said) <= MAX_ERROR else said[: MAX_ERROR - 1] + "…"


def _text(error: BaseException) -> str:
    return str(error.args[1]) if _numbered(error) else str(error)


def _numbered(error: BaseException) -> bool:
    """Whether it is what drivers of MySQL's protocol raise: a number and a text."""
    args = error.args
    return (
        len(args) == 2
        and type(args[0]) is int
        and isinstance(args[1], str)
        and not isinstance(error, OSError)
    )


def _code(error: BaseException) -> str | None:
    if _numbered(error):  # says more than the SQLSTATE, which is HY000 for most of them
        return str(error.args[0])
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(sqlstate, str):
        return sqlstate
    name = getattr(error, "sqlite_errorname", None)
    return name if isinstance(name, str) else None
