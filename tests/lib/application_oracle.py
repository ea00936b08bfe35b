"""Naive oracles of the application checkers: every rule said once, over all pairs of operations."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

from dokkaebi.harness.history import FOREVER, History, Operation


def ops(history: History, *functions: str) -> list[Operation]:
    return list(history.operations(*functions))


def oks(history: History, *functions: str) -> list[Operation]:
    return [op for op in history.operations(*functions) if op.type == "ok"]


def frozen(value: Any) -> Any:
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def things_kinds(inserts: dict[Any, list[Operation]], reads: list[Any], *, lost: str) -> set[str]:
    """What is wrong with things that must stay: reads are (operation, what it saw)."""
    kinds = set()
    for read, seen in reads:
        for thing in seen:
            sources = [op for op in inserts.get(thing, []) if op.call <= read.ret]
            if not sources:
                kinds.add("garbage-read")
            elif all(op.type == "fail" for op in inserts[thing]):
                kinds.add("ghost-effect")
    for thing, sources in inserts.items():
        if all(op.type == "fail" for op in sources):
            continue
        saw = [read for read, seen in reads if thing in seen]
        known = [op.ret for op in sources if op.type == "ok"] + [read.ret for read in saw]
        missed = [
            read for read, seen in reads
            if thing not in seen and known and min(known) < read.call
        ]  # fmt: skip
        gone = [read for read in missed if all(other.ret < read.call for other in saw)]
        kinds |= {lost} if gone else {"stale-read"} if missed else set()
    return kinds


def by_value(operations: list[Operation]) -> dict[Any, list[Operation]]:
    found: dict[Any, list[Operation]] = {}
    for op in operations:
        found.setdefault(frozen(op.asked), []).append(op)
    return found


def set_kinds(history: History) -> set[str]:
    reads = [(op, op.value) for op in oks(history, "read")]
    kinds = things_kinds(by_value(ops(history, "add")), reads, lost="lost-element")
    if any(len(set(seen)) < len(seen) for _, seen in reads):
        kinds.add("duplicate")
    return kinds


def unique_kinds(history: History) -> set[str]:
    reads = [(op, frozen(op.value)) for op in oks(history, "read")]
    kinds = things_kinds(by_value(ops(history, "claim")), reads, lost="lost-write")
    if any(a.asked[0] == b.asked[0] for a, b in combinations(oks(history, "claim"), 2)):
        kinds.add("double-success")
    if any(max(Counter(key for key, _ in seen).values(), default=0) > 1 for _, seen in reads):
        kinds.add("duplicate")
    return kinds - {"stale-read"}


def ledger_kinds(history: History) -> set[str]:
    inserts: dict[Any, list[Operation]] = {}
    for op in ops(history, "execute"):
        inserts.setdefault(op.asked[0], []).append(op)
    reads = [(op, op.value) for op in oks(history, "read")]
    kinds = things_kinds(
        inserts, [(op, {entry[0] for entry in seen}) for op, seen in reads], lost="lost-write"
    )
    for _, seen in reads:
        if len({entry[0] for entry in seen}) < len(seen):
            kinds.add("duplicate-effect")
            continue
        for request, amount in seen:
            asked = {i.asked[1] for i in inserts.get(request, [])}
            if asked and amount not in asked:
                kinds.add("conservation")
    return kinds - {"stale-read"}


def fork_kinds(history: History) -> set[str]:
    kinds = set()
    writes = [(op, op.asked[0][1]) for op in ops(history, "write")]
    reads = [(op, {key: value for _, key, value in op.value}) for op in oks(history, "read")]
    for read, seen in reads:
        for key, value in seen.items():
            mine = [op for op, k in writes if k == key]
            if value is None or not writes:
                continue
            if value != 1 or not mine:
                kinds.add("garbage-read")
            elif all(op.type == "fail" for op in mine):
                kinds.add("G1a")
            elif all(op.call > read.ret for op in mine):
                kinds.add("garbage-read")
    for (_, a), (_, b) in combinations(reads, 2):
        both = a.keys() & b.keys()
        ahead = any(a[k] is not None and b[k] is None for k in both)
        behind = any(a[k] is None and b[k] is not None for k in both)
        if ahead and behind:
            kinds.add("long-fork")
    return kinds


def session_holds(history: History, guarantees: Any) -> bool:
    """Whether no read misses what happened before it, along sessions and along what was seen."""
    operations = [op for op in history.operations() if op.type != "fail"]
    version = {op.index: _version(op) for op in operations}
    written = {(op.asked[0], op.asked[1]): op for op in ops(history, "write")}
    before: dict[int, set[int]] = {op.index: set() for op in operations}
    all_four = len(guarantees) == 4
    for a in operations:
        for b in operations:
            same = a.process == b.process and a.type == "ok" and a.index < b.index
            source = b.f == "read" and b.type == "ok" and _version(b) >= 0 and a.f == "write"
            saw = source and a.asked[0] == b.asked[0] and _version(a) == _version(b)
            direct = ("read-your-writes" in guarantees and a.f == "write") or (
                "monotonic-reads" in guarantees and a.f == "read"
            )
            if (same and direct) or (saw and all_four):
                before[b.index].add(a.index)
    if all_four:
        changed = True
        while changed:
            changed = False
            for index, earlier in before.items():
                more = set().union(*(before[i] for i in earlier)) - earlier if earlier else set()
                if more:
                    before[index] |= more
                    changed = True
    by_index = {op.index: op for op in operations}
    for read in operations:
        if read.f != "read" or read.type != "ok":
            continue
        if _version(read) >= 0:
            source = written.get((read.asked[0], _version(read)))
            if source is None or source.type == "fail" or source.call > read.ret:
                return False
        for index in before[read.index]:
            other = by_index[index]
            if other.asked[0] == read.asked[0] and version[index] > _version(read):
                return False
    return True


def _version(op: Operation) -> int:
    value = op.asked[1] if op.f == "write" else op.value[1]
    return -1 if value is None else int(value)


def constraint_holds(history: History, initial: dict[Any, list[Any]], least: int) -> bool:
    for group, members in initial.items():
        mine = [op for op in history.operations() if op.asked[0] == group]
        joins = [op for op in mine if op.f == "join" and op.type != "fail"]
        everybody = {*members, *(op.asked[1] for op in joins)}
        for op in mine:
            if op.f == "read" and op.type == "ok":
                seen = op.value[1]
                if set(seen) - everybody or len(set(seen)) < least:
                    return False
        left = [op for op in mine if op.f == "leave" and op.type == "ok"]
        for moment in [op.ret for op in left]:
            absent = set()
            for member in everybody:
                back = [j for j in joins if j.asked[1] == member and j.call <= moment]
                if member not in members and not back:
                    absent.add(member)
                for leave in left:
                    gone = leave.asked[1] == member and leave.ret <= moment
                    if gone and all(j.ret < leave.call for j in back):
                        absent.add(member)
            if len(everybody) - len(absent) < least:
                return False
    return True


def queue_kinds(history: History, *, delivery: str, ordered: str | None) -> set[str]:
    kinds = set()
    by_index = {op.index: op for op in history.operations()}
    puts = by_value(ops(history, "enqueue"))
    gets: list[tuple[Any, Operation, int]] = []
    for op in oks(history, "dequeue", "drain"):
        values = op.value if op.f == "drain" else [] if op.value is None else [op.value]
        gets += [(frozen(value), op, place) for place, value in enumerate(values)]
    for message, op, _ in gets:
        mine = puts.get(message, [])
        firsts = [other for m, other, _ in gets if m == message]
        if all(put.call > min(firsts, key=lambda o: o.ret).ret for put in mine):
            kinds.add("garbage-read")
        elif all(put.type == "fail" for put in mine):
            kinds.add("ghost-effect")
        sent = [put.type for put in mine]
        if delivery != "at-least" and "info" not in sent and len(firsts) > sent.count("ok") > 0:
            kinds.add("duplicate-effect")
        del op
    drains = [op.call for op in oks(history, "drain")]
    if drains and delivery != "at-most":
        missing = [
            message for message, mine in puts.items()
            if any(put.type == "ok" and put.ret < max(drains) for put in mine)
            and all(m != message for m, _, _ in gets)
        ]  # fmt: skip
        unheard = [op for op in ops(history, "dequeue", "drain") if op.type == "info"]
        if not any(op.f == "drain" for op in unheard) and len(missing) > len(unheard):
            kinds.add("lost-message")
    if ordered:
        single = {
            m: mine[0] for m, mine in puts.items() if len(mine) == 1 and mine[0].type != "fail"
        }
        drained = {m for m, op, _ in gets if op.f == "drain"}
        silent = [op.call for op in ops(history, "dequeue", "drain") if op.type == "info"]
        certain = min(silent, default=FOREVER) if delivery == "at-least" else FOREVER
        for m, n in [(m, n) for m in single for n in single if m != n]:
            lane = ordered == "all" or m[0] == n[0]
            if not lane or not single[m].ret < single[n].call:
                continue
            m_gets = [(op, place) for message, op, place in gets if message == m]
            n_gets = [(op, place) for message, op, place in gets if message == n]
            if not m_gets or not n_gets:
                continue
            if m not in drained and n not in drained:
                first = min(op.call for op, _ in m_gets)
                if min(op.ret for op, _ in n_gets) < min(first, certain):
                    kinds.add("order-violation")
            for op in {op.index for op, _ in m_gets} & {op.index for op, _ in n_gets}:
                places = [
                    min(place for o, place in some if o.index == op) for some in (m_gets, n_gets)
                ]
                if places[1] < places[0] and by_index[op].ret < certain:
                    kinds.add("order-violation")
    return kinds


def crowded(history: History, limit: int) -> bool:
    """Whether at some moment more than `limit` were certainly inside."""
    visits = []
    for op in oks(history, "enter"):
        own = [e.time for e in history if e.process == op.process and e.type != "info"]
        left = [o.call for o in ops(history, "leave") if o.asked == op.result and o.call >= op.ret]
        visits.append((op.ret, max(op.ret, min(left, default=max(own)))))
    return any(sum(begin <= moment < end for begin, end in visits) > limit for moment, _ in visits)


def too_many(history: History, limit: int, window: int) -> bool:
    """Whether more than `limit` admissions of one user lie wholly within less than a window."""
    admitted = oks(history, "allow")
    return any(
        sum(b.asked == a.asked and b.call >= a.call and b.ret < a.call + window for b in admitted)
        > limit
        for a in admitted
    )


def staleness_kinds(history: History, bound: int) -> set[str]:
    kinds = set()
    writes = ops(history, "write")
    for read in oks(history, "read"):
        key, value = read.value
        mine = [op for op in writes if op.asked[0] == key]
        source = [op for op in mine if op.asked[1] == value]
        if value is not None and not [op for op in source if op.call <= read.ret]:
            kinds.add("garbage-read")
        elif value is not None and source[0].type == "fail":
            kinds.add("ghost-effect")
        else:
            settled = source[0].ret if source else -1
            for op in mine:
                if op.type == "ok" and op.call > settled and read.call - op.ret > bound:
                    kinds.add("stale-beyond-bound")
    return kinds


def estimates_hold(history: History, error: float, slack: float) -> bool:
    visits = ops(history, "visit")
    for op in oks(history, "estimate"):
        least = len({v.asked for v in visits if v.type == "ok" and v.ret < op.call})
        most = len({v.asked for v in visits if v.type != "fail" and v.call <= op.ret})
        low, high = least - max(error * least, slack), most + max(error * most, slack)
        if not low <= op.value <= high:
            return False
    return True
