"""Linearizability: every operation seems to take effect at one instant between call and return.

Herlihy & Wing 1990. Objects are judged one key at a time (locality). Failed operations are dropped
unless the model says that their refusal is an observation; crashed ones may take effect at any
time after their call, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from ..harness.history import History, Operation
from ..harness.protocols import Model
from ..harness.verdict import Anomaly, Verdict
from .findings import merged
from .linear.operations import stepped
from .linear.problem import Problem
from .linear.registers import Rows, garbage, overwritten_before, problem_of, rows_of
from .linear.search import Outcome, Search
from .models import CasRegister, Register
from .wording import either, plain, show

BUDGET, BUDGET_PER_OPERATION = 20_000_000, 200
"""Configurations that may be visited unless told otherwise: in all, and more for each operation.

One that needs several words (many in flight or crashed) counts for as many, a step of a model in
Python for `steps.STEP`.
"""


class LinearizableChecker:
    """Judges operations against a sequential model; see `models` for what a model may tell."""

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
        model = self._model
        # A register that a user made of ours may step otherwise.
        if isinstance(model, Register) and type(model) in (Register, CasRegister):
            return self._check_registers(history, model)
        problem = stepped(history, model, keyed=self._keyed)
        findings, gave_out = self._search(problem, lambda row: None)
        return self._verdict(problem, findings, gave_out, judged=_answered(problem))

    def _check_registers(self, history: History, model: Register) -> Verdict:
        every = rows_of(history, model, self._keyed)
        strange = garbage(every)
        rows = every.without(strange)
        problem = problem_of(history, rows)
        findings, gave_out = self._search(problem, lambda row: overwritten_before(rows, row))
        findings = [*_tell_garbage(history, every, strange), *findings]
        judged = _answered(problem) + len(strange)
        return self._verdict(problem, findings, gave_out, judged=judged)

    def _search(
        self, problem: Problem, newer: Callable[[int], int | None]
    ) -> tuple[list[Anomaly], list[int]]:
        """The findings, and the keys for which the budget ran out."""
        findings: list[Anomaly] = []
        gave_out: list[int] = []
        for outcome in Search(problem, self._limit(problem)).outcomes():
            if outcome.legal is None:
                gave_out.append(outcome.key)
            else:
                findings.append(self._tell(problem, outcome, newer(outcome.culprit)))
        return findings, gave_out

    def _limit(self, problem: Problem) -> int:
        return self._budget or BUDGET + BUDGET_PER_OPERATION * len(problem)

    def _tell(self, problem: Problem, outcome: Outcome, newer: int | None) -> Anomaly:
        op = problem.operation(outcome.culprit)
        states = [_shown(self._model, state) for state in outcome.states]
        claim = f"Process {op.process} {_claim(self._model, op)}{_where(problem, outcome.key)}"
        ops: tuple[int, ...] = (op.index,)
        if newer is not None:
            other = problem.operation(newer)
            ops = (op.index, other.index)
            sentence = (
                f"{claim}, although process {other.process} "
                f"{_claim(self._model, other)} after that and before the read began."
            )
        else:
            sentence = (
                f"{claim}, which fits no order of the operations: "
                f"the state can only have been {either(states)} then."
            )
        return Anomaly(
            type="nonlinearizable" if newer is None else "stale-read",
            sentence=sentence,
            ops=ops,
            evidence={
                "kind": "linearizability",
                "key": plain(problem.keys[outcome.key]),
                "op": op.index,
                "states": states,
                "prefix": problem.index[list(outcome.path)].tolist(),
                "concurrent": problem.index[list(outcome.concurrent)].tolist(),
            },
        )

    def _verdict(
        self, problem: Problem, findings: list[Anomaly], gave_out: list[int], *, judged: int
    ) -> Verdict:
        reason = ""
        if gave_out:
            where = _where(problem, gave_out[0]).strip(" ()")
            more = f" and {len(gave_out) - 1} more" if len(gave_out) > 1 else ""
            reason = (
                f"linearizability: the budget of {self._limit(problem):,} configurations ran out"
                f"{where and f' for {where}'}{more}"
            )
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


def _answered(problem: Problem) -> int:
    return int(np.count_nonzero(~problem.crashed))


def _where(problem: Problem, key: int) -> str:
    name: Hashable = problem.keys[key]
    return "" if name is None else f" (key {show(plain(name))})"


def _shown(model: Any, state: Hashable) -> Any:
    shown = getattr(model, "shown", plain)
    return shown(state)


def _claim(model: Any, op: Operation) -> str:
    tell = getattr(model, "tell", None)
    return tell(op) if tell is not None else f"completed {op.f} {show(op.value)}"


def _tell_garbage(history: History, rows: Rows, strange: Any) -> list[Anomaly]:
    return [_garbage(rows.operation(history, row), rows.keys[rows.key[row]])
            for row in strange.tolist()]  # fmt: skip


def _garbage(op: Operation, key: Hashable) -> Anomaly:
    value = plain(op.value)
    where = "" if key is None else f" (key {show(plain(key))})"
    return Anomaly(
        type="garbage-read",
        sentence=f"Process {op.process} read {show(value)}{where}, a value that nobody ever wrote.",
        ops=(op.index,),
        evidence={"kind": "linearizability", "key": plain(key), "op": op.index, "value": value},
    )
