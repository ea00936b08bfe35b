"""Deliberately naive oracles: they try everything, and anyone can read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import combinations, product
from typing import Any

from dokkaebi.checkers.models import Set, UnorderedQueue
from dokkaebi.harness.history import History, Operation


def linearizable(operations: Sequence[Operation], model: Any) -> bool:
    """Whether some order of the operations is legal: try every next operation, again and again.

    An operation may come next if no other one still to be placed returned before it was called.
    Crashed operations may be left out; closed intervals that touch are concurrent.
    """

    @cache
    def rest(state: Any, left: frozenset[int]) -> bool:
        if all(operations[i].type == "info" for i in left):
            return True
        for i in left:
            if any(operations[j].ret < operations[i].call for j in left if j != i):
                continue
            for after in model.step(state, operations[i]):
                if rest(after, left - {i}):
                    return True
        return False

    return rest(model.init(), frozenset(range(len(operations))))


def whole_objects(history: History, model: Any, keyed: bool | None) -> list[list[Operation]]:
    """What is to be explained of each object, not divided any further than by key."""
    refusals = getattr(model, "refusals", ())
    observed = [
        op
        for op in history.operations()
        if op.type != "fail" or (op.error == "refused" and op.f in refusals)
    ]
    if isinstance(model, Set | UnorderedQueue):
        # Left whole: that elements and values may be judged apart is what is to be shown.
        model.divided = lambda key, group: [(key, group)]
    return [group for _, group in model.partition(observed, keyed)]


def subsets(amounts: Sequence[int]) -> set[int]:
    """The sums of all subsets."""
    return {
        sum(chosen) for size in range(len(amounts) + 1) for chosen in combinations(amounts, size)
    }


def counter_holds(history: History) -> bool:
    """Whether every read keeps the bounds, and every read at rest is a possible sum."""
    operations = list(history.operations())
    for read in operations:
        if read.f != "read" or read.type != "ok":
            continue
        key, value = read.value
        adds = [op for op in operations if op.f == "add" and op.asked[0] == key]
        lower = upper = 0
        for add in adds:
            delta = add.asked[1]
            surely = add.type == "ok" and add.ret < read.call
            maybe = add.type != "fail" and add.call <= read.ret
            if surely:
                lower, upper = lower + delta, upper + delta
            elif maybe:
                lower, upper = lower + min(delta, 0), upper + max(delta, 0)
        if not lower <= value <= upper:
            return False
        done = [add for add in adds if add.type == "ok"]
        if all(add.ret < read.call for add in done):
            opened = [a.asked[1] for a in adds if a.type == "info" and a.call <= read.ret]
            if value - sum(add.asked[1] for add in done) not in subsets(opened):
                return False
    return True


class CounterModel:
    """One counter whose adds tell the new value where they have a result."""

    def init(self) -> int:
        return 0

    def step(self, state: int, operation: Operation) -> Iterable[int]:
        if operation.f == "read":
            known = operation.type == "ok"
            return (state,) if not known or operation.value[1] == state else ()
        after = state + operation.asked[1]
        told = operation.type == "ok" and operation.result is not None
        return (after,) if not told or operation.result == after else ()


def bank_holds(history: History, opening: dict[str, int]) -> bool:
    """Whether all totals agree, nothing is below zero, and the last read at rest is possible."""
    operations = list(history.operations())
    reads = [op for op in operations if op.f == "read" and op.type == "ok"]
    transfers = [op for op in operations if op.f == "transfer"]
    for read in reads:
        if sum(read.value.values()) != sum(opening.values()) or min(read.value.values()) < 0:
            return False
    done = [op for op in transfers if op.type == "ok"]
    rest = [read for read in reads if all(op.ret < read.call for op in done)]
    latest = [read for read in rest if read.call == max(each.call for each in rest)]
    for read, account in product(latest, opening):
        opened = [
            effect(op, account) for op in transfers if op.type == "info" and op.call <= read.ret
        ]
        expected = opening[account] + sum(effect(op, account) for op in done)
        if read.value[account] - expected not in subsets(opened):
            return False
    return True


def effect(transfer: Operation, account: str) -> int:
    """What a transfer does to an account."""
    amount: int = transfer.asked["amount"]
    return amount * ((transfer.asked["to"] == account) - (transfer.asked["from"] == account))


def lock_windows(history: History, ttl: float) -> list[tuple[str, int, int, int, int]]:
    """(name, process, start, end of the hold, end of the lease window) of every definite hold."""
    operations = list(history.operations())
    windows = []
    for op in operations:
        if op.f != "acquire" or op.type != "ok":
            continue
        later = [
            other for other in operations
            if other.process == op.process and other.call > op.call and other.asked == op.asked
        ]  # fmt: skip
        own = [
            event.time for event in history
            if event.process == op.process and event.type != "info"
        ]  # fmt: skip
        ends = [o.call for o in later if o.f == "release" or o.type == "ok"]
        end = max(min(ends, default=max(own)), op.ret)
        seconds = op.ext.get("ttl", ttl)
        windows.append(
            (op.asked, op.process, op.ret, end, min(end, op.call + round(seconds * 1e9)))
        )
    return windows


def lock_kinds(history: History, ttl: float) -> set[str]:
    """Which kinds of overlaps there are, by comparing every hold with every other."""
    kinds = set()
    windows = lock_windows(history, ttl)
    for a, b in combinations(windows, 2):
        if a[0] != b[0] or not (a[2] < b[3] and b[2] < a[3]):
            continue
        leased = a[4] >= a[2] and b[4] >= b[2] and a[2] < b[4] and b[2] < a[4]
        kinds.add("double-hold" if leased else "expired-hold")
    return kinds
