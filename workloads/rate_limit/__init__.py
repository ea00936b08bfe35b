"""rate-limit: users ask whether they may; each may only so often within a window of time.

No more are admitted within any window (or within each of the fixed ones, where that is what is
declared) than `limit`. No strategy is built in yet.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from ...checkers.admission import RateLimitChecker
from ...checkers.progress import ProgressChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Ask, Checker, Rest, Script, Session
from ..session import Method, MethodSession, yes_or_no


class RateLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everybody asks for the same few users, in bursts with a rest between them.

    `limit`, `window` (seconds) and `kind` of the window are the strategy's own promises.
    """

    name: ClassVar[str] = "rate-limit"
    functions: ClassVar[frozenset[str]] = frozenset({"allow"})
    methods: ClassVar[tuple[str, ...]] = ("allow",)
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ("limit", "window", "kind")
    default: ClassVar[str] = ""
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {}

    limit: Annotated[int, msgspec.Meta(ge=1)] = 5
    window: Annotated[float, msgspec.Meta(gt=0)] = 0.5
    kind: Literal["sliding", "fixed"] = "sliding"
    users: Annotated[int, msgspec.Meta(ge=1)] = 16

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: nobody has asked."""
        return {}

    def dry(self) -> Script:
        """One question, for a user of its own."""
        yield Ask("allow", -1)

    def main(self, rng: random.Random, process: int) -> Script:
        """Bursts for one user, and a rest of up to a tenth of a window."""
        while True:
            user = rng.randrange(self.users)
            for _ in range(rng.randint(1, 2 * self.limit)):
                yield Ask("allow", user)
            yield Rest(rng.uniform(0, self.window / 10))

    def final(self, worker: int, workers: int) -> Script:
        """Nothing is asked in the end."""
        return
        yield

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """How often each was admitted, and progress."""
        return [
            RateLimitChecker(limit=self.limit, window=self.window, kind=self.kind),
            ProgressChecker(workload=self.name),
        ]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """Each question counts against its user."""
        return operation.asked, True

    def remedy(self, anomaly: str) -> str:
        """How a limit is kept."""
        return (
            "Count first and refuse by what the count answered (INCR with its expiry in one script), "
            "instead of reading the count, deciding, and counting; for a sliding window keep the "
            "times themselves (a sorted set) and not one number per fixed window."
        )


_METHODS: Mapping[str, Method] = {
    "allow": Method(lambda strategy, value: strategy.allow(value), yes_or_no),
}
