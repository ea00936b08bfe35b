"""Levels of consistency and isolation: what each promises, in one line, and where it is defined.

The one place where they are defined; reports, `list levels` and the docs print this table. Beside
it stands the lattice, which level promises all that another one does, and which anomalies rule out
which level: from these, what a set of anomalies says of every level is computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..harness.errors import UsageError
from ..harness.plugins import unknown_name
from .anomalies import (
    ADYA,
    BAILIS,
    BERENSON,
    BISWAS,
    ELLE,
    HERLIHY,
    PAPADIMITRIOU,
    RAMP,
    SOVRAN,
    TERRY,
    implied,
)

LAMPORT = "Lamport 1979, How to Make a Multiprocessor Computer"
AHAMAD = "Ahamad et al. 1995, Causal Memory"
LIPTON = "Lipton & Sandberg 1988, PRAM"
DAUDJEE = "Daudjee & Salem 2004, Lazy Database Replication with Ordering Guarantees (ICDE)"
DAUDJEE_SI = "Daudjee & Salem 2006, Lazy Database Replication with Snapshot Isolation (VLDB)"
FRAMEWORK = (
    "Cerone, Bernardi & Gotsman 2015, A Framework for Transactional Consistency Models (CONCUR)"
)


@dataclass(frozen=True, slots=True)
class Level:
    """A level: `meaning` is what it promises, `source` where it is defined."""

    name: str
    meaning: str
    source: str
    aliases: tuple[str, ...] = ()


LEVELS: dict[str, Level] = {
    level.name: level
    for level in (
        Level(
            "strict-serializable",
            "One transaction after another, in an order that agrees with real time.",
            PAPADIMITRIOU,
            ("PL-SS", "strong-serializable", "strong-1SR"),
        ),
        Level(
            "strong-session-serializable",
            "Serializable, in an order that agrees with that of each process.",
            DAUDJEE,
            ("strong-session-PL-3",),
        ),
        Level(
            "serializable",
            "As if transactions had run one after another, in some order.",
            PAPADIMITRIOU,
            ("PL-3", "1SR"),
        ),
        Level(
            "strong-snapshot-isolation",
            "Snapshot isolation, with every snapshot as recent as the transaction's start.",
            DAUDJEE_SI,
            ("strong-SI",),
        ),
        Level(
            "strong-session-snapshot-isolation",
            "Snapshot isolation, with snapshots that hold all that the process did before.",
            DAUDJEE_SI,
            ("strong-session-SI",),
        ),
        Level(
            "snapshot-isolation",
            "Reads see one committed snapshot; of two overlapping writers of a row one aborts.",
            BERENSON,
            ("SI", "PL-SI"),
        ),
        Level(
            "repeatable-read",
            "As if serialized, for all that is read row by row; phantoms are possible.",
            ADYA,
            ("PL-2.99",),
        ),
        Level(
            "view-serializable",
            "Every read, and the final state, is as in some serial order.",
            PAPADIMITRIOU,
        ),
        Level(
            "update-serializable",
            "Writers are serializable, and each reader sees some serial order of them.",
            ADYA,
            ("PL-3U",),
        ),
        Level(
            "forward-consistent-view",
            "A consistent view that may be newer than the transaction's start.",
            ADYA,
            ("PL-FCV",),
        ),
        Level(
            "consistent-view",
            "No read skew: what is read belongs to one state.",
            ADYA,
            ("PL-2+",),
        ),
        Level(
            "monotonic-snapshot-read",
            "Reads come from snapshots that only ever grow.",
            ADYA,
            ("PL-MSR",),
        ),
        Level(
            "monotonic-view",
            "Once a transaction's effect is seen, all of its effects are.",
            ADYA,
            ("PL-2L",),
        ),
        Level(
            "cursor-stability",
            "Read committed, and no lost update on the row under the cursor.",
            BERENSON,
            ("PL-CS",),
        ),
        Level(
            "parallel-snapshot-isolation",
            "Snapshot isolation site by site; sites may order unrelated writes differently.",
            SOVRAN,
            ("PSI",),
        ),
        Level(
            "prefix",
            "Every snapshot is a prefix of one order of all transactions.",
            FRAMEWORK,
        ),
        Level(
            "update-atomic",
            "Read atomic, and no two overlapping writers of a row both commit.",
            FRAMEWORK,
        ),
        Level(
            "causal-cerone",
            "Read atomic, and what is seen brings along all that its writer had seen.",
            FRAMEWORK,
            ("transactional-causal",),
        ),
        Level(
            "read-atomic",
            "A transaction's writes are seen all together or not at all.",
            RAMP,
        ),
        Level(
            "monotonic-atomic-view",
            "Once one effect of a transaction was seen, later reads see the others too.",
            BAILIS,
            ("MAV",),
        ),
        Level(
            "monotonic-read-committed",
            "Read committed, and within a transaction reads never go back.",
            BISWAS,
        ),
        Level(
            "strong-session-read-committed",
            "Read committed, in an order that agrees with that of each process.",
            ELLE,
            ("strong-session-PL-2",),
        ),
        Level(
            "strong-read-committed",
            "Read committed, in an order that agrees with real time.",
            ELLE,
            ("strong-PL-2",),
        ),
        Level(
            "read-committed",
            "Only what was committed, and final, is ever read.",
            ADYA,
            ("PL-2",),
        ),
        Level(
            "strong-session-read-uncommitted",
            "Read uncommitted, in an order that agrees with that of each process.",
            ELLE,
            ("strong-session-PL-1",),
        ),
        Level(
            "strong-read-uncommitted",
            "Read uncommitted, in an order that agrees with real time.",
            ELLE,
            ("strong-PL-1",),
        ),
        Level(
            "read-uncommitted",
            "Writes of different transactions are not interleaved; anything may be read.",
            ADYA,
            ("PL-1",),
        ),
        Level(
            "linearizable",
            "Each object does one thing at a time, at an instant between call and return.",
            HERLIHY,
            ("atomic",),
        ),
        Level(
            "sequential",
            "One order of all operations that agrees with that of each process.",
            LAMPORT,
        ),
        Level(
            "causal",
            "Everybody sees causes before their effects.",
            AHAMAD,
        ),
        Level(
            "PRAM",
            "Everybody sees the writes of each process in that process's order.",
            LIPTON,
            ("FIFO",),
        ),
        Level(
            "writes-follow-reads",
            "Whoever sees a write also sees what its writer had read before.",
            TERRY,
        ),
        Level(
            "monotonic-reads",
            "What a process has seen it does not unsee.",
            TERRY,
        ),
        Level(
            "monotonic-writes",
            "The writes of a process take effect everywhere in the order it made them.",
            TERRY,
        ),
        Level(
            "read-your-writes",
            "A process sees its own earlier writes.",
            TERRY,
        ),
        Level(
            "session-serializable",
            "Serializable for every session by itself.",
            DAUDJEE,
        ),
    )
}
"""All levels by name, transactions before single objects, each from strong to weak."""


_WEAKER: dict[str, tuple[str, ...]] = {
    "strict-serializable": (
        "serializable",
        "linearizable",
        "strong-snapshot-isolation",
        "strong-session-serializable",
    ),
    "strong-session-serializable": (
        "serializable",
        "session-serializable",
        "strong-session-snapshot-isolation",
    ),
    "strong-snapshot-isolation": (
        "snapshot-isolation",
        "strong-session-snapshot-isolation",
        "strong-read-committed",
    ),
    "strong-session-snapshot-isolation": ("snapshot-isolation", "strong-session-read-committed"),
    "session-serializable": ("serializable",),
    "serializable": (
        "repeatable-read",
        "snapshot-isolation",
        "view-serializable",
        "update-serializable",
    ),
    "repeatable-read": ("cursor-stability", "monotonic-atomic-view"),
    "snapshot-isolation": (
        "forward-consistent-view",
        "monotonic-atomic-view",
        "monotonic-snapshot-read",
        "parallel-snapshot-isolation",
        "prefix",
    ),
    "update-serializable": ("forward-consistent-view",),
    "forward-consistent-view": ("consistent-view",),
    "monotonic-snapshot-read": ("consistent-view",),
    "consistent-view": ("cursor-stability", "monotonic-view"),
    "cursor-stability": ("read-committed",),
    "monotonic-view": ("read-committed",),
    "parallel-snapshot-isolation": ("causal-cerone", "update-atomic"),
    "update-atomic": ("read-atomic",),
    "prefix": ("causal-cerone",),
    "causal-cerone": ("read-atomic",),
    "read-atomic": ("monotonic-atomic-view",),
    "monotonic-atomic-view": ("read-committed",),
    "monotonic-read-committed": ("read-committed",),
    "strong-read-committed": ("strong-session-read-committed", "strong-read-uncommitted"),
    "strong-session-read-committed": ("read-committed", "strong-session-read-uncommitted"),
    "read-committed": ("read-uncommitted",),
    "strong-read-uncommitted": ("strong-session-read-uncommitted",),
    "strong-session-read-uncommitted": ("read-uncommitted",),
    "linearizable": ("sequential",),
    "sequential": ("causal",),
    "causal": ("writes-follow-reads", "PRAM"),
    "PRAM": ("monotonic-reads", "monotonic-writes", "read-your-writes"),
}
"""Each level with those just below it, which promise less (Adya 1999; Bailis et al. 2013; Cerone,
Bernardi & Gotsman 2015; Daudjee & Salem 2004)."""

_PROSCRIBES: dict[str, tuple[str, ...]] = {
    "read-uncommitted": ("G0", "duplicate-elements", "cyclic-versions"),
    "strong-session-read-uncommitted": ("G0-process",),
    "strong-read-uncommitted": ("G0-realtime",),
    "read-committed": ("G1",),
    "strong-session-read-committed": ("G1c-process",),
    "strong-read-committed": ("G1c-realtime",),
    "cursor-stability": ("G-cursor", "lost-update"),
    "monotonic-view": ("G-monotonic",),
    "monotonic-atomic-view": ("non-monotonic-view",),
    "monotonic-read-committed": ("non-monotonic-view-process", "G1c-process"),
    "consistent-view": ("G-single",),
    "monotonic-snapshot-read": ("G-MSR",),
    "forward-consistent-view": ("GSIb",),
    "update-serializable": ("G-update",),
    "repeatable-read": ("G2-item", "lost-update", "PL-2.99-cycle-exists"),
    "read-atomic": ("internal", "G1a", "future-read", "fractured-read"),
    "causal-cerone": ("causality-violation",),
    "update-atomic": ("lost-update",),
    "snapshot-isolation": ("internal", "G-SI", "G-nonadjacent", "PL-SI-cycle-exists"),
    "strong-session-snapshot-isolation": (
        "G-nonadjacent-process",
        "causality-violation-process",
        "strong-session-snapshot-isolation-cycle-exists",
    ),
    "strong-snapshot-isolation": (
        "G-nonadjacent-realtime",
        "strong-snapshot-isolation-cycle-exists",
    ),
    "serializable": ("G2", "predicate-read-miss", "PL-3-cycle-exists"),
    "strong-session-serializable": (
        "G1c-process",
        "G2-process",
        "strong-session-serializable-cycle-exists",
    ),
    "strict-serializable": ("G1c-realtime", "G2-realtime", "PL-SS-cycle-exists"),
}
"""The anomalies that each level excludes by its own definition, beside those of weaker levels."""

EVERYWHERE = ("garbage-read", "lost-write")
"""What no level permits, though not every definition says so: a value that nobody wrote, and an
acknowledged write that is gone when all is quiet."""

STRENGTH = (
    "strict-serializable",
    "strong-session-serializable",
    "serializable",
    "strong-snapshot-isolation",
    "strong-session-snapshot-isolation",
    "snapshot-isolation",
    "repeatable-read",
    "consistent-view",
    "cursor-stability",
    "strong-read-committed",
    "strong-session-read-committed",
    "read-committed",
    "strong-read-uncommitted",
    "strong-session-read-uncommitted",
    "read-uncommitted",
)
"""The levels that dependencies between transactions decide, so that a history which shows none of
the anomalies a level excludes may be said to satisfy it. No level stands before a stronger one;
of two that promise different things the one that more databases offer comes first."""


def named(name: str) -> Level:
    """The level of this name or alias, spaces, hyphens and case alike; `UsageError` for others."""
    wanted = _plain(name)
    for level in LEVELS.values():
        if wanted in map(_plain, (level.name, *level.aliases)):
            return level
    raise UsageError(unknown_name("level", name, LEVELS))


def _plain(name: str) -> str:
    return name.lower().replace(" ", "-").replace("_", "-")


@cache
def weaker(name: str) -> frozenset[str]:
    """The level itself and all that promise less: what rules out one of them rules out it."""
    below = (weaker(each) for each in _WEAKER.get(name, ()))
    return frozenset({name}).union(*below)


@cache
def proscribed(name: str) -> frozenset[str]:
    """All that a level excludes, by its own definition and as a level above weaker ones."""
    return frozenset(EVERYWHERE).union(*(_PROSCRIBES.get(each, ()) for each in weaker(name)))


def ruled_out(anomalies: Iterable[str]) -> frozenset[str]:
    """The levels of transactions that a history with these anomalies does not satisfy."""
    found = implied(anomalies)
    return frozenset(name for name in _transactional() if proscribed(name) & found)


def weakest(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the levels that none of the others is weaker than, the strongest first."""
    every = set(names)
    return tuple(name for name in LEVELS if name in every and weaker(name) & every == {name})


def also(names: Iterable[str]) -> tuple[str, ...]:
    """The levels that are not among the weakest: they fall with those, the strongest first."""
    every = set(names)
    first = weakest(every)
    return tuple(name for name in LEVELS if name in every and name not in first)


def strongest(broken: Iterable[str]) -> str | None:
    """The first level of `STRENGTH` that is not among the broken ones; None if all are."""
    out = set(broken)
    return next((name for name in STRENGTH if name not in out), None)


@cache
def _transactional() -> tuple[str, ...]:
    return tuple(name for name in LEVELS if "read-uncommitted" in weaker(name))


def rows() -> list[dict[str, Any]]:
    """The table as `list levels` prints it."""
    return [
        {
            "name": each.name,
            "what": each.meaning,
            "aliases": list(each.aliases),
            "explained": _explained(each),
        }
        for each in LEVELS.values()
    ]


def _explained(level: Level) -> str:
    lines = [level.meaning, f"Source: {level.source}"]
    below = [name for name in LEVELS if name in weaker(level.name) and name != level.name]
    if below:
        lines.append(f"Promises all of: {', '.join(below)}")
    if level.name in _transactional():
        lines.append(f"Excludes: {', '.join(sorted(proscribed(level.name)))}")
    return "\n".join(lines)
