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

from .compiled import kernel, run
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
    likely_start: Ints,
    likely_end: Ints,
    snapshots: bool = False,
    rounds: int = ROUNDS,
) -> Serial:
    """Search an order of all transactions in which each reads what was written last.

    `before[i]` must have ended before `after[i]` starts (sessions, real time). `likely_start` and
    `likely_end` (int64) say when each probably took effect; they only make a lucky guess likely.
    With `snapshots`, a transaction reads at its start and writes at its end, and two writers of a
    key do not overlap; without, both are one moment. `rounds` is the budget.
    """
    return _Search(reading, before, after, likely_start, likely_end, snapshots).search(rounds)


class _Search:
    def __init__(
        self,
        reading: Reading,
        before: Ints,
        after: Ints,
        likely_start: Ints,
        likely_end: Ints,
        snapshots: bool,
    ) -> None:
        n = len(reading)
        self._n = n
        self._two = snapshots
        self._reading = reading
        self._writer = np.repeat(np.arange(n), np.diff(reading.write_off)).astype(np.int64)
        self._reader = np.repeat(np.arange(n), np.diff(reading.read_off)).astype(np.int64)
        self._version = self._versions()
        self._readers = _grouped(self._version, self._reader, len(self._writer))
        self._moments = 2 * n if snapshots else n
        self._nodes = self._moments + reading.keys
        self._known = self._known_edges(before, after)
        self._rank = self._ranked(likely_start, likely_end)
        self._variables: dict[tuple[int, int], int] = {}
        self._pairs: list[tuple[int, int]] = []

    def _versions(self) -> Ints:
        """For each read the place of its version among the writes, -1 for the initial one."""
        reading = self._reading
        span = max(reading.keys, 1)
        ids = self._writer * span + reading.write_key
        wanted = reading.read_from * span + reading.read_key
        at = np.searchsorted(ids, wanted)
        return np.where(reading.read_from == INITIAL, -1, at).astype(np.int64)

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

    def _ranked(self, start: Ints, end: Ints) -> Ints:
        """Every moment's place in the likely order."""
        likely = np.zeros(self._nodes, dtype=np.int64)
        if self._two:
            likely[0 : self._moments : 2] = start
            likely[1 : self._moments : 2] = end
        else:
            likely[: self._moments] = end
        likely[self._moments :] = -1
        order = np.argsort(likely, kind="stable")
        rank = np.empty(self._nodes, dtype=np.int64)
        rank[order] = np.arange(self._nodes)
        return rank

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
        """Make each pair of writers that came into conflict a variable; the guess is kept first."""
        phases = []
        for first, then in stuck.tolist():
            low, high = min(first, then), max(first, then)
            if (low, high) not in self._variables:
                self._pairs.append((low, high))
                self._variables[low, high] = len(self._pairs)
                number = len(self._pairs)
                phases.append(number if first == low else -number)
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
            literal = said.get(number, number)
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
        offset, to = _grouped(
            np.concatenate([self._known[0], chosen[0]]),
            np.concatenate([self._known[1], chosen[1]]),
            self._nodes,
        )
        reading = self._reading
        arguments: Any = (
            self._nodes,
            offset,
            to,
            self._rank,
            self._n,
            2 if self._two else 1,
            reading.read_off,
            self._version,
            reading.write_off,
            reading.write_key,
            reading.keys,
        )
        line, stuck = run(self._nodes + len(to), _lay_out, *arguments)
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
        part = _components(self._nodes, sources, targets, left)
        inside = np.flatnonzero((part[sources] >= 0) & (part[sources] == part[targets]))
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
        order = np.argsort(sources, kind="stable")
        offset = np.searchsorted(sources[order], np.arange(self._nodes + 1)).astype(np.int64)
        to = targets[order]
        if edge is None:
            part = _components(self._nodes, sources, targets, np.ones(self._nodes, dtype=np.bool_))
            inside = np.flatnonzero((part[sources] >= 0) & (part[sources] == part[targets]))
            if not len(inside):
                return None
            edge = int(inside[0])
        via = run(
            len(to), _shortest, offset, to, int(targets[edge]), int(sources[edge]), self._nodes
        )
        if not len(via) and targets[edge] != sources[edge]:
            return None
        edges = [edge, *order[via].tolist()]
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


def _components(
    nodes: int, sources: Ints, targets: Ints, among: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """The strongly connected component of each node; -1 outside `among`, and for single ones."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    keep = among[sources] & among[targets]
    ones = np.ones(int(keep.sum()), dtype=np.int8)
    graph = coo_array((ones, (sources[keep], targets[keep])), shape=(nodes, nodes))
    _, part = connected_components(graph, directed=True, connection="strong")
    sizes = np.bincount(part)
    loops = np.zeros(nodes, dtype=np.bool_)
    loops[sources[keep & (sources == targets)]] = True
    return np.where((sizes[part] > 1) | loops, part, -1).astype(np.int64)


@kernel
def _shortest(offset: Ints, to: Ints, start: int, goal: int, nodes: int) -> Ints:
    """The edges (places in `to`) of a shortest path; empty when there is none, or none is needed."""
    came = np.full(nodes, -1, dtype=np.int64)
    parent = np.full(nodes, -1, dtype=np.int64)
    queue = np.empty(nodes, dtype=np.int64)
    queue[0] = start
    came[start] = -2
    head, tail = 0, 1
    while head < tail and came[goal] == -1:
        u = queue[head]
        head += 1
        for i in range(offset[u], offset[u + 1]):
            v = to[i]
            if came[v] == -1:
                came[v] = i
                parent[v] = u
                queue[tail] = v
                tail += 1
    count = 0
    if came[goal] >= 0:
        v = goal
        while v != start:
            count += 1
            v = parent[v]
    path = np.empty(count, dtype=np.int64)
    v = goal
    for k in range(count):
        path[count - 1 - k] = came[v]
        v = parent[v]
    return path


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
def _wake(
    first_waiting: Ints,
    next_waiting: Ints,
    write: int,
    waiting: npt.NDArray[np.bool_],
    ready: Ints,
    ready_size: int,
    rank: Ints,
) -> int:
    """Make all that wait for a write ready; returns the new size of that heap."""
    w = first_waiting[write]
    while w >= 0:
        if waiting[w]:
            waiting[w] = False
            ready_size = _push(ready, ready_size, rank[w])
        w = next_waiting[w]
    first_waiting[write] = -1
    return ready_size


@kernel
def _lay_out(
    nodes: int,
    offset: Ints,
    to: Ints,
    rank: Ints,
    n: int,
    moments: int,
    read_off: Ints,
    version: Ints,
    write_off: Ints,
    write_key: Ints,
    keys: int,
) -> tuple[Ints, Ints]:
    """Topological order, likely moments first, in which a write waits for those who read before it.

    With two moments for a transaction a start waits, too, while another writer of a key that it
    will write is between its start and its end. Where nothing but waiting is left, the likeliest
    goes on, and the pairs of writes that this puts in conflict are noted.
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
    # A moment that waits stands in the list of the write it waits for.
    first_waiting = np.full(writes, -1, dtype=np.int64)
    next_waiting = np.full(nodes, -1, dtype=np.int64)
    waiting = np.zeros(nodes, dtype=np.bool_)
    ready = np.empty(nodes + 1, dtype=np.int64)
    held = np.empty(nodes + 1, dtype=np.int64)
    in_held = np.zeros(nodes, dtype=np.bool_)
    ready_size, held_size = 0, 0
    line = np.empty(nodes, dtype=np.int64)
    done = np.zeros(nodes, dtype=np.bool_)
    end = 0
    stuck = np.empty((2 * writes, 2), dtype=np.int64)
    conflicts = 0
    for v in range(nodes):
        if pending[v] == 0:
            ready_size = _push(ready, ready_size, rank[v])
    while True:
        forced = False
        if ready_size > 0:
            v = by_rank[_pop(ready, ready_size)]
            ready_size -= 1
        else:
            v = -1
            while held_size > 0 and v < 0:
                v = by_rank[_pop(held, held_size)]
                held_size -= 1
                in_held[v] = False
                if not waiting[v] or done[v]:
                    v = -1
            if v < 0:
                break
            forced = True
            waiting[v] = False
        if done[v]:
            continue
        real = v < n * moments
        t = v // moments if real else 0
        reads = real and (moments == 1 or v % 2 == 0)
        commits = real and (moments == 1 or v % 2 == 1)
        waits_for = -1
        if commits:
            for j in range(write_off[t], write_off[t + 1]):
                old = current[write_key[j]]
                if old < 0:
                    continue
                others = unread[old]
                if moments == 1:
                    for i in range(read_off[t], read_off[t + 1]):
                        if version[i] == old:
                            others -= 1
                if others > 0:
                    waits_for = old
                    if forced:
                        stuck[conflicts, 0] = old
                        stuck[conflicts, 1] = j
                        conflicts += 1
        if reads and moments == 2:
            for j in range(write_off[t], write_off[t + 1]):
                other = active[write_key[j]]
                if other >= 0:
                    waits_for = other
                    if forced:
                        stuck[conflicts, 0] = other
                        stuck[conflicts, 1] = j
                        conflicts += 1
        if waits_for >= 0 and not forced:
            waiting[v] = True
            next_waiting[v] = first_waiting[waits_for]
            first_waiting[waits_for] = v
            if not in_held[v]:
                in_held[v] = True
                held_size = _push(held, held_size, rank[v])
            continue
        done[v] = True
        line[end] = v
        end += 1
        if reads:
            for i in range(read_off[t], read_off[t + 1]):
                if version[i] >= 0:
                    unread[version[i]] -= 1
                    if unread[version[i]] == 0:
                        ready_size = _wake(
                            first_waiting,
                            next_waiting,
                            version[i],
                            waiting,
                            ready,
                            ready_size,
                            rank,
                        )
        if reads and moments == 2:
            for j in range(write_off[t], write_off[t + 1]):
                active[write_key[j]] = j
        if commits:
            for j in range(write_off[t], write_off[t + 1]):
                x = write_key[j]
                current[x] = j
                if moments == 2:
                    if active[x] == j:
                        active[x] = -1
                    # Nobody has read it yet: those who wait are starts of other writers.
                    ready_size = _wake(
                        first_waiting, next_waiting, j, waiting, ready, ready_size, rank
                    )
        for i in range(offset[v], offset[v + 1]):
            pending[to[i]] -= 1
            if pending[to[i]] == 0:
                ready_size = _push(ready, ready_size, rank[to[i]])
    return line[:end], stuck[:conflicts]
