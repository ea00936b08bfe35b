"""Counters: every read lies between what was acknowledged and what was attempted, and at rest
nothing is missing and nothing is too much.

Bounds as in Jepsen's counter checker; indeterminate adds and decrements only ever widen them. A
read at rest must equal the acknowledged adds plus some subset of the indeterminate ones. New
values that adds returned name the pair that lost an update.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.verdict import Anomaly, Verdict, unknown
from .counting import Add, Clash, Key, Read, answer, bounded, clashing, complete, gap, integral
from .findings import merged
from .wording import capital, counted, freeze, label, plain, show


@dataclass(frozen=True, slots=True)
class Wrong:
    """A read that its bounds refuse.

    `gap` is what it lacks (negative: has too much); `missing` says that effects of acknowledged
    adds are what it lacks; `lasting` that no later read at rest was right.
    """

    read: Read
    gap: int
    missing: bool
    lasting: bool


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
        findings: list[Anomaly] = []
        judged = 0
        for key in self._keys(history).values():
            findings.extend(_judge(key))
            judged += len(key.reads) + len(key.acknowledged)
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        if not judged:
            return unknown("no add was acknowledged and no counter was read")
        return Verdict(verdict="holds", judged=judged)

    def _keys(self, history: History) -> dict[str, Key]:
        keys: dict[str, Key] = {}
        for op in history.operations("add", "read"):
            name, amount = _split(op)
            key = keys.get(name)
            if key is None:
                key = keys[name] = Key(name, self._start(name))
            if op.f == "add":
                kind = {"ok": key.acknowledged, "info": key.opened, "fail": key.failed}[op.type]
                kind.append(Add(op, _whole(op, amount)))
            elif op.type == "ok":
                key.reads.append(op)
        return keys

    def _start(self, name: str) -> int:
        return self._initial if isinstance(self._initial, int) else self._initial.get(name, 0)


def _split(op: Operation) -> tuple[str, Any]:
    """Key and amount; a bare value (Jepsen's own counter) belongs to the one counter there is."""
    if isinstance(op.asked, list) and len(op.asked) == 2:
        return label(op.asked[0]), op.asked[1]
    return "", op.asked


def _whole(op: Operation, amount: Any) -> int:
    if type(amount) is not int:
        raise UsageError(f"operation {op.index}: an add takes an integer, not {amount!r}")
    return amount


# --- judging one counter -------------------------------------------------------------------------


def _judge(key: Key) -> list[Anomaly]:
    reads = list(bounded(key))
    wrong = list(_wrong(key, reads))
    nothing_lost = any(read.rest and complete(key, read) for read in reads)
    clashes = [] if nothing_lost else clashing([*key.acknowledged, *key.opened])
    strange = [op for op in key.reads if not integral(answer(op))]

    lost = [w.read for w in wrong if w.missing and w.lasting]
    stale = [w.read for w in wrong if w.missing and not w.lasting]
    surplus = [w for w in wrong if not w.missing and w.lasting]
    strange += [w.read.op for w in wrong if not w.missing and not w.lasting]
    findings = [_tell_garbage(key, strange)] if strange else []
    if lost or clashes:
        findings.append(_tell_lost(key, clashes, lost))
    if stale:
        findings.append(_tell_stale(key, stale))
    if surplus:
        findings.append(_tell_surplus(key, surplus))
    return findings


def _wrong(key: Key, reads: Sequence[Read]) -> Iterator[Wrong]:
    lacks = [(read, gap(key, read)) for read in reads]
    healthy = max((read.op.call for read, lack in lacks if read.rest and not lack), default=-1)
    up = any(add.delta > 0 for add in key.acknowledged)
    down = any(add.delta < 0 for add in key.acknowledged)
    for read, lack in lacks:
        if lack:
            yield Wrong(read, lack, up if lack > 0 else down, healthy <= read.op.ret)


# --- how it is told ------------------------------------------------------------------------------


def _tell_garbage(key: Key, ops: Sequence[Operation]) -> Anomaly:
    op = ops[0]
    value = answer(op)
    return Anomaly(
        type="garbage-read",
        sentence=f"Process {op.process} read {show(value)} from {key.called}, "
        "a value that the counter never had.",
        ops=(op.index,),
        count=len(ops),
        evidence={"kind": "ladder", "key": key.name, "value": plain(freeze(value))},
    )


def _tell_lost(key: Key, clashes: Sequence[Clash], reads: Sequence[Read]) -> Anomaly:
    evidence: dict[str, Any] = {"kind": "ladder", "key": key.name}
    # A read at rest shows the loss most plainly.
    witness = next((read for read in reads if read.rest), reads[0] if reads else None)
    sentences: list[str] = []
    ops: list[int] = []
    if clashes:
        clash = clashes[0]
        sentences.append(_clash_sentence(key, clash))
        ops += [clash.first.op.index, clash.second.op.index]
        evidence |= {"adds": list(ops), "old": list(clash.old)}
    if witness is not None:
        sentences.append(_missing_sentence(key, witness))
        ops.append(witness.op.index)
        evidence |= _figures(witness)
        if not clashes:
            suspects, sentence = _suspects(key, witness)
            sentences += [sentence] if sentence else []
            ops += suspects
            evidence["adds"] = suspects
    return Anomaly(
        type="lost-update",
        sentence=" ".join(sentences),
        ops=tuple(ops),
        count=max(len(clashes), _fewest_lost(key, witness)),
        evidence=evidence,
    )


def _clash_sentence(key: Key, clash: Clash) -> str:
    (one, p), (two, q) = ((add, add.op.process) for add in (clash.first, clash.second))
    if clash.old[0] != clash.old[1]:
        return (
            f"Process {p} was told that its add took {key.called} from {clash.old[0]} to "
            f"{one.op.result}, process {q} that its add took it from {clash.old[1]} to "
            f"{two.op.result}: one of the two updates is lost."
        )
    same = one.delta == two.delta
    added = f"both added {one.delta}" if same else f"added {one.delta} and {two.delta}"
    told = (
        f"each was told that it is now {one.op.result}"
        if same
        else f"were told that it is now {one.op.result} and {two.op.result}"
    )
    return (
        f"Processes {p} and {q} {added} to {key.called} when it was {clash.old[0]}, and {told}: "
        "one of the two updates is lost."
    )


def _missing_sentence(key: Key, read: Read) -> str:
    if not read.rest:
        edge = f"at least {read.lower}" if read.value < read.lower else f"at most {read.upper}"
        return (
            f"Process {read.op.process} read {read.value} from {key.called}, "
            f"but with the adds acknowledged by then it was {edge}."
        )
    opened = len(key.opened_by(read))
    but = f", and no choice of {counted(opened, 'indeterminate add')} explains it" if opened else ""
    return (
        f"{capital(key.called)} is {read.value} at rest, "
        f"but the acknowledged adds make {key.total}{but}."
    )


def _suspects(key: Key, read: Read) -> tuple[list[int], str]:
    """The last pair of overlapping acknowledged adds before this read, and how to tell it."""
    adds = (add.op for add in key.acknowledged if add.op.call <= read.op.ret)
    pairs = list(_overlapping(sorted(adds, key=lambda op: op.call)))
    if not pairs:
        return [], ""
    first, second = pairs[-1]
    among = f" (one of {len(pairs)} such pairs)" if len(pairs) > 1 else ""
    return [first.index, second.index], (
        f"The adds of processes {first.process} and {second.process} overlapped{among}: "
        "probably one of these overwrote the other."
    )


def _overlapping(ops: Iterable[Operation]) -> Iterator[tuple[Operation, Operation]]:
    """Each operation that overlaps an earlier one, with the one of those that returns last."""
    latest: Operation | None = None
    for op in ops:
        if latest is not None and op.call <= latest.ret:
            yield latest, op
        if latest is None or op.ret > latest.ret:
            latest = op


def _fewest_lost(key: Key, read: Read | None) -> int:
    """How many adds at the least are missing from this value."""
    if read is None:
        return 1
    step = max((abs(add.delta) for add in key.acknowledged), default=1) or 1
    return max(1, -(-abs(gap(key, read)) // step))


def _tell_stale(key: Key, reads: Sequence[Read]) -> Anomaly:
    read = reads[0]
    return Anomaly(
        type="stale-read",
        sentence=f"{_missing_sentence(key, read)} Later nothing was missing: the read was stale.",
        ops=(read.op.index,),
        count=len(reads),
        evidence={"kind": "ladder", "key": key.name, **_figures(read)},
    )


def _tell_surplus(key: Key, wrong: Sequence[Wrong]) -> Anomaly:
    """More than was ever asked for: from adds that failed, or from adds that counted twice."""
    chosen = next((w for w in wrong if w.read.rest), wrong[0])
    read = chosen.read
    ghost = _ghost(key, chosen)
    cause = (
        f"the add of {ghost.delta} by process {ghost.op.process}, which failed, took effect"
        if ghost
        else "something took effect more than once, or nobody asked for it"
    )
    edge = "at least" if chosen.gap > 0 else "at most"
    limit = read.lower if chosen.gap > 0 else read.upper
    return Anomaly(
        type="ghost-effect" if ghost else "duplicate-effect",
        sentence=f"{capital(key.called)} is {read.value}, but everything that can have happened "
        f"makes {limit} {edge}: {cause}.",
        ops=(read.op.index, *([ghost.op.index] if ghost else [])),
        evidence={"kind": "ladder", "key": key.name, **_figures(read)},
    )


def _ghost(key: Key, wrong: Wrong) -> Add | None:
    """An add that failed, where failed adds alone account for what is too much."""
    before = [add for add in key.failed if add.op.call <= wrong.read.op.ret]
    ghosts = [add for add in before if add.delta * wrong.gap < 0]
    enough = abs(sum(add.delta for add in ghosts)) >= abs(wrong.gap)
    return ghosts[0] if ghosts and enough else None


def _figures(read: Read) -> dict[str, Any]:
    figures = {"value": read.value, "lower": read.lower, "upper": read.upper}
    return {"read": read.op.index, **figures}
