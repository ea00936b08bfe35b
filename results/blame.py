"""What is wrong in a ladder: which line is guilty, what it overwrote or did not see, and why.

Reads the witness, decides nothing: the checker has already said what went wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from ..harness.verdict import Anomaly
from . import words
from .ladder import Arrow, Ladder, Row

NOTES: Final = {
    "stale-read": "older than a value that had already been acknowledged",
    "nonlinearizable": "no order of the operations before it explains this answer",
    "garbage-read": "nobody ever wrote this value",
    "G1a": "this value was written by a transaction that failed",
    "G1b": "this value was not yet final: its transaction overwrote it later",
    "internal": "the transaction itself had seen or written something else",
    "future-read": "the transaction itself wrote this only afterwards",
    "incompatible-order": "somebody else read these in another order",
    "cyclic-versions": "the versions of this key would go round in a circle",
    "duplicate-elements": "an element that was appended once stands here twice",
    "dirty-update": "this builds on what a failed transaction had written",
    "fractured-read": "half of what one transaction wrote together",
    "non-monotonic-view": "older than what this transaction had already seen",
    "causality-violation": "what this had already led to was known here",
    "long-fork": "somebody else saw these writes in the other order",
    "duplicate": "this was handed out before",
    "double-success": "this had already succeeded for somebody else",
    "conservation": "the total should never change",
    "overdraft": "a balance should never fall below zero",
    "oversell": "there was not enough left",
    "lost-element": "an acknowledged element is missing here",
    "lost-message": "an acknowledged message is missing here",
    "duplicate-effect": "one of these had its effect more than once",
    "order-violation": "what came first had its effect later",
    "bad-estimate": "further from the truth than was promised",
    "divergence": "the source has another value, and nobody writes any more",
    "stale-beyond-bound": "older than was promised",
    "deadlock": "still refused, and nobody lets go",
    "livelock": "aborted again, as all before it",
    "no-progress": "nothing of this kind has succeeded for long",
    "lost-write": "an acknowledged write is missing here",
    "read-your-writes": "this process's own earlier write is missing here",
    "monotonic-writes": "an earlier write of the same process is missing here",
    "writes-follow-reads": "what the write had been based on is missing here",
    "non-monotonic-read": "older than what this process had already read",
    "over-admission": "the limit had already been reached",
    "ghost-effect": "nothing that was asked explains this effect",
    "double-hold": "granted while somebody else's lease still runs",
    "expired-hold": "granted while somebody else, whose lease has ended, still works",
}


def _usual(name: str) -> str:
    """What is wrong with the guilty line of an anomaly, whatever its variant."""
    base = name.removesuffix("-process").removesuffix("-realtime")
    if base.endswith("-cycle-exists"):
        return "no order of these explains all that was read"
    return NOTES.get(base, "this is what cannot be")


def mark(ladder: Ladder, anomaly: Anomaly) -> Ladder:
    """The same ladder with its guilty lines, their notes, and numbered arrows."""
    if not ladder.rows:
        return ladder
    edges = anomaly.evidence.get("edges")
    if isinstance(edges, list) and edges:
        return _by_edges(ladder, edges)
    if anomaly.type.startswith("lost-update"):
        marked = _lost_update(ladder, anomaly)
        if marked is not None:
            return marked
    if anomaly.evidence.get("kind") == "lanes":
        return _second_hold(ladder, anomaly)
    return _last_answer(ladder, anomaly)


def _title(ladder: Ladder, row: int) -> str:
    return ladder.columns[ladder.rows[row].column].title


def _marked(ladder: Ladder, notes: dict[int, str], arrows: Sequence[Arrow] = ()) -> Ladder:
    rows = tuple(
        msgspec.structs.replace(row, guilty=True, note=notes[i]) if i in notes else row
        for i, row in enumerate(ladder.rows)
    )
    return msgspec.structs.replace(ladder, rows=rows, arrows=tuple(arrows))


# --- lost updates --------------------------------------------------------------------------------


def _lost_update(ladder: Ladder, anomaly: Anomaly) -> Ladder | None:
    """Two processes read the same version, then both wrote: the later write hides the earlier."""
    adds = anomaly.evidence.get("adds")
    named = adds if isinstance(adds, list) and len(adds) > 1 else None
    writes: dict[int, int] = {}
    for i, row in enumerate(ladder.rows):
        if _does(row, "write") and not row.failed and (named is None or row.op in named):
            writes[row.op if named else row.column] = i
    if len(writes) < 2:
        return None
    first, second = sorted(writes.values())[-2:]
    seen = _read_before(ladder, second)
    arrows = []
    if seen is not None and _asked_at(ladder, seen) < _effective(ladder, first):
        arrows.append(_unseen(ladder, 1, seen, first))
    one, two = _title(ladder, first), _title(ladder, second)
    gone = f"{two}'s write replaces what {one} had written: that change is lost"
    arrows.append(
        Arrow(number=len(arrows) + 1, source=first, target=second, sentence=_capital(gone) + ".")
    )
    notes = {second: f"overwrites {one}'s change, which it had not seen"}
    return _marked(ladder, notes | _misread(ladder, anomaly), arrows)


def _misread(ladder: Ladder, anomaly: Anomaly) -> dict[int, str]:
    """The read that shows the loss, where the evidence names it with what it should have been."""
    evidence = anomaly.evidence
    note = _bounds(evidence)
    rows = [i for i in _answers(ladder, evidence.get("read")) if note]
    return {rows[-1]: note} if rows else {}


def _bounds(evidence: Mapping[str, Any]) -> str:
    lower, upper = evidence.get("lower"), evidence.get("upper")
    if not isinstance(lower, int) or not isinstance(upper, int):
        return ""
    return f"should be {lower}" if lower == upper else f"should be from {lower} to {upper}"


def _answers(ladder: Ladder, op: Any) -> list[int]:
    """The rows in which an operation is answered."""
    return [
        i
        for i, row in enumerate(ladder.rows)
        if row.op == op and row.op >= 0 and row.kind in ("whole", "return")
    ]


def _does(row: Row, access: str) -> bool:
    return row.access == access and row.kind in ("step", "got", "whole", "return")


def _read_before(ladder: Ladder, write: int) -> int | None:
    column = ladder.rows[write].column
    found = [
        i for i in range(write) if ladder.rows[i].column == column and _does(ladder.rows[i], "read")
    ]
    return found[-1] if found else None


def _effective(ladder: Ladder, write: int) -> int:
    """The row at which a write can be seen by others: its commit, or the write itself."""
    row = ladder.rows[write]
    for i in range(write + 1, len(ladder.rows)):
        later = ladder.rows[i]
        if later.op == row.op and later.access == "commit":
            return i
    return write


def _asked_at(ladder: Ladder, row: int) -> int:
    """The row at which a statement was sent, for one whose answer stands apart."""
    answer = ladder.rows[row]
    if answer.kind != "got":
        return row
    sent = [
        i
        for i, each in enumerate(ladder.rows[:row])
        if each.kind == "sent" and each.op == answer.op and each.text == answer.text
    ]
    return sent[-1] if sent else row


def _unseen(ladder: Ladder, number: int, seen: int, write: int) -> Arrow:
    row, reader, writer = ladder.rows[seen], _title(ladder, seen), _title(ladder, write)
    got = f" and got {row.got}" if row.got else ""
    when = "before" if seen < write else "without waiting for"
    sentence = f"{reader} read{got} {when} {writer}'s write, so it did not see that write."
    return Arrow(number=number, source=seen, target=write, sentence=_capital(sentence))


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


# --- dependencies, locks, everything else --------------------------------------------------------


def _by_edges(ladder: Ladder, edges: Sequence[Any]) -> Ladder:
    """A cycle of dependencies: one arrow for each, the last one closes it."""
    arrows: list[Arrow] = []
    for edge in edges:
        if not isinstance(edge, dict):
            continue
        kind, key = str(edge.get("kind", "")), edge.get("key")
        source = _end_of(
            ladder, edge.get("from"), "read" if kind.startswith("rw") else "write", key
        )
        target = _end_of(ladder, edge.get("to"), "read" if kind.startswith("wr") else "write", key)
        if source is None or target is None:
            continue
        sentence = (
            edge.get("sentence")
            or edge.get("why")
            or (f"{_title(ladder, source)} must come before {_title(ladder, target)} ({kind}).")
        )
        arrow = Arrow(
            number=len(arrows) + 1,
            source=source,
            target=target,
            sentence=words.clean(str(sentence), 600),
        )
        arrows.append(arrow)
    if not arrows:
        return ladder
    return _marked(ladder, _unseen_notes(ladder, arrows), arrows)


def _unseen_notes(ladder: Ladder, arrows: Sequence[Arrow]) -> dict[int, str]:
    """Notes for the reads that missed a write; without such, for where the circle closes."""
    notes = {
        arrow.source: f"did not see {_title(ladder, arrow.target)}'s write ({arrow.number})"
        for arrow in arrows
        if ladder.rows[arrow.source].access == "read"
    }
    closing = arrows[-1]
    return notes or {closing.source: f"with ({closing.number}) the order goes round in a circle"}


def _end_of(ladder: Ladder, op: Any, access: str, key: Any) -> int | None:
    """The row of an operation that an arrow starts from or points to."""
    own = [i for i, row in enumerate(ladder.rows) if row.op == op]
    fitting = [i for i in own if ladder.rows[i].access == access]
    if key is not None:
        named = [i for i in fitting if words.show(key) in ladder.rows[i].text]
        fitting = named or fitting
    chosen = fitting or own
    return chosen[-1] if chosen else None


def _second_hold(ladder: Ladder, anomaly: Anomaly) -> Ladder:
    """The acquire that was granted although another hold went on, and what let it happen."""
    acquires = [_answers(ladder, op) for op in anomaly.ops[:2]]
    if len(acquires) < 2 or not all(acquires):
        return _last_answer(ladder, anomaly)
    first, second = (rows[-1] for rows in acquires)
    holder = _title(ladder, first)
    notes = {second: f"{NOTES.get(anomaly.type, 'granted too early')}: {holder}"}
    for stray in anomaly.ops[2:]:
        rows = [i for i, row in enumerate(ladder.rows) if row.op == stray]
        steps = [i for i in rows if ladder.rows[i].access == "write"] or rows
        notes |= {steps[-1]: f"this lets it go, but by now the lock is {holder}'s"} if steps else {}
    return _marked(ladder, notes)


def _last_answer(ladder: Ladder, anomaly: Anomaly) -> Ladder:
    """The answer of the operation that the evidence accuses, or that the witness names last."""
    evidence = anomaly.evidence
    named = [evidence.get(name) for name in ("guilty", "op", "read")]
    accused = next((op for op in named if isinstance(op, int)), None)
    if accused is None:
        accused = anomaly.ops[-1] if anomaly.ops else ladder.rows[-1].op
    rows = _answers(ladder, accused)
    if not rows:
        return ladder
    note = evidence.get("note") or _bounds(evidence) or _usual(anomaly.type)
    return _marked(ladder, {rows[-1]: words.clean(str(note), 200)})
