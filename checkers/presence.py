"""Things that once there must stay there: which of them were lost, and which were seen too late.

An element is known from when its insertion was acknowledged or a read that saw it had returned,
whichever came first. It is lost if a read that began later misses it and no read that returned
after that saw it again; if one did, the read that missed it was stale. An insertion of unknown
outcome is known only by being seen, and that may happen at any time. (Jepsen's set-full checker,
with intervals in the place of single moments.)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from ..harness.columns import FAIL, OK
from ..harness.history import FOREVER, TYPES, Operation
from ..harness.interning import I64
from .rows import Mask, Rows, lengths


@dataclass(frozen=True, slots=True)
class Sightings:
    """Who put elements in, and which elements each read saw, all by number.

    `element` are the elements of `inserts`, from 0 in the order of first insertion; elements that
    nobody put in have greater numbers. Read `which[i]` (a row of `reads`) saw element `who[i]`: in
    the order of reads, each only once. `name` answers for numbers of elements, `operation` for
    places in the history.
    """

    inserts: Rows
    element: I64
    reads: Rows
    which: I64
    who: I64
    name: Callable[[int], Hashable]
    operation: Callable[[int], Operation]


@dataclass(frozen=True, slots=True)
class Missing:
    """An element that a read should have seen, since when it was known, and by what."""

    element: Hashable
    known: Operation
    read: Operation
    since: int


@dataclass(frozen=True, slots=True)
class Presence:
    """What became of the elements. `judged` counts those that a read saw or had to see.

    `lost` and `stale` are numbers of elements. `ghosts` were seen although every insertion had
    failed, `strange` ones although nobody had asked for them by then: each with its first read.
    """

    lost: I64
    lost_first: Missing | None
    stale: I64
    stale_first: Missing | None
    ghosts: Sequence[tuple[Hashable, Operation]]
    strange: Sequence[tuple[Hashable, Operation]]
    judged: int


def remaining(seen: Sightings) -> Presence:
    """Judge every element in one pass over all that was read."""
    count = int(seen.element.max(initial=-1)) + 1
    asked, acked, failed = _inserted(seen, count)
    calls, rets = seen.reads.call, seen.reads.ret
    added = seen.who < count
    which, who = (seen.which, seen.who) if added.all() else (seen.which[added], seen.who[added])
    early = np.zeros(len(seen.who), dtype=np.bool_)
    early[added] = rets[which] < asked[who]
    ghostly = np.zeros(len(seen.who), dtype=np.bool_)
    ghostly[added] = failed[who]

    first_seen = np.full(count, FOREVER, dtype=np.int64)
    last_seen = np.full(count, -1, dtype=np.int64)
    np.minimum.at(first_seen, who, rets[which])
    np.maximum.at(last_seen, who, rets[which])
    known = np.minimum(acked, first_seen)
    # A read that began after the element was known, and after it was last seen, has missed it.
    since = np.maximum(known, last_seen)
    lost = (known < FOREVER) & ~failed & (since < calls.max(initial=-1))
    must = len(calls) - np.searchsorted(np.sort(calls), known, side="right")
    did = np.bincount(who[calls[which] > known[who]], minlength=count)
    stale = ~lost & ~failed & (must > did)
    return Presence(
        lost=np.flatnonzero(lost),
        lost_first=_first_missed(seen, lost, known, since),
        stale=np.flatnonzero(stale),
        stale_first=_first_missed(seen, stale, known, known),
        ghosts=_firsts(seen, np.flatnonzero(ghostly & ~early)),
        strange=_firsts(seen, np.concatenate((np.flatnonzero(~added), np.flatnonzero(early)))),
        judged=int(((must > 0) | (last_seen >= 0)).sum()),
    )


def _inserted(seen: Sightings, count: int) -> tuple[I64, I64, Mask]:
    """When each element was first asked for, first acknowledged, and whether all attempts failed."""
    asked = np.full(count, FOREVER, dtype=np.int64)
    acked = np.full(count, FOREVER, dtype=np.int64)
    failed = np.ones(count, dtype=np.bool_)
    inserts, element = seen.inserts, seen.element
    np.minimum.at(asked, element, inserts.call)
    np.minimum.at(acked, element, np.where(inserts.type == OK, inserts.ret, FOREVER))
    failed[element[inserts.type != FAIL]] = False
    return asked, acked, failed


def _firsts(seen: Sightings, sightings: I64) -> list[tuple[Hashable, Operation]]:
    """Each element among these sightings, with the read that saw it first."""
    places = sightings[np.sort(np.unique(seen.who[sightings], return_index=True)[1])]
    reads = seen.which[places]
    by = {read: seen.operation(seen.reads.index.item(read)) for read in np.unique(reads).tolist()}
    pairs = zip(seen.who[places].tolist(), reads.tolist(), strict=True)
    return [(seen.name(number), by[read]) for number, read in pairs]


def _first_missed(seen: Sightings, chosen: Mask, known: I64, after: I64) -> Missing | None:
    """The element that was known first, with the first read that began `after` and missed it."""
    if not chosen.any():
        return None
    number = np.flatnonzero(chosen)[np.argmin(known[chosen])].item()
    calls, since = seen.reads.call, known.item(number)
    mine = seen.which[seen.who == number]
    missed = calls > after[number]
    missed[mine] = False
    late = np.flatnonzero(missed)
    read = late[np.argmin(calls[late])]
    inserts = seen.inserts
    by = inserts.index[(seen.element == number) & (inserts.type == OK) & (inserts.ret == since)]
    if not len(by):
        by = seen.reads.index[mine[seen.reads.ret[mine] == since]]
    return Missing(
        element=seen.name(number),
        known=seen.operation(by.item(0)),
        read=seen.operation(seen.reads.index.item(read)),
        since=since,
    )


def once(which: I64, who: I64) -> tuple[I64, I64, I64]:
    """Sightings with the repeats within a read left out; and, for each element that a read showed
    more than once, the number of that read.
    """
    size = int(who.max(initial=0)) + 1
    code = which * size + who
    inorder = np.sort(code)
    if not (inorder[1:] == inorder[:-1]).any():
        return which, who, inorder[:0]
    distinct, first, times = np.unique(code, return_index=True, return_counts=True)
    first.sort()
    return which[first], who[first], distinct[times > 1] // size


@dataclass
class Things:
    """Insertions by element and reads with what each saw, taken in one operation after another."""

    inserts: dict[Hashable, list[Operation]] = field(default_factory=dict)
    reads: list[Operation] = field(default_factory=list)
    seen: list[list[Hashable]] = field(default_factory=list)

    def insert(self, element: Hashable, op: Operation) -> None:
        """Somebody asked for this element."""
        self.inserts.setdefault(element, []).append(op)

    def read(self, op: Operation, elements: Iterable[Hashable]) -> None:
        """Somebody saw these elements; repeats do not count."""
        self.reads.append(op)
        self.seen.append(list(dict.fromkeys(elements)))

    def sightings(self) -> Sightings:
        """The same as columns."""
        inserts = [op for ops in self.inserts.values() for op in ops]
        number = {e: i for i, e in enumerate(dict.fromkeys(chain(self.inserts, *self.seen)))}
        names = list(number)
        element = np.repeat(np.arange(len(self.inserts)), lengths([*self.inserts.values()]))
        who = np.array([number[e] for elements in self.seen for e in elements], dtype=np.int64)
        known = {op.index: op for op in (*inserts, *self.reads)}
        return Sightings(
            inserts=_rows(inserts),
            element=element,
            reads=_rows(self.reads),
            which=np.repeat(np.arange(len(self.seen)), lengths(self.seen)),
            who=who,
            name=names.__getitem__,
            operation=known.__getitem__,
        )


def _rows(ops: Sequence[Operation]) -> Rows:
    """Operations as columns."""
    table = [(op.index, op.end, TYPES.index(op.type), 0, op.call, op.ret) for op in ops]
    index, end, kind, f, call, ret = np.array(table, dtype=np.int64).reshape(-1, 6).T
    return Rows(index, end, kind.astype(np.int8), f.astype(np.int8), call, ret)


def presence(things: Things) -> Presence:
    """Judge every element."""
    return remaining(things.sightings())
