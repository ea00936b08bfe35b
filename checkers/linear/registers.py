"""Registers as a problem: keys and values become numbers in one pass over the columns.

Said without any search: a read of a value that nobody ever wrote is garbage at every level of
consistency. A read is stale for certain when every write of its value had returned before another
write began that had itself returned before the read began.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ...harness.columns import FAIL, INFO, OK
from ...harness.history import History, Operation
from ...harness.interning import Numbers, interned, renumbered
from ..models.keyed import no_such_function, split_key
from ..models.registers import UNSEEN, Register, pair, pairs
from ..patterns.placing import DENSE
from ..wording import plain
from .kernels import ANY, I64
from .problem import Problem
from .steps import Assignments

Flags = npt.NDArray[np.bool_]

READ, WRITE, CAS, REFUSED = 0, 1, 2, 3

CROWD = 12
"""More operations than this in flight at once are a crowd."""

_KINDS = {"read": READ, "write": WRITE, "cas": CAS}


@dataclass(frozen=True, slots=True)
class Rows:
    """Every operation of a register that is to be explained, reads that crashed left out.

    `sees` is the number of the value that it read or expected, `leaves` of the one that it wrote,
    ANY where it has none. `values` are all values by number, `initial` the number of the first.
    """

    index: I64
    end: I64
    key: I64
    keys: Sequence[Hashable]
    kind: I64
    type: I64
    call: I64
    ret: I64
    sees: I64
    leaves: I64
    values: Sequence[Hashable]
    initial: int

    def without(self, gone: I64) -> Rows:
        """All but some."""
        kept = np.ones(len(self.index), dtype=np.bool_)
        kept[gone] = False
        columns = ("index", "end", "key", "kind", "type", "call", "ret", "sees", "leaves")
        changed = {name: getattr(self, name)[kept] for name in columns}
        return Rows(keys=self.keys, values=self.values, initial=self.initial, **changed)

    @property
    def writes(self) -> Flags:
        """Which ones leave a value, if they took effect."""
        found: Flags = (self.kind == WRITE) | (self.kind == CAS)
        return found

    def among(self, wanted: Flags, found: I64, rows: Flags, values: I64) -> Flags:
        """Whether the value of each row wanted is, at its key, one of the values of other rows."""
        many = len(self.values)
        have = self.key[rows] * many + values[rows]
        asked = self.key[wanted] * many + found[wanted]
        answer = np.zeros(len(self.key), dtype=np.bool_)
        if many * len(self.keys) <= DENSE * len(self.key) + 1024:
            known = np.zeros(many * len(self.keys), dtype=np.bool_)
            known[have] = True
            answer[wanted] = known[asked]
        else:
            answer[wanted] = np.isin(asked, have)
        return answer

    def operation(self, history: History, row: int) -> Operation:
        """One of them as its model sees it, freed of its key."""
        op = history.operation(int(self.index[row]))
        sees, leaves = int(self.sees[row]), int(self.leaves[row])
        if self.kind[row] == READ:
            value: Any = self.values[sees]
        elif self.kind[row] == WRITE:
            value = self.values[leaves]
        else:
            value = (self.values[sees], self.values[leaves])
        return msgspec.structs.replace(op, value=value)


# --- reading them from a history -----------------------------------------------------------------


def rows_of(history: History, model: Register, keyed: bool | None) -> Rows:
    """The operations of registers, their keys and values as numbers.

    Raises `UsageError` for a function that the model does not have, a cas without two values, a
    value without its key.
    """
    table = history.table
    kinds = np.array([_KINDS.get(f, ANY) if f in model.functions else ANY
                      for f in history.functions], dtype=np.int64)  # fmt: skip
    kind = kinds[table.f] if len(kinds) else np.zeros(0, dtype=np.int64)
    refusal = table.refused & (kind == CAS) & ("cas" in model.refusals)
    observed = (table.type != FAIL) | refusal
    for row in np.flatnonzero(observed & (kind == ANY))[:1].tolist():
        raise no_such_function(model, int(table.index[row]), history.functions[int(table.f[row])])
    rows = np.flatnonzero(observed & ~((kind == READ) & (table.type == INFO)))
    rows, key, keys, said = _keys(history, rows, kind[rows], keyed)
    kind = np.where(refusal[rows], REFUSED, kind[rows])
    sees, leaves, values = _numbers(table.index[rows], kind, said)
    sees, leaves = _initial_last(sees, leaves, values, model.initial)
    return Rows(
        index=table.index[rows],
        end=table.end[rows],
        key=key,
        keys=keys,
        kind=kind,
        type=table.type[rows].astype(np.int64),
        call=table.call[rows],
        ret=table.ret[rows],
        sees=sees,
        leaves=leaves,
        values=values,
        initial=len(values) - 1,
    )


def _keys(
    history: History, rows: I64, kind: I64, keyed: bool | None
) -> tuple[I64, I64, Sequence[Hashable], Numbers]:
    """The rows that tell something, their keys as numbers, the keys, and the values without."""
    table, carried = history.table, history.spoken
    # A completion that did not succeed says nothing new, and may not even repeat what was asked.
    ok = table.type[rows] == OK
    number = carried.value[np.where(ok, table.end[rows], table.index[rows])]
    first, second = carried.halves
    split = keyed is not False and bool(len(rows)) and bool((first.of[number] >= 0).all())
    if keyed is None:
        swapped = np.unique(second.of[number[kind == CAS]]).tolist() if split else []
        keyed = split and pairs([second.values[i] for i in swapped])
    if not keyed:
        if history.meta.get("outside"):
            # In others' recordings a bare read whose completion has no value did not tell what it
            # read (as in Knossos); in ours it read nil.
            telling = (kind != READ) | ~ok | (number != carried.nil)
            rows, number = rows[telling], number[telling]
        keys: list[Hashable] = [None] if len(rows) else []
        said = renumbered(number, carried.names)
        return rows, np.zeros(len(rows), dtype=np.int64), keys, said
    if split:
        key, rest = (renumbered(half.of[number], half.values) for half in (first, second))
        return rows, key.of, key.values, rest
    raw = (history.values(where[rows].tolist()) for where in (table.index, table.end))
    parts = [
        split_key(index, asked, told if done else asked)
        for index, done, asked, told in zip(
            table.index[rows].tolist(), ok.tolist(), *raw, strict=True
        )
    ]
    key, rest = (interned([part[i] for part in parts]) for i in (0, 1))
    return rows, key.of, key.values, rest


def _numbers(index: I64, kind: I64, said: Numbers) -> tuple[I64, I64, list[Hashable]]:
    """What each row sees and leaves, as numbers, and the values."""
    swaps = kind >= CAS
    if not swaps.any():
        sees, leaves = (np.where(kind == does, said.of, ANY) for does in (READ, WRITE))
        return sees, leaves, said.values
    asked = np.unique(said.of[swaps])
    both: list[Any] = [said.values[i] for i in asked.tolist()]
    if not pairs(both):
        for row, number in zip(index[swaps].tolist(), said.of[swaps].tolist(), strict=True):
            pair(row, plain(said.values[number]))
    named = interned([*said.values, *(old for old, _ in both), *(new for _, new in both)])
    one = named.of[: len(said.values)]
    old, new = one.copy(), one.copy()
    old[asked], new[asked] = np.split(named.of[len(one) :], 2)
    sees = np.where(swaps, old[said.of], np.where(kind == WRITE, ANY, one[said.of]))
    leaves = np.where(swaps, new[said.of], np.where(kind == READ, ANY, one[said.of]))
    # What a cas asks is a pair of values, and need not be a value itself.
    every = np.concatenate((sees, leaves))
    used = renumbered(every[every != ANY], named.values)
    every[every != ANY] = used.of
    sees, leaves = np.split(every, 2)
    return sees, leaves, used.values


def _initial_last(
    sees: I64, leaves: I64, values: list[Hashable], initial: Hashable
) -> tuple[I64, I64]:
    """The numbers when the initial value is the last of the values, which is changed in place."""
    at = values.index(initial) if initial in values else None
    if at is None:
        values.append(initial)
    elif at != len(values) - 1:
        last = len(values) - 1
        values[at], values[last] = values[last], values[at]
        swap = np.arange(-1, last + 1)
        swap[at + 1], swap[last + 1] = last, at
        sees, leaves = swap[sees + 1], swap[leaves + 1]
    return sees, leaves


# --- what can be said of them --------------------------------------------------------------------


def garbage(rows: Rows) -> I64:
    """The ok reads of values that nobody wrote, by row."""
    reads = (rows.kind == READ) & (rows.sees != rows.initial)
    return np.flatnonzero(reads & ~rows.among(reads, rows.sees, rows.writes, rows.leaves))


def problem_of(history: History, rows: Rows) -> Problem:
    """The rows as numbers for the search.

    Crashed operations whose new value nobody ever read or expected leave one such value instead:
    to every operation these values are the same, not the one it is about. So those that differ in
    nothing else become interchangeable, and many cost the search little. In a crowd this goes for
    live ones too, although their values then cannot be told.
    """
    crashed = rows.type == INFO
    merged = rows.writes & (crashed | (_most_at_once(rows) > CROWD))
    unseen = merged & ~rows.among(merged, rows.leaves, rows.sees != ANY, rows.sees)
    leaves = np.where(unseen, len(rows.values), rows.leaves)
    code, kind, sees, leaves = _codes(rows.kind, rows.sees, leaves, len(rows.values) + 1)
    steps = Assignments(
        [*rows.values, UNSEEN],
        rows.initial,
        need=np.where((kind == READ) | (kind == CAS), sees, ANY),
        avoid=np.where(kind == REFUSED, sees, ANY),
        to=np.where((kind == WRITE) | (kind == CAS), leaves, ANY),
    )
    return Problem(
        index=rows.index,
        key=rows.key,
        keys=rows.keys,
        call=rows.call,
        ret=rows.ret,
        crashed=crashed,
        code=code,
        steps=steps,
        operation=lambda row: rows.operation(history, row),
    )


def _most_at_once(rows: Rows) -> int:
    """How many live operations were in flight at once, on all keys together."""
    live = rows.type != INFO
    called = np.searchsorted(np.sort(rows.call[live]), np.sort(rows.ret[live]), side="right")
    return int((called - np.arange(len(called))).max(initial=0))


def _codes(kind: I64, sees: I64, leaves: I64, values: int) -> tuple[I64, I64, I64, I64]:
    """A number for what each row does, and for each such number its kind and values."""
    sees, leaves = np.where(sees == ANY, 0, sees), np.where(leaves == ANY, 0, leaves)
    # What a refused cas would have left does not matter.
    leaves = np.where(kind == REFUSED, 0, leaves)
    code = (kind * values + sees) * values + leaves
    all_codes = 4 * values * values
    if all_codes <= max(2**16, len(code)):
        known = np.arange(all_codes, dtype=np.int64)
    else:
        known, code = np.unique(code, return_inverse=True)
    kind, rest = np.divmod(known, values * values)
    return code.astype(np.int64), kind, *np.divmod(rest, values)


def overwritten_before(rows: Rows, read: int) -> int | None:
    """The row of an acknowledged write that surely replaced what a read saw before it began.

    None unless every write of the value seen had returned before that write was called (a write
    that may still take effect excuses the read).
    """
    if rows.kind[read] != READ:
        return None
    value = rows.sees[read]
    here = rows.writes & (rows.key == rows.key[read])
    sources = rows.ret[here & (rows.leaves == value)]
    if not len(sources) and value != rows.initial:
        return None
    settled = sources.max(initial=-1)
    newer = np.flatnonzero(
        here
        & (rows.type == OK)
        & (rows.leaves != value)
        & (rows.call > settled)
        & (rows.ret < rows.call[read])
    )
    if not len(newer):
        return None
    return int(newer[np.lexsort((rows.index[newer], rows.call[newer]))[0]])
