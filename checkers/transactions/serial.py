"""Is there any order of versions under which transactions are serializable, or snapshot-isolated?

Registers do not show in which order they were overwritten, and to find one that fits is NP-complete
(Papadimitriou 1979). The search is lazy: known orders are laid out in one line, in which a writer
waits for the readers of what it overwrites. Where that gets stuck, the two writers' order becomes a
question for a SAT solver; each contradiction that an answer leads to becomes a clause. So only what
is truly open is ever asked (the constraints are those of Cobra, Tan et al. 2020, and PolySI, Huang
et al. 2023; snapshot isolation with a start and a commit for each transaction follows Viper, Zhang
et al. 2023).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...harness.history import FOREVER
from ..compiled import kernel, run
from .components import components, shortest
from .replay import replay, versions
from .visibility import INITIAL, Reading

Ints = npt.NDArray[np.int64]

ROUNDS = 300
"""Lines that may be laid out before the search gives up."""

MOST_CYCLES = 64
"""Contradictions that one answer of the solver is made to teach."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Of two writers of `key`, `first` was overwritten, at once or later, by `then`."""

    key: int
    first: int
    then: int


@dataclass(frozen=True, slots=True)
class Serial:
    """`possible` is None when the budget ran out.

    If possible, `order` are the transactions in one order that works (of their commits). If not,
    `cycles` are transactions that go round in a circle, and `choices[i]` what `cycles[i]` depends
    on: whatever the choices are, one of the circles closes.
    """

    possible: bool | None
    rounds: int
    order: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    cycles: tuple[tuple[int, ...], ...] = ()
    choices: tuple[tuple[Choice, ...], ...] = ()


def serial_order(
    reading: Reading,
    before: Ints,
    after: Ints,
    *,
    call: Ints,
    ret: Ints,
    snapshots: bool = False,
    rounds: int = ROUNDS,
) -> Serial:
    """Search an order of all transactions in which each reads what was written last.

    `before[i]` must have ended before `after[i]` starts (sessions, real time). `call` and `ret`
    (int64, `FOREVER` without a return) bind nothing; they only make a lucky guess likely. With `snapshots`, a transaction reads at its start and writes at its end, and two writers of a
    key do not overlap; without, both are one moment. `rounds` is the budget.
    """
    line = replay(reading, versions(reading), call, ret, FOREVER)
    if line is not None and _keeps(line, before, after):
        return Serial(True, 0, order=line)
    return _Search(reading, before, after, call, ret, snapshots).search(rounds)


def _keeps(line: Ints, before: Ints, after: Ints) -> bool:
    place = np.empty(len(line), dtype=np.int64)
    place[line] = np.arange(len(line))
    return bool((place[before] < place[after]).all())


class _Search:
    def __init__(
        self,
        reading: Reading,
        before: Ints,
        after: Ints,
        call: Ints,
        ret: Ints,
        snapshots: bool,
    ) -> None:
        n = len(reading)
        self._n = n
        self._two = snapshots
        self._reading = reading
        self._writer = np.repeat(np.arange(n), np.diff(reading.write_off)).astype(np.int64)
        self._reader = np.repeat(np.arange(n), np.diff(reading.read_off)).astype(np.int64)
        self._version = versions(reading)
        self._readers = _grouped(self._version, self._reader, len(self._writer))
        self._moments = 2 * n if snapshots else n
        self._nodes = self._moments + reading.keys
        self._known = self._known_edges(before, after)
        self._likely = self._guess(call, ret)
        self._variables: dict[tuple[int, int], int] = {}
        self._pairs: list[tuple[int, int]] = []

    # A transaction's moments: where it reads, and where it writes.

    def _reads_at(self, t: Any) -> Any:
        return 2 * t if self._two else t

    def _writes_at(self, t: Any) -> Any:
        return 2 * t + 1 if self._two else t

    def _known_edges(self, before: Ints, after: Ints) -> tuple[Ints, Ints]:
        """Orders that need no choice, as moments; one more moment per key ends its initial value."""
        reading = self._reading
        real = reading.read_from != INITIAL
        sources = [self._writes_at(before), self._writes_at(reading.read_from[real])]
        targets = [self._reads_at(after), self._reads_at(self._reader[real])]
        # Whoever read the initial value did so before any writer of the key, itself excepted.
        opened = ~real
        barrier = self._moments
        sources += [self._reads_at(self._reader[opened])]
        targets += [barrier + reading.read_key[opened]]
        read_initial = np.unique(reading.read_key[opened])
        over = np.isin(reading.write_key, read_initial)
        both = self._both(over)
        sources += [barrier + reading.write_key[over & ~both]]
        targets += [self._writes_at(self._writer[over & ~both])]
        extra = self._past_initial(np.flatnonzero(over & both))
        sources.append(extra[0])
        targets.append(extra[1])
        if self._two:
            sources.append(np.arange(self._n) * 2)
            targets.append(np.arange(self._n) * 2 + 1)
        return _ints(np.concatenate(sources)), _ints(np.concatenate(targets))

    def _both(self, over: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Which writes are by transactions that read the key's initial value themselves.

        With a moment for reading and one for writing, these do not stand in their own way.
        """
        if self._two:
            return np.zeros(len(over), dtype=np.bool_)
        reading = self._reading
        span = max(reading.keys, 1)
        own = self._reader * span + reading.read_key
        own = own[reading.read_from == INITIAL]
        return np.isin(self._writer * span + reading.write_key, own)

    def _past_initial(self, writes: Ints) -> tuple[Ints, Ints]:
        """Every other reader of the initial value comes before each of these writers."""
        reading = self._reading
        sources: list[int] = []
        targets: list[int] = []
        opened = reading.read_from == INITIAL
        keys = reading.write_key[writes]
        wanted = opened & np.isin(reading.read_key, keys)
        readers = _grouped(reading.read_key[wanted], self._reader[wanted], reading.keys)
        for key, writer in zip(keys.tolist(), self._writer[writes].tolist(), strict=True):
            for reader in readers[1][readers[0][key] : readers[0][key + 1]].tolist():
                if reader != writer:
                    sources.append(reader)
                    targets.append(writer)
        return np.array(sources, dtype=np.int64), np.array(targets, dtype=np.int64)

    def _guess(self, start: Ints, end: Ints) -> Ints:
        """When each moment probably was."""
        likely = np.full(self._nodes, np.iinfo(np.int64).max, dtype=np.int64)
        if self._two:
            likely[0 : self._moments : 2] = start
            likely[1 : self._moments : 2] = end
        else:
            likely[: self._moments] = end
        return likely

    # --- the search ------------------------------------------------------------------------------

    def search(self, rounds: int) -> Serial:
        from pysat.solvers import Glucose4

        lessons: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        with Glucose4() as solver:
            model: Sequence[int] = ()
            for number in range(1, rounds + 1):
                chosen, labels = self._chosen(model)
                line, stuck = self._line(chosen)
                if len(line) < self._nodes:
                    new = self._contradictions(line, chosen, labels)
                    lessons += new
                    for literals, _ in new:
                        if not literals:
                            return self._impossible([new[-1]], number)
                        solver.add_clause([-literal for literal in literals])
                elif len(stuck) == 0:
                    return Serial(True, number, order=self._committed(line))
                else:
                    self._ask(stuck, solver)
                if not solver.solve():
                    return self._impossible(lessons, number)
                model = solver.get_model() or ()
        return Serial(None, rounds)

    def _ask(self, stuck: Ints, solver: Any) -> None:
        """Make each pair of writers that came into conflict a variable, at first turned round."""
        phases = []
        for first, then in stuck.tolist():
            low, high = min(first, then), max(first, then)
            if (low, high) not in self._variables:
                self._pairs.append((low, high))
                self._variables[low, high] = len(self._pairs)
                number = len(self._pairs)
                phases.append(-number if first == low else number)
                solver.add_clause([number, -number])
        if phases:
            solver.set_phases(phases)

    def _chosen(self, model: Sequence[int]) -> tuple[tuple[Ints, Ints], Ints]:
        """The edges that the answers stand for, and which literal each comes from."""
        sources: list[Ints] = []
        targets: list[Ints] = []
        labels: list[Ints] = []
        offset, readers = self._readers
        said = {abs(literal): literal for literal in model}
        for number, (low, high) in enumerate(self._pairs, start=1):
            literal = said[number]
            first, then = (low, high) if literal > 0 else (high, low)
            writer = self._writer[then]
            mine = readers[offset[first] : offset[first + 1]]
            mine = mine[mine != writer] if not self._two else mine
            sources += [_ints([self._writes_at(self._writer[first])]), self._reads_at(mine)]
            targets += [
                _ints([self._reads_at(writer)]),
                np.full(len(mine), self._writes_at(writer), dtype=np.int64),
            ]
            labels.append(np.full(len(mine) + 1, literal, dtype=np.int64))
        empty = [np.zeros(0, dtype=np.int64)]
        return (
            (np.concatenate(sources or empty), np.concatenate(targets or empty)),
            np.concatenate(labels or empty),
        )

    def _line(self, chosen: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
        """Lay all moments out in one line: (those that could be, pairs of writes that got stuck)."""
        sources = np.concatenate([self._known[0], chosen[0]])
        targets = np.concatenate([self._known[1], chosen[1]])
        offset, to = _grouped(sources, targets, self._nodes)
        came_off, came_from = _grouped(targets, sources, self._nodes)
        reading = self._reading
        size = self._nodes + len(to)
        # Just in time: as late as what depends on it allows.
        due, order = run(size, _deadlines, self._nodes, offset, to, self._likely)
        if len(order) < self._nodes:
            return order, np.zeros((0, 2), dtype=np.int64)
        rank = np.empty(self._nodes, dtype=np.int64)
        rank[np.lexsort((self._likely, due))] = np.arange(self._nodes)
        arguments: Any = (
            self._nodes,
            offset,
            to,
            came_off,
            came_from,
            rank,
            self._likely,
            self._n,
            2 if self._two else 1,
            reading.read_off,
            self._version,
            reading.write_off,
            reading.write_key,
            self._writer,
            *self._readers,
            reading.keys,
        )
        line, stuck = run(size, _lay_out, *arguments)
        return line, stuck

    def _committed(self, line: Ints) -> Ints:
        """The transactions in the order of their writing moments."""
        if not self._two:
            return line[line < self._n]
        real = line[line < self._moments]
        return _ints(real[real % 2 == 1] // 2)

    # --- contradictions --------------------------------------------------------------------------

    def _contradictions(
        self, line: Ints, chosen: tuple[Ints, Ints], labels: Ints
    ) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Circles among what could not be laid out: (the literals it needs, its transactions)."""
        sources = np.concatenate([self._known[0], chosen[0]])
        targets = np.concatenate([self._known[1], chosen[1]])
        label = np.concatenate([np.zeros(len(self._known[0]), dtype=np.int64), labels])
        left = np.ones(self._nodes, dtype=np.bool_)
        left[line] = False
        inside = _circling(self._nodes, sources, targets, left)
        sources, targets, label = sources[inside], targets[inside], label[inside]
        if not (label != 0).all():
            circle = self._circle(sources[label == 0], targets[label == 0], None)
            if circle is not None:
                return [((), self._transactions(circle[0]))]
        order = np.lexsort((targets, sources))
        sources, targets, label = sources[order], targets[order], label[order]
        found: dict[tuple[int, ...], tuple[int, ...]] = {}
        starts: dict[int, int] = {}
        for edge in np.flatnonzero(label != 0).tolist():
            starts.setdefault(int(label[edge]), edge)
        for edge in list(starts.values())[:MOST_CYCLES]:
            circle = self._circle(sources, targets, edge)
            if circle is not None:
                nodes, edges = circle
                literals = tuple(sorted({int(label[e]) for e in edges if label[e]}))
                found.setdefault(literals, self._transactions(nodes))
        return list(found.items())

    def _circle(
        self, sources: Ints, targets: Ints, edge: int | None
    ) -> tuple[list[int], list[int]] | None:
        """The shortest circle through an edge, or through any: (its moments, its edges)."""
        if edge is None:
            everywhere = np.ones(self._nodes, dtype=np.bool_)
            inside = _circling(self._nodes, sources, targets, everywhere)
            if not len(inside):
                return None
            edge = int(inside[0])
        _, path = shortest(
            self._nodes,
            sources.astype(np.int32),
            targets.astype(np.int32),
            np.ones(self._nodes, dtype=np.bool_),
            targets[edge : edge + 1].astype(np.int32),
            sources[edge : edge + 1].astype(np.int32),
            budget=len(sources),
        )
        edges = [edge, *path.tolist()]
        return [int(sources[e]) for e in edges], edges

    def _transactions(self, moments: Iterable[int]) -> tuple[int, ...]:
        """The transactions whose moments these are, each once, in the order of the circle."""
        real = (m // 2 if self._two else m for m in moments if m < self._moments)
        return tuple(dict.fromkeys(real))

    def _impossible(
        self, lessons: list[tuple[tuple[int, ...], tuple[int, ...]]], rounds: int
    ) -> Serial:
        core = _core([literals for literals, _ in lessons])
        return Serial(
            False,
            rounds,
            cycles=tuple(lessons[i][1] for i in core),
            choices=tuple(tuple(map(self._choice, lessons[i][0])) for i in core),
        )

    def _choice(self, literal: int) -> Choice:
        low, high = self._pairs[abs(literal) - 1]
        first, then = (low, high) if literal > 0 else (high, low)
        return Choice(
            key=int(self._reading.write_key[first]),
            first=int(self._writer[first]),
            then=int(self._writer[then]),
        )


def _core(clauses: list[tuple[int, ...]]) -> list[int]:
    """The places of few clauses that cannot all hold (each says: not all of these)."""
    from pysat.solvers import Glucose4

    if any(not clause for clause in clauses):
        return [next(i for i, clause in enumerate(clauses) if not clause)]
    top = max(abs(literal) for clause in clauses for literal in clause)
    with Glucose4() as solver:
        for i, clause in enumerate(clauses):
            solver.add_clause([-(top + 1 + i), *(-literal for literal in clause)])
        needed = list(range(len(clauses)))
        solver.solve(assumptions=[top + 1 + i for i in needed])
        needed = sorted(literal - top - 1 for literal in solver.get_core() or ())
        for i in list(needed):
            rest = [j for j in needed if j != i]
            if not solver.solve(assumptions=[top + 1 + j for j in rest]):
                needed = rest
    return needed


def _ints(values: Any) -> Ints:
    return np.asarray(values, dtype=np.int64)


def _grouped(of: Ints, values: Ints, groups: int) -> tuple[Ints, Ints]:
    """Values grouped by `of` (negative ones left out): (offsets, values)."""
    keep = of >= 0
    of, values = of[keep], values[keep]
    order = np.argsort(of, kind="stable")
    return np.searchsorted(of[order], np.arange(groups + 1)).astype(np.int64), values[order]


def _circling(nodes: int, sources: Ints, targets: Ints, among: npt.NDArray[np.bool_]) -> Ints:
    """The rows of the edges that lie on circles among some of the nodes."""
    rows: Ints = np.flatnonzero(among[sources] & among[targets])
    part = components(nodes, sources[rows].astype(np.int32), targets[rows].astype(np.int32))
    return _ints(rows[part[sources[rows]] == part[targets[rows]]])


@kernel
def _deadlines(nodes: int, offset: Ints, to: Ints, likely: Ints) -> tuple[Ints, Ints]:
    """(the earliest likely time of each moment and all that must follow it, a topological order).

    Moments on circles, and those after them, are missing in the order.
    """
    pending = np.zeros(nodes, dtype=np.int64)
    for i in range(len(to)):
        pending[to[i]] += 1
    order = np.empty(nodes, dtype=np.int64)
    end = 0
    for v in range(nodes):
        if pending[v] == 0:
            order[end] = v
            end += 1
    at = 0
    while at < end:
        v = order[at]
        at += 1
        for i in range(offset[v], offset[v + 1]):
            pending[to[i]] -= 1
            if pending[to[i]] == 0:
                order[end] = to[i]
                end += 1
    due = likely.copy()
    for k in range(end - 1, -1, -1):
        v = order[k]
        for i in range(offset[v], offset[v + 1]):
            if due[to[i]] < due[v]:
                due[v] = due[to[i]]
    return due, order[:end]


@kernel
def _push(heap: Ints, size: int, item: int) -> int:
    """Add to a binary heap, smallest first; returns the new size."""
    at = size
    while at > 0:
        up = (at - 1) // 2
        if heap[up] <= item:
            break
        heap[at] = heap[up]
        at = up
    heap[at] = item
    return size + 1


@kernel
def _pop(heap: Ints, size: int) -> int:
    """Take the smallest off a binary heap of `size` items, which then has one less."""
    least = heap[0]
    size -= 1
    item = heap[size]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= item:
            break
        heap[at] = heap[child]
        at = child
    if size > 0:
        heap[at] = item
    return int(least)


@kernel
def _waits_for(
    v: int,
    moments: int,
    unread: Ints,
    current: Ints,
    active: Ints,
    pardoned: npt.NDArray[np.bool_],
    read_off: Ints,
    version: Ints,
    write_off: Ints,
    write_key: Ints,
) -> tuple[int, int]:
    """(the write that this moment has to wait for, the write that waits); (-1, -1): none.

    A commit waits for the other readers of what it overwrites. A start, where it is a moment of
    its own, waits for the end of another writer of a key that it will write.
    """
    t = v // moments
    for j in range(write_off[t], write_off[t + 1]):
        if pardoned[j]:
            continue
        if moments == 2 and v % 2 == 0:
            if active[write_key[j]] >= 0:
                return active[write_key[j]], j
            continue
        old = current[write_key[j]]
        if old < 0:
            continue
        others = unread[old]
        if moments == 1:
            for i in range(read_off[t], read_off[t + 1]):
                if version[i] == old:
                    others -= 1
        if others > 0:
            return old, j
    return -1, -1


@kernel
def _blocked_by(
    v: int,
    write: int,
    moments: int,
    writer: Ints,
    reader_off: Ints,
    readers: Ints,
    came_off: Ints,
    came_from: Ints,
    done: npt.NDArray[np.bool_],
    waiting: Ints,
) -> int:
    """Another waiting moment without which `write` cannot be done with; -1 if none is found."""
    at = -1
    if moments == 2 and v % 2 == 0:
        at = 2 * writer[write] + 1
    else:
        for i in range(reader_off[write], reader_off[write + 1]):
            moment = readers[i] * moments
            if not done[moment] and moment != v:
                at = moment
                break
    steps = 0
    while at >= 0 and waiting[at] < 0 and steps < len(done):
        steps += 1
        earlier = -1
        for i in range(came_off[at], came_off[at + 1]):
            if not done[came_from[i]]:
                earlier = came_from[i]
                break
        at = earlier
    return at if at >= 0 and waiting[at] >= 0 else -1


@kernel
def _lay_out(
    nodes: int,
    offset: Ints,
    to: Ints,
    came_off: Ints,
    came_from: Ints,
    rank: Ints,
    likely: Ints,
    n: int,
    moments: int,
    read_off: Ints,
    version: Ints,
    write_off: Ints,
    write_key: Ints,
    writer: Ints,
    reader_off: Ints,
    readers: Ints,
    keys: int,
) -> tuple[Ints, Ints]:
    """Topological order, likely moments first, in which a write waits for those who read before it.

    Where nothing but waiting is left, some moments wait for each other in a circle. The pair of
    writes in it that were most likely at one time is noted, and that wait is pardoned.
    """
    writes = len(write_key)
    unread = np.zeros(writes, dtype=np.int64)
    for i in range(len(version)):
        if version[i] >= 0:
            unread[version[i]] += 1
    pending = np.zeros(nodes, dtype=np.int64)
    for i in range(len(to)):
        pending[to[i]] += 1
    by_rank = np.empty(nodes, dtype=np.int64)
    for v in range(nodes):
        by_rank[rank[v]] = v
    current = np.full(keys, -1, dtype=np.int64)
    active = np.full(keys, -1, dtype=np.int64)
    pardoned = np.zeros(writes, dtype=np.bool_)
    # A moment that waits stands in the list of the write it waits for, and names the write that
    # makes it wait, its own.
    first_waiting = np.full(writes, -1, dtype=np.int64)
    next_waiting = np.full(nodes, -1, dtype=np.int64)
    last_waiting = np.full(nodes, -1, dtype=np.int64)
    waiting = np.full(nodes, -1, dtype=np.int64)
    mine = np.full(nodes, -1, dtype=np.int64)
    ready = np.empty(nodes + 1, dtype=np.int64)
    held = np.empty(nodes + 1, dtype=np.int64)
    in_held = np.zeros(nodes, dtype=np.bool_)
    passed = np.full(nodes, -1, dtype=np.int64)
    ready_size, held_size, end, conflicts = 0, 0, 0, 0
    line = np.empty(nodes, dtype=np.int64)
    done = np.zeros(nodes, dtype=np.bool_)
    stuck = np.empty((2 * writes, 2), dtype=np.int64)
    for v in range(nodes):
        if pending[v] == 0:
            ready_size = _push(ready, ready_size, rank[v])
    while True:
        if ready_size == 0:
            v = -1
            while held_size > 0 and v < 0:
                v = by_rank[held[0]]
                if waiting[v] < 0:
                    _pop(held, held_size)
                    held_size -= 1
                    in_held[v] = False
                    v = -1
            if v < 0:
                break
            # Follow who waits for whom until somebody comes a second time.
            mark = conflicts
            while v >= 0 and passed[v] != mark:
                passed[v] = mark
                last = v
                v = _blocked_by(
                    v,
                    waiting[v],
                    moments,
                    writer,
                    reader_off,
                    readers,
                    came_off,
                    came_from,
                    done,
                    waiting,
                )
            start = v if v >= 0 else last
            best, v = start, start
            closest = likely[start] - likely[moments * (writer[waiting[start]] + 1) - 1]
            while True:
                v = _blocked_by(
                    v,
                    waiting[v],
                    moments,
                    writer,
                    reader_off,
                    readers,
                    came_off,
                    came_from,
                    done,
                    waiting,
                )
                if v < 0 or v == start:
                    break
                apart = likely[v] - likely[moments * (writer[waiting[v]] + 1) - 1]
                if apart < closest:
                    best, closest = v, apart
            stuck[conflicts, 0] = waiting[best]
            stuck[conflicts, 1] = mine[best]
            conflicts += 1
            pardoned[mine[best]] = True
            _leave(first_waiting, next_waiting, last_waiting, waiting[best], best)
            waiting[best] = -1
            ready_size = _push(ready, ready_size, rank[best])
        v = by_rank[_pop(ready, ready_size)]
        ready_size -= 1
        real = v < n * moments
        if real:
            waits, own = _waits_for(
                v,
                moments,
                unread,
                current,
                active,
                pardoned,
                read_off,
                version,
                write_off,
                write_key,
            )
            if waits >= 0 and (moments == 1 or v % 2 == 0 or own >= 0):
                waiting[v], mine[v] = waits, own
                _join(first_waiting, next_waiting, last_waiting, waits, v)
                if not in_held[v]:
                    in_held[v] = True
                    held_size = _push(held, held_size, rank[v])
                continue
        done[v] = True
        line[end] = v
        end += 1
        if real:
            t = v // moments
            if moments == 1 or v % 2 == 0:
                for i in range(read_off[t], read_off[t + 1]):
                    if version[i] >= 0:
                        unread[version[i]] -= 1
                        if unread[version[i]] <= 1:
                            ready_size = _wake(
                                first_waiting,
                                next_waiting,
                                version[i],
                                waiting,
                                ready,
                                ready_size,
                                rank,
                            )
            if moments == 2 and v % 2 == 0:
                for j in range(write_off[t], write_off[t + 1]):
                    active[write_key[j]] = j
            if moments == 1 or v % 2 == 1:
                for j in range(write_off[t], write_off[t + 1]):
                    current[write_key[j]] = j
                    if active[write_key[j]] == j:
                        active[write_key[j]] = -1
                    ready_size = _wake(
                        first_waiting, next_waiting, j, waiting, ready, ready_size, rank
                    )
        for i in range(offset[v], offset[v + 1]):
            pending[to[i]] -= 1
            if pending[to[i]] == 0:
                ready_size = _push(ready, ready_size, rank[to[i]])
    return line[:end], stuck[:conflicts]


@kernel
def _join(first: Ints, after: Ints, before: Ints, write: int, v: int) -> None:
    """Put a moment at the head of the list of a write."""
    head = first[write]
    after[v], before[v] = head, -1
    if head >= 0:
        before[head] = v
    first[write] = v


@kernel
def _leave(first: Ints, after: Ints, before: Ints, write: int, v: int) -> None:
    """Take a moment out of the list of a write: it may come to stand in another one."""
    if before[v] >= 0:
        after[before[v]] = after[v]
    else:
        first[write] = after[v]
    if after[v] >= 0:
        before[after[v]] = before[v]


@kernel
def _wake(
    first_waiting: Ints,
    next_waiting: Ints,
    write: int,
    waiting: Ints,
    ready: Ints,
    ready_size: int,
    rank: Ints,
) -> int:
    """Let all that wait for a write look again; returns the new size of the heap."""
    v = first_waiting[write]
    while v >= 0:
        waiting[v] = -1
        ready_size = _push(ready, ready_size, rank[v])
        v = next_waiting[v]
    first_waiting[write] = -1
    return ready_size
