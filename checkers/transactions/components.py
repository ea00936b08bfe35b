"""Kernels over graphs in CSR: strongly connected components, levels, reachability, shortest paths.

Nodes are numbers from 0; an edge is its row in `source` and `target`. Nothing here knows what a
transaction is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..compiled import kernel, run

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@kernel
def _outgoing(nodes: int, source: Ints) -> tuple[Longs, Ints]:
    """A counting sort of the edges by their sources."""
    offset = np.zeros(nodes + 1, dtype=np.int64)
    for edge in range(len(source)):
        offset[source[edge] + 1] += 1
    for node in range(nodes):
        offset[node + 1] += offset[node]
    place = offset[:-1].copy()
    edges = np.empty(len(source), dtype=np.int32)
    for edge in range(len(source)):
        at = place[source[edge]]
        edges[at] = edge
        place[source[edge]] = at + 1
    return offset, edges


def outgoing(nodes: int, source: Ints) -> tuple[Longs, Ints]:
    """The edges that leave each node: (offsets, edges), in the order of the rows."""
    return run(len(source), _outgoing, nodes, source)


@kernel
def _components(offset: Longs, edges: Ints, target: Ints) -> Ints:
    """Tarjan 1972, with a stack of our own. `low` holds the number of a node, then its low link."""
    nodes = len(offset) - 1
    low = np.zeros(nodes, dtype=np.int32)
    group = np.full(nodes, -1, dtype=np.int32)
    number = np.zeros(nodes, dtype=np.int32)
    place = offset[:-1].copy()
    path = np.empty(nodes, dtype=np.int32)
    kept = np.empty(nodes, dtype=np.int32)
    deep, held, seen, groups = 0, 0, 0, 0
    for root in range(nodes):
        if number[root] != 0:
            continue
        seen += 1
        number[root] = seen
        low[root] = seen
        path[0] = root
        deep = 1
        kept[held] = root
        held += 1
        while deep > 0:
            node = path[deep - 1]
            if place[node] < offset[node + 1]:
                after = target[edges[place[node]]]
                place[node] += 1
                if number[after] == 0:
                    seen += 1
                    number[after] = seen
                    low[after] = seen
                    path[deep] = after
                    deep += 1
                    kept[held] = after
                    held += 1
                elif group[after] < 0 and number[after] < low[node]:
                    low[node] = number[after]
            else:
                deep -= 1
                if deep > 0 and low[node] < low[path[deep - 1]]:
                    low[path[deep - 1]] = low[node]
                if low[node] == number[node]:
                    while True:
                        held -= 1
                        group[kept[held]] = groups
                        if kept[held] == node:
                            break
                    groups += 1
    return group


def components(nodes: int, source: Ints, target: Ints) -> Ints:
    """The strongly connected component of each node; an edge never leads to a higher number."""
    offset, edges = outgoing(nodes, source)
    return run(len(source) + nodes, _components, offset, edges, target)


@kernel
def _levels(order: Longs, offset: Longs, edges: Ints, target: Ints, group: Ints) -> Ints:
    """The longest way to each component, over the components in topological order."""
    level = np.zeros(len(order) + 1, dtype=np.int32)
    for at in range(len(order)):
        node = order[at]
        for slot in range(offset[node], offset[node + 1]):
            after = target[edges[slot]]
            if group[after] != group[node] and level[group[after]] <= level[group[node]]:
                level[group[after]] = level[group[node]] + 1
    return level


@kernel
def _reaches(
    offset: Longs,
    edges: Ints,
    target: Ints,
    level: Ints,
    start: Ints,
    goal: Ints,
    budget: int,
) -> tuple[npt.NDArray[np.int8], int]:
    """Depth-first from each start, within the levels that lead to its goal."""
    found = np.full(len(start), -1, dtype=np.int8)
    stamp = np.full(len(offset) - 1, -1, dtype=np.int32)
    stack = np.empty(len(offset) - 1, dtype=np.int32)
    work = 0
    for pair in range(len(start)):
        if work > budget:
            break
        last = goal[pair]
        stack[0] = start[pair]
        stamp[start[pair]] = pair
        height = 1
        found[pair] = 1 if start[pair] == last else 0
        while height > 0 and found[pair] == 0:
            height -= 1
            node = stack[height]
            for slot in range(offset[node], offset[node + 1]):
                work += 1
                after = target[edges[slot]]
                if after == last:
                    found[pair] = 1
                    break
                if stamp[after] != pair and level[after] <= level[last]:
                    stamp[after] = pair
                    stack[height] = after
                    height += 1
    return found, work


def reaches(
    nodes: int, source: Ints, target: Ints, start: Ints, goal: Ints, *, budget: int
) -> npt.NDArray[np.int8]:
    """Whether each goal can be reached from its start: 1, 0, or -1 where the budget was spent."""
    offset, edges = outgoing(nodes, source)
    size = len(source) + nodes
    group = run(size, _components, offset, edges, target)
    # Components are numbered against the direction of the edges.
    order = np.argsort(-group, kind="stable")
    level = run(size, _levels, order, offset, edges, target, group)[group]
    effort = size + len(start) * len(source) // 50
    found, _ = run(effort, _reaches, offset, edges, target, level, start, goal, budget)
    return found


@kernel
def _shortest(
    offset: Longs,
    edges: Ints,
    source: Ints,
    target: Ints,
    solid: Flags,
    start: Ints,
    goal: Ints,
    budget: int,
) -> tuple[int, Ints, int]:
    """Breadth-first from each start, no deeper than the best path so far; only solid nodes count."""
    nodes = len(offset) - 1
    stamp = np.full(nodes, -1, dtype=np.int32)
    via = np.full(nodes, -1, dtype=np.int32)
    here = np.empty(nodes, dtype=np.int32)
    there = np.empty(nodes, dtype=np.int32)
    best, least, work = -1, nodes + 1, 0
    path = np.empty(0, dtype=np.int32)
    for pair in range(len(start)):
        if best >= 0 and (work > budget or least <= 1):
            break
        last = goal[pair]
        stamp[start[pair]] = pair
        via[start[pair]] = -1
        here[0] = start[pair]
        many, depth = 1, 0
        done = False
        while many > 0 and not done and depth + 1 < least:
            after_many = 0
            while many > 0 and not done:
                many -= 1
                node = here[many]
                for slot in range(offset[node], offset[node + 1]):
                    work += 1
                    after = target[edges[slot]]
                    if stamp[after] == pair:
                        continue
                    stamp[after] = pair
                    via[after] = edges[slot]
                    if after == last:
                        done = True
                        break
                    if solid[after]:
                        there[after_many] = after
                        after_many += 1
                    else:
                        here[many] = after
                        many += 1
            if not done:
                depth += 1
                many = after_many
                here, there = there, here
        if done:
            best, least = pair, depth + 1
            length = 0
            node = last
            while via[node] >= 0:
                length += 1
                node = source[via[node]]
            path = np.empty(length, dtype=np.int32)
            node = last
            while length > 0:
                length -= 1
                path[length] = via[node]
                node = source[via[node]]
    return best, path, work


def shortest(
    nodes: int,
    source: Ints,
    target: Ints,
    solid: Flags,
    start: Ints,
    goal: Ints,
    *,
    budget: int,
) -> tuple[int, Ints]:
    """The first of the shortest paths from a start to its goal: (the pair, its edges in order).

    The length is that in `solid` nodes. The first path is found whatever the budget, if there is
    one at all; the pair is -1 if there is none.
    """
    offset, edges = outgoing(nodes, source)
    effort = len(source) + nodes + len(start) * len(source) // 50
    best, path, _ = run(
        effort, _shortest, offset, edges, source, target, solid, start, goal, budget
    )
    return best, path
