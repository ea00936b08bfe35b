"""A history: what every process asked and what it was told, as one immutable total order.

Events are kept in columns; invocations are paired with their completions when a history is made,
and a history that does not pair is refused. Files are read and written in `formats/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from .columns import INFO, Operations
from .errors import MalformedHistory
from .interning import Spoken, spoken
from .pairing import INVOKE, NEMESIS_PROCESS, pairs

Type = Literal["invoke", "ok", "fail", "info"]
Phase = Literal["dry", "main", "final"]
Completion = Literal["ok", "fail", "info"]

TYPES: tuple[Type, ...] = ("invoke", "ok", "fail", "info")
NEMESIS: Final = "nemesis"
FOREVER = np.iinfo(np.int64).max
"""The return time of an operation that may still take effect."""

_CODE: dict[str, int] = {name: code for code, name in enumerate(TYPES)}
_FAIL = _CODE["fail"]
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_MOST_FUNCTIONS = 30_000
_SPARSE = ("error", "node", "result", "phase", "attempts", "conn", "ext")


class Op(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event of a history: an invocation, a completion, or something the nemesis did.

    `time` is in nanoseconds since the start of the run, -1 where it is not known. `value` of a
    completion is the invocation's with what was read filled in; `result` is any other answer.
    `conn` is the backend's own name for the connection; `ext` is open (token, LSN, lease ...).
    """

    index: int = -1
    time: int = -1
    process: int | Literal["nemesis"]
    type: Type
    f: str
    value: Any = None
    error: str | None = None
    node: str | None = None
    result: Any = None
    phase: Phase | None = None
    attempts: int | None = None
    conn: str | int | None = None
    ext: dict[str, Any] | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An invocation together with its completion, as checkers want it.

    `ret` is `FOREVER` unless the operation is `ok` or `fail`. `value` is the completion's where
    there is one, `asked` the invocation's. `end` is the completion's index, -1 without one.
    """

    index: int
    end: int
    process: int
    type: Completion
    f: str
    asked: Any
    value: Any
    result: Any
    error: str | None
    call: int
    ret: int
    phase: Phase | None
    ext: Mapping[str, Any]


class History:
    """An immutable total order of events in columns, each invocation paired with its completion.

    `time` (int64, ns), `process` (int32, -1 is the nemesis), `type` (int8, an index of `TYPES`),
    `f` (int16, an index of `functions`) and `pair` (int32, the other event of the operation, -1
    where there is none) are numpy columns of equal length. `meta` holds the parameters of the run
    (ttl, initial values, faults asked for ...) that checkers need.
    """

    __slots__ = (
        "_sparse",
        "_spoken",
        "_table",
        "_values",
        "f",
        "functions",
        "meta",
        "pair",
        "process",
        "time",
        "type",
    )

    def __init__(
        self,
        ops: Iterable[Op],
        *,
        meta: Mapping[str, Any] | None = None,
        source: str = "history",
    ) -> None:
        """Take events in their total order; raise `MalformedHistory` where they do not pair."""
        events = list(ops)
        names: dict[str, int] = {}
        self.time: npt.NDArray[np.int64] = _numbers(
            [op.time for op in events], np.int64, "time", source
        )
        if (self.time < 0).any():
            # Times and places in the file cannot be compared: the places are all that every event has.
            self.time[:] = -1
        self.process: npt.NDArray[np.int32] = _numbers(
            [NEMESIS_PROCESS if op.process == NEMESIS else _client(op) for op in events],
            np.int32,
            "number of a process",
            source,
        )
        self.type: npt.NDArray[np.int8] = np.array([_CODE[op.type] for op in events], dtype=np.int8)
        codes = [names.setdefault(op.f, len(names)) for op in events]
        if len(names) > _MOST_FUNCTIONS:
            raise MalformedHistory(
                f"it names {len(names)} functions; at most {_MOST_FUNCTIONS} were expected",
                source=source,
            )
        self.f: npt.NDArray[np.int16] = np.array(codes, dtype=np.int16)
        self.functions = tuple(names)
        self._values = [op.value for op in events]
        self._sparse = {
            name: {i: v for i, v in enumerate(map(attrgetter(name), events)) if v is not None}
            for name in _SPARSE
        }
        self.meta: Mapping[str, Any] = dict(meta or {})
        self.pair: npt.NDArray[np.int32] = pairs(
            self.process, self.type, self.f, self.time, functions=self.functions, source=source
        )
        self._table: Operations | None = None
        self._spoken: Spoken | None = None

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Op]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int) -> Op:
        """The event at `index`, put together again from the columns."""
        process = int(self.process[index])
        return Op(
            index=index,
            time=int(self.time[index]),
            process=NEMESIS if process == NEMESIS_PROCESS else process,
            type=TYPES[self.type[index]],
            f=self.functions[self.f[index]],
            value=self._values[index],
            **{name: column[index] for name, column in self._sparse.items() if index in column},
        )

    def operation(self, index: int) -> Operation:
        """The operation whose invocation or completion stands at `index`."""
        if self.type[index] != INVOKE and self.pair[index] >= 0:
            index = int(self.pair[index])
        end = int(self.pair[index])
        kind: Any = TYPES[self.type[end]] if end >= 0 else "info"
        timed = bool(self.time[index] >= 0)
        call = int(self.time[index]) if timed else index
        ret = FOREVER if kind == "info" else int(self.time[end]) if timed else end
        sparse = self._sparse
        asked = self._values[index]
        return Operation(
            index=index,
            end=end,
            process=int(self.process[index]),
            type=kind,
            f=self.functions[self.f[index]],
            asked=asked,
            value=asked if end < 0 or kind == "info" else self._values[end],
            result=sparse["result"].get(end),
            error=sparse["error"].get(end),
            call=call,
            ret=ret,
            phase=sparse["phase"].get(index),
            ext=sparse["ext"].get(end) or sparse["ext"].get(index) or _NOTHING,
        )

    def operations(self, *functions: str) -> Iterator[Operation]:
        """Every client operation in the order of invocation; only those of `functions` if given."""
        table = self.table
        columns: tuple[npt.NDArray[Any], ...] = (
            table.index,
            table.end,
            table.process,
            table.type,
            table.f,
            table.call,
            table.ret,
        )
        if functions:
            codes = [i for i, name in enumerate(self.functions) if name in functions]
            chosen = np.isin(table.f, codes)
            columns = tuple(column[chosen] for column in columns)
        return self._each(*(column.tolist() for column in columns))

    def _each(self, index: list[int], end: list[int], *numbers: list[int]) -> Iterator[Operation]:
        """Operations from columns of numbers: much faster than one by one."""
        names, value = self.functions, self._values.__getitem__
        words = (map(value, index), map(value, end), self.results(end), self._told("error", end))
        more = (self._told("phase", index), self._told("ext", end), self._told("ext", index))
        rows = zip(index, end, *numbers, *words, *more, strict=False)
        for at, until, process, kind, f, call, ret, asked, said, result, error, phase, *ext in rows:
            yield Operation(
                index=at,
                end=until,
                process=process,
                type=TYPES[kind],
                f=names[f],
                asked=asked,
                value=asked if kind == INFO else said,
                result=result,
                error=error,
                call=call,
                ret=ret,
                phase=phase,
                ext=ext[0] or ext[1] or _NOTHING,
            )

    def _told(self, name: str, indices: Iterable[int]) -> Iterator[Any]:
        """What these events told besides their values, without end where no event told any."""
        column = self._sparse[name]
        return map(column.get, indices) if column else repeat(None)

    def values(self, indices: Iterable[int]) -> list[Any]:
        """The values of these events."""
        return list(map(self._values.__getitem__, indices))

    def results(self, indices: Sequence[int]) -> list[Any]:
        """What these events answered besides their values; -1 stands for no event."""
        told = self._sparse["result"]
        return list(map(told.get, indices)) if told else [None] * len(indices)

    def told(self, name: str) -> Mapping[int, Any]:
        """What events told under a rarer name (`error`, `phase`, `ext` ...), by event."""
        return self._sparse[name]

    def attempts(self, index: int) -> int:
        """How many tries this event ended; 1 where nobody counted."""
        return self._sparse["attempts"].get(index) or 1

    @property
    def table(self) -> Operations:
        """Every client operation as columns of numbers, in the order of invocation."""
        if self._table is None:
            self._table = self._tabulate()
        return self._table

    @property
    def spoken(self) -> Spoken:
        """What events carry, as numbers; made once, when it is first asked for."""
        if self._spoken is None:
            self._spoken = spoken(self._values, self._sparse["result"])
        return self._spoken

    def _tabulate(self) -> Operations:
        index = self.invocations()
        end = self.pair[index].astype(np.int64)
        kind = np.where(end >= 0, self.type[end], INFO).astype(np.int8)
        timed = self.time[index] >= 0
        ret = np.where(timed, self.time[end], end)
        errors, phases = self._sparse["error"], self._sparse["phase"]
        refused = np.zeros(len(self), dtype=np.bool_)
        refused[[i for i, error in errors.items() if error == "refused"]] = True
        dry = np.zeros(len(self), dtype=np.bool_)
        dry[[i for i, phase in phases.items() if phase == "dry"]] = True
        return Operations(
            index=index,
            end=end,
            process=self.process[index],
            type=kind,
            f=self.f[index],
            call=np.where(timed, self.time[index], index),
            ret=np.where(kind == INFO, FOREVER, ret),
            refused=refused[end] & (kind == _FAIL),
            dry=dry[index],
        )

    def invocations(self) -> npt.NDArray[np.int64]:
        """The indices of the clients' invocations."""
        return np.flatnonzero((self.type == INVOKE) & (self.process != NEMESIS_PROCESS))

    def nemesis(self) -> Iterator[Op]:
        """The nemesis's events."""
        return (self[int(i)] for i in np.flatnonzero(self.process == NEMESIS_PROCESS))

    def with_meta(self, **more: Any) -> History:
        """The same events with more known about the run."""
        other = object.__new__(History)
        for name in History.__slots__:
            setattr(other, name, getattr(self, name))
        other.meta = {**self.meta, **more}
        return other


def _client(op: Op) -> int:
    """A client's process; a negative one must not pass for the nemesis."""
    process: Any = op.process
    return process if process != NEMESIS_PROCESS else -2


def _numbers(values: list[int], dtype: Any, what: str, source: str) -> Any:
    """A column of whole numbers; `MalformedHistory` names the line of one that is too large."""
    try:
        return np.array(values, dtype=dtype)
    except OverflowError:
        most = np.iinfo(dtype).max
        line = next(i for i, value in enumerate(values, start=1) if abs(value) > most)
        raise MalformedHistory(
            f"the {what} is at most {most}, not {values[line - 1]:.3e}"
            if abs(values[line - 1]) < 10**300
            else f"the {what} is at most {most}",
            source=source,
            line=line,
        ) from None
