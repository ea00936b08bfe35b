"""Any model's operations as a problem: each is looked at by the model, in Python."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from ...harness.errors import UsageError
from ...harness.history import Operation
from ...harness.protocols import Model
from ..wording import freeze, show
from .kernels import I64
from .problem import Problem
from .steps import Stepped

_OURS = __name__.partition(".linear")[0]

ENUMERATE = 5_000
"""Steps that may be spent on finding out which operations never change any state."""


def stepped(
    model: Model, operations: Sequence[Operation], key: I64, keys: Sequence[Hashable]
) -> Problem:
    """The problem of a model that only its own `step` knows; `key` is an index of `keys`."""
    codes = Codes(model, operations)
    return Problem(
        index=np.array([op.index for op in operations], dtype=np.int64),
        key=key,
        keys=keys,
        call=np.array([op.call for op in operations], dtype=np.int64),
        ret=np.array([op.ret for op in operations], dtype=np.int64),
        crashed=np.array([op.type == "info" for op in operations], dtype=np.bool_),
        code=np.array(codes.of, dtype=np.int64),
        steps=Stepped(codes.init(), codes.step, codes.still()),
        operation=operations.__getitem__,
    )


class Codes:
    """Numbers for the operations that a model cannot tell apart, and the model's step over them."""

    def __init__(self, model: Model, operations: Sequence[Operation]) -> None:
        self._model = model
        self._name = type(model).__name__
        # Ours are known to answer states, and asking each for its hash would cost.
        self._trusted = type(model).__module__.startswith(_OURS)
        signature: Callable[[Operation], Hashable] = getattr(model, "signature", _everything)
        known: dict[Hashable, int] = {}
        self.examples: list[Operation] = []
        self.of: list[int] = []
        for op in operations:
            code = known.setdefault(signature(op), len(known))
            if code == len(self.examples):
                self.examples.append(op)
            self.of.append(code)

    def step(self, state: Hashable, code: int) -> Iterable[Hashable]:
        """The states that may follow; `UsageError` where the answer of a user's model is none."""
        op = self.examples[code]
        afters = self._model.step(state, op)
        if self._trusted:
            return afters
        asked = f"{self._name}.step, operation {op.index}"
        if not isinstance(afters, Iterable) or isinstance(afters, str | bytes):
            raise UsageError(f"{asked}: expected the states that may follow, not {show(afters)}")
        return [self._state(after, asked) for after in afters]

    def init(self) -> Hashable:
        """The state before any operation."""
        return self._state(self._model.init(), f"{self._name}.init")

    def _state(self, state: Any, asked: str) -> Hashable:
        try:
            hash(state)
        except TypeError:
            raise UsageError(
                f"{asked}: a state is a hashable value (a tuple, a frozenset), not {show(state)}"
            ) from None
        return state  # type: ignore[no-any-return]

    def still(self) -> list[bool]:
        """Which operations never change any state: as the model says, else found by trying all."""
        reads = getattr(self._model, "reads", None)
        if reads is not None:
            return [op.f in reads or op.type == "fail" for op in self.examples]
        return self._enumerated()

    def _enumerated(self) -> list[bool]:
        """Step every operation from every reachable state; none is a read if that is too much."""
        still = [True] * len(self.examples)
        seen = {self.init()}
        # Breadth first: the states of a growing object stay small.
        todo = deque(seen)
        steps = 0
        while todo:
            state = todo.popleft()
            for code in range(len(still)):
                steps += 1
                if steps > ENUMERATE:
                    return [False] * len(still)
                for after in self.step(state, code):
                    if after != state:
                        still[code] = False
                    if after not in seen:
                        seen.add(after)
                        todo.append(after)
        return still


def _everything(op: Operation) -> Hashable:
    """All that a user's step may look at: everything but when and where it stands."""
    told = (op.asked, op.value, op.result, dict(op.ext))
    return op.process, op.type, op.f, op.error, op.phase, freeze(told)
