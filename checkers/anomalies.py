"""Every anomaly that a checker can name: what it is, what it means for an application, its source.

The one place where they are defined; reports, `list anomalies` and the docs print this table.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..harness.errors import UsageError
from ..harness.verdict import Kind
from .remedies import remedy

ADYA = "Adya 1999, Weak Consistency: A Generalized Theory"
ELLE = "Kingsbury & Alvaro 2020, Elle (VLDB 14)"
BERENSON = "Berenson et al. 1995, A Critique of ANSI SQL Isolation Levels"
HERLIHY = "Herlihy & Wing 1990, Linearizability"
TERRY = "Terry et al. 1994, Session Guarantees for Weakly Consistent Replicated Data"
CERONE = "Cerone & Gotsman 2018, Analysing Snapshot Isolation"
SOVRAN = "Sovran et al. 2011, Transactional Storage for Geo-replicated Systems (SOSP)"
GOLAB = "Golab, Li & Shah 2011, Analyzing Consistency Properties for Fun and Profit (PODC)"
GRAY = "Gray & Cheriton 1989, Leases (SOSP)"
BAILIS = "Bailis et al. 2013, Highly Available Transactions (VLDB 7)"
BURROWS = "Burrows 2006, The Chubby Lock Service (OSDI)"
VOGELS = "Vogels 2009, Eventually Consistent (CACM 52)"
JEPSEN = "Jepsen, jepsen.io/consistency and its checkers"
ALPERN = "Alpern & Schneider 1985, Defining Liveness"
COFFMAN = "Coffman, Elphick & Shoshani 1971, System Deadlocks"
FLAJOLET = "Flajolet et al. 2007, HyperLogLog"
PAPADIMITRIOU = "Papadimitriou 1979, The Serializability of Concurrent Database Updates"
BISWAS = "Biswas & Enea 2019, On the Complexity of Checking Transactional Consistency"
RAMP = "Bailis et al. 2014, Scalable Atomic Visibility with RAMP Transactions (SIGMOD)"
HENZINGER = "Henzinger, Sezgin & Vafeiadis 2013, Aspect-Oriented Linearizability Proofs"

SUFFIXES = {
    "-process": "closed by the order within one process",
    "-realtime": "closed by real time: one transaction had returned before the next was called",
}
"""Variants of the cycle anomalies; they rule out only levels that promise these orders."""


@dataclass(frozen=True, slots=True)
class Definition:
    """An anomaly: `meaning` in one line, `impact` on an application, `source` where it is defined.

    `noun` is what headlines call it, where that is not its name with spaces; `plural` the same in
    the plural, where that is not regular.
    `cyclic` anomalies have the variants of `SUFFIXES`. `example` is the smallest one there is, as
    micro-operations of transactions: four lines.
    """

    name: str
    meaning: str
    impact: str
    source: str
    noun: str = ""
    plural: str = ""
    kind: Kind = "safety"
    aliases: tuple[str, ...] = ()
    cyclic: bool = False
    example: str = ""


_CYCLES = (
    Definition(
        "G0",
        "Dirty write: transactions overwrite each other's writes in a circle (only ww edges).",
        "Rows that belong together end as a mixture of two transactions.",
        ADYA,
        noun="dirty write",
        aliases=("dirty-write", "P0"),
        cyclic=True,
        example="""\
T1  append 1 to x                    append 3 to y
T2                  append 2 to x
T2                  append 4 to y
T3  r x [1 2], r y [4 3]: T1 wrote x first, T2 wrote y first""",
    ),
    Definition(
        "G1c",
        "Circular information flow: transactions saw or overwrote each other in a circle (ww, wr).",
        "Each of two transactions acted on what the other had not committed yet.",
        ADYA,
        noun="circular information flow",
        aliases=("circular-information-flow",),
        cyclic=True,
        example="""\
T1  append 1 to x
T2                  append 2 to y    r x [1]
T1  r y [2]
Each saw what the other one wrote""",
    ),
    Definition(
        "G-single",
        "Read skew: a cycle with exactly one anti-dependency (rw).",
        "A transaction sees half of another one: the debit without the credit.",
        ADYA,
        noun="read skew",
        aliases=("read-skew", "A5A", "G-single-item"),
        cyclic=True,
        example="""\
T1  r x []
T2            append 1 to x, append 2 to y, commit
T1  r y [2]
T1 saw one half of T2 and not the other""",
    ),
    Definition(
        "G-nonadjacent",
        "A cycle with several anti-dependencies (rw), no two of them in a row.",
        "What no snapshot can show: snapshot isolation forbids it.",
        CERONE,
        noun="forked snapshot",
        aliases=("G-nonadjacent-item",),
        cyclic=True,
        example="""\
T1  append 1 to x
T2  append 2 to y
T3  r x [1], r y []
T4  r x [], r y [2]: T3 and T4 saw T1 and T2 in opposite orders""",
    ),
    Definition(
        "G2-item",
        "Write skew: a cycle with anti-dependencies (rw) on single items.",
        "Two transactions check the same rule, then each breaks it for the other.",
        ADYA,
        noun="write skew",
        aliases=("write-skew", "A5B"),
        cyclic=True,
        example="""\
T1  r x [], r y []                      append 1 to x
T2                    r x [], r y []                    append 2 to y
T1  commit
T2  commit: neither saw what the other one wrote""",
    ),
    Definition(
        "G2",
        "Anti-dependency cycle, predicates included: phantoms.",
        "A row that a search did not find was inserted by one that relied on it.",
        ADYA,
        noun="phantom",
        aliases=("phantom", "P3"),
        cyclic=True,
        example="""\
T1  SELECT count(*) FROM doctors WHERE on_call   -> 2
T2  SELECT count(*) FROM doctors WHERE on_call   -> 2
T1  UPDATE doctors SET on_call = false WHERE name = 'Ann'
T2  UPDATE doctors SET on_call = false WHERE name = 'Bob'; nobody is left""",
    ),
)

_TRANSACTIONS = (
    Definition(
        "G1a",
        "Aborted read: a committed transaction read what an aborted one had written.",
        "The application acted on something that never happened.",
        ADYA,
        noun="aborted read",
        aliases=("aborted-read", "dirty-read"),
        example="""\
T1  append 1 to x
T2                  r x [1]
T1  rollback
T2                  commit: it acted on what never happened""",
    ),
    Definition(
        "G1b",
        "Intermediate read: a transaction read a value that its writer itself overwrote later.",
        "The application acted on work in progress.",
        ADYA,
        noun="intermediate read",
        aliases=("intermediate-read",),
        example="""\
T1  append 1 to x
T2                  r x [1]
T1  append 2 to x, commit
T2                  commit: it saw T1 half done""",
    ),
    Definition(
        "internal",
        "A transaction does not see its own earlier reads or writes.",
        "Code that reads back what it wrote a line before is wrong.",
        CERONE,
        noun="internal contradiction",
        example="""\
T1  r x [1]
T1  append 2 to x
T1  r x [1]
T1  commit: it did not see its own append""",
    ),
    Definition(
        "future-read",
        "A transaction reads what it writes itself only later.",
        "The storage mixed up the order of a transaction's own steps.",
        ELLE,
        example="""\
T1  r x [1]
T1  append 1 to x
T1  commit
It read what it wrote itself only afterwards""",
    ),
    Definition(
        "incompatible-order",
        "Two reads of one key show its elements in orders that exclude each other.",
        "There is no single history of this row.",
        ELLE,
        noun="incompatible order",
        example="""\
T1  append 1 to x
T2  append 2 to x
T3  r x [1 2]
T4  r x [2 1]""",
    ),
    Definition(
        "duplicate-elements",
        "A read shows an element twice that was appended once.",
        "One request took effect more than once.",
        ELLE,
        noun="duplicated element",
        example="""\
T1  append 1 to x
T2  r x [1]
T3  r x [1 1]
The one append took effect twice""",
    ),
    Definition(
        "dirty-update",
        "A committed transaction built on what an aborted one had written.",
        "A rollback did not roll back.",
        ELLE,
        example="""\
T1  append 1 to x
T2                  append 2 to x, commit
T1  rollback
T3  r x [1 2]: T2 stands on what was rolled back""",
    ),
    Definition(
        "cyclic-versions",
        "The versions of one key cannot be put in any order.",
        "There is no single history of this row.",
        ELLE,
        noun="circle of versions",
        plural="circles of versions",
        cyclic=True,
        example="""\
T1  r x 1, w x 2
T2  r x 2, w x 1
Version 1 came before version 2,
and version 2 before version 1""",
    ),
    Definition(
        "long-fork",
        "Two reads see two unrelated writes in opposite orders.",
        "Two users disagree for ever about what happened first.",
        SOVRAN,
    ),
)

_VISIBILITY = (
    Definition(
        "non-monotonic-view",
        "A transaction read from another one, then something older that that one had replaced.",
        "Data moves backwards while one request looks at it.",
        BISWAS,
        noun="view that went back",
        plural="views that went back",
        cyclic=True,
        example="""\
T1  w x 1
T2  w x 2, w y 2                     T2 came after T1
T3  r y 2, r x 1
T3 saw T2, and then what T2 had replaced""",
    ),
    Definition(
        "fractured-read",
        "A transaction saw some of another one's writes, and of others older versions.",
        "A new order without its lines; a name with yesterday's address.",
        RAMP,
        cyclic=True,
        example="""\
T1  w x 1, w y 1
T2  w x 2, w y 2                     T2 came after T1
T3  r x 1, r y 2
T3 saw one half of T2""",
    ),
    Definition(
        "causality-violation",
        "A transaction saw something, but not what had happened before it.",
        "The answer is there and the question is not.",
        BISWAS,
        cyclic=True,
        example="""\
T1  w x 1                            before it x was nil
T2  r x 1, w y 2
T3  r y 2, r x nil
T3 saw T2, which had seen T1, and did not see T1""",
    ),
)

_ORDERS = tuple(
    Definition(
        f"{model}-cycle-exists",
        f"Whatever the order of versions, the transactions are not {level}.",
        "No single history of this data explains what was answered.",
        PAPADIMITRIOU,
        noun="impossible order",
    )
    for model, level in (
        ("PL-SS", "strict-serializable"),
        ("strong-session-serializable", "strong-session-serializable"),
        ("PL-3", "serializable"),
        ("PL-2.99", "repeatable-read"),
        ("strong-snapshot-isolation", "strong-snapshot-isolation"),
        ("strong-session-snapshot-isolation", "strong-session-snapshot-isolation"),
        ("PL-SI", "snapshot-isolation"),
    )
)

_VALUES = (
    Definition(
        "lost-update",
        "Two operations built on the same version, and the second wiped out the first.",
        "An acknowledged change is gone: a counter too low, a deposit forgotten.",
        BERENSON,
        aliases=("P4",),
        example="""\
T1  r x 10
T2  r x 10
T1  w x 11, commit
T2  w x 12, commit: what T1 wrote is gone, and T2 never saw it""",
    ),
    Definition(
        "lost-write",
        "An acknowledged write is absent from the final reads.",
        "What a user was told is saved is not.",
        JEPSEN,
        example="""\
T1  append 1 to x, commit
T2  append 2 to x, commit
At the end, when everything is quiet:
T3  r x [2]""",
    ),
    Definition(
        "nonlinearizable",
        "No order of the operations within their intervals explains what was answered.",
        "The object does not behave like one copy that does one thing at a time.",
        HERLIHY,
        noun="nonlinearizable object",
    ),
    Definition(
        "stale-read",
        "A read answers a value that had been overwritten, and acknowledged, before it began.",
        "A user does not see a change that has already been confirmed.",
        GOLAB,
    ),
    Definition(
        "garbage-read",
        "A read answers a value that nobody ever wrote; wrong at every level.",
        "The data is corrupt, or the read mixes rows.",
        JEPSEN,
        aliases=("thin-air-read",),
        example="""\
T1  append 1 to x
T2  append 2 to x
T3  r x [1 7]
Nobody ever wrote 7""",
    ),
    Definition(
        "ghost-effect",
        "Something took effect that had failed, or that nobody asked for.",
        "What a user was told did not happen did happen.",
        ADYA,
    ),
    Definition(
        "duplicate-effect",
        "One request took effect more than once.",
        "A customer is charged twice.",
        JEPSEN,
    ),
    Definition(
        "duplicate",
        "The same identifier, element or row was handed out or stored twice.",
        "Two things are taken for one.",
        JEPSEN,
    ),
    Definition(
        "double-success",
        "Two operations both succeeded of which at most one may.",
        "Two users own the same name, seat or coupon.",
        JEPSEN,
    ),
    Definition(
        "lost-element",
        "An acknowledged element is missing from a set that should have it.",
        "A saved item has vanished.",
        JEPSEN,
    ),
    Definition(
        "conservation",
        "A total that never changes was seen to differ.",
        "Money appears or disappears, in a report or for good.",
        JEPSEN,
        noun="broken total",
    ),
    Definition(
        "overdraft",
        "A balance fell below zero.",
        "Two withdrawals passed the same check.",
        BERENSON,
    ),
    Definition(
        "oversell",
        "More was taken than there was.",
        "More tickets are sold than seats exist.",
        BERENSON,
        noun="sale beyond the stock",
        plural="sales beyond the stock",
    ),
    Definition(
        "bad-estimate",
        "An approximate count is off by more than it declares.",
        "Figures that people trust within a margin are outside it.",
        FLAJOLET,
    ),
)

_LOCKS = (
    Definition(
        "double-hold",
        "Two holders had one lock at the same time, each within the lease it was granted.",
        "Two processes do what only one may; release by token is the usual remedy.",
        GRAY,
    ),
    Definition(
        "expired-hold",
        "A holder went on after its lease had run out while another one held the lock.",
        "A paused process wakes up and writes over its successor; fencing is the remedy.",
        BURROWS,
    ),
    Definition(
        "over-admission",
        "More were let in at once, or within a window, than the limit allows.",
        "The protected service gets the load it was to be spared.",
        JEPSEN,
        noun="admission over the limit",
        plural="admissions over the limit",
    ),
)

_SESSIONS = (
    Definition(
        "read-your-writes",
        "A process does not see its own acknowledged write.",
        "A user saves and sees the old page.",
        TERRY,
        noun="lost sight of an own write",
        plural="lost sights of own writes",
    ),
    Definition(
        "non-monotonic-read",
        "A process sees an older version than it saw before.",
        "A comment that was there is gone after a reload.",
        TERRY,
        noun="read that went back",
        plural="reads that went back",
        aliases=("monotonic-reads",),
    ),
    Definition(
        "monotonic-writes",
        "The writes of one process took effect in another order than they were made.",
        "An edit is undone by the one before it.",
        TERRY,
        noun="write out of order",
        plural="writes out of order",
    ),
    Definition(
        "writes-follow-reads",
        "A write is seen without what its writer had read before.",
        "An answer appears without its question.",
        TERRY,
        noun="write before its cause",
        plural="writes before their cause",
    ),
    Definition(
        "divergence",
        "Replicas, or a cache and its source, still differ after everything is quiet.",
        "Users see different data for ever, depending on where they ask.",
        VOGELS,
    ),
    Definition(
        "stale-beyond-bound",
        "A read is older than the declared bound of staleness.",
        "A cache keeps a value longer than it promises.",
        GOLAB,
        noun="overly stale read",
    ),
)

_QUEUES = (
    Definition(
        "lost-message",
        "An acknowledged message never took effect.",
        "An order is accepted and never processed.",
        JEPSEN,
    ),
    Definition(
        "order-violation",
        "Messages took effect in another order than promised.",
        "An account is closed before its last payment.",
        HENZINGER,
        noun="message out of order",
        plural="messages out of order",
    ),
)

_LIVENESS = (
    Definition(
        "deadlock",
        "Nobody is given a lock that is asked for, or a session stays blocked to the end.",
        "Work on this key stops until somebody intervenes.",
        COFFMAN,
        kind="liveness",
    ),
    Definition(
        "livelock",
        "Attempts go on and every one is aborted.",
        "Load without results; usually a retry on an old snapshot.",
        ALPERN,
        kind="liveness",
    ),
    Definition(
        "no-progress",
        "No operation of a kind succeeded for a third of the main phase, faults left out.",
        "The service is up and does nothing.",
        ALPERN,
        noun="standstill",
        kind="liveness",
    ),
)

ANOMALIES: dict[str, Definition] = {
    definition.name: definition
    for group in (
        _CYCLES,
        _TRANSACTIONS,
        _VISIBILITY,
        _ORDERS,
        _VALUES,
        _LOCKS,
        _SESSIONS,
        _QUEUES,
        _LIVENESS,
    )
    for definition in group
}
"""All anomalies by name, safety before liveness."""


GROUPS: dict[str, str] = {
    "G1": "Any of G1a, G1b and G1c.",
    "G-SI": "GSIa or GSIb: what no snapshot can show.",
    "GSIa": "A dependency on a transaction that had not committed when this one began.",
    "GSIb": "A cycle with exactly one anti-dependency, the order of starts included.",
    "G-cursor": "Lost update through a cursor.",
    "G-monotonic": "A cycle with exactly one anti-dependency from a single read.",
    "G-MSR": "A cycle that a monotonic snapshot read rules out.",
    "G-update": "A cycle with an anti-dependency when only writers and one reader are looked at.",
    "predicate-read-miss": "A search that leaves out a row which matches.",
}
"""Phenomena that levels are defined by and that no checker finds by themselves."""

_IMPLIES: dict[str, tuple[str, ...]] = {
    "G0": ("G1c",),
    "non-monotonic-view": ("fractured-read",),
    "fractured-read": ("causality-violation",),
    "G1a": ("G1",),
    "G1b": ("G1",),
    "G1c": ("G1",),
    "G-single": ("G-nonadjacent", "GSIb"),
    "G-nonadjacent": ("G2-item",),
    "G2-item": ("G2",),
    "GSIa": ("G-SI",),
    "GSIb": ("G-SI",),
    "incompatible-order": ("G1a",),
    "dirty-update": ("G1a",),
    "future-read": ("G1c",),
    "lost-update": ("G2-item",),
    "cyclic-versions": ("G1c",),
    "cyclic-versions-process": ("G-single-process",),
    "cyclic-versions-realtime": ("G-single-realtime",),
}
"""What finding one anomaly says of others (Adya 1999; Kingsbury & Alvaro 2020). Nothing here finds
predicates, so G-single and G-nonadjacent are those over single items."""

_VARIES = frozenset(each.name for each in (*_CYCLES, *_VISIBILITY))


def implied(names: Iterable[str]) -> frozenset[str]:
    """These anomalies and all that follow from them, groups and variants included."""
    return frozenset().union(*map(_implied, names))


@cache
def _implied(name: str) -> frozenset[str]:
    every: set[str] = set()
    todo = [name]
    while todo:
        each = todo.pop()
        if each not in every:
            every.add(each)
            todo += _next(each)
    return frozenset(every)


def _next(name: str) -> Iterator[str]:
    """What follows at once: a cycle is also one when more orders are looked at."""
    yield from _IMPLIES.get(name, ())
    if name in _VARIES:
        yield f"{name}-process"
    for suffix in SUFFIXES:
        base = name.removesuffix(suffix)
        if base != name and base in _VARIES:
            yield from (f"{each}{suffix}" for each in _IMPLIES.get(base, ()) if each in _VARIES)
            if suffix == "-process":
                yield f"{base}-realtime"


def define(name: str) -> Definition:
    """The definition of an anomaly by name, alias or variant; raise `UsageError` for others."""
    for suffix in ("", *SUFFIXES):
        base = name.removesuffix(suffix)
        for definition in ANOMALIES.values():
            fits = base in (definition.name, *definition.aliases)
            if fits and (definition.cyclic or base == name):
                return definition
    close = difflib.get_close_matches(name, ANOMALIES, n=3)
    raise UsageError(
        f"there is no anomaly {name!r}" + (f"; close: {', '.join(close)}" if close else "")
    )


def noun(name: str, number: int = 1) -> str:
    """What headlines call an anomaly or a variant of one: `lost update`, `write skews`."""
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    known = ANOMALIES.get(name)
    one = (known.noun if known else "") or name.replace("-", " ")
    if number == 1:
        return one
    return (known.plural if known else "") or _plural(one)


def _plural(noun: str) -> str:
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def rows() -> list[dict[str, Any]]:
    """The table as `list anomalies` prints it."""
    return [
        {
            "name": each.name,
            "kind": each.kind,
            "noun": noun(each.name),
            "what": each.meaning,
            "aliases": list(each.aliases),
            "explained": _explained(each),
        }
        for each in ANOMALIES.values()
    ]


def _explained(definition: Definition) -> str:
    variants = "".join(
        f"\n{definition.name}{suffix}: {meaning}." for suffix, meaning in SUFFIXES.items()
    )
    return (
        f"{definition.meaning}\n{definition.impact}\nSource: {definition.source}"
        f"{variants if definition.cyclic else ''}"
        + (f"\nTo mend it: {mend}" if (mend := remedy(definition.name)) else "")
        + (f"\n\n{definition.example}" if definition.example else "")
    )
