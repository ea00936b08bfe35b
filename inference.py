"""What a history is of, as its operations show: their functions first, then the shape of values.

A guess names its reason. Where several things fit, nothing is guessed: the candidates are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

import msgspec

from .checkers.models import MODELS
from .harness.errors import UsageError
from .harness.history import History
from .harness.plugins import find, registered

LOOK_AT = 20_000
"""Operations whose values are looked at."""

Kind = Literal["workload", "model"]


class Guess(msgspec.Struct, frozen=True):
    """What judges a history, and why."""

    name: str
    reason: str
    kind: Kind = "workload"


class Look(msgspec.Struct, frozen=True):
    """What there is to see of a history: its functions, what was asked, what was answered.

    `timed`: its events have times.
    """

    functions: frozenset[str]
    asked: dict[str, list[Any]]
    answered: dict[str, list[Any]]
    ours: bool
    timed: bool


def infer(history: History, *, ours: bool) -> Guess:
    """The one thing that a history is of; `UsageError` lists the candidates where it is not one."""
    look = _look(history, ours)
    if not look.functions:
        raise UsageError("the history is empty: it has no operation to judge")
    guesses = next((found for rule in RULES if (found := [*rule(look)])), [])
    guesses = guesses or [*_by_functions(look)]
    fits = [guess for guess in guesses if guess.name in _known(guess.kind)]
    if len(fits) == 1:
        return fits[0]
    names = ", ".join(sorted(look.functions))
    if fits:
        listed = "; ".join(f"--{guess.kind} {guess.name} ({guess.reason})" for guess in fits)
        raise UsageError(
            f"the history's functions ({names}) fit several things; say which: {listed}"
        )
    like = f" (it looks like {guesses[0].name}: {guesses[0].reason})" if guesses else ""
    raise UsageError(
        f"the history's functions ({names}) fit no workload{like}; say which: "
        f"--workload ({', '.join(registered('workloads'))}) or --model ({', '.join(MODELS)})"
    )


def _known(kind: Kind) -> Any:
    return MODELS if kind == "model" else registered("workloads")


def _look(history: History, ours: bool) -> Look:
    codes = history.f[history.invocations()]
    functions = [history.functions[code] for code in sorted(set(codes.tolist()))]
    asked: dict[str, list[Any]] = {name: [] for name in functions}
    answered: dict[str, list[Any]] = {name: [] for name in functions}
    for op in islice(history.operations(), LOOK_AT):
        asked[op.f].append(op.asked)
        if op.type == "ok":
            answered[op.f].append(op.value)
    timed = bool(len(history)) and int(history.time[0]) >= 0
    return Look(frozenset(functions), asked, answered, ours, timed)


def keyed(history: History) -> bool:
    """Whether every register operation carries `[key, value]`, and every cas `[key, [old, new]]`."""
    for op in history.operations("read", "write", "cas"):
        asked = op.asked
        if not isinstance(asked, list) or len(asked) != 2:
            return False
        if op.f == "cas" and not (isinstance(asked[1], list) and len(asked[1]) == 2):
            return False
        if op.f == "read" and op.type == "ok" and not isinstance(op.value, list):
            return False
    return True


# --- by the shape of values -----------------------------------------------------------------------


def _transactions(look: Look) -> Iterator[Guess]:
    """txn: micro-operations append or w, or a multi-register's read and write."""
    if look.functions != {"txn"}:
        return
    mops = [mop for value in look.asked["txn"] for mop in _micro(value)]
    mops += [mop for value in look.answered["txn"] for mop in _micro(value)]
    names = {mop[0] for mop in mops}
    if names & {"read", "write"}:
        yield Guess("multi-register", "its transactions read and write registers", "model")
    if "append" in names:
        yield Guess("append", "its transactions append to lists")
    if "w" in names:
        yield Guess("wr", "its transactions write registers")
    if names == {"r"}:
        seen = [mop[2] for mop in mops if len(mop) > 2 and mop[2] is not None]
        if not seen or any(isinstance(value, list) for value in seen):
            yield Guess("append", "its transactions read lists")
        if not all(isinstance(value, list) for value in seen) or not seen:
            yield Guess("wr", "its transactions read registers")


def _long_fork(look: Look) -> Iterator[Guess]:
    """Reads of several keys at once, as micro-operations."""
    if look.functions <= {"read", "write"} and "read" in look.functions:
        values = [*look.answered["read"], *look.asked["read"]]
        if any(_micro(value) for value in values):
            yield Guess("long-fork", "its reads are of several keys at once")


def _adds(look: Look) -> Iterator[Guess]:
    """add and read: a counter reads a number, a set its elements."""
    if look.functions - {"add", "read"} or "add" not in look.functions:
        return
    reads = [value for value in look.answered.get("read", ()) if value is not None]
    asked = look.asked["add"]
    keyed = bool(asked) and all(isinstance(value, list) and len(value) == 2 for value in asked)
    if keyed:
        reads = [
            value[1] if isinstance(value, list) and len(value) == 2 else value for value in reads
        ]
    reads = [value for value in reads if value is not None]
    if any(isinstance(value, list) for value in reads):
        yield Guess("set", "its reads are lists of what was added")
    elif reads:
        yield Guess("counter", "its reads are sums of what was added")
    elif len(set(map(repr, asked))) < len(asked):
        yield Guess("counter", "the same is added more than once, and nothing is read")
    else:
        yield Guess("counter", "numbers are added")
        yield Guess("set", "each element is added once")


def _bank(look: Look) -> Iterator[Guess]:
    """transfer, or reads of all balances at once."""
    reads = [value for value in look.answered.get("read", ()) if value is not None]
    if look.functions <= {"transfer", "read"} and (
        "transfer" in look.functions
        or (bool(reads) and all(isinstance(value, dict) for value in reads))
    ):
        yield Guess("bank", "money is transferred or all balances are read at once")


def _registers(look: Look) -> Iterator[Guess]:
    """read, write and cas of single values."""
    if look.functions & {"write", "cas"} and look.functions <= {"read", "write", "cas"}:
        reason = "it reads, writes and compares and sets registers"
        if "cas" not in look.functions:
            reason = "it reads and writes registers"
        if look.ours:
            yield Guess("register", reason)
            if "cas" not in look.functions:
                yield Guess("session", "each process keeps a session that reads and writes")
        else:
            yield Guess("cas-register", reason, "model")


def _locks(look: Look) -> Iterator[Guess]:
    """acquire and release: of leases with names, or of one plain mutex. Leases need times."""
    if "acquire" not in look.functions or "release" not in look.functions:
        return
    if look.functions - {"acquire", "release", "guard-read", "guard-write"}:
        return
    if look.functions & {"guard-read", "guard-write"}:
        yield Guess("lock", "locks guard something that is read and written")
        return
    if look.timed:
        if any(isinstance(value, str) for value in look.asked["acquire"]):
            yield Guess("lock", "locks are acquired by name")
            return
        yield Guess("lock", "locks with leases")
    yield Guess("mutex", "a lock that does not know its owner", "model")
    yield Guess("owner-mutex", "a lock that only its owner releases", "model")


def _queues(look: Look) -> Iterator[Guess]:
    """enqueue with consume (ours), or with dequeue and drain (Jepsen's)."""
    if "enqueue" not in look.functions:
        return
    if look.functions <= {"enqueue", "consume", "effects"}:
        yield Guess("queue", "messages are enqueued and consumed")
    elif look.functions <= {"enqueue", "dequeue", "drain"}:
        yield Guess("queue", "messages are enqueued and dequeued")
        yield Guess("fifo-queue", "in the order in which they came", "model")
        yield Guess("unordered-queue", "in any order", "model")


RULES: Sequence[Callable[[Look], Iterator[Guess]]] = (
    _transactions,
    _long_fork,
    _adds,
    _bank,
    _registers,
    _locks,
    _queues,
)


def _by_functions(look: Look) -> Iterator[Guess]:
    """Whatever workload knows all of the functions."""
    for name in registered("workloads"):
        if look.functions <= find("workloads", name).functions:
            yield Guess(name, "it is what has these operations")


def _micro(value: Any) -> list[Any]:
    """A value's micro-operations, if it is a list of them."""
    if not isinstance(value, list) or not value:
        return []
    mops = [m for m in value if isinstance(m, list) and len(m) >= 2 and isinstance(m[0], str)]
    return mops if len(mops) == len(value) else []
