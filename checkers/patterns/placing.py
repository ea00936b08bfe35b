"""Small tools over columns: dense numbers for pairs, times of many keys side by side, coverings."""

from __future__ import annotations

import numpy as np

from .decision import FOREVER, LOWEST, Column, Mask

DENSE = 4
"""A table indexed by a number may be this many times longer than the columns."""


def dense(*pairs: tuple[Column, Column]) -> tuple[list[Column], int]:
    """Columns of (major, minor) as a number for each pair, and how many numbers there may be.

    Neither is negative.
    """
    width = 1 + max(int(minor.max(initial=0)) for _, minor in pairs)
    height = 1 + max(int(major.max(initial=0)) for major, _ in pairs)
    size = sum(len(major) for major, _ in pairs)
    if height == 1 and width <= DENSE * size + 1024:
        return [minor for _, minor in pairs], width
    if width * height < 2**62:
        codes = [major * width + minor for major, minor in pairs]
        if width * height <= DENSE * size + 1024:
            return codes, width * height
        known, code = np.unique(np.concatenate(codes), return_inverse=True)
        count = len(known)
    else:
        both = np.stack([np.concatenate(columns) for columns in zip(*pairs, strict=True)])
        known, code = np.unique(both, axis=1, return_inverse=True)
        count = known.shape[1]
    ends = np.cumsum([len(major) for major, _ in pairs])[:-1]
    return np.split(code.reshape(-1).astype(np.int64, copy=False), ends), count


def side_by_side(key: Column, *times: Column) -> list[Column]:
    """The times with those of a greater key all later: order within a key is kept, ties too.

    `LOWEST` and `FOREVER` become moments before and after all others of their key.
    """
    if not key.any():
        return list(times)
    every = np.concatenate(times)
    real = every[(every != FOREVER) & (every != LOWEST)]
    low, high = (int(real.min()), int(real.max())) if len(real) else (0, 0)
    span, keys = high - low + 4, int(key.max(initial=0)) + 1
    if span * keys < 2**62:
        return [key * span + _within(time, low, high) for time in times]
    known = np.unique(every)
    return [key * len(known) + np.searchsorted(known, time) for time in times]


def _within(time: Column, low: int, high: int) -> Column:
    return np.where(
        time == FOREVER,
        high - low + 2,
        np.where(time == LOWEST, 0, np.clip(time, low, high) - low + 1),
    )


def places(*times: Column) -> tuple[list[Column], int]:
    """The times as places 0, 1, ... in their common order, equal times at one place."""
    every = np.concatenate(times)
    order = np.argsort(every)
    inorder = every[order]
    step = np.zeros(len(every), dtype=np.int64)
    np.cumsum(inorder[1:] != inorder[:-1], out=step[1:])
    place = np.empty_like(step)
    place[order] = step
    ends = np.cumsum([len(time) for time in times])[:-1]
    return np.split(place, ends), int(step[-1]) + 1 if len(step) else 0


def merged(start: Column, end: Column) -> tuple[Column, Column]:
    """The connected pieces of the union of open intervals (start < end), in order.

    Intervals that only touch leave their common point free, so they are not connected.
    """
    order = np.argsort(start, kind="stable")
    start, end = start[order], np.maximum.accumulate(end[order])
    fresh = np.ones(len(start), dtype=np.bool_)
    fresh[1:] = start[1:] >= end[:-1]
    opens = np.flatnonzero(fresh)
    closes = np.append(opens[1:], len(start)) - 1 if len(opens) else opens
    return start[opens], end[closes]


def inside(start: Column, end: Column, low: Column, high: Column) -> Mask:
    """Which closed [low, high] lie wholly inside one of the sorted, disjoint open intervals."""
    if not len(start):
        return np.zeros(len(low), dtype=np.bool_)
    at = np.searchsorted(start, low, side="left") - 1
    return (at >= 0) & (end[at] > high)


def covering(start: Column, end: Column, low: int, high: int) -> list[int]:
    """The fewest of the open intervals that together cover [low, high], from left to right."""
    order = np.argsort(start, kind="stable")
    starts, ends = start[order], end[order]
    reach, best = np.maximum.accumulate(ends), _argmax_so_far(ends)
    chosen: list[int] = []
    point = low
    while True:
        at = int(np.searchsorted(starts, point, side="left")) - 1
        if at < 0 or reach[at] <= point:
            return []
        chosen.append(int(order[best[at]]))
        point = int(reach[at])
        if point > high:
            return chosen


def _argmax_so_far(column: Column) -> Column:
    top = np.maximum.accumulate(column)
    fresh = np.ones(len(column), dtype=np.bool_)
    fresh[1:] = top[1:] > top[:-1]
    return np.maximum.accumulate(np.where(fresh, np.arange(len(column)), 0))
