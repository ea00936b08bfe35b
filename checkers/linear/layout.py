"""Operations of many keys put in order: numbered by return, with a slot for each that is pending.

All keys are laid out at once, so that a history of many small objects costs no more than one of a
single object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..compiled import kernel, run
from .kernels import ANY, BITS, I64, Layout, Rules

MOST_PENDING = 2**27
"""Pairs of a return and an operation pending there that are laid out (half a gigabyte)."""


@dataclass(frozen=True, slots=True)
class Laid:
    """A layout, with the rows of the problem that its operations come from.

    `order[number]` is the row of a live operation, `members[i]` that of a crashed one.
    """

    layout: Layout
    order: I64
    members: I64

    def row(self, placed: int) -> int:
        """The row of an operation as the kernels number them."""
        live = len(self.order)
        return int(self.order[placed] if placed < live else self.members[placed - live])

    def pending_at(self, number: int) -> I64:
        """The rows of the live operations pending at a return, by return."""
        layout = self.layout
        return self.order[layout.pending[layout.off[number] : layout.off[number + 1]]]


@kernel
def arrivals(group: I64, call: I64, ret: I64, calls: I64, first: I64) -> None:
    """The first return at which each operation is pending: at equal times calls come first."""
    for k in range(len(group) - 1):
        i = group[k]
        for r in range(group[k], group[k + 1]):
            while i < group[k + 1] and call[calls[i]] <= ret[r]:
                first[calls[i]] = r
                i += 1


@kernel
def fill(
    group: I64, first: I64, calls: I64, off: I64, pending: npt.NDArray[np.int32], slot: I64,
    free: I64, slots: I64,
) -> None:  # fmt: skip
    """Who is pending at each return, by return; each operation takes a free slot, or a new one."""
    for k in range(len(group) - 1):
        i, idle, used = group[k], 0, 0
        for r in range(group[k], group[k + 1]):
            at = off[r]
            if r > group[k]:
                # Numbered by return, so the one that has just returned was the first of its list.
                for j in range(off[r - 1] + 1, off[r]):
                    pending[at] = pending[j]
                    at += 1
                free[idle] = slot[r - 1]
                idle += 1
            while i < group[k + 1] and first[calls[i]] == r:
                number = calls[i]
                i += 1
                if idle:
                    idle -= 1
                    slot[number] = free[idle]
                else:
                    slot[number] = used
                    used += 1
                j = at
                while j > off[r] and pending[j - 1] > number:
                    pending[j] = pending[j - 1]
                    j -= 1
                pending[j] = number
                at += 1
        slots[k] = used


def lay_out(
    key: I64, keys: int, call: I64, ret: I64, crashed: I64, code: I64, rules: Rules
) -> Laid | None:
    """Lay out operations given by key, time and code; None if too many are pending at once.

    `crashed` are the rows of operations that never returned and may change a state, `ret` is
    only looked at for the others.
    """
    n = len(key)
    lost = np.zeros(n, dtype=np.bool_)
    lost[crashed] = True
    order = _sorted(ret, key, np.flatnonzero(~lost))
    live_key, live_call, live_ret = key[order], call[order], ret[order]
    group = np.searchsorted(live_key, np.arange(keys + 1)).astype(np.int64)
    number = np.arange(len(order), dtype=np.int64)
    calls = _sorted(live_call, live_key, number)
    first = np.zeros(len(order), dtype=np.int64)
    run(n, arrivals, group, live_call, live_ret, calls, first)
    off = _offsets(group, first)
    if off[-1] > MOST_PENDING:
        return None
    pending = np.empty(int(off[-1]), dtype=np.int32)
    slot = np.empty(len(order), dtype=np.int64)
    slots = np.zeros(keys, dtype=np.int64)
    widest = int(np.diff(off).max(initial=0))
    run(n, fill, group, first, calls, off, pending, slot, np.empty(widest + 1, np.int64), slots)
    live = np.maximum(1, -(-slots // BITS))
    crashed = _sorted(call, key, crashed)
    until = _until(key, code, order, crashed, rules)
    kinds = _kinds(key, keys, call, code, crashed, until, group, live_ret, live)
    layout = Layout(
        group=group,
        code=code[order],
        word=slot // BITS,
        bit=np.int64(1) << slot % BITS,
        off=off,
        pending=pending,
        live=live,
        **kinds.columns,
    )
    return Laid(layout, order, kinds.members)


def _sorted(time: I64, key: I64, rows: I64) -> I64:
    """These rows by key and time, in their own order where both are equal."""
    rows = rows[np.argsort(time[rows], kind="stable")]
    if len(rows) and key[rows].max() > 0:
        rows = rows[np.argsort(key[rows], kind="stable")]
    return rows


def _offsets(group: I64, first: I64) -> I64:
    """Where each return's pending operations begin: those that have arrived less those gone."""
    n = len(first)
    arrived = np.cumsum(np.bincount(first, minlength=n)) if n else np.zeros(0, dtype=np.int64)
    off = np.zeros(n + 1, dtype=np.int64)
    # Operations of earlier keys have all arrived and gone.
    np.cumsum(arrived - np.arange(n), out=off[1:])
    return off


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The columns of `Layout` about crashed operations, and the rows of these."""

    columns: dict[str, I64]
    members: I64


def _until(key: I64, code: I64, order: I64, crashed: I64, rules: Rules) -> I64:
    """For each crashed operation, the last return that asks for the value that it writes.

    Beyond the last return where a crashed one asks for it, and for all but plain writes. Only
    where the rules tell all is it known who asks for what.
    """
    last = np.full(len(crashed), len(order), dtype=np.int64)
    if not len(rules.need) or not len(crashed):
        return last
    wide = int(max(rules.need.max(), rules.avoid.max(), rules.to.max())) + 1
    writes = rules.need[code[crashed]] == ANY
    written = key[crashed] * wide + rules.to[code[crashed]]
    wanted, where = np.unique(written, return_inverse=True)
    final = np.full(len(wanted), -1, dtype=np.int64)
    for values in (rules.need, rules.avoid):
        for rows, at in ((order, np.arange(len(order))), (crashed, np.full(len(crashed), 2**62))):
            asks = values[code[rows]] != ANY
            place = key[rows][asks] * wide + values[code[rows]][asks]
            found = np.searchsorted(wanted, place)
            found[found == len(wanted)] = 0
            hit = wanted[found] == place
            np.maximum.at(final, found[hit], at[asks][hit])
    last[writes] = final[where][writes]
    return last


def _kinds(
    key: I64, keys: int, call: I64, code: I64, crashed: I64, until: I64, group: I64, ret: I64,
    live: I64,
) -> _Kinds:  # fmt: skip
    """Count crashed operations of one key and code together, in the order of their calls."""
    # A stable sort keeps those of one kind in the order of their calls.
    order = np.lexsort((code[crashed], -until, key[crashed]))
    members, until = crashed[order], until[order]
    member_key, member_code = key[members], code[members]
    starts = np.ones(len(members), dtype=np.bool_)
    starts[1:] = (np.diff(member_key) != 0) | (np.diff(member_code) != 0)
    begin = np.flatnonzero(starts)
    size = np.diff(np.append(begin, len(members)))
    kinds = np.searchsorted(member_key[begin], np.arange(keys + 1))
    since = np.array(
        [
            group[k] + np.searchsorted(ret[group[k] : group[k + 1]], call[row])
            for k, row in zip(member_key.tolist(), members.tolist(), strict=True)
        ],
        dtype=np.int64,
    )
    word, shift, mask, words, guard = _fields(size, kinds, live)
    columns = {
        "kinds": kinds, "kind_code": member_code[begin], "kind_word": word, "kind_shift": shift,
        "kind_mask": mask, "kind_from": begin, "kind_size": size, "since": since,
        "until": until[begin], "guard": guard, "words": words,
    }  # fmt: skip
    return _Kinds({k: np.ascontiguousarray(v, np.int64) for k, v in columns.items()}, members)


def _fields(size: I64, kinds: I64, live: I64) -> tuple[I64, I64, I64, I64, I64]:
    """A field for each count, with a guard bit above it: (word, shift, mask), words, guards."""
    word, shift, mask = (np.zeros(len(size), dtype=np.int64) for _ in range(3))
    words = live.copy()
    guards: list[tuple[int, int, int]] = []
    for k in np.flatnonzero(np.diff(kinds)).tolist():
        taken = BITS
        for i in range(int(kinds[k]), int(kinds[k + 1])):
            width = int(size[i]).bit_length() + 1
            if taken + width > BITS:
                words[k] += 1
                taken = 0
            word[i], shift[i], mask[i] = words[k] - 1, taken, (1 << width - 1) - 1
            taken += width
            guards.append((k, int(word[i]), 1 << taken - 1))
    guard = np.zeros((len(live), int(words.max(initial=1))), dtype=np.int64)
    for k, at, bit in guards:
        guard[k, at] |= bit
    return word, shift, mask, words, guard
