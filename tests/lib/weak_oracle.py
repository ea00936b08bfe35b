"""Deliberately naive oracles for registers in transactions: all orders are tried, all pairs drawn.

A transaction is a list of ("r", key, writer) and ("w", key); writers are numbers of transactions,
-1 the initial state. A read comes from another transaction.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import networkx as nx
import numpy as np

from dokkaebi.checkers.transactions.visibility import INITIAL, Reading

Transactions = Sequence[Sequence[tuple[Any, ...]]]


def weak_level_holds(
    transactions: Transactions,
    session: Sequence[int],
    level: str,
    known: Sequence[tuple[int, int]] = (),
) -> bool:
    """Biswas & Enea's axioms, drawn edge by edge; `known` are writers whose order is known."""
    n = len(transactions)
    start = nx.DiGraph()
    start.add_nodes_from(range(n + 1))
    sessions, reads = start.copy(), start.copy()
    for t in range(n):
        sessions.add_edge(n, t)
        sessions.add_edges_from((u, t) for u in range(t) if session[u] == session[t])
        reads.add_edges_from((m[2], t) for m in transactions[t] if m[0] == "r" and m[2] != INITIAL)
    happened = nx.compose(sessions, reads)
    causes = {u: nx.descendants(happened, u) for u in happened}
    orders = happened.copy()
    orders.add_edges_from(known)
    for t, mops in enumerate(transactions):
        for i, m in enumerate(mops):
            if m[0] == "w":
                continue
            source = m[2] if m[2] != INITIAL else n
            for other in range(n):
                if other in (source, t) or ("w", m[1]) not in transactions[other]:
                    continue
                visible = {
                    "monotonic-read-committed": any(
                        q[0] == "r" and q[2] == other for q in mops[:i]
                    ),
                    "read-atomic": reads.has_edge(other, t) or sessions.has_edge(other, t),
                    "causal": t in causes[other],
                }[level]
                if visible:
                    orders.add_edge(other, source)
    return nx.is_directed_acyclic_graph(orders)


def serializable(transactions: Transactions, before: Sequence[tuple[int, int]]) -> bool:
    """Whether some order of the transactions explains every read and keeps `before`."""
    for order in permutations(range(len(transactions))):
        place = {t: i for i, t in enumerate(order)}
        if any(place[a] > place[b] for a, b in before):
            continue
        state: dict[Any, int] = {}
        for t in order:
            if any(m[0] == "r" and state.get(m[1], INITIAL) != m[2] for m in transactions[t]):
                break
            state.update({m[1]: t for m in transactions[t] if m[0] == "w"})
        else:
            return True
    return False


def snapshot_isolated(transactions: Transactions, before: Sequence[tuple[int, int]]) -> bool:
    """Whether some order of starts and commits explains every read, without overlapping writers."""
    n = len(transactions)
    writes = [{m[1] for m in mops if m[0] == "w"} for mops in transactions]
    waits = [{a for a, b in before if b == t} for t in range(n)]

    def rest(started: frozenset[int], committed: frozenset[int], state: dict[Any, int]) -> bool:
        if len(committed) == n:
            return True
        active = started - committed
        for t in range(n):
            if t not in started:
                if not waits[t] <= committed or any(writes[t] & writes[u] for u in active):
                    continue
                if any(m[0] == "r" and state.get(m[1], INITIAL) != m[2] for m in transactions[t]):
                    continue
                if rest(started | {t}, committed, state):
                    return True
            elif t in active and rest(
                started, committed | {t}, {**state, **dict.fromkeys(writes[t], t)}
            ):
                return True
        return False

    return rest(frozenset(), frozenset(), {})


def reading(transactions: Transactions, session: Sequence[int]) -> Reading:
    """The same as columns."""
    read_off, read_key, read_from, write_off, write_key = [0], [], [], [0], []
    for mops in transactions:
        read_key += [m[1] for m in mops if m[0] == "r"]
        read_from += [m[2] for m in mops if m[0] == "r"]
        write_key += sorted({m[1] for m in mops if m[0] == "w"})
        read_off.append(len(read_key))
        write_off.append(len(write_key))
    keys = 1 + max([*read_key, *write_key], default=0)
    columns = (session, read_off, read_key, read_from, write_off, write_key)
    return Reading(*(np.array(column, dtype=np.int64) for column in columns), keys)


def random_transactions(rng: random.Random, most: int) -> list[list[tuple[Any, ...]]]:
    """Transactions that read from one another at random; some histories are right, most are not."""
    n, keys = rng.randint(2, most), rng.randint(1, 4)
    writes = [[x for x in range(keys) if rng.random() < 0.4] for _ in range(n)]
    back = rng.choice((0.0, 0.1, 1.0))
    transactions = []
    for t in range(n):
        mops: list[tuple[Any, ...]] = []
        for _ in range(rng.randint(0, 3)):
            x = rng.randrange(keys)
            near = [
                u for u in range(n) if x in writes[u] and u != t and (u < t or rng.random() < back)
            ]
            mops.append(("r", x, rng.choice(near) if near and rng.random() < 0.9 else INITIAL))
        transactions.append(mops + [("w", x) for x in writes[t]])
    return transactions
