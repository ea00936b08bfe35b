"""The client operations of a history as columns of numbers, one row each: what fast checkers read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

OK, FAIL, INFO = 1, 2, 3
"""How an operation ended, as `Operations.type` has it."""


@dataclass(frozen=True, slots=True)
class Operations:
    """Every client operation in the order of invocation, as numpy columns of equal length.

    `index` (int64) is the invocation's place in the history, `end` (int64) the completion's, -1
    without one; `process` (int32); `type` (int8) is `OK`, `FAIL` or `INFO`; `f` (int16) an index of
    the history's `functions`; `call` and `ret` (int64) are nanoseconds, or places in the history
    where it has no times, `ret` being `FOREVER` for `INFO`; `refused` says that the system looked
    and said no; `dry` that it belongs to the dry run.
    """

    index: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    process: npt.NDArray[np.int32]
    type: npt.NDArray[np.int8]
    f: npt.NDArray[np.int16]
    call: npt.NDArray[np.int64]
    ret: npt.NDArray[np.int64]
    refused: npt.NDArray[np.bool_]
    dry: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.index)
