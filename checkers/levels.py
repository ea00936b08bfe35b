"""Levels of consistency and isolation: what each promises, in one line, and where it is defined.

The one place where they are defined; reports, `list levels` and the docs print this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .anomalies import ADYA, BAILIS, BERENSON, ELLE, HERLIHY, SOVRAN, TERRY

LAMPORT = "Lamport 1979, How to Make a Multiprocessor Computer"
PAPADIMITRIOU = "Papadimitriou 1979, The Serializability of Concurrent Database Updates"
AHAMAD = "Ahamad et al. 1995, Causal Memory"
LIPTON = "Lipton & Sandberg 1988, PRAM"
BISWAS = "Biswas & Enea 2019, On the Complexity of Checking Transactional Consistency"
DAUDJEE = "Daudjee & Salem 2004, Lazy Database Replication with Ordering Guarantees (ICDE)"
DAUDJEE_SI = "Daudjee & Salem 2006, Lazy Database Replication with Snapshot Isolation (VLDB)"
FRAMEWORK = (
    "Cerone, Bernardi & Gotsman 2015, A Framework for Transactional Consistency Models (CONCUR)"
)
RAMP = "Bailis et al. 2014, Scalable Atomic Visibility with RAMP Transactions (SIGMOD)"


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


def rows() -> list[dict[str, Any]]:
    """The table as `list levels` prints it."""
    return [
        {
            "name": each.name,
            "what": each.meaning,
            "aliases": list(each.aliases),
            "explained": f"{each.meaning}\nSource: {each.source}",
        }
        for each in LEVELS.values()
    ]
