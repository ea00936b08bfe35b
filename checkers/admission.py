"""Admission and rate limits: never more inside at once, or let in within a window, than allowed.

Who is inside is known as the holder of a lock is known: from the return of `enter` to the
invocation of `leave`, or to the last thing that the process recorded. What was admitted without
our knowing counts for nobody.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np

from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .holds import _last_events
from .orders import inversions
from .wording import freeze, plain, show, span

SECOND = 1_000_000_000


class Visit(msgspec.Struct, frozen=True, gc=False):
    """Somebody who was certainly inside from `start` to `end`."""

    op: Operation
    start: int
    end: int


class AdmissionChecker:
    """Judges `enter user` (result: the ticket) and `leave ticket`."""

    name = "admission"

    def __init__(self, *, limit: int, ttl: float | None = None, ordered: bool = False) -> None:
        """`limit` may be inside at once; a ticket is good for `ttl` seconds if it expires.

        `ordered`: who asked first is admitted first; who is refused may ask again.
        """
        if limit < 1:
            raise UsageError(f"the limit is at least 1, not {limit}")
        self._limit = limit
        self._ttl = ttl
        self._ordered = ordered

    def check(self, history: History) -> Verdict:
        """Judge every admission; count them."""
        visits = self._visits(history)
        findings = [*self._crowded(visits), *_twice(visits)]
        if self._ordered:
            findings += _jumped(history)
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=len(visits))
        if not visits:
            return unknown("nobody was admitted")
        return Verdict(verdict="holds", judged=len(visits))

    def _visits(self, history: History) -> list[Visit]:
        last = _last_events(history)
        left: defaultdict[Hashable, list[int]] = defaultdict(list)
        for op in history.operations("leave"):
            left[freeze(op.asked)].append(op.call)
        visits = []
        for op in history.operations("enter"):
            if op.type == "ok":
                # Tickets may come back into use: only a leave after this entrance is its own.
                given_up = (at for at in left[freeze(op.result)] if at >= op.ret)
                end = min(given_up, default=last[op.process])
                if self._ttl is not None:
                    end = min(end, op.call + round(self._ttl * SECOND))
                visits.append(Visit(op, op.ret, max(end, op.ret)))
        return visits

    def _crowded(self, visits: Sequence[Visit]) -> Iterator[Anomaly]:
        """A moment with more visits than the limit; visits that only touch are not together."""
        inside: list[tuple[int, int, Visit]] = []
        count = most = 0
        witness: list[Visit] = []
        for number, visit in enumerate(sorted(visits, key=lambda v: (v.start, v.op.index))):
            while inside and inside[0][0] <= visit.start:
                heapq.heappop(inside)
            if visit.end > visit.start:
                heapq.heappush(inside, (visit.end, number, visit))
            if len(inside) > self._limit:
                count += 1
                if len(inside) > most:
                    most, witness = len(inside), [v for _, _, v in inside]
        if witness:
            witness.sort(key=lambda v: v.start)
            last = witness[-1]
            yield Anomaly(
                type="over-admission",
                sentence=f"{most} were inside at once when process {last.op.process} was let in "
                f"({', '.join(show(v.op.asked) for v in witness[:6])}); "
                f"at most {self._limit} may be.",
                ops=tuple(v.op.index for v in witness[:20]),
                count=count,
                evidence={
                    "kind": "ladder",
                    "limit": self._limit,
                    "inside": [v.op.index for v in witness[:100]],
                },
            )


def _twice(visits: Sequence[Visit]) -> Iterator[Anomaly]:
    """The same ticket in the hands of two at once."""
    holder: dict[Hashable, Visit] = {}
    for visit in sorted(visits, key=lambda v: (v.start, v.op.index)):
        ticket = freeze(visit.op.result)
        earlier = holder.get(ticket)
        if ticket is not None and earlier is not None and min(earlier.end, visit.end) > visit.start:
            yield Anomaly(
                type="duplicate",
                sentence=f"Processes {earlier.op.process} and {visit.op.process} both had ticket "
                f"{show(plain(ticket))} for {span(min(earlier.end, visit.end) - visit.start)}.",
                ops=(earlier.op.index, visit.op.index),
                evidence={"kind": "ladder", "ticket": plain(ticket)},
            )
        if earlier is None or visit.end > earlier.end:
            holder[ticket] = visit


def _jumped(history: History) -> Iterator[Anomaly]:
    """Somebody was admitted before another one who had certainly asked before."""
    asked: dict[Hashable, Operation] = {}
    admitted: dict[Hashable, Operation] = {}
    again: set[Hashable] = set()
    for op in history.operations("enter"):
        user = freeze(op.asked)
        if user in admitted:
            again.add(user)
        asked.setdefault(user, op)
        if op.type == "ok":
            admitted.setdefault(user, op)
    # A user who comes twice has two places in the queue, and nobody knows which call got which.
    users = [user for user in admitted if user not in again and asked[user].type != "info"]
    count, pair = inversions(
        *(
            np.array([getattr(ops[user], edge) for user in users], dtype=np.int64)
            for ops, edge in (
                (asked, "call"),
                (asked, "ret"),
                (admitted, "call"),
                (admitted, "ret"),
            )
        )
    )
    if pair:
        a, b = (users[i] for i in pair)
        yield Anomaly(
            type="order-violation",
            sentence=f"{show(plain(a))} had asked before {show(plain(b))} did, "
            f"but {show(plain(b))} was let in first.",
            ops=tuple(
                dict.fromkeys(op.index for op in (asked[a], asked[b], admitted[b], admitted[a]))
            ),
            count=count,
            evidence={"kind": "ladder", "first": plain(a), "second": plain(b)},
        )


class RateLimitChecker:
    """Judges `allow user`: refused or admitted, at most `limit` per user within `window` seconds."""

    name = "rate-limit"

    def __init__(
        self,
        *,
        limit: int,
        window: float,
        kind: Literal["sliding", "fixed"] = "sliding",
        aligned_ns: int | None = None,
    ) -> None:
        """`fixed` windows follow each other; `aligned_ns` is when one begins, in the history's time.

        Where that is not known, any stretch as long as a window may touch two of them.
        """
        if limit < 1 or window <= 0:
            raise UsageError(f"limit {limit} within {window} s makes no sense")
        if kind not in ("sliding", "fixed"):
            raise UsageError(f"a window is sliding or fixed, not {kind!r}")
        self._limit = limit
        self._window = round(window * SECOND)
        self._kind = kind
        self._aligned = aligned_ns

    def check(self, history: History) -> Verdict:
        """Judge every admission; count them."""
        users: defaultdict[Hashable, list[Operation]] = defaultdict(list)
        for op in history.operations("allow"):
            if op.type == "ok":
                users[freeze(op.asked)].append(op)
        findings = [f for user, ops in users.items() if (f := self._judge(user, ops))]
        judged = sum(map(len, users.values()))
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        return Verdict(verdict="holds", judged=judged) if judged else unknown("nobody was admitted")

    def _judge(self, user: Hashable, ops: Sequence[Operation]) -> Anomaly | None:
        if self._kind == "fixed" and self._aligned is not None:
            found = _fixed(ops, self._limit, self._window, self._aligned)
        else:
            limit = self._limit if self._kind == "sliding" else 2 * self._limit
            found = _sliding(ops, limit, self._window)
        if not found:
            return None
        ordered = sorted(found, key=lambda op: op.call)
        took = max(op.ret for op in found) - ordered[0].call
        return Anomaly(
            type="over-admission",
            sentence=f"{show(plain(user))} was let in {len(found)} times within {span(took)}; "
            f"at most {self._limit} times within {span(self._window)} "
            f"({self._kind} windows) are allowed.",
            ops=tuple(op.index for op in ordered[:20]),
            evidence={
                "kind": "ladder",
                "user": plain(user),
                "limit": self._limit,
                "window": self._window,
                "admitted": [op.index for op in ordered[:100]],
            },
        )


def _sliding(ops: Sequence[Operation], limit: int, window: int) -> list[Operation]:
    """`limit` + 1 admissions whose intervals lie wholly within less than one window."""
    earliest: list[tuple[int, int]] = []
    ordered = sorted(ops, key=lambda op: -op.call)
    for number, op in enumerate(ordered):
        # The least returns of those called at or after this one, the greatest of them on top.
        heapq.heappush(earliest, (-op.ret, number))
        if len(earliest) > limit + 1:
            heapq.heappop(earliest)
        if len(earliest) == limit + 1 and -earliest[0][0] - op.call < window:
            return [ordered[n] for _, n in earliest]
    return []


def _fixed(ops: Sequence[Operation], limit: int, window: int, begin: int) -> list[Operation]:
    """More than `limit` admissions whose intervals lie wholly within one of the fixed windows."""
    inside: defaultdict[int, list[Operation]] = defaultdict(list)
    for op in ops:
        number = (op.call - begin) // window
        if number == (op.ret - begin) // window:
            inside[number].append(op)
    return next((found for _, found in sorted(inside.items()) if len(found) > limit), [])
