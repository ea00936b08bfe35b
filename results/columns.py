"""A history as the columns that the report's timeline is drawn from.

Numbers are stored as differences and split into bytes, low ones first, so that gzip finds the
repetitions; texts stand one a line. The page's script reads exactly this layout.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from ..harness.faults import FaultRecord
from ..harness.history import FOREVER, TYPES, History
from . import words

MOST: Final = 200_000
"""Operations that a page holds; of more, a part is left out and the page says so."""
NEAR: Final = 400
"""Operations kept on either side of each witness operation."""
MAX_TEXT: Final = 80
MAX_TEXTS: Final = 6_000_000
"""Characters of all texts together; where there would be more, each is cut shorter."""
MOST_ROWS: Final = 40

Ints = npt.NDArray[np.int64]


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """The timeline's rows: a process each, or a worker each where there are too many processes."""

    labels: tuple[str, ...]
    of: dict[int, int]
    per_worker: bool


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The operations that are shown: parallel arrays in the order of invocation.

    `call` and `took` are µs (positions in the history where it has no times); `took` is -1 for an
    operation that may still take effect. `index` is the invocation's place in the history.
    """

    index: Ints
    process: Ints
    f: Ints
    type: Ints
    call: Ints
    took: Ints
    functions: tuple[str, ...]
    timed: bool
    end: int
    left_out: int


def table(history: History, *, witnesses: Sequence[int] = (), most: int = MOST) -> Table:
    """The operations of a history, thinned out if there are more than `most`.

    Everything near a witness operation stays, and so does every unknown operation.
    """
    index = history.invocations()
    total = len(index)
    if total > most:
        index = index[_chosen(history, index, witnesses, most)]
    end = history.pair[index].astype(np.int64)
    code = np.where(end >= 0, history.type[end], TYPES.index("info")).astype(np.int64)
    timed = bool(len(index) == 0 or history.time[index].min() >= 0)
    times = history.time // 1000 if timed else np.arange(len(history), dtype=np.int64)
    call = times[index]
    took = np.where(code == TYPES.index("info"), -1, np.maximum(times[end] - call, 0))
    return Table(
        index=index,
        process=history.process[index].astype(np.int64),
        f=history.f[index].astype(np.int64),
        type=code,
        call=call,
        took=took,
        functions=history.functions,
        timed=timed,
        end=int(times.max()) if len(times) else 0,
        left_out=total - len(index),
    )


def _chosen(
    history: History, index: Ints, witnesses: Sequence[int], most: int
) -> npt.NDArray[np.bool_]:
    """Which invocations stay: those near a witness, the unknown ones, and every n-th other."""
    keep = np.zeros(len(index), dtype=bool)
    for place in np.searchsorted(index, np.array(witnesses, dtype=np.int64)):
        keep[max(int(place) - NEAR, 0) : int(place) + NEAR] = True
    end = history.pair[index]
    unknown = (end < 0) | (history.type[end] == TYPES.index("info"))
    keep |= unknown
    rest = np.flatnonzero(~keep)
    room = max(most - int(keep.sum()), 0)
    if room:
        keep[rest[:: max(-(-len(rest) // room), 1)]] = True
    return keep


def rows(history: History, workers: int | None) -> Rows:
    """A row per process; where these are too many, a row per worker."""
    processes = [int(p) for p in np.unique(history.process[history.invocations()])]
    if len(processes) <= MOST_ROWS:
        of = {process: i for i, process in enumerate(processes)}
        return Rows(labels=tuple(f"process {p}" for p in processes), of=of, per_worker=False)
    lanes = min(workers or MOST_ROWS, MOST_ROWS)
    used = sorted({process % lanes for process in processes})
    place = {lane: i for i, lane in enumerate(used)}
    return Rows(
        labels=tuple(f"worker {lane}" for lane in used),
        of={process: place[process % lanes] for process in processes},
        per_worker=True,
    )


def pack(
    shown: Table,
    history: History,
    *,
    lanes: Rows,
    faults: Sequence[FaultRecord],
    anomalies: Sequence[dict[str, Any]],
) -> str:
    """Everything that the script needs, as gzip in base64."""
    asked, answered = _texts(shown, history)
    blocks = {
        "index": _planes(np.diff(shown.index, prepend=0)),
        "process": _planes(shown.process),
        "f": _planes(shown.f),
        "type": _planes(shown.type),
        "call": _planes(np.diff(shown.call, prepend=0)),
        "took": _planes(shown.took + 1),
        "asked": asked,
        "answered": answered,
    }
    head = {
        "n": len(shown.index),
        "timed": shown.timed,
        "end": shown.end,
        "leftOut": shown.left_out,
        "functions": [words.clean(name, 60) for name in shown.functions],
        "types": TYPES,
        "rows": lanes.labels,
        "rowOf": {str(process): row for process, row in lanes.of.items()},
        "faults": [_fault(fault, shown.timed) for fault in faults],
        "anomalies": anomalies,
        "blocks": [(name, len(data)) for name, data in blocks.items()],
    }
    header = msgspec.json.encode(head)
    raw = b"".join((len(header).to_bytes(4, "little"), header, *blocks.values()))
    return base64.b64encode(gzip.compress(raw, 9, mtime=0)).decode()


def _fault(fault: FaultRecord, timed: bool) -> dict[str, Any]:
    return {
        "name": words.clean(fault.name, 60),
        "target": words.clean(fault.target, 60),
        "from": fault.injected // 1000 if timed else 0,
        "to": fault.healed // 1000 if timed and fault.healed < FOREVER else None,
        "took": fault.took_effect,
        "evidence": words.clean(fault.evidence, 200),
    }


def _planes(column: Ints) -> bytes:
    """A column of 40-bit integers as five planes of bytes (zigzag, so that signs stay small)."""
    folded = ((column << 1) ^ (column >> 63)).astype("<u8")
    planes = folded.view(np.uint8).reshape(-1, 8)[:, :5]
    return np.ascontiguousarray(planes.T).tobytes()


def _texts(shown: Table, history: History) -> tuple[bytes, bytes]:
    """What each operation asked and was told, a line each."""
    asked: list[str] = []
    told: list[str] = []
    limit = MAX_TEXT if len(shown.index) * MAX_TEXT < MAX_TEXTS * 4 else MAX_TEXT // 2
    for index in shown.index.tolist():
        op = history.operation(index)
        asked.append(words.asked("", op.asked, limit).strip())
        told.append(words.answered(op, limit))
    if sum(map(len, asked)) + sum(map(len, told)) > MAX_TEXTS:
        room = MAX_TEXTS // (2 * len(asked))
        asked = [text[:room] for text in asked]
        told = [text[:room] for text in told]
    return "\n".join(asked).encode(), "\n".join(told).encode()
