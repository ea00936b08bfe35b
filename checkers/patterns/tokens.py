"""Fencing tokens: each granted once, greater as time goes on; and what follows from their order."""

from __future__ import annotations

import numpy as np

from .decision import FOREVER, LOWEST, Column, Decision, first, illegal, undecided
from .locks import ACQUIRE, Turns
from .placing import side_by_side


def _repeated(token: Column, key: Column) -> Decision | None:
    order = np.lexsort((token, key))
    same = (token[order][1:] == token[order][:-1]) & (key[order][1:] == key[order][:-1])
    if not same.any():
        return None
    at = first(same)
    return illegal("token-repeated", order[at], order[at + 1])


def fenced_mutex(
    call: Column,
    ret: Column,
    kind: Column,
    process: Column,
    token: Column,
    *,
    key: Column | None = None,
) -> Decision:
    """Decide owner's locks (kinds of locks.py) that grant a greater token each time.

    `token` (in order, `LOWEST` for none) counts for acquires that returned. Leave out failed
    operations. Not decided: acquires that did not tell their token, and processes that did anything
    before their last operation was over.
    """
    key = np.zeros(len(call), dtype=np.int64) if key is None else key
    turns = Turns(call, ret, kind == ACQUIRE, process, key)
    silent = (kind == ACQUIRE) & (ret != FOREVER) & (token == LOWEST)
    if turns.confused or silent.any():
        return undecided(np.arange(len(call), dtype=np.int64))
    bad = turns.without_hold(owned=True) or turns.nested()
    if bad is not None:
        return bad
    holds = turns.outermost()
    release = holds.release
    ends = np.where(release >= 0, ret[release], FOREVER) if len(release) else release
    bad = _repeated(token[holds.acquire], holds.key)
    if bad is None:
        bad = holds_in_token_order(
            call[holds.acquire], holds.start, holds.end, ends, token[holds.acquire], key=holds.key
        )
    if bad.legal:
        return bad
    rows = [*bad.rows]
    return illegal(bad.pattern, *holds.acquire[rows], *release[rows])


def holds_in_token_order(
    acquire_call: Column,
    acquire_ret: Column,
    release_call: Column,
    release_ret: Column,
    token: Column,
    *,
    key: Column | None = None,
) -> Decision:
    """Whether holds fit one after the other in the order of their tokens; rows count holds.

    Each event is placed as early as it may be. A hold without release has `FOREVER` twice, a
    crashed release `FOREVER` as its return only.
    """
    key = np.zeros(len(token), dtype=np.int64) if key is None else key
    order = np.lexsort((token, key))
    calls, returns = np.empty((2, 2 * len(order)), dtype=np.int64)
    twice = np.repeat(key[order], 2)
    calls[0::2], calls[1::2] = acquire_call[order], release_call[order]
    returns[0::2], returns[1::2] = acquire_ret[order], release_ret[order]
    calls, returns = side_by_side(twice, calls, returns)
    earliest = np.maximum.accumulate(calls) if len(calls) else np.full(0, LOWEST)
    bad = earliest > returns
    if not bad.any():
        return Decision(True)
    at = first(bad)
    cause = first(calls == earliest[at])
    return illegal("hold-order", order[at // 2], order[cause // 2])
