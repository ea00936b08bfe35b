"""Which classes of cycles a graph of dependencies has, and the smallest of each.

Adya's classes as Elle names them, from the worst to the mildest; a class that follows from one
found before is not looked for. Snapshot isolation is judged on the product of the graph with one
bit, "the last edge was an anti-dependency": it holds iff that has no cycle through one (Cerone &
Gotsman 2018). Work is bounded in edges, never in time: the same history gets the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..anomalies import implied
from .components import components, reaches, shortest
from .graph import ANTI, PASSES, PLAIN, PROCESS, REALTIME, Graph

CLASSES = ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item")
VARIANTS = ((PLAIN, ""), (PROCESS, "-process"), (REALTIME, "-realtime"))

BUDGET = 100_000_000
"""Edges that one search may follow before it takes what it has."""

Rows = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Cycle:
    """A class of cycles that was found: the smallest one's edges in order, and how many there are.

    `edges` are rows of the graph; each begins where the one before it ended, and the last leads
    back to the first. `count` is that of separate places where there is one.
    """

    name: str
    edges: Rows
    count: int


@dataclass(frozen=True, slots=True)
class Cycles:
    """All that was found; `spent` names the classes whose search ended with its budget."""

    found: tuple[Cycle, ...]
    spent: tuple[str, ...]


def cycles(graph: Graph, *, budget: int = BUDGET) -> Cycles:
    """Find every class of cycles, one witness of each."""
    core = _Part.of(graph)
    found: list[Cycle] = []
    spent: list[str] = []
    for rests, suffix in VARIANTS:
        part = core.only(core.rests <= rests)
        for name in CLASSES:
            if not len(part.rows):
                break
            full = name + suffix
            if full in implied(cycle.name for cycle in found):
                continue
            edges, count, complete = part.search(name, budget)
            if not complete:
                spent.append(full)
            if name == "G-nonadjacent" and np.count_nonzero(graph.count[edges] == ANTI) == 1:
                # The search for these had ended with its budget before it came to this one.
                full = "G-single" + suffix
            if count:
                found.append(Cycle(full, edges, count))
    return Cycles(tuple(found), tuple(spent))


class _Part:
    """The edges of a graph that lie within its strongly connected components, nodes renumbered."""

    def __init__(self, graph: Graph, rows: Rows) -> None:
        self.graph = graph
        self.rows = rows
        self.rests = graph.rests[rows]
        self.count = graph.count[rows]
        self.grade = graph.grade[rows]
        ends = np.concatenate((graph.source[rows], graph.target[rows]))
        names, numbers = np.unique(ends, return_inverse=True)
        self.nodes = len(names)
        self.source, self.target = np.split(numbers.astype(np.int32), 2)
        self.solid = names < graph.transactions

    @classmethod
    def of(cls, graph: Graph) -> _Part:
        """What of the whole graph lies in cycles."""
        group = components(graph.nodes, graph.source, graph.target)
        return cls(graph, np.flatnonzero(group[graph.source] == group[graph.target]))

    def only(self, mask: Rows) -> _Part:
        """What of some of the edges lies in cycles of these."""
        rows = self.rows[mask]
        source, target = self.source[mask], self.target[mask]
        if not len(rows):
            return _Part(self.graph, rows)
        group = components(self.nodes, source, target)
        return _Part(self.graph, rows[group[source] == group[target]])

    def search(self, name: str, budget: int) -> tuple[Rows, int, bool]:
        """The smallest cycle of a class, how many places have one, and whether all was searched.

        The classes that imply this one were not found, so that any cycle of its edges is of it.
        """
        if name == "G0":
            return self._dependencies(0, budget)
        if name == "G1c":
            return self._dependencies(1, budget)
        if name == "G-single":
            return self._single(budget)
        if name == "G-nonadjacent":
            return self._nonadjacent(budget)
        return self._smallest(self, np.flatnonzero(self.count == ANTI), budget)

    def _dependencies(self, grade: int, budget: int) -> tuple[Rows, int, bool]:
        part = self.only((self.count != ANTI) & (self.grade <= grade))
        # Orders have no cycles of their own: some edge comes from what was read or written.
        closing = (part.rests == PLAIN) & (part.grade == grade)
        return self._smallest(part, np.flatnonzero(closing), budget)

    def _smallest(self, part: _Part, closing: Rows, budget: int) -> tuple[Rows, int, bool]:
        """The smallest cycle through one of the edges, all of which lie in cycles."""
        if not len(closing):
            return closing, 0, True
        pair, path = shortest(
            part.nodes,
            part.source,
            part.target,
            part.solid,
            part.target[closing],
            part.source[closing],
            budget=budget,
        )
        group = components(part.nodes, part.source, part.target)
        count = len(np.unique(group[part.source[closing]]))
        return part.rows[np.concatenate(([closing[pair]], path))], count, True

    def _single(self, budget: int) -> tuple[Rows, int, bool]:
        candidates = self._snapshot()[2]
        if not len(candidates):
            return candidates, 0, True
        forward = np.flatnonzero(self.count != ANTI)
        source, target = self.source[forward], self.target[forward]
        start, goal = self.target[candidates], self.source[candidates]
        known = reaches(self.nodes, source, target, start, goal, budget=budget)
        complete = bool(np.all(known >= 0))
        closing = candidates[known == 1]
        if not len(closing):
            return closing, 0, complete
        pair, path = shortest(
            self.nodes, source, target, self.solid, start[known == 1], goal[known == 1],
            budget=budget,
        )  # fmt: skip
        ends = np.unique(start[known == 1].astype(np.int64) << 32 | goal[known == 1])
        edges = np.concatenate(([closing[pair]], forward[path]))
        return self.rows[edges], len(ends), complete

    def _nonadjacent(self, budget: int) -> tuple[Rows, int, bool]:
        source, target, candidates, edge, group = self._snapshot()
        if not len(candidates):
            return candidates, 0, True
        within = np.flatnonzero(group[source] == group[target])
        pair, path = shortest(
            2 * self.nodes,
            source[within],
            target[within],
            np.concatenate((self.solid, self.solid)),
            (self.target[candidates] + self.nodes).astype(np.int32),
            self.source[candidates],
            budget=budget,
        )
        edges = np.concatenate(([candidates[pair]], edge[within[path]]))
        return self.rows[edges], len(np.unique(group[self.source[candidates]])), True

    def _snapshot(self) -> tuple[Rows, Rows, Rows, Rows, Rows]:
        """The product with "the last edge was an anti-dependency": its edges and components.

        Returns source, target, the anti-dependencies that lie in cycles of it, the edge behind each
        of its edges, and the component of each node; node `n` with the bit set is `n + nodes`.
        """
        depends = np.flatnonzero((self.count != ANTI) & (self.count != PASSES))
        passes = np.flatnonzero(self.count == PASSES)
        anti = np.flatnonzero(self.count == ANTI)
        more = np.int32(self.nodes)
        s, t = self.source, self.target
        source = np.concatenate(
            (s[depends], s[depends] + more, s[passes], s[passes] + more, s[anti])
        )
        target = np.concatenate(
            (t[depends], t[depends], t[passes], t[passes] + more, t[anti] + more)
        )
        edge = np.concatenate((depends, depends, passes, passes, anti))
        group = components(2 * self.nodes, source, target)
        inside = anti[group[s[anti]] == group[t[anti] + more]]
        return source, target, inside, edge, group
