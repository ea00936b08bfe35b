"""Transactions as columns of numbers: every micro-operation of every transaction of a history.

A transaction's value is a list of micro-operations: `["r", key, what was read]` with
`["append", key, element]` (then a read is a list) or with `["w", key, value]` (a register). Keys
and values are interned. Of the lists that were read only the lengths are kept where they are
prefixes of one another, which in a sound history they all are. Nothing here judges.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from .columns import OK
from .errors import MalformedHistory, UsageError
from .history import History
from .interning import Truth, freeze

APPEND, WRITE, READ = 0, 1, 2
"""What a micro-operation does, as `Transactions.kind` has it."""

NIL, UNKNOWN = -1, -2
"""What a register's read answered, where it is no value: nothing yet, and not known."""

KINDS = {"append": APPEND, "w": WRITE, "r": READ}


@dataclass(frozen=True, slots=True)
class Transactions:
    """Transactions in the order of invocation, and their micro-operations in CSR.

    One row a transaction: `index` (int64) is the invocation's place in the history, `process`
    (int32), `type` (int8, `OK`, `FAIL` or `INFO`), `call` and `ret` (int64, as in `Operations`),
    `final` says that it belongs to the final reads. The micro-operations of transaction `i` are the
    rows `offset[i]` to `offset[i + 1]` of the others: `kind` (int8), `key` (int32, an index of
    `keys`) and `value` (int32, an index of `values`; of a read `NIL` or `UNKNOWN` where there is
    none; of a read list `NIL`). `length` (int32) is that of the list read, -1 where there is none.

    Elements of `order_value` from `order_offset[k]` to `order_offset[k + 1]` are the longest order
    known of the list at key `k`. A read with `odd` -1 saw the first `length` of them; any other saw
    the elements of `odd_value` from `odd_offset[odd]` to `odd_offset[odd + 1]`. No element stands
    twice in an order; in an odd list it may. `lists` says that keys are lists and not registers.
    """

    index: npt.NDArray[np.int64]
    process: npt.NDArray[np.int32]
    type: npt.NDArray[np.int8]
    call: npt.NDArray[np.int64]
    ret: npt.NDArray[np.int64]
    final: npt.NDArray[np.bool_]
    offset: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int8]
    key: npt.NDArray[np.int32]
    value: npt.NDArray[np.int32]
    length: npt.NDArray[np.int32]
    odd: npt.NDArray[np.int32]
    order_offset: npt.NDArray[np.int64]
    order_value: npt.NDArray[np.int32]
    odd_offset: npt.NDArray[np.int64]
    odd_value: npt.NDArray[np.int32]
    keys: Sequence[Any]
    values: Sequence[Any]
    lists: bool

    def __len__(self) -> int:
        return len(self.index)

    def owners(self) -> npt.NDArray[np.int32]:
        """The transaction of each micro-operation."""
        rows = np.arange(len(self), dtype=np.int32)
        return np.repeat(rows, np.diff(self.offset))


def transactions(history: History, *, lists: bool | None = None) -> Transactions:
    """The transactions of a history, those that failed or never answered included.

    `lists` says what is read: lists or registers (None: as the first write shows). What an `info`
    transaction read is not known. Raises `MalformedHistory`, naming the operation, for one that is
    not a list of micro-operations, and `UsageError` where lists and registers are mixed.
    """
    table = history.table
    rows, asked, spoken = _spoken(history)
    if lists is None:
        lists = _lists(spoken)
    known = table.type[rows] == OK
    index = table.index[rows]
    columns = _Lists() if lists else _Registers()
    offset = [0]
    try:
        columns.take(spoken, known.tolist(), offset)
    except (TypeError, ValueError, KeyError):
        # As many have been taken in as there are offsets after the first.
        at = len(offset) - 1
        _refuse(int(index[at]), spoken[at], lists)
        raise
    for at, (question, answer) in enumerate(zip(asked, spoken, strict=True)):
        if question is not answer and not _answers(question, answer):
            raise MalformedHistory(
                f"operation {int(index[at])}: an answer repeats what was asked, with what was read "
                f"filled in; asked was {_short(question)}, answered {_short(answer)}"
            )
    phases = history._sparse["phase"]
    final = np.zeros(len(history), dtype=np.bool_)
    final[[i for i, phase in phases.items() if phase == "final"]] = True
    return Transactions(
        index=index,
        process=table.process[rows],
        type=table.type[rows],
        call=table.call[rows],
        ret=table.ret[rows],
        final=final[index],
        offset=np.array(offset, dtype=np.int64),
        **columns.finished(),
        lists=lists,
    )


def _spoken(history: History) -> tuple[npt.NDArray[np.int64], list[Any], list[Any]]:
    """(the rows of the table that are transactions, what each asked, the same as answered).

    Where nothing was answered, or nothing is known of the question, the last two are one.
    """
    table = history.table
    said = history._values
    certain = {i for i, name in enumerate(history.functions) if name == "txn"}
    rows: list[int] = []
    asked: list[Any] = []
    spoken: list[Any] = []
    columns = (table.index.tolist(), table.end.tolist(), table.type.tolist(), table.f.tolist())
    for row, (start, end, kind, f) in enumerate(zip(*columns, strict=True)):
        if f in certain or _looks_like_one(said[start]):
            rows.append(row)
            spoken.append(said[end] if kind == OK else said[start])
            asked.append(spoken[-1] if said[start] is None else said[start])
    return np.array(rows, dtype=np.int64), asked, spoken


def _answers(asked: Any, said: Any) -> bool:
    """Whether an answer has the steps that were asked for, with only what was read filled in."""
    if not isinstance(asked, list | tuple) or len(asked) != len(said):
        return False
    for one, two in zip(asked, said, strict=True):
        if one is two:
            continue
        if not _shaped(one) or one[0] != two[0] or one[1] != two[1]:
            return False
        if one[2] != two[2] and one[0] != "r":
            return False
    return True


def _looks_like_one(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(_shaped(mop) and mop[0] in KINDS for mop in value)
    )


def _shaped(mop: Any) -> bool:
    return isinstance(mop, list | tuple) and len(mop) == 3 and isinstance(mop[0], str)


def _lists(spoken: Sequence[Any]) -> bool:
    """Whether the first write there is appends; without writes, whether anything read is a list."""
    for mop in _micro_operations(spoken):
        if mop[0] in ("append", "w"):
            return bool(mop[0] == "append")
    return any(isinstance(mop[2], list | tuple) for mop in _micro_operations(spoken))


def _micro_operations(spoken: Sequence[Any]) -> Iterator[Any]:
    for value in spoken:
        if isinstance(value, list | tuple):
            yield from filter(_shaped, value)


def _refuse(index: int, value: Any, lists: bool) -> None:
    """Raise what is wrong with a transaction; return if nothing is."""
    if not isinstance(value, list | tuple):
        raise MalformedHistory(
            f"operation {index}: a transaction is a list of micro-operations, not {_short(value)}"
        )
    for mop in value:
        if not _shaped(mop) or mop[0] not in KINDS:
            raise MalformedHistory(
                f"operation {index}: a micro-operation is ['r', key, value], "
                f"['append', key, element] or ['w', key, value], not {_short(mop)}"
            )
        if mop[0] != "r" and (mop[0] == "append") != lists:
            raise UsageError(
                f"operation {index}: expected {'lists' if lists else 'registers'} only, "
                f"not {_short(mop)}"
            )
        if lists and mop[0] == "r" and not isinstance(mop[2], list | tuple | None):
            raise MalformedHistory(
                f"operation {index}: a read of a list answers a list or nil, not {_short(mop)}"
            )
        if mop[0] == "w" and mop[2] is None:
            raise UsageError(
                f"operation {index}: a register holds nil until it is written; a write of nil "
                f"cannot be told from that: {_short(mop)}"
            )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


# --- interning -----------------------------------------------------------------------------------


def _intern(table: dict[Any, int], thing: Any) -> int:
    """The number of a key or value; equal things have one number."""
    if type(thing) is bool:
        # To Python `True` is 1.
        return table.setdefault(freeze(thing), len(table))
    try:
        return table.setdefault(thing, len(table))
    except TypeError:
        return table.setdefault(_Frozen(thing), len(table))


class _Frozen:
    """A list or map as something that a table can hold."""

    __slots__ = ("text", "thing")

    def __init__(self, thing: Any) -> None:
        self.thing = thing
        try:
            self.text: Any = msgspec.json.encode(thing, order="deterministic")
        except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
            self.text = repr(thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def _thawed(table: dict[Any, int]) -> tuple[Any, ...]:
    return tuple(
        each.thing if isinstance(each, _Frozen) else each.value if isinstance(each, Truth) else each
        for each in table
    )


class _Columns:
    """Micro-operations as they come in."""

    def __init__(self) -> None:
        self.keys: dict[Any, int] = {}
        self.values: dict[Any, int] = {}
        self.kind: list[int] = []
        self.key: list[int] = []
        self.value: list[int] = []

    def take(self, spoken: Sequence[Any], known: Sequence[bool], offset: list[int]) -> None:
        """Take in transactions, and after each how many micro-operations there are by then.

        What a transaction read counts where it is known. Raises `TypeError` or `ValueError` for
        what is no transaction.
        """
        raise NotImplementedError

    def finished(self) -> dict[str, Any]:
        """Everything as columns, but what belongs to whole transactions."""
        return {
            "kind": np.array(self.kind, dtype=np.int8),
            "key": np.array(self.key, dtype=np.int32),
            "value": np.array(self.value, dtype=np.int32),
            "keys": _thawed(self.keys),
            "values": _thawed(self.values),
        }


class _Registers(_Columns):
    """Transactions over registers."""

    def take(self, spoken: Sequence[Any], known: Sequence[bool], offset: list[int]) -> None:
        """As `_Columns.take` says."""
        keys, values = self.keys, self.values
        add_kind, add_key, add_value = self.kind.append, self.key.append, self.value.append
        for mops, ok in zip(spoken, known, strict=True):
            for f, key, value in _three(mops):
                if f == "w":
                    if value is None:
                        raise ValueError
                    add_kind(WRITE)
                    add_value(_intern(values, value))
                elif f == "r":
                    add_kind(READ)
                    add_value(
                        UNKNOWN if not ok else NIL if value is None else _intern(values, value)
                    )
                else:
                    raise ValueError
                add_key(_intern(keys, key))
            offset.append(len(self.kind))

    def finished(self) -> dict[str, Any]:
        """Everything as columns; there are no lists."""
        count = len(self.kind)
        return super().finished() | {
            "length": np.full(count, -1, dtype=np.int32),
            "odd": np.full(count, -1, dtype=np.int32),
            "order_offset": np.zeros(len(self.keys) + 1, dtype=np.int64),
            "order_value": np.zeros(0, dtype=np.int32),
            "odd_offset": np.zeros(1, dtype=np.int64),
            "odd_value": np.zeros(0, dtype=np.int32),
        }


class _Lists(_Columns):
    """Transactions over lists; each key keeps the longest order of its elements seen so far."""

    def __init__(self) -> None:
        super().__init__()
        self.length: list[int] = []
        self.longest: list[list[Any]] = []
        self.strange: dict[int, list[Any]] = {}
        self.forked: set[int] = set()
        self.reads: list[tuple[int, list[Any]]] = []

    def take(self, spoken: Sequence[Any], known: Sequence[bool], offset: list[int]) -> None:
        """As `_Columns.take` says; what is read as nil is an empty list."""
        keys, values, longest = self.keys, self.values, self.longest
        add_kind, add_key, add_value = self.kind.append, self.key.append, self.value.append
        add_length = self.length.append
        for mops, ok in zip(spoken, known, strict=True):
            for f, key, value in _three(mops):
                number = _intern(keys, key)
                if number == len(longest):
                    longest.append([])
                if f == "append":
                    add_kind(APPEND)
                    add_value(_intern(values, value))
                    add_length(-1)
                elif f != "r":
                    raise ValueError
                else:
                    add_kind(READ)
                    add_value(NIL if ok else UNKNOWN)
                    if not ok:
                        add_length(-1)
                    elif value is None:
                        add_length(0)
                    else:
                        self._read(number, value)
                add_key(number)
            offset.append(len(self.kind))

    def _read(self, key: int, seen: Any) -> None:
        if type(seen) is not list:
            if not isinstance(seen, list | tuple):
                raise TypeError
            seen = list(seen)
        known = self.longest[key]
        size, best = len(seen), len(known)
        row = len(self.length)
        self.length.append(size)
        self.reads.append((row, seen))
        if size <= best:
            if seen != (known if size == best else known[:size]):
                self.strange[row] = seen
            return
        if _repeats(seen):
            self.strange[row] = seen
            seen = _once(seen)
            if len(seen) <= best:
                return
        if known != seen[:best]:
            self.forked.add(key)
        self.longest[key] = seen

    def finished(self) -> dict[str, Any]:
        """Everything as columns; reads of a list whose order was found anew are looked at again."""
        if self.forked:
            for row, seen in self.reads:
                key = self.key[row]
                if key in self.forked and self.longest[key][: len(seen)] != seen:
                    self.strange[row] = seen
                elif key in self.forked:
                    self.strange.pop(row, None)
        odd = np.full(len(self.kind), -1, dtype=np.int32)
        rows = sorted(self.strange)
        odd[rows] = np.arange(len(rows))
        order_offset, order_value = self._flat(self.longest)
        odd_offset, odd_value = self._flat([self.strange[row] for row in rows])
        return super().finished() | {
            "length": np.array(self.length, dtype=np.int32),
            "odd": odd,
            "order_offset": order_offset,
            "order_value": order_value,
            "odd_offset": odd_offset,
            "odd_value": odd_value,
        }

    def _flat(self, groups: Sequence[Sequence[Any]]) -> tuple[Any, Any]:
        offset = np.zeros(len(groups) + 1, dtype=np.int64)
        np.cumsum([len(group) for group in groups], out=offset[1:])
        every = itertools.chain.from_iterable(groups)
        table = self.values
        return offset, np.array([_intern(table, each) for each in every], dtype=np.int32)


def _three(mops: Any) -> Any:
    """The micro-operations of a transaction, whose parts may be taken apart; strings may not."""
    if type(mops) is not list and type(mops) is not tuple:
        raise TypeError
    if str in map(type, mops):
        raise TypeError
    return mops


def _repeats(seen: Sequence[Any]) -> bool:
    try:
        return len(set(seen)) < len(seen)
    except TypeError:
        return len(_once(seen)) < len(seen)


def _once(seen: Sequence[Any]) -> list[Any]:
    """The elements in the order in which they first stand there."""
    table: dict[Any, int] = {}
    for each in seen:
        _intern(table, each)
    return list(_thawed(table))
