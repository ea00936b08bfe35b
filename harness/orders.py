"""What the harness tells its worker processes and what they answer: JSON lines over two pipes."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .protocols import ClientSpec


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The first line a worker process reads: everything it needs to know.

    `incarnations` gives each of this process's workers the incarnation it begins with; times are
    in nanoseconds, `epoch_ns` is the monotonic time of the run's time 0.
    """

    slot: int
    segment: str
    trace: str
    incarnations: dict[int, int]
    workers: int
    seed: int
    epoch_ns: int
    op_timeout: int
    rate: float | None
    workload: str
    """`module:Class` of the workload."""
    params: dict[str, Any]
    strategy: str
    clients: list[ClientSpec]
    isolation: str | None
    resource: tuple[str, int] | None


Do = Literal["setup", "dry", "main", "stop", "final", "teardown", "arm", "exit"]


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker process is told to do next; `point` is the one to arm."""

    do: Do
    point: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker process says: that an order is done, that the strategy broke, or that a
    worker has reached the armed point and waits there; and why clients could not be opened."""

    done: Do | None = None
    broken: str | None = None
    traceback: str = ""
    at: str | None = None
    process: int | None = None
    points: tuple[str, ...] = ()
    unopened: dict[str, int] = {}
