"""Isolation by brute force, for histories of a few transactions: is there any execution at all?

A transaction that failed did not happen; one without an answer happened or not, as it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, pairwise, permutations, product
from typing import Any

import networkx as nx
from transactional import Txn

Before = Callable[[Txn, Txn], bool]


def nothing(one: Txn, two: Txn) -> bool:
    """No order is asked for."""
    return False


def process(one: Txn, two: Txn) -> bool:
    """The order of each process."""
    return one.type == "ok" and one.process == two.process and one.call < two.call


def realtime(one: Txn, two: Txn) -> bool:
    """Real time, and the order of each process."""
    return process(one, two) or (one.type == "ok" and one.ret < two.call)


def chosen(txns: list[Txn]) -> Iterator[list[Txn]]:
    """Every choice of the transactions that happened."""
    sure = [txn for txn in txns if txn.type == "ok"]
    maybe = [txn for txn in txns if txn.type == "info"]
    for size in range(len(maybe) + 1):
        for some in combinations(maybe, size):
            yield sure + list(some)


def _replay(txn: Txn, state: dict[Any, Any], lists: bool) -> dict[Any, Any] | None:
    """The state that a transaction leaves; None if it does not read what is there."""
    state = dict(state)
    for f, key, value in txn.mops:
        here = state.get(key, () if lists else None)
        if f == "r":
            seen = tuple(value or ()) if lists else value
            if txn.type == "ok" and seen != here:
                return None
        else:
            state[key] = (*here, value) if lists else value
    return state


def serializable(txns: list[Txn], lists: bool, before: Before) -> bool:
    """Is there an order of all transactions, one after another, that keeps `before`?"""
    return any(_in_order(some, {}, lists, before) for some in chosen(txns))


def _in_order(left: list[Txn], state: dict[Any, Any], lists: bool, before: Before) -> bool:
    if not left:
        return True
    for txn in left:
        others = [each for each in left if each is not txn]
        if not any(before(each, txn) for each in others):
            after = _replay(txn, state, lists)
            if after is not None and _in_order(others, after, lists, before):
                return True
    return False


def snapshots(txns: list[Txn], lists: bool, before: Before) -> bool:
    """Is there an order of all begins and commits such that everybody reads the state at its begin,
    no two that overlap write the same key, and whoever is `before` commits before the other begins?
    """
    return any(_with_snapshots(some, [], [], {}, lists, before) for some in chosen(txns))


def _writes(txn: Txn) -> set[Any]:
    return {key for f, key, _ in txn.mops if f != "r"}


def _with_snapshots(
    waiting: list[Txn],
    running: list[Txn],
    done: list[Txn],
    state: dict[Any, Any],
    lists: bool,
    before: Before,
) -> bool:
    if not waiting and not running:
        return True
    for txn in waiting:
        others = [each for each in waiting if each is not txn]
        blocked = any(before(each, txn) for each in [*others, *running])
        clash = any(_writes(each) & _writes(txn) for each in running)
        if (
            not blocked
            and not clash
            and _replay(txn, state, lists) is not None
            and _with_snapshots(others, [*running, txn], done, state, lists, before)
        ):
            return True
    for txn in running:
        others = [each for each in running if each is not txn]
        after = _written(txn, state, lists)
        if _with_snapshots(waiting, others, [*done, txn], after, lists, before):
            return True
    return False


def _written(txn: Txn, state: dict[Any, Any], lists: bool) -> dict[Any, Any]:
    state = dict(state)
    for f, key, value in txn.mops:
        if f != "r":
            state[key] = (*state.get(key, ()), value) if lists else value
    return state


def committed(txns: list[Txn], lists: bool, before: Before) -> bool:
    """Adya's PL-2, by every order of the versions of every key: no G1a, G1b or G1c."""
    return any(
        _reads_fit(some, orders, lists) and _no_circle(some, orders, lists, before)
        for some in chosen(txns)
        for orders in _orders(some, lists)
    )


def _orders(txns: list[Txn], lists: bool) -> Iterator[dict[Any, list[tuple[Txn, list[Any]]]]]:
    """Every order of the writers of each key, with what each wrote."""
    writers: dict[Any, list[tuple[Txn, list[Any]]]] = {}
    for txn in txns:
        for key in _writes(txn):
            values = [value for f, k, value in txn.mops if f != "r" and k == key]
            writers.setdefault(key, []).append((txn, values))
    keys = list(writers)
    for choice in product(*(permutations(writers[key]) for key in keys)):
        yield dict(zip(keys, map(list, choice), strict=True))


def _versions(order: list[tuple[Txn, list[Any]]], lists: bool) -> dict[Any, Txn | None]:
    """What the key holds after each of its writers, and who that is."""
    held: Any = () if lists else None
    versions: dict[Any, Txn | None] = {held: None}
    for txn, values in order:
        held = (*held, *values) if lists else values[-1]
        versions[held] = txn
    return versions


def _reads(txn: Txn, lists: bool) -> Iterator[tuple[Any, Any, Any]]:
    """Each read with the key, what it saw, and what the transaction had written there before."""
    own: dict[Any, list[Any]] = {}
    for f, key, value in txn.mops:
        if f == "r":
            yield key, tuple(value or ()) if lists else value, list(own.get(key, ()))
        else:
            own.setdefault(key, []).append(value)


def _source(txn: Txn, seen: Any, own: list[Any], lists: bool) -> Any:
    """The version of others that a read shows; None where it is all its own."""
    if lists and own and seen[-len(own) :] == tuple(own):
        return seen[: -len(own)]
    return seen


def _reads_fit(txns: list[Txn], orders: Any, lists: bool) -> bool:
    """Every read shows a version, with the transaction's own writes so far on top of it."""
    for txn in txns:
        if txn.type != "ok":
            continue
        for key, seen, own in _reads(txn, lists):
            order = orders.get(key, [])
            if not lists and own and seen == own[-1]:
                continue
            if lists and own and seen[-len(own) :] == tuple(own):
                # Own appends stand where they will stand for ever.
                place = [each for each, _ in order].index(txn)
                if seen[: -len(own)] == tuple(v for _, vs in order[:place] for v in vs):
                    continue
            if seen not in _versions(order, lists):
                return False
            if not lists and _versions(order, lists)[seen] is txn:
                return False  # it shows what the transaction writes only later
            if lists and txn in [each for each, _ in order]:
                place = [each for each, _ in order].index(txn)
                if seen in list(_versions(order, lists))[place + 1 : place + 2]:
                    return False  # it shows what the transaction appends only later
    return True


def _no_circle(txns: list[Txn], orders: Any, lists: bool, before: Before) -> bool:
    graph: Any = nx.DiGraph()
    names = {id(txn): number for number, txn in enumerate(txns)}
    graph.add_nodes_from(names.values())
    for order in orders.values():
        for (one, _), (two, _) in pairwise(order):
            graph.add_edge(names[id(one)], names[id(two)])
    for txn in txns:
        if txn.type != "ok":
            continue
        for key, seen, own in _reads(txn, lists):
            versions = _versions(orders.get(key, []), lists)
            writer = versions.get(_source(txn, seen, own, lists))
            if writer is not None and writer is not txn:
                graph.add_edge(names[id(writer)], names[id(txn)])
    for one in txns:
        for two in txns:
            if one is not two and before(one, two):
                graph.add_edge(names[id(one)], names[id(two)])
    return bool(nx.is_directed_acyclic_graph(graph))


ORACLES: dict[str, tuple[Callable[[list[Txn], bool, Before], bool], Before]] = {
    "strict-serializable": (serializable, realtime),
    "strong-session-serializable": (serializable, process),
    "serializable": (serializable, nothing),
    "strong-snapshot-isolation": (snapshots, realtime),
    "strong-session-snapshot-isolation": (snapshots, process),
    "snapshot-isolation": (snapshots, nothing),
    "strong-read-committed": (committed, realtime),
    "strong-session-read-committed": (committed, process),
    "read-committed": (committed, nothing),
}
"""How each level is decided by brute force."""


def satisfied(txns: list[Txn], lists: bool) -> dict[str, bool]:
    """What brute force says of each level."""
    return {name: decide(txns, lists, before) for name, (decide, before) in ORACLES.items()}


def unordered(txns: list[Txn]) -> bool:
    """Whether two transactions wrote a key and nobody ever saw in which order.

    Then a snapshot may be impossible for either order, and no single cycle says so.
    """
    seen = {
        (key, each)
        for txn in txns
        for f, key, value in txn.mops
        if f == "r" and txn.type == "ok"
        for each in (value if isinstance(value, list) else [value])
    }
    missed: dict[Any, set[int]] = {}
    for at, txn in enumerate(txns):
        for f, key, value in txn.mops:
            if f != "r" and txn.type != "fail" and (key, value) not in seen:
                missed.setdefault(key, set()).add(at)
    return any(len(who) > 1 for who in missed.values())
