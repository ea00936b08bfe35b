"""The search behind linearizability: can the operations of one object be put in a legal order?

Just-in-time linearization (Lowe 2017, after Wing & Gong 1993) over configurations (returns passed,
state, pending operations that already took effect). An operation is placed no earlier than the
next return needs it. Depth first with a small budget; where that gives out, breadth first, which
keeps nothing of the past. Reductions, each sound on its own:

* reads that are legal now are placed now, but only operations that change no state at all;
* of interchangeable pending operations the one that returns first is placed first (exchange);
* a configuration that used more crashed operations than another equal one is dropped: whatever
  may follow it may follow the other, since nobody waits for a crashed operation.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

PREFIX = 8
"""How many operations of an order are kept for telling."""

Path = tuple["Path", int] | None
"""Operations in the order in which they took effect, the last one first."""

Move = tuple[Hashable, int, int, Path]
"""A state, the pending operations that took effect (by slot), the crashed ones, and the order."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An operation for the search: when it was called, when it returned (None: never), its code."""

    call: int
    ret: int | None
    code: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the search found: `legal` is None when the budget ran out.

    Otherwise, if not legal, `culprit` is the operation that fits nowhere (its place in the
    input), `states` are all that were possible just before, `path` the last order that worked.
    """

    legal: bool | None
    work: int
    culprit: int = -1
    states: tuple[Hashable, ...] = ()
    path: tuple[int, ...] = ()
    concurrent: tuple[int, ...] = ()


@dataclass(slots=True)
class _Crashed:
    """Interchangeable operations that never returned, in the order of their calls.

    They are used in that order, so those used are always the lowest bits of `field`.
    """

    code: int
    members: list[int] = field(default_factory=list)
    since: list[int] = field(default_factory=list)
    offset: int = 0

    def used(self, mask: int) -> int:
        return (mask >> self.offset & (1 << len(self.members)) - 1).bit_length()


class Search:
    """The operations of one object, prepared: numbered by return, with slots for those pending.

    `step(state, code)` gives the states that may follow; `reads[code]` says that it never
    changes any state.
    """

    def __init__(
        self,
        operations: Sequence[Pending],
        *,
        init: Hashable,
        step: Callable[[Hashable, int], Iterable[Hashable]],
        reads: Sequence[bool],
    ) -> None:
        self.init = init
        self._step = step
        self._memo: list[dict[Hashable, tuple[Hashable, ...]]] = [{} for _ in reads]
        self._reads = reads
        self._order = sorted(
            (i for i, op in enumerate(operations) if op.ret is not None),
            key=lambda i: (operations[i].ret, i),
        )
        self._code = [operations[i].code for i in self._order]
        self._bit: list[int] = []
        self._open_reads: list[tuple[int, ...]] = []
        self._open_rest: list[tuple[int, ...]] = []
        self._lay_out(operations)
        self._classes = self._crashed(operations)

    # --- preparation -----------------------------------------------------------------------------

    def _lay_out(self, operations: Sequence[Pending]) -> None:
        """Give each operation the lowest free slot, and note who is pending at each return.

        Intervals are closed: at equal times calls come before returns.
        """
        calls = sorted((operations[i].call, number) for number, i in enumerate(self._order))
        self._bit = [0] * len(self._order)
        free: list[int] = []
        pending_reads: list[int] = []
        pending_rest: list[int] = []
        slots, at = 0, 0
        for number, i in enumerate(self._order):
            ret = operations[i].ret
            while at < len(calls) and ret is not None and calls[at][0] <= ret:
                called = calls[at][1]
                at += 1
                if not free:
                    heappush(free, slots)
                    slots += 1
                self._bit[called] = 1 << heappop(free)
                insort(pending_reads if self._reads[self._code[called]] else pending_rest, called)
            self._open_reads.append(tuple(pending_reads))
            self._open_rest.append(tuple(pending_rest))
            # Numbered by return, so the one that returns now is the lowest of its list.
            (pending_reads if self._reads[self._code[number]] else pending_rest).pop(0)
            heappush(free, self._bit[number].bit_length() - 1)

    def _crashed(self, operations: Sequence[Pending]) -> list[_Crashed]:
        """Crashed operations by code; those that change nothing need not be placed at all."""
        returns = [operations[i].ret or 0 for i in self._order]
        classes: dict[int, _Crashed] = {}
        crashed = [i for i, op in enumerate(operations) if op.ret is None]
        for i in sorted(crashed, key=lambda i: operations[i].call):
            code = operations[i].code
            if not self._reads[code]:
                group = classes.setdefault(code, _Crashed(code))
                group.members.append(i)
                group.since.append(bisect_left(returns, operations[i].call))
        offset = 0
        for group in classes.values():
            group.offset = offset
            offset += len(group.members)
        return list(classes.values())

    # --- moving through configurations -----------------------------------------------------------

    def next_states(self, state: Hashable, code: int) -> tuple[Hashable, ...]:
        """`step`, remembered."""
        memo = self._memo[code]
        found = memo.get(state)
        if found is None:
            found = memo[state] = tuple(self._step(state, code))
        return found

    def _settle(self, at: int, state: Hashable, live: int, path: Path) -> tuple[int, int, Path]:
        """Pass every return that needs no choice, placing legal reads on the way."""
        last = len(self._bit)
        while at < last:
            bit = self._bit[at]
            if not live & bit:
                live, path = self._read(at, state, live, path)
                if not live & bit:
                    break
            live ^= bit
            at += 1
        return at, live, path

    def _read(self, at: int, state: Hashable, live: int, path: Path) -> tuple[int, Path]:
        """Place every pending read that is legal now: it never hurts."""
        for number in self._open_reads[at]:
            bit = self._bit[number]
            if not live & bit and self.next_states(state, self._code[number]):
                live |= bit
                path = (path, self._order[number])
        return live, path

    def _returning(
        self, at: int, state: Hashable, live: int, crashed: int, path: Path
    ) -> list[Move]:
        """Let the operation that returns next take effect."""
        code = self._code[at]
        if self._reads[code]:
            return []
        path = (path, self._order[at])
        return [
            (after, live | self._bit[at], crashed, path) for after in self.next_states(state, code)
        ]

    def _others(self, at: int, state: Hashable, live: int, crashed: int, path: Path) -> list[Move]:
        """Let another pending operation take effect first; the most promising move comes last."""
        moves: list[Move] = []
        tried: set[int] = set()
        for number in self._open_rest[at]:
            code = self._code[number]
            if number == at:
                tried.add(code)
            if live & self._bit[number] or code in tried:
                continue
            tried.add(code)
            for after in self.next_states(state, code):
                moves.append(
                    (after, live | self._bit[number], crashed, (path, self._order[number]))
                )
        moves.extend(self._crashed_moves(at, state, live, crashed, path, tried))
        # Taken from the end: what makes the returning operation legal, and crashed ones last.
        moves.reverse()
        wanted = self._code[at]
        moves.sort(key=lambda move: bool(self.next_states(move[0], wanted)))
        return moves

    def _crashed_moves(
        self, at: int, state: Hashable, live: int, crashed: int, path: Path, tried: set[int]
    ) -> Iterator[Move]:
        for group in self._classes:
            used = group.used(crashed)
            if group.code in tried or used == len(group.members) or group.since[used] > at:
                continue
            bit = 1 << group.offset + used
            for after in self.next_states(state, group.code):
                yield after, live, crashed | bit, (path, group.members[used])

    # --- the two searches ------------------------------------------------------------------------

    def depth_first(self, budget: int) -> Outcome:
        """Try the returning operation first, go back where that leads nowhere."""
        failed: defaultdict[tuple[int, Hashable, int], list[int]] = defaultdict(list)
        best = _Best()
        stack: list[tuple[int, Hashable, int, int, Path, list[Move], bool]] = []
        move: Move | None = (self.init, 0, 0, None)
        at, work = 0, 0
        while True:
            if move is not None:
                state, live, crashed, path = move
                start, live, path = self._settle(at, state, live, path)
                work += 1 + start - at
                if start == len(self._bit):
                    return Outcome(True, work)
                if work > budget:
                    return Outcome(None, work)
                best.saw(start, state, path)
                if not _covered(failed.get((start, state, live)), crashed):
                    moves = self._returning(start, state, live, crashed, path)
                    stack.append((start, state, live, crashed, path, moves, False))
            if not stack:
                return self._explained(best, work)
            at, state, live, crashed, path, moves, full = stack[-1]
            if not moves and not full:
                moves = self._others(at, state, live, crashed, path)
                stack[-1] = (at, state, live, crashed, path, moves, True)
            if moves:
                move = moves.pop()
            else:
                move = None
                failed[at, state, live].append(crashed)
                stack.pop()

    def breadth_first(self, budget: int, most: int) -> Outcome:
        """Carry all configurations from return to return; hold at most `most` of them at once."""
        front: list[Move] = [(self.init, 0, 0, None)]
        work = 0
        for at in range(len(self._bit)):
            closure = self._closure(at, front, min(most, budget - work))
            work += closure.work
            if closure.reached is None:
                return Outcome(None, work)
            if not closure.reached:
                return self._explained(closure.best, work)
            front = closure.reached
        return Outcome(True, work)

    def _closure(self, at: int, front: list[Move], budget: int) -> _Closure:
        """Every configuration in which the operation returning at `at` has taken effect."""
        bit = self._bit[at]
        best = _Best()
        seen: defaultdict[tuple[Hashable, int], list[int]] = defaultdict(list)
        passed: defaultdict[tuple[Hashable, int], list[int]] = defaultdict(list)
        reached: list[Move] = []
        rounds: defaultdict[int, list[Move]] = defaultdict(list)
        for move in front:
            rounds[move[2].bit_count()].append(move)
        work = 0
        # Fewest crashed operations first, so that what covers others is seen before them.
        while rounds:
            fewest = min(rounds)
            if not rounds[fewest]:
                del rounds[fewest]
                continue
            state, live, crashed, path = rounds[fewest].pop()
            work += 1
            if work > budget:
                return _Closure(None, best, work)
            if not live & bit:
                live, path = self._read(at, state, live, path)
            place = passed if live & bit else seen
            if _covered(place[state, live], crashed):
                continue
            place[state, live].append(crashed)
            if live & bit:
                reached.append((state, live ^ bit, crashed, path))
                continue
            best.saw(at, state, path)
            for move in self._others(at, state, live, crashed, path):
                rounds[move[2].bit_count()].append(move)
            for move in self._returning(at, state, live, crashed, path):
                rounds[move[2].bit_count()].append(move)
        return _Closure(reached, best, work)

    def _explained(self, best: _Best, work: int) -> Outcome:
        """The violation as it is told: where the deepest attempt ended, and in which states."""
        at = best.at
        others = sorted({*self._open_reads[at], *self._open_rest[at]} - {at})
        return Outcome(
            False,
            work,
            culprit=self._order[at],
            states=tuple(best.states),
            path=_unwound(best.path),
            concurrent=tuple(self._order[number] for number in others),
        )


@dataclass(slots=True)
class _Best:
    """The furthest return that was reached, with all states seen there and one order."""

    at: int = -1
    states: dict[Hashable, None] = field(default_factory=dict)
    path: Path = None

    def saw(self, at: int, state: Hashable, path: Path) -> None:
        if at > self.at:
            self.at, self.states, self.path = at, {}, path
        if at == self.at:
            self.states[state] = None


@dataclass(frozen=True, slots=True)
class _Closure:
    """Configurations past one return; `reached` is None when the budget ran out."""

    reached: list[Move] | None
    best: _Best
    work: int


def _covered(masks: Iterable[int] | None, crashed: int) -> bool:
    """Whether one of these configurations used no crashed operation that this one did not use."""
    return masks is not None and any(not mask & ~crashed for mask in masks)


def _unwound(path: Path) -> tuple[int, ...]:
    """The last operations of an order, in that order."""
    last: list[int] = []
    while path is not None and len(last) < PREFIX:
        path, number = path
        last.append(number)
    return tuple(reversed(last))
