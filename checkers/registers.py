"""What can be said of a register's read without any search: garbage, or clearly overdue.

A read of a value that nobody ever wrote is garbage at every level of consistency. A read is stale
for certain when every write of its value had returned before another write began that had itself
returned before the read began.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from ..harness.history import Operation


def written(op: Operation) -> tuple[Hashable, ...]:
    """The value that a write or a successful (or unanswered) cas leaves; nothing for others."""
    if op.type == "fail" or op.f == "read":
        return ()
    if op.f == "cas":
        value = op.value
        return (value[1],) if isinstance(value, tuple) and len(value) == 2 else ()
    return (op.value,)


def garbage_reads(
    group: Sequence[Operation], initial: Hashable
) -> tuple[list[Operation], list[Operation]]:
    """Split off the ok reads of values that nobody wrote: (the others, those)."""
    known = {initial, *(value for op in group for value in written(op))}
    strange = [op for op in group if op.f == "read" and op.type == "ok" and op.value not in known]
    if not strange:
        return list(group), []
    drop = {op.index for op in strange}
    return [op for op in group if op.index not in drop], strange


def overwritten_before(
    read: Operation, group: Iterable[Operation], initial: Hashable
) -> Operation | None:
    """An acknowledged write that surely replaced what this read saw before the read began.

    None unless every write of the value seen had returned before that write was called (a write
    that may still take effect excuses the read).
    """
    if read.f != "read" or read.type != "ok":
        return None
    group = list(group)
    sources = [op.ret for op in group if read.value in written(op)]
    if not sources and read.value != initial:
        return None
    settled = max(sources, default=-1)
    newer = [
        op
        for op in group
        if op.type == "ok"
        and written(op)
        and read.value not in written(op)
        and op.call > settled
        and op.ret < read.call
    ]
    return min(newer, key=lambda op: (op.call, op.index), default=None)
