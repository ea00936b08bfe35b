"""An unordered queue whose values are put in once: anything may come out next."""

from __future__ import annotations

import numpy as np

from .decision import Column, Decision, undecided
from .lifetimes import found_empty, lifetimes


def unordered_queue(call: Column, ret: Column, kind: Column, value: Column) -> Decision:
    """Decide a bag that starts empty, from `PUT`, `TAKE` and `EMPTY` (see lifetimes.py).

    `value` is interned from 0. Leave out failed operations. Not decided: values put in twice, and
    what depends on which values crashed takes took when the bag was also found empty.
    """
    got = lifetimes(call, ret, kind, value)
    if isinstance(got, Decision):
        return got
    bad = found_empty(got)
    if bad is None:
        return Decision(True)
    if not len(got.crashed):
        return bad
    return found_empty(got.relaxed()) or undecided(np.arange(len(call), dtype=np.int64))
