"""A question for the search: operations as numbers, and what may follow what."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...harness.history import Operation
from .kernels import I64
from .steps import Steps


@dataclass(frozen=True, slots=True)
class Problem:
    """One row for each operation that is to be explained.

    `key` is an index of `keys`, `code` what the operation is to `steps`; `call` and `ret` are as
    in `harness.columns.Operations`; `crashed` says that it may have happened or not.
    `operation(row)` is the operation as its model sees it, freed of its key.
    """

    index: I64
    key: I64
    keys: Sequence[Hashable]
    call: I64
    ret: I64
    crashed: npt.NDArray[np.bool_]
    code: I64
    steps: Steps
    operation: Callable[[int], Operation]

    def __len__(self) -> int:
        return len(self.index)
