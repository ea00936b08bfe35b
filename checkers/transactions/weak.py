"""The weak levels: what transactions that are visible to a reader force on the order of versions.

Here the reads of a history become a `Reading`, and a circle among the forced orders a finding. A
circle that needs the order of a session is the -process variant: it rules out levels that promise
that order, and no others. Of lists the order of versions is known besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...harness.columns import OK
from ...harness.transactions import READ, Transactions
from .. import levels
from .components import components, shortest
from .lists import Lists
from .registers import Registers
from .visibility import INITIAL, Forced, Reading, WeakLevel, forced, reading_order, session_order
from .writes import Writes

Rows = npt.NDArray[Any]

NAMES: dict[WeakLevel, str] = {
    "monotonic-read-committed": "non-monotonic-view",
    "read-atomic": "fractured-read",
    "causal": "causality-violation",
}
"""The anomaly that breaks each level; each also breaks those that come after it."""

MOST_STARTS = 200
"""Orders through each of which the shortest circle is looked for."""

BUDGET = "causal: the budget of vector clocks ran out"
"""Why a pass proves nothing where `circles` gave up."""

WEAK: dict[str, WeakLevel] = {
    "monotonic-read-committed": "monotonic-read-committed",
    "read-atomic": "read-atomic",
    "causal-cerone": "causal",
}
"""The levels that Biswas & Enea define; to them the order of sessions counts."""

SESSION, READS, FORCED, VERSIONS = 0, 1, 2, 3
"""Why one transaction comes before another: its session, a read from it, a visible version, or the
order of versions that a list shows."""

Pairs = tuple[Rows, Rows]
"""(before, after): numbers of transactions."""

_NO_PAIRS: Pairs = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def demanded(name: str) -> str:
    """The level of this name or alias; to transactions `causal` means causal-cerone."""
    level = levels.named(name).name
    return "causal-cerone" if level == "causal" else level


def also_excluded(level: str) -> frozenset[str]:
    """What a weak level excludes beside its own anomalies: those that sessions close."""
    if level not in WEAK:
        return frozenset()
    return frozenset({f"{NAMES[WEAK[level]]}-process", "G1c-process"})


@dataclass(frozen=True, slots=True)
class Circle:
    """Transactions (rows of the history's) each of which comes before the next, and why.

    For `FORCED` steps `reader` and `key` say who read that key from the later one although the
    earlier one was visible to it; -1 elsewhere. The initial state is row -1.
    """

    name: str
    transactions: tuple[int, ...]
    why: tuple[int, ...]
    reader: tuple[int, ...]
    key: tuple[int, ...]
    count: int


def reading(registers: Registers) -> tuple[Reading, Rows]:
    """Who read from whom, among the transactions that take part; and which rows these are.

    Reads of what nobody committed, of a version that its writer replaced itself, and of what the
    reader wrote are left out: they are anomalies, or none, by themselves.
    """
    txns, owner = registers.txns, registers.owner
    rows = np.flatnonzero(registers.taking_part)
    number = np.full(len(txns), -1, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    reads = registers.reads[(txns.kind[registers.reads] == READ)]
    version = registers.version[reads]
    keep = (version >= 0) & (number[owner[reads]] >= 0)
    reads, version = reads[keep], version[keep]
    size = registers.size
    # Beyond `size` stands the nil of each key.
    writer = np.append(registers.writer, -1)[np.minimum(version, size)]
    source = np.where(version < size, np.append(number, INITIAL)[writer], INITIAL)
    others = ~_after_own_write(registers.writes, reads) & (source != number[owner[reads]])
    reads, source = reads[others], source[others]
    by = number[owner[reads]]
    order = np.lexsort((registers.key, number[registers.writer]))
    wrote = number[registers.writer][order]
    session = _sessions(txns, rows)
    places = np.arange(len(rows) + 1)
    return (
        Reading(
            session=session,
            read_off=np.searchsorted(by, places).astype(np.int64),
            read_key=txns.key[reads].astype(np.int64),
            read_from=source.astype(np.int64),
            write_off=np.searchsorted(wrote, places).astype(np.int64),
            write_key=registers.key[order].astype(np.int64),
            keys=len(txns.keys),
        ),
        rows,
    )


def reading_lists(lists: Lists) -> tuple[Reading, Rows, Pairs]:
    """The same of lists, and which transactions the lists show to come before which others.

    A read is from whoever appended the last element that it saw. One that follows an append of its
    own says nothing more than the order of elements does, and is left out.
    """
    txns, owner = lists.txns, lists.owner
    rows = np.flatnonzero(lists.taking_part)
    number = np.full(len(txns) + 1, INITIAL, dtype=np.int64)
    number[rows] = np.arange(len(rows))
    last = lists.latest(lists.even)
    source = number[np.where(last >= 0, lists.writer[last] if len(lists.writer) else -1, -1)]
    by = number[owner[lists.even]]
    keep = (by >= 0) & (source != by) & ~_after_own_write(lists.writes, lists.even)
    reads, source, by = lists.even[keep], source[keep], by[keep]
    writes = lists.writes.rows
    writes = writes[lists.taking_part[owner[writes]]]
    span = len(txns.keys) + 1
    wrote = np.unique(number[owner[writes]] * span + txns.key[writes])
    session = _sessions(txns, rows)
    places = np.arange(len(rows) + 1)
    before, after = lists.successions()
    return (
        Reading(
            session=session,
            read_off=np.searchsorted(by, places).astype(np.int64),
            read_key=txns.key[reads].astype(np.int64),
            read_from=source,
            write_off=np.searchsorted(wrote // span, places).astype(np.int64),
            write_key=wrote % span,
            keys=len(txns.keys),
        ),
        rows,
        (number[before], number[after]),
    )


def _sessions(txns: Transactions, rows: Rows) -> npt.NDArray[np.int64]:
    """A session for each process; what was never answered is one of its own.

    It may take effect after all that its process did later.
    """
    process = txns.process[rows].astype(np.int64)
    unanswered = txns.type[rows] != OK
    process[unanswered] = process.max(initial=0) + 1 + np.flatnonzero(unanswered)
    _, session = np.unique(process, return_inverse=True)
    return session.astype(np.int64)


def _after_own_write(writes_: Writes, reads: Rows) -> npt.NDArray[np.bool_]:
    """Which reads come after a write of the same key in their transaction."""
    txns, owner = writes_.txns, writes_.owner
    span = len(txns.keys) + 1
    writes = writes_.rows
    place = owner[writes].astype(np.int64) * span + txns.key[writes]
    order = np.lexsort((writes, place))
    places, first = np.unique(place[order], return_index=True)
    if not len(places):
        return np.zeros(len(reads), dtype=np.bool_)
    wanted = owner[reads].astype(np.int64) * span + txns.key[reads]
    at = np.minimum(np.searchsorted(places, wanted), len(places) - 1)
    earlier: npt.NDArray[np.bool_] = (places[at] == wanted) & (writes[order][first[at]] < reads)
    return earlier


def circles(
    reads: Reading, rows: Rows, level: WeakLevel, known: Pairs | None = None
) -> Iterator[Circle | None]:
    """The circle that breaks a level, without sessions if there is one; None: out of budget.

    `known` are orders that hold beside those of sessions and reading.
    """
    known = known or _NO_PAIRS
    orders = forced(reads, level)
    if not orders.complete:
        yield None
        return
    found = _circle(reads, rows, orders, known, f"{NAMES[level]}-process")
    if found is not None:
        # Does it take the sessions? Where that would cost too much, it is not claimed that it
        # does not.
        alone = _alone(reads)
        orders = forced(alone, level)
        plain = _circle(alone, rows, orders, known, NAMES[level]) if orders.complete else None
        yield plain or found


def _alone(reads: Reading) -> Reading:
    """The same transactions, each a session of its own."""
    return Reading(
        session=np.arange(len(reads), dtype=np.int64),
        read_off=reads.read_off,
        read_key=reads.read_key,
        read_from=reads.read_from,
        write_off=reads.write_off,
        write_key=reads.write_key,
        keys=reads.keys,
    )


def _circle(reads: Reading, rows: Rows, orders: Forced, known: Pairs, name: str) -> Circle | None:
    """The shortest circle through a forced order, or through any; None where there is none."""
    parts = [session_order(reads), reading_order(reads), (orders.before, orders.after), known]
    before = np.concatenate([part[0] for part in parts]).astype(np.int32)
    after = np.concatenate([part[1] for part in parts]).astype(np.int32)
    why = np.repeat([SESSION, READS, FORCED, VERSIONS], [len(part[0]) for part in parts])
    skipped = len(before) - len(orders) - len(known[0])
    nodes = len(reads) + 1
    group = components(nodes, before, after)
    inside = np.flatnonzero(group[before] == group[after])
    if not len(inside):
        return None
    # Forced orders first: without one a circle is a G1c, and told by that name too.
    tried = inside[np.argsort(why[inside] != FORCED, kind="stable")][:MOST_STARTS]
    pair, path = shortest(
        nodes,
        before[inside],
        after[inside],
        np.ones(nodes, dtype=np.bool_),
        after[tried],
        before[tried],
        budget=100 * MOST_STARTS * len(inside),
    )
    best = [int(tried[pair]), *inside[path].tolist()]
    told = np.append(rows, -1)
    force = [edge - skipped if why[edge] == FORCED else -1 for edge in best]
    return Circle(
        name=name,
        transactions=tuple(int(told[before[edge]]) for edge in best),
        why=tuple(int(why[edge]) for edge in best),
        reader=tuple(int(told[orders.reader[i]]) if i >= 0 else -1 for i in force),
        key=tuple(int(orders.key[i]) if i >= 0 else -1 for i in force),
        count=len(np.unique(group[before[inside]])),
    )
