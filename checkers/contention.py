"""Which operations touch which key, how often they meet there, and how each key fared."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import compress
from typing import Final

import msgspec
import numpy as np

from ..harness.columns import FAIL, INFO, OK
from ..harness.history import History, Operation
from ..harness.interning import I64, interned
from ..harness.result import KeyStats, Latency
from ..harness.verdict import Anomaly
from .patterns.placing import side_by_side
from .rows import Mask
from .wording import show

Contends = Callable[[Operation], tuple[Hashable, bool] | None]
"""The key that an operation touches and whether it writes it; None if it touches none."""

MOST_KEYS: Final = 20
"""Keys that have figures of their own: those of anomalies first, then the most contended."""


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """Parallel arrays over the operations that touch a key, the dry run left out.

    `row` is the operation's place in the history's table, `key` the number of its key, whose name
    stands in `names`; it lasts from `begin` to `end` as its client saw it.
    """

    row: I64
    key: I64
    names: Sequence[Hashable]
    writes: Mask
    begin: I64
    end: I64


def touched(history: History, contends: Contends) -> Touched:
    """Ask of each operation which key it touches."""
    counted = ~history.table.dry
    answers = [contends(op) for op in compress(history.operations(), counted.tolist())]
    pairs = [each for each in answers if each is not None]
    row = np.flatnonzero(counted)
    if len(pairs) < len(answers):
        row = row[[each is not None for each in answers]]
    numbers = interned([key for key, _ in pairs])
    return Touched(
        row=row,
        key=numbers.of,
        names=numbers.values,
        writes=np.fromiter((writes for _, writes in pairs), np.bool_, len(pairs)),
        begin=history.table.call[row],
        end=heard(history)[row],
    )


def heard(history: History) -> I64:
    """When the client heard of each operation for the last time: an unknown outcome overlaps no
    more then."""
    table = history.table
    last = history.time[table.end]
    last = np.where(last >= 0, last, table.end)
    last = np.where(table.end >= 0, last, table.call)
    return np.where(table.type == INFO, last, table.ret)


def conflicts(keyed: Touched) -> I64:
    """For each key the pairs of overlapping operations of which at least one writes; O(n log n).

    All overlapping pairs of a key, less those of its reads among each other.
    """
    reads, keys = ~keyed.writes, len(keyed.names)
    every = _overlapping(keyed.key, keyed.begin, keyed.end, keys)
    idle = _overlapping(keyed.key[reads], keyed.begin[reads], keyed.end[reads], keys)
    return every - idle


def _overlapping(key: I64, begin: I64, end: I64, keys: int) -> I64:
    """Pairs of closed intervals of each key that share a moment: all, less those that are apart."""
    count = np.bincount(key, minlength=keys)
    # Of a greater key all moments are later.
    begins, ends = side_by_side(key, begin, end)
    others = (np.cumsum(count) - count)[key]
    before = np.searchsorted(np.sort(ends), begins, side="left") - others
    apart = np.bincount(key, weights=before, minlength=keys)  # exact below 2 ** 53
    every: I64 = count * (count - 1) // 2
    return every - apart.astype(np.int64)


def by_key(
    history: History, keyed: Touched, met: I64, anomalies: Sequence[Anomaly]
) -> tuple[KeyStats, ...]:
    """The figures of at most `MOST_KEYS` keys: those that anomalies touch, then the busiest.

    `met` are the `conflicts` of each key.
    """
    if len(keyed.names) < 2:
        return ()
    table = history.table
    accused = _accused(history, keyed, anomalies)
    size = np.bincount(keyed.key, minlength=len(keyed.names))
    first = sorted(accused, key=lambda key: (-met[key], -size[key]))
    busiest = np.lexsort((-size, -met)).tolist()
    found = []
    for key in list(dict.fromkeys([*first, *busiest]))[:MOST_KEYS]:
        row = keyed.row[keyed.key == key]
        count = np.bincount(table.type[row], minlength=max(OK, FAIL, INFO) + 1)
        found.append(
            KeyStats(
                key=show(keyed.names[key]),
                ok=int(count[OK]),
                fail=int(count[FAIL]),
                info=int(count[INFO]),
                conflicts=int(met[key]),
                latency_ms=latency(history, row[table.type[row] == OK]),
                anomalies=tuple(accused.get(key, ())),
            )
        )
    return tuple(found)


def _accused(
    history: History, keyed: Touched, anomalies: Sequence[Anomaly]
) -> dict[int, dict[str, None]]:
    """The keys that operations of anomalies touch, each with the anomalies' names."""
    found: dict[int, dict[str, None]] = {}
    index = history.table.index[keyed.row]
    for anomaly in anomalies:
        for key in keyed.key[np.isin(index, np.array(anomaly.ops, dtype=np.int64))].tolist():
            found.setdefault(key, {})[anomaly.type] = None
    return found


def latency(history: History, chosen: Mask | I64) -> Latency:
    """How long the chosen operations took; nothing where the history has no times."""
    spent = (history.table.ret[chosen] - history.table.call[chosen]) / 1e6
    if not len(spent) or history.time[0] < 0:
        return Latency()
    p50, p99 = np.percentile(spent, [50, 99])
    return Latency(p50=float(p50), p99=float(p99), max=float(spent.max()))
