"""Any model's operations as a problem: each is looked at by the model, in Python."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np

from ...harness.history import Operation
from ...harness.protocols import Model
from ..wording import freeze
from .kernels import I64
from .problem import Problem
from .steps import Stepped

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
        steps=Stepped(model.init(), codes.step, codes.still()),
        operation=operations.__getitem__,
    )


class Codes:
    """Numbers for the operations that a model cannot tell apart, and the model's step over them."""

    def __init__(self, model: Model, operations: Sequence[Operation]) -> None:
        self._model = model
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
        """The states that may follow."""
        return self._model.step(state, self.examples[code])

    def still(self) -> list[bool]:
        """Which operations never change any state: as the model says, else found by trying all."""
        reads = getattr(self._model, "reads", None)
        if reads is not None:
            return [op.f in reads or op.type == "fail" for op in self.examples]
        return self._enumerated()

    def _enumerated(self) -> list[bool]:
        """Step every operation from every reachable state; none is a read if that is too much."""
        still = [True] * len(self.examples)
        seen = {self._model.init()}
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
