"""What an engineer does about an anomaly of transactions: what in the code causes it, what mends it,
and at which level it is allowed.
"""

from __future__ import annotations

from typing import Final

_READS: Final = {
    "G1a": (
        "A transaction read what had not been committed, and its writer then rolled back. Read at "
        "read committed or above, and not from a cache that is filled before the commit; undo by a "
        "rollback, not by a second write. Only read uncommitted permits it."
    ),
    "G1b": (
        "A transaction read a value that its writer replaced before it was done: the read was of "
        "uncommitted data, or the writer's steps are transactions of their own (autocommit). Put "
        "one unit of work into one transaction and read at read committed or above. Only read "
        "uncommitted permits it."
    ),
    "G1c": (
        "Each transaction saw or overwrote a part of the other: their steps interleave, as a rule "
        "because every step is a transaction of its own (autocommit, a pool that changes the "
        "connection). Run one unit of work in one transaction on one connection, at read committed "
        "or above. Only read uncommitted permits it."
    ),
    "dirty-update": (
        "A committed transaction built on a write that was rolled back or undone by hand. Undo by "
        "a rollback, and write at read committed or above, so that row locks are held to the end. "
        "Only read uncommitted permits it."
    ),
    "future-read": (
        "A transaction read what it wrote only later: its statements did not run in their order "
        "(sent without waiting, on several connections), or a retry saw what its own first attempt "
        "had left. Wait for each answer, and roll a failed attempt back before the next. Only read "
        "uncommitted permits it."
    ),
    "internal": (
        "A transaction did not see its own earlier read or write: its statements went to different "
        "connections or copies, or a cache answered. Keep every statement of a transaction on the "
        "connection that began it. Snapshot isolation forbids it; at read committed a second read "
        "may lawfully see what another transaction committed in between."
    ),
    "garbage-read": (
        "A read answered what nobody wrote: rows of something else are mixed in (data of another "
        "run, a shared key prefix, a stale index), a value is decoded wrongly, or it is written in "
        "several steps and was read between them. Read by the full key, and write a value in one "
        "statement. No level permits it."
    ),
}

_WRITES: Final = {
    "G0": (
        "Transactions wrote over each other's unfinished writes: the writes that belong together "
        "are separate commands, or no write lock is held to the end. Put them into one transaction "
        "(BEGIN to COMMIT, MULTI to EXEC, one script) that takes its rows in one order. No level "
        "permits it, not even read uncommitted."
    ),
    "lost-update": (
        "Two transactions read the same version and each wrote what it had made of it. Let one "
        "statement do it (UPDATE ... SET x = x + 1), lock the row when it is read (SELECT ... FOR "
        "UPDATE), or name the version that was read in the UPDATE's WHERE and count the rows; "
        "PostgreSQL's repeatable read and serializable refuse the second one with 40001, which the "
        "whole transaction is repeated for. Read committed permits it, and so does MySQL's "
        "repeatable read."
    ),
    "lost-write": (
        "An acknowledged write is gone when all is quiet: it was never committed (no commit(), or a "
        "COMMIT that answered ROLLBACK), something overwrote it blindly, or a server lost it when "
        "it fell. Look at what COMMIT answers, write with a condition, and acknowledge only what "
        "is durable (synchronous_commit, appendfsync always, WAIT). No level permits it."
    ),
    "duplicate-elements": (
        "One append took effect twice: a client, driver or proxy repeated a request whose answer "
        "was lost. Switch hidden retries off, or make the append idempotent: an id per request, "
        "UNIQUE, inserted in the same transaction. No level permits it."
    ),
    "incompatible-order": (
        "Two reads show one list in orders that exclude each other: it is replaced as a whole "
        "instead of appended to, ordered by time or by a sequence instead of by commit, or read "
        "from copies that took the writes in different orders. Append in one statement, take the "
        "position under the row's lock, and read one copy. Only read uncommitted permits it."
    ),
    "cyclic-versions": (
        "An old value came back after it had been replaced: a cache or a retry wrote it again "
        "without looking, or copies took the writes in different orders. Write with a condition on "
        "the version that was read, and to one copy. No level permits it."
    ),
}

_SNAPSHOTS: Final = {
    "G-single": (
        "A transaction read one thing before another transaction committed and the next thing "
        "after it: at read committed every statement has a snapshot of its own. Read what belongs "
        "together in one statement, or in one transaction at snapshot isolation (PostgreSQL's "
        "repeatable read) or serializable, and no part of it from a cache or a replica. Read "
        "committed permits it."
    ),
    "G-nonadjacent": (
        "Readers saw independent writers in opposite orders: what they read was no snapshot of one "
        "state, as when each part comes from another replica, shard or statement. Read it in one "
        "transaction on one copy, at snapshot isolation or serializable. Parallel snapshot "
        "isolation and read committed permit it."
    ),
    "G2-item": (
        "Each transaction read a row that the other one then changed, and relied on what it had "
        "read. Run all that take part at serializable and repeat them on 40001; or lock the rows a "
        "decision rests on when they are read (SELECT ... FOR UPDATE); or make both write one row "
        "that stands for the rule. Snapshot isolation, PostgreSQL's repeatable read, permits it."
    ),
    "G2": (
        "A transaction relied on what a search had found, or not found, while another one changed "
        "just that: row locks do not hold what is not there yet. Run all that take part at "
        "serializable and repeat them on 40001; or lock what stands for the whole search (a parent "
        "row, an advisory lock); or let a constraint decide (UNIQUE, EXCLUDE). Snapshot isolation "
        "and Adya's repeatable read permit it."
    ),
    "long-fork": (
        "Two reads saw two independent writes in opposite orders: they were answered by different "
        "copies or shards. Read what belongs together in one snapshot of one copy. Parallel "
        "snapshot isolation and read committed permit it."
    ),
    "non-monotonic-view": (
        "A transaction saw a newer state and then an older one: its reads went to copies of "
        "different age. Keep the reads of a transaction on one copy, better in one snapshot. Plain "
        "read committed permits it; monotonic atomic view does not."
    ),
    "fractured-read": (
        "A transaction saw one part of another one's writes and not the rest: they became visible "
        "one by one, or were read one by one. Write what belongs together in one transaction, and "
        "read it in one statement or one snapshot. Read committed permits it; read atomic does "
        "not."
    ),
    "causality-violation": (
        "A transaction saw an effect and not its cause: the copy that it read had the later write "
        "and lacked the earlier one. Read the primary, or carry the position that a session has "
        "seen (an LSN, a token) and wait for a copy that has it. Read atomic permits it."
    ),
}

_NO_ORDER: Final = (
    "No order of the versions explains all that was answered, although no single circle of "
    "dependencies shows it. Run every transaction that takes part, the reading ones too, at {level} "
    "and on one copy, and repeat on 40001 what the database refuses. Weaker levels permit it."
)
_LEVELS: Final = {
    "PL-SS": "strict serializable",
    "strong-session-serializable": "strong session serializable",
    "PL-3": "serializable",
    "PL-2.99": "repeatable read or above",
    "strong-snapshot-isolation": "strong snapshot isolation",
    "strong-session-snapshot-isolation": "strong session snapshot isolation",
    "PL-SI": "snapshot isolation",
}

REMEDIES: Final = {
    **_READS,
    **_WRITES,
    **_SNAPSHOTS,
    **{f"{name}-cycle-exists": _NO_ORDER.format(level=level) for name, level in _LEVELS.items()},
}
"""By anomaly, without the variants that an order of sessions or real time closes."""

_BY_ORDER: Final = {
    "-process": (
        "What one process did earlier was not seen by what it did later: its requests were answered "
        "by copies of different age. Keep a session on one copy, or carry the position that it has "
        "seen (an LSN, a token) and wait for it. Only the strong session levels and what is above "
        "them forbid it; plain serializable permits it."
    ),
    "-realtime": (
        "What had been acknowledged was not seen by what began afterwards: it was answered by a "
        "replica, a cache or an old snapshot. Read the primary, in a transaction that begins after "
        "the acknowledgement. Only strict serializable and the strong levels forbid it; plain "
        "serializable permits it."
    ),
}


def remedy(anomaly: str) -> str:
    """What to change about an anomaly of transactions; empty for one of something else."""
    for suffix, text in _BY_ORDER.items():
        if anomaly.endswith(suffix):
            return text
    return REMEDIES.get(anomaly, "")
