"""What is known of counters: their adds and reads as columns, the bounds of each read, and which
returned new values exclude each other. Says what is, accuses nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..harness.columns import FAIL, INFO, OK
from ..harness.errors import UsageError
from ..harness.history import History
from ..harness.interning import I64
from .patterns.placing import side_by_side
from .rows import Columns, Mask, Rows, asked, groups, labelled, results, rows, told
from .sums import Integers, integers, reachable


@dataclass(frozen=True, slots=True)
class Adds(Columns):
    """Adds in the order of invocation; `delta` is negative for a decrement.

    `result` is the new value that an add was told, where `tells` says that it was told an integer.
    """

    index: I64
    key: I64
    type: npt.NDArray[np.int8]
    call: I64
    ret: I64
    delta: Integers
    result: Integers
    tells: Mask


@dataclass(frozen=True, slots=True)
class Answers(Columns):
    """Ok reads that answered an integer, in the order of invocation."""

    index: I64
    key: I64
    call: I64
    ret: I64
    value: Integers


@dataclass(frozen=True, slots=True)
class Reads(Answers):
    """The same with the bounds that they must keep.

    `acknowledged` is the value with exactly the adds that returned before the read was called,
    `attempted` with all that were called before it returned. At `rest` every acknowledged add of
    the counter lies before the read.
    """

    lower: Integers
    upper: Integers
    acknowledged: Integers
    attempted: Integers
    rest: Mask


@dataclass(frozen=True, slots=True)
class Counters:
    """All counters of a history; `names` and `start` (the opening value) by key.

    `strange` are the ok reads that answered no integer (places in the history), `strange_key` their
    counters.
    """

    names: Sequence[Any]
    start: Integers
    adds: Adds
    answers: Answers
    strange: I64
    strange_key: I64


def counters(history: History, opening: Callable[[str], int]) -> Counters:
    """The counters of a history; `opening` answers each one's opening value by its name.

    Raises `UsageError` where an add is of anything but an integer.
    """
    every = rows(history, "add", "read")
    requests = asked(history, every)
    adding = every.f == 0
    pairs = _pairs(requests, adding)
    keys = labelled([name for name, _ in pairs])
    adds = _adds(history, every.of(adding), keys.of[adding], _those(pairs, adding))
    reading = ~adding & (every.type == OK)
    reads, key = every.of(reading), keys.of[reading]
    values = list(map(answer, _those(requests, reading), told(history, reads)))
    whole = np.ones(len(values), dtype=np.bool_)
    if not set(map(type, values)) <= {int}:
        whole = np.fromiter(map(integral, values), np.bool_, len(values))
        values = list(map(int, _those(values, whole)))
    fine = reads.of(whole)
    return Counters(
        names=keys.values,
        start=integers([opening(str(name)) for name in keys.values]),
        adds=adds,
        answers=Answers(fine.index, key[whole], fine.call, fine.ret, integers(values)),
        strange=reads.index[~whole],
        strange_key=key[~whole],
    )


def _pairs(requests: Sequence[Any], adding: Mask) -> list[Any]:
    """The counter of each request, and what was asked of it.

    A bare value (Jepsen's own) belongs to the one counter there is; where every add names its
    counter, a read that asks for one bare value names it by that.
    """
    paired = [isinstance(value, list) and len(value) == 2 for value in requests]
    if all(paired):
        return list(requests)
    named = any(paired) and all(paired[row] for row in np.flatnonzero(adding).tolist())
    return [
        value if pair else (value, None) if named and value is not None else ("", value)
        for value, pair in zip(requests, paired, strict=True)
    ]


def _those(values: Sequence[Any], chosen: Mask) -> Sequence[Any]:
    return values if chosen.all() else [values[row] for row in np.flatnonzero(chosen).tolist()]


def _adds(history: History, chosen: Rows, key: I64, pairs: Sequence[Any]) -> Adds:
    amounts = [amount for _, amount in pairs]
    if not set(map(type, amounts)) <= {int}:
        row = next(row for row, amount in enumerate(amounts) if type(amount) is not int)
        raise UsageError(
            f"operation {chosen.index[row]}: an add takes an integer, not {amounts[row]!r}"
        )
    result, tells = _new_values(results(history, chosen))
    return Adds(
        index=chosen.index,
        key=key,
        type=chosen.type,
        call=chosen.call,
        ret=chosen.ret,
        delta=integers(amounts),
        result=result,
        tells=tells,
    )


def _new_values(answers: Sequence[Any]) -> tuple[Integers, Mask]:
    """The new values that adds were told, and which were told an integer (0 stands for the rest)."""
    tells = np.zeros(len(answers), dtype=np.bool_)
    if int in set(map(type, answers)):
        tells = np.fromiter((type(answer) is int for answer in answers), np.bool_, len(answers))
    new = integers(_those(answers, tells))
    column = np.zeros(len(answers), dtype=new.dtype)
    column[tells] = new
    return column, tells


def answer(requested: Any, value: Any) -> Any:
    """What a read answered; a counter that does not exist yet reads 0."""
    if isinstance(value, list) and len(value) == 2:
        named = isinstance(requested, list) or value[0] == requested
        value = value[1] if named else value
    return 0 if value is None else value


def integral(value: Any) -> bool:
    """Whether an answer is a whole number, also one that a server wrote as a decimal."""
    return type(value) is int or (type(value) is float and value.is_integer())


# --- bounds --------------------------------------------------------------------------------------


def bounded(found: Counters) -> Reads:
    """The reads with their bounds: acknowledged before the call, attempted before the return."""
    adds, reads, keys = found.adds, found.answers, len(found.names)
    calls, rets = side_by_side(
        np.concatenate((adds.key, reads.key)),
        np.concatenate((adds.call, reads.call)),
        np.concatenate((adds.ret, reads.ret)),
    )
    count, acknowledged, attempted = len(adds.key), adds.type == OK, adds.type != FAIL
    # Closed intervals: what ends when the read begins, or begins when it ends, is concurrent.
    surely, surely_not = _sums(
        adds.of(acknowledged), rets[:count][acknowledged], reads.key, calls[count:], keys, "left"
    )
    maybe, maybe_not = _sums(
        adds.of(attempted), calls[:count][attempted], reads.key, rets[count:], keys, "right"
    )
    settled = np.full(keys, -1, dtype=np.int64)
    np.maximum.at(settled, adds.key[acknowledged], adds.ret[acknowledged])
    start = found.start[reads.key]
    return Reads(
        index=reads.index,
        key=reads.key,
        call=reads.call,
        ret=reads.ret,
        value=reads.value,
        lower=start + (surely + maybe_not),
        upper=start + (maybe + surely_not),
        acknowledged=start + (surely + surely_not),
        attempted=start + (maybe + maybe_not),
        rest=reads.call > settled[reads.key],
    )


def _sums(
    adds: Adds, times: I64, key: I64, moments: I64, keys: int, side: Literal["left", "right"]
) -> tuple[Integers, Integers]:
    """At each moment, the sums of its key's increments and decrements whose time lies before it.

    The times of a greater key are all later.
    """
    order = np.argsort(times, kind="stable")
    delta = adds.delta[order]
    where = np.searchsorted(times[order], moments, side=side)
    others = np.concatenate(([0], np.cumsum(np.bincount(adds.key, minlength=keys))))[key]
    up = np.concatenate(([0], np.cumsum(np.where(delta > 0, delta, 0))))
    down = np.concatenate(([0], np.cumsum(np.where(delta < 0, delta, 0))))
    return up[where] - up[others], down[where] - down[others]


def gaps(adds: Adds, reads: Reads) -> Integers:
    """What each value lacks (negative: has too much); 0 where it can be explained."""
    lacking, excess = reads.lower - reads.value, reads.upper - reads.value
    gap = np.where(lacking > 0, lacking, np.where(excess < 0, excess, 0))
    # What equals the acknowledged adds needs no others to explain it.
    doubtful = np.flatnonzero(reads.rest & (gap == 0) & (reads.value != reads.acknowledged))
    if len(doubtful):
        opened = adds.of(adds.type == INFO)
        mine = groups(opened.key, int(adds.key.max()) + 1)
        for row in doubtful.tolist():
            more = reads.value.item(row) - reads.acknowledged.item(row)
            if not reachable(more, opened_by(opened.of(mine[reads.key[row]]), reads.ret[row])):
                gap[row] = -more
    return gap


def opened_by(adds: Adds, ret: int) -> list[int]:
    """The amounts of the indeterminate adds that a read which returned then may have seen."""
    amounts: list[int] = adds.delta[(adds.type == INFO) & (adds.call <= ret)].tolist()
    return amounts


# --- new values that exclude each other ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moves(Columns):
    """From which value to which each add (a row of `Adds`) claims to have moved its counter.

    Both are negated (`sign`) where the counter only falls, so that all move upwards.
    """

    row: I64
    key: I64
    sign: I64
    old: Integers
    new: Integers


@dataclass(frozen=True, slots=True)
class Clash:
    """Two acknowledged adds (rows of `Adds`) that claim to have moved a counter over the same ground.

    `old` are the values that they claim to have found.
    """

    first: int
    second: int
    old: tuple[int, int]


def moved(adds: Adds, keys: int) -> Moves:
    """The moves of counters whose adds, as far as they may have happened, have one sign.

    An add of d that returned n moved the counter from n - d to n. With one sign the counter passes
    every value once, so two such moves never overlap. With both signs a value may come back, and
    nothing follows.
    """
    happened = adds.type != FAIL
    rises, falls = np.zeros(keys, dtype=np.bool_), np.zeros(keys, dtype=np.bool_)
    rises[adds.key[happened & (adds.delta > 0)]] = True
    falls[adds.key[happened & (adds.delta < 0)]] = True
    both = (rises & falls)[adds.key]
    row = np.flatnonzero((adds.type == OK) & adds.tells & (adds.delta != 0) & ~both)
    key, delta, result = adds.key[row], adds.delta[row], adds.result[row]
    sign = np.where(rises, 1, -1)[key]
    return Moves(row=row, key=key, sign=sign, old=sign * (result - delta), new=sign * result)


def contradicted(moves: Moves) -> I64:
    """The keys of which two moves overlap, so that not both can be true.

    Neighbours in the order of the old values overlap if any two do: where they do not, the new
    values grow as the old ones do.
    """
    order = np.lexsort((moves.new, moves.old, moves.key))
    key, old, new = moves.key[order], moves.old[order], moves.new[order]
    return np.unique(key[1:][(key[1:] == key[:-1]) & (old[1:] < new[:-1])])


def clashing(moves: Moves) -> list[Clash]:
    """Pairs of acknowledged adds of one counter whose returned new values cannot both be true."""
    old, new = moves.old.tolist(), moves.new.tolist()
    row, sign = moves.row.tolist(), moves.sign.tolist()
    clashes: list[Clash] = []
    furthest = -1
    for at in np.lexsort((moves.new, moves.old)).tolist():
        if furthest >= 0 and old[at] < new[furthest]:
            one, two = sorted((furthest, at))
            found = sign[one] * old[one], sign[two] * old[two]
            clashes.append(Clash(row[one], row[two], found))
        if furthest < 0 or new[at] > new[furthest]:
            furthest = at
    return clashes


def plainest(clashes: Sequence[Clash], adds: Adds) -> Clash:
    """The plainest witness: two adds that started from the same value at the same time."""

    def obscure(clash: Clash) -> tuple[bool, bool]:
        one, two = clash.first, clash.second
        overlap = adds.call[one] <= adds.ret[two] and adds.call[two] <= adds.ret[one]
        return clash.old[0] != clash.old[1], not overlap

    return min(clashes, key=obscure)
