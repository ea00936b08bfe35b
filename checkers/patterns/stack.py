"""A stack whose values are pushed once: peeled from the bottom.

A value is surely inside between its push's return and its pop's call. Where no value surely is, the
stack may be thought empty: what could be popped by then is, what need not be pushed yet is not. So
such an open moment splits the history in two. Between two neighbouring open moments the stack is
never empty, hence one value lies at the bottom all the time: its push may be as early as the one
moment, its pop as late as the other. Each value that can lie at the bottom may be put there, and
leaves; that opens more moments. The history is legal exactly if all values leave. (The recursion is
that of Lee & Mathur's LiMo 2025; here a value leaves as soon as an open moment lies in its push and
another in its pop, which is the same and takes O(n log n) with two trees.)
"""

from __future__ import annotations

import numpy as np

from ..compiled import kernel, run
from .decision import Column, Decision, Mask, illegal, undecided
from .lifetimes import Lifetimes, found_empty, lifetimes
from .placing import covering, merged, places


def stack(call: Column, ret: Column, kind: Column, value: Column) -> Decision:
    """Decide a stack that starts empty, from `PUT`, `TAKE` and `EMPTY` (see lifetimes.py).

    `value` is interned from 0. Leave out failed operations. Not decided: values pushed twice, and
    what depends on which values crashed pops took.
    """
    got = lifetimes(call, ret, kind, value)
    if isinstance(got, Decision):
        return got
    bad = found_empty(got) or _crossing(got)
    if bad is None:
        return Decision(True)
    if not len(got.crashed):
        return bad
    relaxed = got.relaxed()
    return (
        found_empty(relaxed)
        or _crossing(relaxed)
        or undecided(np.arange(len(call), dtype=np.int64))
    )


def _crossing(got: Lifetimes) -> Decision | None:
    """Values that nothing can be put below."""
    # A push and a pop that overlap can be thought adjacent: they are in nobody's way.
    held = np.flatnonzero(got.put_ret < got.take_call)
    times, points = places(
        got.put_call[held], got.put_ret[held], got.take_call[held], got.take_ret[held]
    )
    stuck = np.flatnonzero(_stuck(times, points))
    if not len(stuck):
        return None
    _, lo, hi, _ = times
    opens, closes = merged(lo[stuck], hi[stuck])
    # Twice the places, to speak of the gaps between them.
    chain = stuck[
        covering(2 * lo[stuck], 2 * hi[stuck], 2 * int(opens[0]) + 1, 2 * int(closes[0]) - 1)
    ]
    chain = _shortest(chain, times, points)
    return illegal("crossing", *got.put[held[chain]], *got.take[held[chain]])


def _shortest(chain: Column, times: list[Column], points: int) -> Column:
    """The shortest start of the chain that is illegal, and of that the shortest end."""

    def illegal_alone(part: Column) -> bool:
        return bool(_stuck([time[part] for time in times], points).any())

    for _ in range(2):
        low, high = 0, len(chain)
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (low, middle) if illegal_alone(chain[:middle]) else (middle, high)
        chain = chain[:high][::-1]
    return chain


def _stuck(times: list[Column], points: int) -> Mask:
    put_call, put_ret, take_call, take_ret = times
    size = len(put_call)
    start, end = np.concatenate((put_call, take_call)), np.concatenate((put_ret, take_ret))
    order = np.argsort(start, kind="stable")
    return run(size, _peel, put_ret, take_call, start[order], end[order], order, points)


@kernel
def _peel(lo: Column, hi: Column, start: Column, end: Column, order: Column, points: int) -> Mask:
    """Which values never leave.

    Value v covers the points between lo[v] and hi[v]. The operations, sorted by start, are pushes
    (`order` < number of values) and pops of value order % number.
    """
    size = len(lo)
    stuck = np.ones(size, dtype=np.bool_)
    # How many values cover each point: a tree of minima where `more` counts for all below a node.
    wide = 1
    while wide < points:
        wide *= 2
    far = 4 * size + 4
    least = np.zeros(2 * wide, dtype=np.int64)
    more = np.zeros(2 * wide, dtype=np.int64)
    for v in range(size):
        if hi[v] > lo[v] + 1:
            least[wide + lo[v] + 1] += 1
            least[wide + hi[v]] -= 1
    for point in range(1, wide):
        least[wide + point] += least[wide + point - 1]
    for point in range(points, wide):
        least[wide + point] = far
    for node in range(wide - 1, 0, -1):
        least[node] = min(least[2 * node], least[2 * node + 1])
    # The latest end among the operations not yet placed: a tree of maxima in the order of starts.
    long = 1
    while long < 2 * size:
        long *= 2
    latest = np.full(2 * long, -1, dtype=np.int64)
    for i in range(2 * size):
        latest[long + i] = end[i]
    for node in range(long - 1, 0, -1):
        latest[node] = max(latest[2 * node], latest[2 * node + 1])
    placed = np.zeros(size, dtype=np.int8)
    while least[1] == 0:
        node, need = 1, 0
        while node < wide:
            need -= more[node]
            node *= 2
            if least[node] != need:
                node += 1
        point = node - wide
        least[node] = far
        node //= 2
        while node:
            least[node] = min(least[2 * node], least[2 * node + 1]) + more[node]
            node //= 2
        while latest[1] >= point:
            node = 1
            while node < long:
                node *= 2
                if latest[node] < point:
                    node += 1
            op = node - long
            if start[op] > point:
                break
            latest[node] = -1
            node //= 2
            while node:
                latest[node] = max(latest[2 * node], latest[2 * node + 1])
                node //= 2
            v = order[op] % size
            placed[v] += 1
            if placed[v] == 2:
                stuck[v] = False
                left, right = wide + lo[v] + 1, wide + hi[v]
                first, last = left, right - 1
                while left < right:
                    if left & 1:
                        least[left] -= 1
                        more[left] -= 1
                        left += 1
                    if right & 1:
                        right -= 1
                        least[right] -= 1
                        more[right] -= 1
                    left //= 2
                    right //= 2
                if first <= last:
                    for node in (first // 2, last // 2):
                        while node:
                            least[node] = min(least[2 * node], least[2 * node + 1]) + more[node]
                            node //= 2
    return stuck
