"""Things that once there must stay there: which of them were lost, and which were seen too late.

An element is known from when its insertion was acknowledged or a read that saw it had returned,
whichever came first. It is lost if a read that began later misses it and no read that returned
after that saw it again; if one did, the read that missed it was stale. An insertion of unknown
outcome is known only by being seen, and that may happen at any time. (Jepsen's set-full checker,
with intervals in the place of single moments.)
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..harness.history import FOREVER, Operation


@dataclass
class Things:
    """Insertions by element, and reads with the elements that each saw (repeats left out)."""

    inserts: dict[Hashable, list[Operation]] = field(default_factory=dict)
    reads: list[Operation] = field(default_factory=list)
    seen: list[list[Hashable]] = field(default_factory=list)

    def insert(self, element: Hashable, op: Operation) -> None:
        """Somebody asked for this element."""
        self.inserts.setdefault(element, []).append(op)

    def read(self, op: Operation, elements: Iterable[Hashable]) -> list[Hashable]:
        """Somebody saw these elements; answers those that were there more than once."""
        elements = list(elements)
        once = list(dict.fromkeys(elements))
        self.reads.append(op)
        self.seen.append(once)
        if len(once) == len(elements):
            return []
        counts: dict[Hashable, int] = {}
        for element in elements:
            counts[element] = counts.get(element, 0) + 1
        return [element for element, count in counts.items() if count > 1]


@dataclass(frozen=True, slots=True)
class Missing:
    """An element that a read should have seen, since when it was known, and by what."""

    element: Hashable
    known: Operation
    read: Operation
    since: int


@dataclass(frozen=True, slots=True)
class Presence:
    """What became of the elements. `judged` counts those that a read saw or had to see."""

    lost: Sequence[Hashable] = ()
    lost_first: Missing | None = None
    stale: Sequence[Hashable] = ()
    stale_first: Missing | None = None
    ghosts: Sequence[tuple[Hashable, Operation]] = ()
    """Seen, with the read, although every insertion had failed."""
    strange: Sequence[tuple[Hashable, Operation]] = ()
    """Seen, with the read, although nobody had asked for them by then."""
    never_read: int = 0
    judged: int = 0


def presence(things: Things) -> Presence:
    """Judge every element in one pass over all that was read."""
    inserts, names = list(things.inserts.values()), list(things.inserts)
    if not things.reads:
        return Presence(never_read=len(names))
    which, who, strange = _flat(things)
    asked, acked, failed = _inserted(inserts)
    calls = np.array([op.call for op in things.reads], dtype=np.int64)
    rets = np.array([op.ret for op in things.reads], dtype=np.int64)

    early = rets[which] < asked[who]
    strange += [(names[w], things.reads[r]) for r, w in zip(which[early], who[early], strict=True)]
    ghostly = failed[who] & ~early
    ghosts = [
        (names[w], things.reads[r]) for r, w in zip(which[ghostly], who[ghostly], strict=True)
    ]
    first_seen = np.full(len(names), FOREVER, dtype=np.int64)
    last_seen = np.full(len(names), -1, dtype=np.int64)
    np.minimum.at(first_seen, who, rets[which])
    np.maximum.at(last_seen, who, rets[which])
    known = np.minimum(acked, first_seen)
    # A read that began after the element was known, and after it was last seen, has missed it.
    since = np.maximum(known, last_seen)
    lost = (known < FOREVER) & ~failed & (since < calls.max())
    must = len(calls) - np.searchsorted(np.sort(calls), known, side="right")
    did = np.bincount(who[calls[which] > known[who]], minlength=len(names))
    stale = ~lost & ~failed & (must > did)
    seen = (must > 0) | (last_seen >= 0)

    def first(chosen: npt.NDArray[np.bool_], after: npt.NDArray[np.int64]) -> Missing | None:
        """The element that was missed first, with the read that missed it."""
        if not chosen.any():
            return None
        i = int(np.flatnonzero(chosen)[np.argmin(known[chosen])])
        mine = set(which[who == i].tolist())
        late = np.flatnonzero(calls > after[i])
        missed = [int(r) for r in late[np.argsort(calls[late], kind="stable")] if r not in mine]
        by = next((op for op in inserts[i] if op.type == "ok" and op.ret == known[i]), None)
        if by is None:
            by = next(things.reads[r] for r in sorted(mine) if rets[r] == known[i])
        return Missing(names[i], by, things.reads[missed[0]], int(known[i]))

    return Presence(
        lost=[names[i] for i in np.flatnonzero(lost)],
        lost_first=first(lost, since),
        stale=[names[i] for i in np.flatnonzero(stale)],
        stale_first=first(stale, known),
        ghosts=ghosts,
        strange=strange,
        never_read=int((~seen & ~failed).sum()),
        judged=int(seen.sum()),
    )


def _flat(
    things: Things,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[tuple[Hashable, Operation]]]:
    """Every sighting as (number of the read, number of the element), and those of unknown ones."""
    number = {element: i for i, element in enumerate(things.inserts)}
    strange: list[tuple[Hashable, Operation]] = []
    sightings: list[npt.NDArray[np.int64]] = []
    for op, elements in zip(things.reads, things.seen, strict=True):
        found = [number.get(element, -1) for element in elements]
        if -1 in found:
            strange += [(e, op) for e, i in zip(elements, found, strict=True) if i < 0]
            found = [i for i in found if i >= 0]
        sightings.append(np.array(found, dtype=np.int64))
    lengths = [len(found) for found in sightings]
    which = np.repeat(np.arange(len(sightings), dtype=np.int64), lengths)
    return which, np.concatenate(sightings), strange


def _inserted(
    inserts: Iterable[Sequence[Operation]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """When each element was first asked for, first acknowledged, and whether all attempts failed."""
    rows = []
    for ops in inserts:
        if len(ops) == 1:
            (op,) = ops
            rows.append((op.call, op.ret if op.type == "ok" else FOREVER, op.type == "fail"))
        else:
            acked = min((op.ret for op in ops if op.type == "ok"), default=FOREVER)
            failed = all(op.type == "fail" for op in ops)
            rows.append((min(op.call for op in ops), acked, failed))
    asked, acked_at, fails = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return asked, acked_at, fails.astype(np.bool_)
