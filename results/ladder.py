"""The ladder: one column per process, time downwards, what each really sent and was told.

A value made from a history, its trace and an anomaly's witness; the terminal and the report draw
the same one. Where nothing was traced (foreign histories) the rows are the operations themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np

from ..harness.faults import FaultRecord, fault_records
from ..harness.history import FOREVER, History, Operation
from ..harness.trace import EACH, Step, read_trace
from ..harness.verdict import Anomaly
from . import words

MAX_OPERATIONS = 12
MAX_STEPS = 14
"""How many statements of one operation are shown; the middle of a longer one is left out."""
MAX_TEXT = 240

Kind = Literal["call", "step", "sent", "got", "return", "whole", "event", "gap"]
Access = Literal["read", "write", "commit", "other"]

_ACCESS: Final[dict[str, Access]] = {
    **dict.fromkeys(("read", "guard-read", "balances", "members", "stock"), "read"),
    **dict.fromkeys(("write", "guard-write", "add", "cas", "transfer", "take", "append"), "write"),
}
"""What an operation does of which nothing was traced."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a ladder.

    `call` and `return` are an operation's edges, `whole` is both in one; `step` is a statement
    with its answer, `sent` and `got` the two ends of one that others passed by; `event` is a fault
    or a lease that ran out. `at` is ns since the start, `took` ns, `op` the invocation's index,
    `label` the number of a witness operation (`1`, `T1`).
    """

    at: int
    column: int
    kind: Kind
    text: str
    got: str = ""
    took: int = 0
    op: int = -1
    label: str = ""
    failed: bool = False
    access: Access = "other"
    guilty: bool = False
    note: str = ""


class Arrow(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered arrow from one row to another, and the sentence with the same number."""

    number: int
    source: int
    target: int
    sentence: str


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a ladder."""

    process: int
    title: str


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what, in what order; `start` is the moment that the times count from.

    Of a history without times `at` is the number of the event.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    arrows: tuple[Arrow, ...] = ()
    start: int = 0
    timed: bool = True
    traced: bool = True
    left_out: int = 0

    def when(self, row: Row) -> str:
        """When a row happened: the time since the first one, or its event's number."""
        return words.offset(row.at - self.start) if self.timed else f"{row.at}"


def trace_keys(history: History, indices: Iterable[int]) -> dict[tuple[int, int], int]:
    """The trace's key of each invocation: (process, its number within that process, from 0)."""
    wanted = sorted(set(indices))
    invocations = history.invocations()
    owners = history.process[invocations]
    keys: dict[tuple[int, int], int] = {}
    for index in wanted:
        process = int(history.process[index])
        earlier = invocations < index
        keys[process, int(np.count_nonzero(owners[earlier] == process))] = index
    return keys


def build(
    anomaly: Anomaly,
    history: History,
    *,
    trace: Path | None = None,
    faults: Sequence[FaultRecord] | None = None,
    more: Sequence[int] = (),
    events: Sequence[Row] = (),
) -> Ladder:
    """The ladder of an anomaly's witness, unmarked (`blame.mark` says what is wrong in it).

    `more` are further operations to show; `events` further rows, whose column is a process id.
    """
    indices = _valid(history, (*anomaly.ops, *more))
    operations = sorted(map(history.operation, indices[:MAX_OPERATIONS]), key=lambda op: op.call)
    keys = trace_keys(history, (op.index for op in operations))
    steps = read_trace(trace, keys) if trace is not None and trace.is_dir() else []
    order = {p: i for i, p in enumerate(dict.fromkeys(op.process for op in operations))}
    rows = _rows(operations, _by_operation(steps, keys, history), order, labels(anomaly, history))
    if rows:
        known = fault_records(history) if faults is None else faults
        rows += _fault_rows(known, rows, order)
        rows += [
            msgspec.structs.replace(row, column=order[row.column])
            for row in events
            if row.column in order
        ]
    rows.sort(key=lambda row: row.at)
    return Ladder(
        columns=tuple(Column(process=p, title=f"process {p}") for p in order),
        rows=tuple(_merged(rows)),
        start=min((row.at for row in rows if row.op >= 0), default=0),
        timed=not len(history) or int(history.time[0]) >= 0,
        traced=bool(steps),
        left_out=max(len(indices) - MAX_OPERATIONS, 0),
    )


def labels(anomaly: Anomaly, history: History) -> dict[int, str]:
    """The number of each witness operation, in the order the sentence names them."""
    numbered = enumerate(_valid(history, anomaly.ops), start=1)
    names = {index: (number, history.operation(index).f) for number, index in numbered}
    return {i: f"T{number}" if f == "txn" else str(number) for i, (number, f) in names.items()}


def _valid(history: History, indices: Iterable[int]) -> list[int]:
    """The invocations among these indices, each once, completions turned into invocations."""
    found: dict[int, None] = {}
    for index in indices:
        if 0 <= index < len(history) and history.process[index] >= 0:
            found[history.operation(int(index)).index] = None
    return list(found)


def _by_operation(
    steps: Sequence[Step], keys: dict[tuple[int, int], int], history: History
) -> dict[int, list[Step]]:
    """What each operation sent; what was over before its call only tidied up the connection."""
    grouped: dict[int, list[Step]] = {}
    for step in steps:
        index = keys[step.process, step.n]
        if step.ended > history.time[index]:
            grouped.setdefault(index, []).append(step)
    return grouped


def _rows(
    operations: Sequence[Operation],
    traced: dict[int, list[Step]],
    order: dict[int, int],
    numbers: dict[int, str],
) -> list[Row]:
    everything = [(step, order[step.process]) for steps in traced.values() for step in steps]
    rows: list[Row] = []
    for op in operations:
        column, steps = order[op.process], traced.get(op.index, [])
        label = numbers.get(op.index, "")
        rows.append(
            Row(at=op.call, column=column, kind="call", text=asked(op), op=op.index, label=label)
        )
        for step in _shortened(steps):
            rows += _step_rows(step, column, op, everything)
        if len(steps) > MAX_STEPS:
            rows.append(_gap(steps, column, op))
        rows += _return_row(op, column, steps)
    return rows


def asked(op: Operation) -> str:
    """What an operation asks, in one short line."""
    return words.asked(op.f, op.asked, MAX_TEXT)


def _return_row(op: Operation, column: int, steps: Sequence[Step]) -> list[Row]:
    ends = [step.ended for step in steps]
    if op.ret == FOREVER and op.end < 0:
        at = max([op.call + 1, *ends])
    else:
        at = op.ret if op.ret != FOREVER else max([op.call + 1, *ends])
    text = words.answered(op, MAX_TEXT)
    return [
        Row(
            at=at, column=column, kind="return", text=text, op=op.index,
            took=at - op.call, failed=op.type != "ok",
            access="other" if steps else _ACCESS.get(op.f, "other"),
        )
    ]  # fmt: skip


def _shortened(steps: Sequence[Step]) -> Sequence[Step]:
    if len(steps) <= MAX_STEPS:
        return steps
    half = MAX_STEPS // 2
    return [*steps[:half], *steps[-half:]]


def _gap(steps: Sequence[Step], column: int, op: Operation) -> Row:
    missing = len(steps) - MAX_STEPS // 2 * 2
    at = steps[MAX_STEPS // 2].started
    text = f"… {words.count(missing, 'statement')} more"
    return Row(at=at, column=column, kind="gap", text=text, op=op.index)


def _step_rows(
    step: Step, column: int, op: Operation, everything: Sequence[tuple[Step, int]]
) -> list[Row]:
    """A statement with its answer in one row, or in two where others passed it by."""
    text, got = sent_text(step), got_text(step)
    whole = Row(
        at=step.ended, column=column, kind="step", text=text, got=got, op=op.index,
        took=step.ended - step.started, failed=step.error is not None, access=access(step.sent),
    )  # fmt: skip
    passed = whole.access != "other" and any(
        other != column and step.started < s.started and s.ended < step.ended
        for s, other in everything
    )
    if not passed:
        return [whole]
    sent = msgspec.structs.replace(
        whole, at=step.started, kind="sent", got="", failed=False, access="other"
    )
    return [sent, msgspec.structs.replace(whole, kind="got")]


def _fault_rows(
    faults: Sequence[FaultRecord], rows: Sequence[Row], order: dict[int, int]
) -> list[Row]:
    """What the nemesis did to the shown processes or to a server while the shown rows happened."""
    first, last = min(row.at for row in rows), max(row.at for row in rows)
    found: list[Row] = []
    for fault in faults:
        struck = [order[p] for p in fault.processes if p in order]
        if not struck and fault.processes:
            continue
        columns = struck or [-1]
        name = words.clean(f"{fault.name}, {fault.target.split(' (')[0]}".strip(", "), 80)
        for column in columns:
            if first <= fault.injected <= last:
                text = f"nemesis: {name}"
                found.append(Row(at=fault.injected, column=column, kind="event", text=text))
            if first <= fault.healed <= last:
                took = fault.healed - fault.injected
                text = f"nemesis: {words.clean(fault.name, 40)} ends after {words.span(took)}"
                found.append(Row(at=fault.healed, column=column, kind="event", text=text))
    return found


def _merged(rows: Sequence[Row]) -> list[Row]:
    """Put an operation's call and return into one row where nothing lies between them."""
    merged: list[Row] = []
    for row in rows:
        last = merged[-1] if merged else None
        if last and row.kind == "return" and last.kind == "call" and last.op == row.op:
            merged[-1] = msgspec.structs.replace(
                last,
                kind="whole",
                got=row.text,
                failed=row.failed,
                took=row.took,
                access=row.access,
            )
        else:
            merged.append(row)
    return merged


# --- what was sent -------------------------------------------------------------------------------

_PLACEHOLDER = re.compile(r"%s|%\((\w+)\)s|\$(\d+)|\?")
_TAG = re.compile(r"(?:INSERT 0|UPDATE|DELETE|MERGE|SELECT|COPY) (\d+)")
_COMMIT = re.compile(r"\s*(commit|end|exec)\b", re.I)
_CONTROL = re.compile(
    r"\s*(begin|start\s+transaction|rollback|savepoint|release\s+savepoint|multi|watch|unwatch|"
    r"discard|set\s+(local|session|transaction|statement_timeout|lock_timeout)|show|prepare)\b",
    re.I,
)
_READ = re.compile(
    r"\s*(select|get|hget|mget|hgetall|lrange|smembers|sismember|exists|zrange|zcard|scard|llen|"
    r"strlen|zscore|ttl|pttl|table|values)\b",
    re.I,
)
_WRITE = re.compile(
    r"\s*(insert|update|delete|merge|replace|with|set|getset|getdel|setnx|setex|psetex|incr\w*|"
    r"decr\w*|hset\w*|hincr\w*|hdel|lpush|rpush|lpop|rpop|del|unlink|eval\w*|fcall\w*|append|"
    r"zadd|zrem|zincr\w*|sadd|srem|p?expire\w*|xadd|create|copy|mset)\b",
    re.I,
)


def access(sent: str) -> Access:
    """Whether a statement or command reads, writes, commits, or does something else."""
    if _COMMIT.match(sent):
        return "commit"
    if _CONTROL.match(sent):
        return "other"
    if _READ.match(sent):
        return "read"
    return "write" if _WRITE.match(sent) else "other"


def sent_text(step: Step) -> str:
    """A statement with its bound values put in, or a command with its arguments, in one line."""
    text, args = " ".join(step.sent.split()).replace(" -- implicit", " (implicit)"), step.args
    if args in (None, [], {}, ()):
        return words.clean(text, MAX_TEXT)
    if isinstance(args, dict) and args.keys() == {EACH} and isinstance(args[EACH], list):
        sets = [_bind(text, one) for one in args[EACH]]
        if sets and all(used for _, used in sets):
            return words.clean("; ".join(bound for bound, _ in sets), MAX_TEXT)
    bound, used = _bind(text, args)
    if used:
        return words.clean(bound, MAX_TEXT)
    if isinstance(args, list) and all(not isinstance(a, list | dict) for a in args):
        return words.clean(" ".join([text, *(words.show(a, 60) for a in args)]), MAX_TEXT)
    return words.clean(f"{text}  {words.show(args)}", MAX_TEXT)


def _bind(text: str, args: Any) -> tuple[str, bool]:
    """Put bound values where the placeholders stand; leave the text alone if they do not fit."""
    found = list(_PLACEHOLDER.finditer(text))
    if not found:
        return text, False
    if isinstance(args, dict):
        named = [m[1] for m in found]
        if any(name is None or name not in args for name in named):
            return text, False
        return _PLACEHOLDER.sub(lambda m: _literal(args[m[1]]), text), True
    if not isinstance(args, list):
        return text, False
    if all(m[2] for m in found):
        if max(int(m[2]) for m in found) > len(args):
            return text, False
        return _PLACEHOLDER.sub(lambda m: _literal(args[int(m[2]) - 1]), text), True
    if len(found) != len(args):
        return text, False
    values = iter(args)
    return _PLACEHOLDER.sub(lambda m: _literal(next(values)), text), True


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value[:80].replace("'", "''") + ("…'" if len(value) > 80 else "'")
    return "NULL" if value is None else words.show(value, 80)


def got_text(step: Step) -> str:
    """What a statement was told: its rows, its count, its error."""
    if step.error is not None:
        return "error: " + words.clean(step.error, MAX_TEXT)
    got = step.got
    if got is None or got == step.sent.split(" ")[0].upper():
        return ""
    tag = _TAG.fullmatch(got) if isinstance(got, str) else None
    if tag:
        return words.count(int(tag[1]), "row")
    if isinstance(got, list) and len(got) == 1 and isinstance(got[0], list) and len(got[0]) == 1:
        got = got[0]  # one row of one column
    if isinstance(got, list) and len(got) == 1 and not isinstance(got[0], list | dict):
        got = got[0]
    if got == []:
        return "no rows"
    if isinstance(got, list) and all(isinstance(row, list) for row in got):
        return words.clean(", ".join(map(_row_text, got)), 100)
    return words.show(got, 100)


def _row_text(row: list[Any]) -> str:
    return f"({', '.join(words.show(cell, 40) for cell in row)})"
