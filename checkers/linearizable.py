"""Linearizability: every operation seems to take effect at one instant between call and return.

Herlihy & Wing 1990. Objects are judged one key at a time (locality). Failed operations are dropped
unless the model says that their refusal is an observation; crashed ones may take effect at any
time after their call, or never.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..harness.history import History, Operation
from ..harness.protocols import Model
from ..harness.verdict import Anomaly, Verdict
from .findings import merged
from .linear.problem import Problem
from .linear.registers import Rows, garbage, rows_of
from .linear.search import Outcome, Search
from .linear.subjects import Registers, Subject, objects
from .models import CasRegister, Register
from .patterns import choose
from .patterns.decision import PATTERNS, Decision, no_rows
from .wording import either, plain, show

BUDGET, BUDGET_PER_OPERATION = 20_000_000, 200
"""Configurations that may be visited unless told otherwise: in all, and more for each operation.

One that needs several words (many in flight or crashed) counts for as many, a step of a model in
Python for `steps.STEP`.
"""

MOST_DECISIONS = 20
"""Keys that patterns rule out one after another; what more there is the search finds."""

TELLING = 50_000
"""Configurations that may be spent on telling more of what is ruled out already."""


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
        """Decide or search an order for each key; count the operations that had to be explained."""
        model = self._model
        # A register that a user made of ours may step otherwise.
        if isinstance(model, Register) and type(model) in (Register, CasRegister):
            every = rows_of(history, model, self._keyed)
            strange = garbage(every)
            subject: Subject = Registers(history, every.without(strange))
            findings = _tell_garbage(history, every, strange)
        else:
            judged = 0 if self._keyed else choose.legal(history, model)
            if judged:
                return Verdict(verdict="holds", judged=judged)
            subject, strange = objects(history, model, keyed=self._keyed), no_rows()
            findings = []
        limit = self._budget or BUDGET + BUDGET_PER_OPERATION * len(subject.key)
        found, gave_out = self._explain(subject, limit)
        judged = subject.answered + len(strange)
        return self._verdict(subject, [*findings, *found], gave_out, limit, judged=judged)

    def _explain(self, subject: Subject, limit: int) -> tuple[list[Anomaly], list[int]]:
        """The findings, one a key, and the keys for which the budget ran out."""
        findings: list[Anomaly] = []
        decision = subject.decide()
        for _ in range(MOST_DECISIONS):
            if decision is None or decision.legal is not False:
                break
            here = subject.key == subject.key[decision.rows[0]]
            findings.append(self._settle(subject, np.flatnonzero(here), decision, limit))
            subject = subject.only(np.flatnonzero(~here))
            decision = subject.decide()
        if decision is not None and decision.legal is not False:
            subject = subject.only(np.sort(decision.rest))
        found, gave_out = self._search(subject, limit)
        return [*findings, *found], gave_out

    def _settle(
        self, subject: Subject, here: npt.NDArray[np.int64], decision: Decision, limit: int
    ) -> Anomaly:
        """Tell of a key that a pattern rules out: by a short search, which tells more, or by it."""
        found, _ = self._search(
            subject.only(here), min(limit, TELLING + TELLING * len(here) // 500)
        )
        return found[0] if found else self._tell_pattern(subject, decision)

    def _search(self, subject: Subject, limit: int) -> tuple[list[Anomaly], list[int]]:
        """What a search finds, and the keys for which the budget ran out."""
        findings: list[Anomaly] = []
        gave_out: list[int] = []
        problem = subject.problem()
        for outcome in Search(problem, limit).outcomes():
            if outcome.legal is None:
                gave_out.append(outcome.key)
            else:
                newer = subject.newer(outcome.culprit)
                findings.append(self._tell(problem, outcome, newer))
        return findings, gave_out

    def _tell(self, problem: Problem, outcome: Outcome, newer: int | None) -> Anomaly:
        op = problem.operation(outcome.culprit)
        states = [_shown(self._model, state) for state in outcome.states]
        where = _where(problem.keys[outcome.key])
        claim = f"Process {op.process} {_claim(self._model, op)}{where}"
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

    def _tell_pattern(self, subject: Subject, decision: Decision) -> Anomaly:
        """The few operations that cannot all be right, and why."""
        involved = [subject.operation(row) for row in decision.rows]
        involved.sort(key=lambda op: (op.call, op.index))
        key = subject.keys[int(subject.key[decision.rows[0]])]
        claims = "; ".join(f"process {op.process} {_claim(self._model, op)}" for op in involved)
        return Anomaly(
            type="nonlinearizable",
            sentence=f"{claims[:1].upper()}{claims[1:]}: {PATTERNS[decision.pattern]}{_where(key)}.",
            ops=tuple(op.index for op in involved),
            evidence={
                "kind": "linearizability",
                "key": plain(key),
                "op": max(involved, key=lambda op: (op.ret, op.index)).index,
                "pattern": decision.pattern,
                "states": [],
                "prefix": [],
                "concurrent": [],
            },
        )

    def _verdict(
        self,
        subject: Subject,
        findings: list[Anomaly],
        gave_out: list[int],
        limit: int,
        *,
        judged: int,
    ) -> Verdict:
        reason = ""
        if gave_out:
            where = _where(subject.keys[gave_out[0]]).strip(" ()")
            more = f" and {len(gave_out) - 1} more" if len(gave_out) > 1 else ""
            reason = (
                f"linearizability: the budget of {limit:,} configurations ran out"
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


def _where(key: Hashable) -> str:
    return "" if key is None else f" (key {show(plain(key))})"


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
    value, where = plain(op.value), _where(key)
    return Anomaly(
        type="garbage-read",
        sentence=f"Process {op.process} read {show(value)}{where}, a value that nobody ever wrote.",
        ops=(op.index,),
        evidence={"kind": "linearizability", "key": plain(key), "op": op.index, "value": value},
    )
