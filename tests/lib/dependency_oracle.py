"""The classes of cycles of a small history of lists, from every pair of transactions one by one.

No node stands for others, nothing is reduced: each definition is taken at its word. Only for
histories whose reads are prefixes of one order and show nothing of transactions that failed.
"""

from __future__ import annotations

import itertools
from typing import Any

import networkx as nx
from isolation_oracle import process, realtime
from transactional import Txn

VARIANTS: tuple[tuple[str, Any], ...] = (("", None), ("-process", process), ("-realtime", realtime))


def orders(txns: list[Txn]) -> dict[Any, list[int]]:
    """The longest list that was read of each key."""
    longest: dict[Any, list[int]] = {}
    for txn in txns:
        for f, key, value in txn.mops:
            if f == "append":
                longest.setdefault(key, [])
            elif txn.type == "ok":
                longest[key] = max(longest.get(key, []), value or [], key=len)
    return longest


def tidy(txns: list[Txn]) -> bool:
    """Whether the oracle speaks of this history at all."""
    longest = orders(txns)
    writer = writers(txns)
    for txn in txns:
        for f, key, value in txn.mops:
            if f == "r" and txn.type == "ok" and longest[key][: len(value or [])] != (value or []):
                return False
    for key, order in longest.items():
        if len(set(order)) < len(order):
            return False
        if any((key, e) not in writer or txns[writer[key, e]].type == "fail" for e in order):
            return False
    return True


def writers(txns: list[Txn]) -> dict[Any, int]:
    """Who appended each element."""
    return {
        (key, value): at
        for at, txn in enumerate(txns)
        for f, key, value in txn.mops
        if f == "append"
    }


def dependencies(txns: list[Txn]) -> set[tuple[int, int, str]]:
    """Pairs of transactions with the reason: ww, wr, rw; `ww?` of an append that may not have been,
    `ww!` by one that read the key without the other's append, and that nobody saw either."""
    longest, writer = orders(txns), writers(txns)
    counts = [
        txn.type == "ok"
        or (
            txn.type == "info"
            and any(f == "append" and value in longest[key] for f, key, value in txn.mops)
        )
        for txn in txns
    ]
    edges: set[tuple[int, int, str]] = set()
    for key, order in longest.items():
        unread = [
            (at, txns[at].type)
            for (k, value), at in writer.items()
            if k == key and value not in order and counts[at]
        ]
        own = [writer[key, element] for element in order]
        edges |= {(a, b, "ww") for a, b in itertools.pairwise(own)}
        edges |= {(own[-1], b, "ww" if t == "ok" else "ww?") for b, t in unread if own}
        for reader, txn in enumerate(txns):
            for f, k, value in txn.mops:
                if f != "r" or k != key or txn.type != "ok":
                    continue
                seen = len(value or [])
                if seen:
                    edges.add((own[seen - 1], reader, "wr"))
                if seen < len(own):
                    # The other half of what it saw is G1b.
                    if not seen or own[seen] != own[seen - 1]:
                        edges.add((reader, own[seen], "rw"))
                    continue
                for other, _ in unread:
                    if not own or own[-1] != other:
                        edges.add((reader, other, "rw"))
                        if reader in [at for at, _ in unread]:
                            edges.add((reader, other, "ww!"))
    return {(a, b, why) for a, b, why in edges if a != b}


def classes(txns: list[Txn]) -> set[str]:
    """Every class that has a cycle, those that follow from others included."""
    known = dependencies(txns)
    counts = {end for a, b, _ in known for end in (a, b)}
    found: set[str] = set()
    for suffix, before in VARIANTS:
        order = {
            (a, b)
            for a in counts
            for b in counts
            if before is not None and a != b and before(txns[a], txns[b])
        }

        def graph(*whys: str, order: Any = order) -> Any:
            made: Any = nx.DiGraph()
            made.add_nodes_from(range(len(txns)))
            made.add_edges_from(order)
            made.add_edges_from((a, b) for a, b, why in known if why in whys)
            return made

        anti = {(a, b) for a, b, why in known if why == "rw"}
        if not nx.is_directed_acyclic_graph(graph("ww")):
            found.add("G0" + suffix)
        if not nx.is_directed_acyclic_graph(graph("ww", "ww?", "wr")):
            found.add("G1c" + suffix)
        depends = graph("ww", "ww?", "ww!", "wr")
        if any(nx.has_path(depends, b, a) for a, b in anti):
            found.add("G-single" + suffix)
        composed = depends.copy()
        leaps = {(a, c) for a, b in depends.edges for b2, c in anti if b == b2}
        composed.add_edges_from(leaps)
        if any(nx.has_path(composed, c, a) for a, c in leaps):
            found.add("G-nonadjacent" + suffix)
        everything = graph("ww", "ww?", "ww!", "wr", "rw")
        if any(nx.has_path(everything, b, a) for a, b in anti):
            found.add("G2-item" + suffix)
    return found
