"""Linearizability: every operation seems to take effect at one instant between call and return.

Herlihy & Wing 1990. Objects are judged one key at a time (locality). Failed operations are dropped
unless the model says that their refusal is an observation; crashed ones may take effect at any
time after their call, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from ..harness.history import History, Operation
from ..harness.protocols import Model
from ..harness.verdict import Anomaly, Verdict
from .findings import merged
from .models import UNSEEN, Register
from .registers import garbage_reads, overwritten_before
from .search import Outcome, Pending, Search
from .wording import either, freeze, plain, show

DEPTH_PER_OPERATION = 12
"""Configurations that the depth-first search may visit for each operation before it gives way."""

MOST_AT_ONCE = 400_000
"""Configurations that the breadth-first search may hold at one return."""

ENUMERATE = 20_000
"""Steps that may be spent on finding out which operations never change any state."""


class LinearizableChecker:
    """Judges operations against a sequential model; see `models.py` for what a model may tell."""

    name = "linearizable"

    def __init__(
        self, model: Model, *, keyed: bool | None = None, budget: int | None = None
    ) -> None:
        """`keyed`: values read `[key, value]` (None: look); `budget`: configurations to visit."""
        self._model = model
        self._keyed = keyed
        self._budget = budget

    def check(self, history: History) -> Verdict:
        """Search an order for each key; count the operations that had to be explained."""
        operations = self._observed(history)
        left = self._budget or 1_000_000 + 20 * len(operations)
        findings: list[Anomaly] = []
        gave_out: list[str] = []
        judged = 0
        for key, group in self._partition(operations):
            judged += sum(op.type != "info" for op in group)
            if isinstance(self._model, Register):
                group, strange = garbage_reads(group, self._model.initial)
                findings.extend(_tell_garbage(key, op) for op in strange)
            outcome = self._search(group, left)
            left = max(1, left - outcome.work)
            if outcome.legal is None:
                gave_out.append("" if key is None else f"key {show(plain(key))}")
            elif not outcome.legal:
                findings.append(self._tell(key, group, outcome))
        return _verdict(findings, gave_out, judged)

    def _observed(self, history: History) -> list[Operation]:
        """Everything but failures; a refusal stays where the model says that it observes."""
        refusals = getattr(self._model, "refusals", ())
        return [
            op
            for op in history.operations()
            if op.type != "fail" or (op.error == "refused" and op.f in refusals)
        ]

    def _partition(
        self, operations: Sequence[Operation]
    ) -> Iterable[tuple[Hashable, list[Operation]]]:
        split = getattr(self._model, "partition", None)
        if split is None:
            return [(None, list(operations))] if operations else []
        groups: Iterable[tuple[Hashable, list[Operation]]] = split(operations, self._keyed)
        return groups

    def _search(self, group: Sequence[Operation], budget: int) -> Outcome:
        codes = _Codes(self._model, group)
        search = Search(
            [
                Pending(op.call, None if op.type == "info" else op.ret, code)
                for op, code in zip(group, codes.of, strict=True)
            ],
            init=self._model.init(),
            step=codes.step,
            reads=codes.reads(),
        )
        outcome = search.depth_first(min(budget, 10_000 + DEPTH_PER_OPERATION * len(group)))
        if outcome.legal is None:
            outcome = search.breadth_first(budget, MOST_AT_ONCE)
        return outcome

    def _tell(self, key: Hashable, group: Sequence[Operation], outcome: Outcome) -> Anomaly:
        op = group[outcome.culprit]
        newer = (
            overwritten_before(op, group, self._model.initial)
            if isinstance(self._model, Register)
            else None
        )
        states = [_state(state) for state in outcome.states]
        claim = _claim(self._model, op) + ("" if key is None else f" (key {show(plain(key))})")
        if newer is not None:
            sentence = (
                f"Process {op.process} {claim}, although process {newer.process} "
                f"{_claim(self._model, newer)} after that and before the read began."
            )
        else:
            sentence = (
                f"Process {op.process} {claim}, which fits no order of the operations: "
                f"the state can only have been {either(states)} then."
            )
        return Anomaly(
            type="nonlinearizable" if newer is None else "stale-read",
            sentence=sentence,
            ops=(op.index, *([] if newer is None else [newer.index])),
            evidence={
                "kind": "linearizability",
                "key": plain(key),
                "op": op.index,
                "states": states,
                "prefix": [group[i].index for i in outcome.path],
                "concurrent": [group[i].index for i in outcome.concurrent],
            },
        )


class _Codes:
    """Numbers for the operations that a model cannot tell apart, and the model's step over them."""

    def __init__(self, model: Model, group: Sequence[Operation]) -> None:
        self._model = model
        signature: Callable[[Operation], Hashable] = getattr(model, "signature", _everything)
        known: dict[Hashable, int] = {}
        self.examples: list[Operation] = []
        self.of: list[int] = []
        for op in group:
            code = known.setdefault(signature(op), len(known))
            if code == len(self.examples):
                self.examples.append(op)
            self.of.append(code)

    def step(self, state: Hashable, code: int) -> Iterable[Hashable]:
        """The states that may follow."""
        return self._model.step(state, self.examples[code])

    def reads(self) -> list[bool]:
        """Which operations never change any state: as the model says, else found by trying all."""
        reads = getattr(self._model, "reads", None)
        if reads is not None:
            return [op.f in reads or op.type == "fail" for op in self.examples]
        return self._enumerated()

    def _enumerated(self) -> list[bool]:
        """Step every operation from every reachable state; none is a read if that is too much."""
        reads = [True] * len(self.examples)
        seen = {self._model.init()}
        todo = list(seen)
        steps = 0
        while todo:
            state = todo.pop()
            for code in range(len(reads)):
                steps += 1
                if steps > ENUMERATE:
                    return [False] * len(reads)
                for after in self.step(state, code):
                    if after != state:
                        reads[code] = False
                    if after not in seen:
                        seen.add(after)
                        todo.append(after)
        return reads


def _everything(op: Operation) -> Hashable:
    """All that a user's step may look at: everything but when and where it stands."""
    told = (op.asked, op.value, op.result, dict(op.ext))
    return op.process, op.type, op.f, op.error, op.phase, freeze(told)


def _state(state: Hashable) -> Any:
    return "another value that nobody saw" if state == UNSEEN else plain(state)


def _claim(model: Any, op: Operation) -> str:
    tell = getattr(model, "tell", None)
    return tell(op) if tell is not None else f"completed {op.f} {show(op.value)}"


def _tell_garbage(key: Hashable, op: Operation) -> Anomaly:
    value = plain(op.value)
    where = "" if key is None else f" (key {show(plain(key))})"
    return Anomaly(
        type="garbage-read",
        sentence=f"Process {op.process} read {show(value)}{where}, a value that nobody ever wrote.",
        ops=(op.index,),
        evidence={"kind": "linearizability", "key": plain(key), "op": op.index, "value": value},
    )


def _verdict(findings: list[Anomaly], gave_out: list[str], judged: int) -> Verdict:
    reason = ""
    if gave_out:
        where = f" for {gave_out[0]}" if gave_out[0] else ""
        more = f" and {len(gave_out) - 1} more" if len(gave_out) > 1 else ""
        reason = f"linearizability: the budget of configurations ran out{where}{more}"
    elif not judged:
        reason = "no operation to put in order"
    if findings:
        return Verdict(
            verdict="violated",
            reason=reason,
            anomalies=merged(findings),
            not_=("linearizable",),
            also_not=("strict-serializable",),
            judged=judged,
        )
    return Verdict(verdict="unknown" if reason else "holds", reason=reason, judged=judged)
