"""Locks, one per name. For leases, fencing and holders that die use the `lock` checker."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from ...harness.errors import UsageError
from ...harness.history import Operation
from ..wording import freeze, show
from .keyed import Named


class Mutex(Named):
    """A lock without owner: `acquire` needs it free, `release` needs it held.

    A refused acquire proves nothing unless `strict_try` says that it does.
    """

    name = "mutex"
    functions = ("acquire", "release")

    def __init__(self, strict_try: bool = False) -> None:
        """`strict_try`: an acquire is refused only while somebody holds the lock."""
        self.refusals = ("acquire",) if strict_try else ()

    def init(self) -> Hashable:
        """Free."""
        return "free"

    def step(self, state: Hashable, operation: Operation) -> Iterable[Hashable]:
        """Acquire takes a free lock, release frees a held one."""
        if operation.type == "fail":
            return (state,) if state != "free" else ()
        if operation.f == "acquire":
            return (self.held(operation),) if state == "free" else ()
        return ("free",) if state == self.held(operation) else ()

    def held(self, operation: Operation) -> Hashable:
        """The state in which the lock is held as this operation holds it."""
        return "held"

    def signature(self, operation: Operation) -> Hashable:
        """Only the function counts: this lock does not know its owner."""
        return operation.f, operation.type == "fail"

    def tell(self, operation: Operation) -> str:
        """What an acquire or release claims."""
        return _tell(operation)


class OwnerMutex(Mutex):
    """A lock that only the process which acquired it may release."""

    name = "owner-mutex"

    def held(self, operation: Operation) -> Hashable:
        """Held by its process."""
        return f"held by process {operation.process}"

    def signature(self, operation: Operation) -> Hashable:
        """The process counts too."""
        return operation.f, operation.type == "fail", operation.process


class FencedMutex(Named):
    """An owner's lock whose tokens grow: each acquire gets a greater one than all before."""

    name = "fenced-mutex"
    functions = ("acquire", "release")

    def init(self) -> Hashable:
        """Free, and no token given."""
        return None, None

    def step(self, state: Any, operation: Operation) -> Iterable[Hashable]:
        """As an owner's mutex, and the token must be new. One that nobody was told may be any."""
        holder, last = state
        if operation.f == "release":
            return ((None, last),) if holder == operation.process else ()
        if holder is not None:
            return ()
        token = _token(operation)
        if token is None:
            return ((operation.process, last),)
        return ((operation.process, token),) if last is None or token > last else ()

    def signature(self, operation: Operation) -> Hashable:
        """Function, process and token."""
        return operation.f, operation.process, freeze(_token(operation))

    def tell(self, operation: Operation) -> str:
        """What an acquire or release claims."""
        token = _token(operation) if operation.f == "acquire" else None
        return _tell(operation) + ("" if token is None else f" with token {show(token)}")

    def shown(self, state: Any) -> Any:
        """Who holds it, and the greatest token."""
        holder, last = state
        who = "free" if holder is None else f"held by process {holder}"
        return who if last is None else f"{who}, token {show(last)} given"


class Semaphore(Named):
    """A lock that `k` may hold at once: `acquire` takes one permit, `release` gives one back."""

    name = "semaphore"
    functions = ("acquire", "release")

    def __init__(self, k: int = 1, strict_try: bool = False) -> None:
        """`k` permits; `strict_try`: an acquire is refused only while all are taken."""
        if type(k) is not int or k < 1:
            raise UsageError(f"a semaphore needs a whole k of 1 or more, not {show(k)}")
        self.k = k
        self.refusals = ("acquire",) if strict_try else ()

    def init(self) -> Hashable:
        """No permit is taken."""
        return 0

    def step(self, state: Any, operation: Operation) -> Iterable[Hashable]:
        """Never more than `k` permits taken, never fewer than none."""
        if operation.type == "fail":
            return (state,) if state == self.k else ()
        if operation.f == "acquire":
            return (state + 1,) if state < self.k else ()
        return (state - 1,) if state > 0 else ()

    def signature(self, operation: Operation) -> Hashable:
        """Only the function counts."""
        return operation.f, operation.type == "fail"

    def tell(self, operation: Operation) -> str:
        """What an acquire or release claims."""
        return _tell(operation)

    def shown(self, state: Any) -> Any:
        """How many are taken."""
        return f"{state} of {self.k} permits taken"


def _tell(operation: Operation) -> str:
    if operation.type == "fail":
        return "was refused it"
    return "acquired it" if operation.f == "acquire" else "released it"


def _token(operation: Operation) -> Any:
    """The token of an acquire: its result, or the value where the invocation had none."""
    if operation.f != "acquire" or operation.type != "ok":
        return None
    token = token_told(operation.asked, operation.value, operation.result)
    if token is not None and not isinstance(token, int | float):
        raise UsageError(
            f"operation {operation.index}: the tokens of a fenced-mutex are numbers, not {token!r}"
        )
    return token


def token_told(asked: Any, value: Any, result: Any) -> Any:
    """What an acquire that succeeded told of its token."""
    return value if result is None and value != asked else result
