"""Registers whose versions stay in no known order: is there one under which the level holds at all?

Dependencies alone are certain only as far as the order of versions is known. Where they find
nothing against a level, an order that explains everything is searched for; none at all is an
anomaly of its own, told by the few circles of which one always closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...harness.columns import OK
from .graph import PLAIN, PROCESS, REALTIME
from .registers import Registers
from .serial import ROUNDS, Serial, serial_order
from .visibility import Reading

Rows = npt.NDArray[Any]

ROUND_STEPS = 20_000_000
"""Micro-operations that all rounds of one search may go through together."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What an order has to respect: snapshots or single moments, and whose order outside."""

    anomaly: str
    snapshots: bool
    rests: int


DEMANDS: dict[str, Demand] = {
    "strict-serializable": Demand("PL-SS-cycle-exists", False, REALTIME),
    "strong-session-serializable": Demand(
        "strong-session-serializable-cycle-exists", False, PROCESS
    ),
    "serializable": Demand("PL-3-cycle-exists", False, PLAIN),
    "repeatable-read": Demand("PL-2.99-cycle-exists", False, PLAIN),
    "strong-snapshot-isolation": Demand("strong-snapshot-isolation-cycle-exists", True, REALTIME),
    "strong-session-snapshot-isolation": Demand(
        "strong-session-snapshot-isolation-cycle-exists", True, PROCESS
    ),
    "snapshot-isolation": Demand("PL-SI-cycle-exists", True, PLAIN),
}
"""The levels that are decided by the order of versions."""


def search(registers: Registers, reads: Reading, rows: Rows, demand: Demand) -> Serial:
    """Search an order for the transactions that take part (`rows`, whose reads are `reads`)."""
    txns = registers.txns
    call, ret = txns.call[rows], txns.ret[rows]
    # What was never answered may take effect after all that its process did later.
    answered = np.flatnonzero(txns.type[rows] == OK)
    before, after = _outside(txns.process[rows], call, ret, answered, demand.rests)
    effort = 1 + len(reads.read_key) + len(reads.write_key) + len(before)
    return serial_order(
        reads,
        before,
        after,
        call=call,
        ret=ret,
        snapshots=demand.snapshots,
        rounds=max(2, min(ROUNDS, ROUND_STEPS // effort)),
    )


def _outside(process: Rows, call: Rows, ret: Rows, answered: Rows, rests: int) -> tuple[Rows, Rows]:
    """(before, after): each transaction and those that just precede it, in process or real time.

    Only those that were `answered` have a place in the order of their process.
    """
    if rests == PLAIN:
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing
    order = answered[np.lexsort((answered, process[answered]))]
    same = process[order[1:]] == process[order[:-1]]
    before, after = order[:-1][same], order[1:][same]
    if rests == PROCESS:
        return before, after
    earlier, later = _just_before(call, ret)
    return np.concatenate([before, earlier]), np.concatenate([after, later])


def _just_before(call: Rows, ret: Rows) -> tuple[Rows, Rows]:
    """Pairs of which the first had returned before the second was called, with nobody between."""
    order = np.argsort(ret, kind="stable")
    returned = ret[order]
    latest = np.maximum.accumulate(call[order]) if len(call) else call
    stop = np.searchsorted(returned, call, side="left")
    horizon = np.where(stop > 0, latest[np.maximum(stop, 1) - 1] if len(call) else 0, 0)
    start = np.minimum(np.searchsorted(returned, horizon, side="left"), stop)
    many = stop - start
    later = np.repeat(np.arange(len(call)), many)
    offset = np.arange(len(later)) - np.repeat(np.cumsum(many) - many, many)
    return order[start[later] + offset], later
