"""A set judged element by element: each is inserted at most once, and says yes or no when asked.

What an operation saw: an insert that was refused and `contains` answered yes saw the element there,
a remove that was refused and `contains` answered no saw it absent.
"""

from __future__ import annotations

import numpy as np

from .decision import FOREVER, LOWEST, Column, Decision, Mask, first, illegal, undecided

INSERT, REMOVE, PRESENT, ABSENT = 0, 1, 2, 3
"""Kinds of operations: what changed the set, and what an answer or a refusal saw."""


def elements(
    call: Column, ret: Column, kind: Column, element: Column, *, blind: bool = False
) -> Decision:
    """Decide a set that starts empty; `element` is interned (per key and element) from 0.

    `INSERT` and `REMOVE` are those that succeeded or crashed. A `REMOVE` that succeeded took the
    element out, unless removes are `blind`: then it may as well have found nothing. Leave out
    failures that are no refusals. Elements with two inserts that may have succeeded are left in
    `rest`.
    """
    return _Elements(call, ret, kind, element, blind=blind).decide()


class _Elements:
    def __init__(
        self, call: Column, ret: Column, kind: Column, element: Column, *, blind: bool
    ) -> None:
        self.call, self.ret, self.element = call, ret, element
        self.size = int(element.max(initial=-1)) + 1
        crashed = ret == FOREVER
        twice = self._count(kind == INSERT) > 1
        ours = ~twice[element]
        self.rest = np.flatnonzero(~ours)
        self.present = np.flatnonzero((kind == PRESENT) & ~crashed & ours)
        self.absent = np.flatnonzero((kind == ABSENT) & ~crashed & ours)
        removed = np.flatnonzero((kind == REMOVE) & ~crashed & ours)
        self.removed = removed[:0] if blind else removed
        needed = np.zeros(self.size, dtype=np.bool_)
        needed[element[self.present]] = True
        needed[element[self.removed]] = True
        # A crashed insert that nothing shows may be left out, and then so may the removes.
        self.insert = self._one(
            np.flatnonzero((kind == INSERT) & ours & (~crashed | needed[element]))
        )
        have = self.insert >= 0
        self.since = np.where(have, ret[self.insert], FOREVER)
        self.until = np.where(have, call[self.insert], LOWEST)
        np.minimum.at(self.since, element[self.present], ret[self.present])
        np.maximum.at(self.until, element[self.present], call[self.present])
        maybe = np.flatnonzero((kind == REMOVE) & ours & (crashed | blind))
        maybe = maybe[ret[maybe] >= self.until[element[maybe]]]
        # Of several that may have ended it, the first called can do what any other could.
        maybe = maybe[np.argsort(-call[maybe], kind="stable")]
        self.remove = self._one(self.removed)
        self.remove = np.where(self.remove >= 0, self.remove, self._one(maybe))
        if blind:
            # Every other one must have found nothing, or it would have ended it.
            others = removed[self.remove[element[removed]] != removed]
            self.absent = np.concatenate((self.absent, others))

    def _count(self, mask: Mask) -> Column:
        return np.bincount(self.element[mask], minlength=self.size)

    def _one(self, rows: Column) -> Column:
        """The last of these rows for each element, -1 for none."""
        one = np.full(self.size, -1, dtype=np.int64)
        one[self.element[rows]] = rows
        return one

    def decide(self) -> Decision:
        twice = self.removed[self.remove[self.element[self.removed]] != self.removed]
        if len(twice):
            return illegal("removed-twice", twice[0], self.remove[self.element[twice[0]]])
        shown = np.concatenate((self.present, self.removed))
        lost = shown[self.insert[self.element[shown]] < 0]
        if len(lost):
            return illegal("never-written", lost[0])
        return self._order(shown) or self._missed() or undecided(self.rest)

    def _order(self, shown: Column) -> Decision | None:
        insert = self.insert[self.element[shown]]
        bad = self.ret[shown] < self.call[insert]
        if bad.any():
            return illegal("read-before-write", shown[first(bad)], insert[first(bad)])
        remove = self.remove[self.element[self.present]]
        bad = (remove >= 0) & (self.ret[remove] < self.call[self.present])
        if bad.any():
            row = self.present[first(bad)]
            return illegal(
                "gone-before-seen", row, remove[first(bad)], self.insert[self.element[row]]
            )
        return None

    def _missed(self) -> Decision | None:
        """A no between two moments at which the element was surely there."""
        gone = self.remove >= 0
        until = np.where(gone, np.maximum(self.until, self.call[self.remove]), FOREVER)
        at = self.element[self.absent]
        bad = (self.call[self.absent] > self.since[at]) & (self.ret[self.absent] < until[at])
        bad &= self.insert[at] >= 0
        if not bad.any():
            return None
        row = self.absent[first(bad)]
        return illegal("absent-while-present", row, *self._around(int(self.element[row])))

    def _around(self, element: int) -> list[int]:
        seen = self.present[self.element[self.present] == element]
        rows = [int(self.insert[element]), int(self.remove[element])]
        if len(seen):
            rows += [int(seen[np.argmin(self.ret[seen])]), int(seen[np.argmax(self.call[seen])])]
        return rows
