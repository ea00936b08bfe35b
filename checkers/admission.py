"""Admission and rate limits: never more inside at once, or let in within a window, than allowed.

Who is inside is known as the holder of a lock is known: from the return of `enter` to the
invocation of `leave`, or to the last thing that the process recorded. What was admitted without
our knowing counts for nobody.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..harness.columns import INFO, OK
from ..harness.errors import UsageError
from ..harness.history import History
from ..harness.interning import I64, Numbers, interned
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .holds import _last_events
from .orders import inversions
from .patterns.placing import side_by_side
from .rows import Columns, Mask, Rows, asked, groups, results, rows
from .wording import plain, show, span

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Visits(Columns):
    """Who was certainly inside from `start` to `end`, by the start: places of invocations, and
    numbers of tickets."""

    index: I64
    start: I64
    end: I64
    ticket: I64

    def __len__(self) -> int:
        return len(self.index)


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
        visits, tickets = self._visits(history)
        findings = [*self._crowded(history, visits), *_twice(history, visits, tickets)]
        if self._ordered:
            findings += _jumped(history)
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=len(visits))
        if not len(visits):
            return unknown("nobody was admitted")
        return Verdict(verdict="holds", judged=len(visits))

    def _visits(self, history: History) -> tuple[Visits, Sequence[Hashable]]:
        """The visits, and the tickets that have the numbers."""
        enters, leaves = rows(history, "enter"), rows(history, "leave")
        enters = enters.of(enters.type == OK)
        tickets = interned(results(history, enters) + asked(history, leaves))
        count = len(enters)
        # Tickets may come back into use: only a leave after this entrance is its own.
        (moments,) = side_by_side(tickets.of, np.concatenate((enters.ret, leaves.call)))
        order = np.argsort(moments[count:], kind="stable")
        at = np.searchsorted(moments[count:][order], moments[:count])
        ticket, left = tickets.of[:count], np.append(leaves.call[order], 0)[at]
        own = np.append(tickets.of[count:][order], -1)[at] == ticket
        end = np.where(own, left, _last_events(history, history.process[enters.index]))
        if self._ttl is not None:
            end = np.minimum(end, enters.call + round(self._ttl * SECOND))
        end = np.maximum(end, enters.ret)
        visits = Visits(enters.index, enters.ret, end, ticket)
        return visits.of(np.argsort(visits.start, kind="stable")), tickets.values

    def _crowded(self, history: History, visits: Visits) -> Iterator[Anomaly]:
        """A moment with more visits than the limit; visits that only touch are not together."""
        lasting = visits.end > visits.start
        gone = np.searchsorted(np.sort(visits.end[lasting]), visits.start, side="right")
        inside = np.cumsum(lasting) - gone
        if not (inside > self._limit).any():
            return
        most = int(np.argmax(inside))
        witness = _inside(visits, inside, most)
        users = history.values(witness)
        yield Anomaly(
            type="over-admission",
            sentence=f"{inside[most]} were inside at once when process {history.process[witness[-1]]} was let in "
            f"({', '.join(map(show, users[:6]))}); "
            f"at most {self._limit} may be.",
            ops=tuple(witness[:20]),
            count=int((inside > self._limit).sum()),
            evidence={
                "kind": "ladder",
                "limit": self._limit,
                "inside": witness[:100],
            },
        )


def _inside(visits: Visits, inside: I64, most: int) -> list[int]:
    """Who is inside after a visit began, by their starts: places of invocations."""
    start, end = visits.start.tolist(), visits.end.tolist()
    # Nobody who came before a moment at which nobody was inside is there any more.
    empty = np.flatnonzero(inside[:most] == 0)
    heap: list[tuple[int, int]] = []
    for number in range(int(empty[-1]) + 1 if len(empty) else 0, most + 1):
        while heap and heap[0][0] <= start[number]:
            heapq.heappop(heap)
        if end[number] > start[number]:
            heapq.heappush(heap, (end[number], number))
    numbers = sorted((number for _, number in heap), key=lambda number: start[number])
    found: list[int] = visits.index[numbers].tolist()
    return found


def _twice(history: History, visits: Visits, tickets: Sequence[Hashable]) -> Iterator[Anomaly]:
    """The same ticket in the hands of two at once."""
    start, end = side_by_side(visits.ticket, visits.start, visits.end)
    order = np.argsort(start, kind="stable")
    latest = np.maximum.accumulate(end[order])[:-1]
    later = order[1:]
    together = np.zeros(len(tickets), dtype=np.bool_)
    together[visits.ticket[later[(start[later] < latest) & (end[later] > start[later])]]] = True
    doubtful = visits.of(together[visits.ticket])
    holder: dict[int, int] = {}
    for row, ticket in enumerate(doubtful.ticket.tolist()):
        earlier = holder.get(ticket)
        if earlier is not None and tickets[ticket] is not None:
            until = int(min(doubtful.end[earlier], doubtful.end[row]))
            if until > doubtful.start[row]:
                yield _tell_twice(
                    history,
                    int(doubtful.index[earlier]),
                    int(doubtful.index[row]),
                    tickets[ticket],
                    until - int(doubtful.start[row]),
                )
        if earlier is None or doubtful.end[row] > doubtful.end[earlier]:
            holder[ticket] = row


def _tell_twice(
    history: History, earlier: int, later: int, ticket: Hashable, together: int
) -> Anomaly:
    one, two = history.process[earlier], history.process[later]
    return Anomaly(
        type="duplicate",
        sentence=f"Processes {one} and {two} both had ticket {show(plain(ticket))} for "
        f"{span(together)}.",
        ops=(earlier, later),
        evidence={"kind": "ladder", "ticket": plain(ticket)},
    )


def _jumped(history: History) -> Iterator[Anomaly]:
    """Somebody was admitted before another one who had certainly asked before."""
    enters = rows(history, "enter")
    users = interned(asked(history, enters))
    count = len(users.values)
    asking = _firsts(users.of, np.arange(len(enters)), count)
    admitted = _firsts(users.of, np.flatnonzero(enters.type == OK), count)
    last = np.zeros(count, dtype=np.int64)
    np.maximum.at(last, users.of, np.arange(len(enters)))
    # A user who comes twice has two places in the queue, and nobody knows which call got which.
    known = (admitted >= 0) & (last == admitted)
    known &= enters.type[asking] != INFO
    chosen = np.flatnonzero(known)
    chosen = chosen[np.argsort(admitted[chosen])]
    first, let = enters.of(asking[chosen]), enters.of(admitted[chosen])
    wrong, pair = inversions(first.call, first.ret, let.call, let.ret)
    if pair:
        a, b = pair
        one, two = (plain(users.values[chosen[at]]) for at in pair)
        yield Anomaly(
            type="order-violation",
            sentence=f"{show(one)} had asked before {show(two)} did, "
            f"but {show(two)} was let in first.",
            ops=tuple(
                dict.fromkeys(
                    int(index)
                    for index in (first.index[a], first.index[b], let.index[b], let.index[a])
                )
            ),
            count=wrong,
            evidence={"kind": "ladder", "first": one, "second": two},
        )


def _firsts(user: I64, chosen: I64, users: int) -> I64:
    """The first of the chosen rows of each user, -1 where there is none."""
    first = np.full(users, -1, dtype=np.int64)
    first[user[chosen[::-1]]] = chosen[::-1]
    return first


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
        admitted = rows(history, "allow")
        admitted = admitted.of(admitted.type == OK)
        users = interned(asked(history, admitted))
        suspects = np.flatnonzero(self._crowded(admitted, users))
        findings = []
        if len(suspects):
            mine = groups(users.of, len(users.values))
            found = (self._judge(users.values[u], admitted.of(mine[u])) for u in suspects.tolist())
            findings = [finding for finding in found if finding]
        judged = len(admitted)
        if findings:
            return Verdict(verdict="violated", anomalies=merged(findings), judged=judged)
        return Verdict(verdict="holds", judged=judged) if judged else unknown("nobody was admitted")

    def _crowded(self, admitted: Rows, users: Numbers) -> Mask:
        """The users of whom more were called within some window than may be admitted in any."""
        limit = (
            self._limit if self._kind == "sliding" or self._aligned is not None else 2 * self._limit
        )
        (call,) = side_by_side(users.of, admitted.call)
        order = np.argsort(call, kind="stable")
        user, call = users.of[order], admitted.call[order]
        near = (
            (call[limit:] - call[: len(call) - limit] < self._window)
            if limit < len(call)
            else call[:0] > 0
        )
        near = near & (user[limit:] == user[: max(0, len(call) - limit)])
        crowded = np.zeros(len(users.values), dtype=np.bool_)
        crowded[user[limit:][near]] = True
        return crowded

    def _judge(self, user: Hashable, ops: Rows) -> Anomaly | None:
        if self._kind == "fixed" and self._aligned is not None:
            found = _fixed(ops, self._limit, self._window, self._aligned)
        else:
            limit = self._limit if self._kind == "sliding" else 2 * self._limit
            found = _sliding(ops, limit, self._window)
        if not len(found):
            return None
        ordered = found.of(np.argsort(found.call, kind="stable"))
        took = int(found.ret.max() - ordered.call[0])
        return Anomaly(
            type="over-admission",
            sentence=f"{show(plain(user))} was let in {len(found)} times within {span(took)}; "
            f"at most {self._limit} times within {span(self._window)} "
            f"({self._kind} windows) are allowed.",
            ops=tuple(ordered.index[:20].tolist()),
            evidence={
                "kind": "ladder",
                "user": plain(user),
                "limit": self._limit,
                "window": self._window,
                "admitted": ordered.index[:100].tolist(),
            },
        )


def _sliding(ops: Rows, limit: int, window: int) -> Rows:
    """`limit` + 1 admissions whose intervals lie wholly within less than one window."""
    earliest: list[tuple[int, int]] = []
    ordered = ops.of(np.argsort(-ops.call, kind="stable"))
    times = zip(ordered.call.tolist(), ordered.ret.tolist(), strict=True)
    for number, (call, ret) in enumerate(times):
        # The least returns of those called at or after this one, the greatest of them on top.
        heapq.heappush(earliest, (-ret, number))
        if len(earliest) > limit + 1:
            heapq.heappop(earliest)
        if len(earliest) == limit + 1 and -earliest[0][0] - call < window:
            return ordered.of(np.array([number for _, number in earliest]))
    return ops.of(slice(0))


def _fixed(ops: Rows, limit: int, window: int, begin: int) -> Rows:
    """More than `limit` admissions whose intervals lie wholly within one of the fixed windows."""
    number = (ops.call - begin) // window
    inside = ops.of(number == (ops.ret - begin) // window)
    known, counts = np.unique((inside.call - begin) // window, return_counts=True)
    crowded = known[counts > limit]
    if not len(crowded):
        return ops.of(slice(0))
    return inside.of((inside.call - begin) // window == crowded[0])
