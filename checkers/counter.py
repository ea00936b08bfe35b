"""Counters: every read lies between what was acknowledged and what was attempted, and at rest
nothing is missing and nothing is too much.

Bounds as in Jepsen's counter checker; indeterminate adds and decrements only ever widen them. A
read at rest must equal the acknowledged adds plus some subset of the indeterminate ones. New
values that adds returned name the pair that lost an update.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..harness.columns import FAIL, OK
from ..harness.history import History
from ..harness.interning import I64
from ..harness.verdict import Anomaly, Verdict, unknown
from .counting import (
    Adds,
    Clash,
    Counters,
    Reads,
    answer,
    bounded,
    clashing,
    contradicted,
    counters,
    gaps,
    moved,
    opened_by,
    plainest,
)
from .findings import merged
from .rows import Mask, groups
from .sums import Integers
from .wording import capital, counted, freeze, label, plain, show, titled


@dataclass(frozen=True, slots=True)
class _Counter:
    """One counter that something seems wrong with.

    `gap` is what each of its reads lacks (negative: has too much); `strange` are those that
    answered no integer; `clashes` name rows of `every`, the adds of all counters.
    """

    history: History
    name: str
    adds: Adds
    reads: Reads
    gap: Integers
    strange: Sequence[int]
    clashes: Sequence[Clash]
    every: Adds

    @property
    def called(self) -> str:
        """How sentences name it."""
        return f"counter {titled(self.name)}" if self.name else "the counter"

    def process(self, index: int | np.int64) -> int:
        """Whose operation stands there in the history."""
        return int(self.history.process[index])


class CounterChecker:
    """Judges `add [key, delta]` (result: the new value, if known) and `read [key, value]`."""

    name = "counter"

    def __init__(self, *, initial: Mapping[Any, int] | int = 0) -> None:
        """`initial` is the value of every counter, or of each by its key (absent: 0)."""
        self._initial = (
            {label(key): value for key, value in initial.items()}
            if isinstance(initial, Mapping)
            else initial
        )

    def check(self, history: History) -> Verdict:
        """Judge every read and every acknowledged add; count both.

        Without a read nothing can contradict an add: a run's floors ask for the reads.
        """
        found = counters(history, self._opening)
        findings = [each for counter in _suspects(history, found) for each in _judge(counter)]
        judged = len(found.answers.key) + len(found.strange)
        judged += int(np.count_nonzero(found.adds.type == OK))
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        if not judged:
            return unknown("no add was acknowledged and no counter was read")
        return Verdict(verdict="holds", judged=judged)

    def _opening(self, name: str) -> int:
        return self._initial if isinstance(self._initial, int) else self._initial.get(name, 0)


def _suspects(history: History, found: Counters) -> Iterator[_Counter]:
    """The counters with a read that nothing explains, or with new values that exclude each other."""
    adds, reads, keys = found.adds, bounded(found), len(found.names)
    gap, moves = gaps(adds, reads), moved(adds, keys)
    suspects = np.unique(
        np.concatenate((reads.key[gap != 0], found.strange_key, contradicted(moves)))
    )
    if not len(suspects):
        return
    by_key = [groups(key, keys) for key in (adds.key, reads.key, moves.key, found.strange_key)]
    for key in suspects.tolist():
        added, read, claimed, strange = (each[key] for each in by_key)
        yield _Counter(
            history=history,
            name=found.names[key],
            adds=adds.of(added),
            reads=reads.of(read),
            gap=gap[read],
            strange=found.strange[strange].tolist(),
            clashes=clashing(moves.of(claimed)),
            every=adds,
        )


def _judge(counter: _Counter) -> list[Anomaly]:
    reads = counter.reads
    wrong, missing, lasting = _wrong(counter)
    # If all adds, even the open ones, are in a value none was lost, and values that two adds
    # returned alike were no new values.
    nothing_lost = bool((reads.rest & (reads.value == reads.attempted)).any())
    clashes = [] if nothing_lost else counter.clashes

    lost, stale = np.flatnonzero(missing & lasting), np.flatnonzero(missing & ~lasting)
    surplus = np.flatnonzero(wrong & ~missing & lasting)
    strange = [*counter.strange, *reads.index[wrong & ~missing & ~lasting].tolist()]
    findings = [_tell_garbage(counter, strange)] if strange else []
    if len(lost) or clashes:
        findings.append(_tell_lost(counter, clashes, lost))
    if len(stale):
        findings.append(_tell_stale(counter, stale))
    if len(surplus):
        findings.append(_tell_surplus(counter, surplus))
    return findings


def _wrong(counter: _Counter) -> tuple[Mask, Mask, Mask]:
    """Which reads their bounds refuse; which of them lack effects of acknowledged adds; and which
    reads no later read at rest puts right."""
    reads, gap = counter.reads, counter.gap
    delta = counter.adds.delta[counter.adds.type == OK]
    wrong = gap != 0
    missing = ((gap > 0) & (delta > 0).any()) | ((gap < 0) & (delta < 0).any())
    healthy = reads.call[reads.rest & ~wrong].max(initial=-1)
    return wrong, missing, healthy <= reads.ret


# --- how it is told ------------------------------------------------------------------------------


def _tell_garbage(counter: _Counter, indices: Sequence[int]) -> Anomaly:
    op = counter.history.operation(indices[0])
    value = answer(op.asked, op.value)
    return Anomaly(
        type="garbage-read",
        sentence=f"Process {op.process} read {show(value)} from {counter.called}, "
        "a value that the counter never had.",
        ops=(op.index,),
        count=len(indices),
        evidence={"kind": "ladder", "key": counter.name, "value": plain(freeze(value))},
    )


def _tell_lost(counter: _Counter, clashes: Sequence[Clash], lost: I64) -> Anomaly:
    evidence: dict[str, Any] = {"kind": "ladder", "key": counter.name}
    read = _plainest_read(counter, lost)
    sentences: list[str] = []
    ops: list[int] = []
    if clashes:
        clash = plainest(clashes, counter.every)
        sentences.append(_clash_sentence(counter, clash))
        ops += counter.every.index[[clash.first, clash.second]].tolist()
        evidence |= {"adds": list(ops), "old": list(clash.old)}
    if read is not None:
        sentences.append(_missing_sentence(counter, read))
        ops.append(counter.reads.index.item(read))
        evidence |= _figures(counter.reads, read)
        if not clashes:
            suspects, sentence = _overlap(counter, read)
            sentences += [sentence] if sentence else []
            ops += suspects
            evidence["adds"] = suspects
    return Anomaly(
        type="lost-update",
        sentence=" ".join(sentences),
        ops=tuple(ops),
        count=max(len(clashes), _fewest_lost(counter, read)),
        evidence=evidence,
    )


def _plainest_read(counter: _Counter, some: I64) -> int | None:
    """A read at rest shows a loss most plainly; else the first."""
    rest = some[counter.reads.rest[some]]
    first = rest if len(rest) else some
    return first.item(0) if len(first) else None


def _clash_sentence(counter: _Counter, clash: Clash) -> str:
    adds, (first, second) = counter.every, (clash.first, clash.second)
    p, q = counter.process(adds.index[first]), counter.process(adds.index[second])
    new, other_new = adds.result.item(first), adds.result.item(second)
    if clash.old[0] != clash.old[1]:
        return (
            f"Process {p} was told that its add took {counter.called} from {clash.old[0]} to "
            f"{new}, process {q} that its add took it from {clash.old[1]} to "
            f"{other_new}: one of the two updates is lost."
        )
    delta, other_delta = adds.delta.item(first), adds.delta.item(second)
    same = delta == other_delta
    added = f"both added {delta}" if same else f"added {delta} and {other_delta}"
    answers = (
        f"each was told that it is now {new}"
        if same
        else f"were told that it is now {new} and {other_new}"
    )
    return (
        f"Processes {p} and {q} {added} to {counter.called} when it was {clash.old[0]}, "
        f"and {answers}: one of the two updates is lost."
    )


def _missing_sentence(counter: _Counter, read: int) -> str:
    reads, value = counter.reads, counter.reads.value.item(read)
    if not reads.rest[read]:
        lower, upper = reads.lower.item(read), reads.upper.item(read)
        edge = f"at least {lower}" if value < lower else f"at most {upper}"
        return (
            f"Process {counter.process(reads.index[read])} read {value} from {counter.called}, "
            f"but with the adds acknowledged by then it was {edge}."
        )
    opened = len(opened_by(counter.adds, reads.ret[read]))
    but = f", and no choice of {counted(opened, 'indeterminate add')} explains it" if opened else ""
    return (
        f"{capital(counter.called)} is {value} at rest, "
        f"but the acknowledged adds make {reads.acknowledged.item(read)}{but}."
    )


def _overlap(counter: _Counter, read: int) -> tuple[list[int], str]:
    """The last pair of overlapping acknowledged adds before this read, and how to tell it.

    Each add makes a pair with the one of those called before it that returns last.
    """
    adds = counter.adds
    adds = adds.of((adds.type == OK) & (adds.call <= counter.reads.ret[read]))
    adds = adds.of(np.argsort(adds.call, kind="stable"))
    pairs = np.flatnonzero(adds.call[1:] <= np.maximum.accumulate(adds.ret)[:-1]) + 1
    if not len(pairs):
        return [], ""
    second = pairs[-1]
    indices = adds.index[[np.argmax(adds.ret[:second]), second]].tolist()
    one, other = map(counter.process, indices)
    among = f" (one of {len(pairs)} such pairs)" if len(pairs) > 1 else ""
    return indices, (
        f"The adds of processes {one} and {other} overlapped{among}: "
        "probably one of these overwrote the other."
    )


def _fewest_lost(counter: _Counter, read: int | None) -> int:
    """How many adds at the least are missing from this value."""
    if read is None:
        return 1
    steps = np.abs(counter.adds.delta[counter.adds.type == OK]).tolist()
    fewest: int = -(-abs(counter.gap.item(read)) // (max(steps, default=1) or 1))
    return max(1, fewest)


def _tell_stale(counter: _Counter, stale: I64) -> Anomaly:
    read = stale.item(0)
    sentence = _missing_sentence(counter, read)
    return Anomaly(
        type="stale-read",
        sentence=f"{sentence} Later nothing was missing: the read was stale.",
        ops=(counter.reads.index.item(read),),
        count=len(stale),
        evidence={"kind": "ladder", "key": counter.name, **_figures(counter.reads, read)},
    )


def _tell_surplus(counter: _Counter, surplus: I64) -> Anomaly:
    """More than was ever asked for: from adds that failed, or from adds that counted twice."""
    reads, read = counter.reads, _plainest_read(counter, surplus) or 0
    ghost = _ghost(counter, read)
    cause = "something took effect more than once, or nobody asked for it"
    if ghost is not None:
        delta, process = counter.adds.delta[ghost], counter.process(counter.adds.index[ghost])
        cause = f"the add of {delta} by process {process}, which failed, took effect"
    fewer = counter.gap.item(read) > 0
    limit = reads.lower.item(read) if fewer else reads.upper.item(read)
    ops = [reads.index.item(read)]
    return Anomaly(
        type="duplicate-effect" if ghost is None else "ghost-effect",
        sentence=f"{capital(counter.called)} is {reads.value.item(read)}, but everything that can "
        f"have happened makes {limit} {'at least' if fewer else 'at most'}: {cause}.",
        ops=tuple(ops if ghost is None else [*ops, counter.adds.index.item(ghost)]),
        evidence={"kind": "ladder", "key": counter.name, **_figures(reads, read)},
    )


def _ghost(counter: _Counter, read: int) -> int | None:
    """An add that failed, where failed adds alone account for what is too much."""
    adds, gap = counter.adds, counter.gap.item(read)
    before = (adds.type == FAIL) & (adds.call <= counter.reads.ret[read])
    ghosts = np.flatnonzero(before & ((adds.delta < 0) if gap > 0 else (adds.delta > 0)))
    enough = abs(sum(adds.delta[ghosts].tolist())) >= abs(gap)
    return ghosts.item(0) if len(ghosts) and enough else None


def _figures(reads: Reads, read: int) -> dict[str, Any]:
    figures = {"value": reads.value, "lower": reads.lower, "upper": reads.upper}
    return {"read": reads.index.item(read), **{n: c.item(read) for n, c in figures.items()}}
