"""lock: workers take a lock, read a guarded resource, work, write it, release.

No two lease windows of one lock overlap; what the lock guards loses nothing. With fencing the
resource refuses old tokens, and only the resource is judged.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Generator, Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from ...checkers.lock import LockChecker
from ...checkers.progress import ProgressChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Answer, Ask, Checker, Rest, Script, Session
from .session import GuardedByStrategy, GuardedByUs

_HERE = "dokkaebi.workloads.lock.strategies"
_BLOCK = 100_000
"""Write ids are process * _BLOCK + counter: never the same twice, and small enough for an int4."""


class Lock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`names` locks with leases of `ttl` seconds, held for up to `hold` seconds.

    `lease`, `fencing` and `guarded` are the strategy's own: what its leases promise, whether its
    tokens grow, and whether it brings the guarded resource itself.
    """

    name: ClassVar[str] = "lock"
    functions: ClassVar[frozenset[str]] = frozenset(
        {"acquire", "release", "guard-read", "guard-write"}
    )
    methods: ClassVar[tuple[str, ...]] = ("acquire", "release")
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ("lease", "fencing", "guarded")
    default: ClassVar[str] = "set-nx-compare-and-del"
    resource: ClassVar[str | None] = "dokkaebi.workloads.lock.guard"
    coverage: ClassVar[str] = "lock"
    strategies: ClassVar[Mapping[str, str]] = {
        "set-nx-plain-del": f"{_HERE}.valkey:SetNxPlainDel",
        "set-nx-get-then-del": f"{_HERE}.valkey:SetNxGetThenDel",
        "set-nx-compare-and-del": f"{_HERE}.valkey:SetNxCompareAndDel",
        "setnx-without-expiry": f"{_HERE}.valkey:SetNxWithoutExpiry",
        "setnx-then-expire": f"{_HERE}.valkey:SetNxThenExpire",
        "watchdog": f"{_HERE}.valkey_watchdog:Watchdog",
        "watchdog-without-token": f"{_HERE}.valkey_watchdog:WatchdogWithoutToken",
        "failover-loses-the-lock": f"{_HERE}.valkey_replicas:FailoverLosesTheLock",
        "paused-replica-keeps-the-lock": f"{_HERE}.valkey_replicas:PausedReplicaKeepsTheLock",
        "session-advisory-lock": f"{_HERE}.postgres:SessionAdvisoryLock",
        "session-lock-through-pooler": f"{_HERE}.postgres:SessionLockThroughPooler",
        "redlock": f"{_HERE}.redlock:Redlock",
        "redlock-paused-holder": f"{_HERE}.redlock:RedlockPausedHolder",
        "redlock-forgetful-servers": f"{_HERE}.redlock:RedlockForgetfulServers",
        "redlock-jumping-clocks": f"{_HERE}.redlock:RedlockJumpingClocks",
        "zookeeper-ephemeral": f"{_HERE}.zookeeper:ZooKeeperEphemeral",
        "zookeeper-fenced": f"{_HERE}.zookeeper:ZooKeeperFenced",
        "etcd-lease": f"{_HERE}.etcd:EtcdLease",
        "rabbitmq-one-message": f"{_HERE}.rabbitmq:OneMessage",
        "guarded-without-fencing": f"{_HERE}.valkey_postgres:WithoutFencing",
        "guarded-with-fencing": f"{_HERE}.valkey_postgres:WithFencing",
        "guarded-fencing-the-write-only": f"{_HERE}.valkey_postgres:FencingTheWriteOnly",
        "guarded-fencing-by-read-then-write": f"{_HERE}.valkey_postgres:FencingByReadThenWrite",
    }

    ttl: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    hold: Annotated[float, msgspec.Meta(ge=0)] = 0.05
    names: Annotated[int, msgspec.Meta(ge=1)] = 4
    lease: Literal["ttl", "renewed"] | None = "ttl"
    fencing: bool = False
    guarded: bool = False

    def initial(self) -> Mapping[Any, Any]:
        """The locks' names, and one more for the dry run; a resource of one's own starts at 0."""
        return dict.fromkeys((*self._names(), "lock-dry"), 0)

    def dry(self) -> Script:
        """One section, on the dry run's lock."""
        yield from self._section("lock-dry", write_id=1, hold=0.0)

    def main(self, rng: random.Random, process: int) -> Script:
        """One section after another, on names drawn evenly."""
        for count in itertools.count(1):
            name = rng.choice(self._names())
            # Half to the whole of `hold`: a very short hold seldom meets anybody.
            hold = rng.uniform(self.hold / 2, self.hold)
            taken = yield from self._section(name, write_id=process * _BLOCK + count, hold=hold)
            yield Rest(rng.uniform(0.0, 0.002) if taken else rng.uniform(0.001, 0.01))

    def _section(
        self, name: str, *, write_id: int, hold: float
    ) -> Generator[Ask | Rest, Answer, bool]:
        """acquire, guard-read, the hold, guard-write, release; answers whether it was taken."""
        acquired = yield Ask("acquire", name)
        if acquired.type != "ok":
            return False
        token = {"token": acquired.result}
        read = yield Ask("guard-read", [name, None], token, hint=(write_id, hold))
        if read.type == "ok" and not self.guarded:
            yield Rest(hold)
            yield Ask("guard-write", [name, write_id], token)
        yield Ask("release", name, token)
        return True

    def final(self, worker: int, workers: int) -> Script:
        """Nothing is read in the end: what a lock must do, it must do while it is held."""
        return
        yield

    def session(self, strategy: Any, ctx: Context) -> Session:
        """With the harness's guarded resource, or the strategy's own."""
        if self.guarded:
            return GuardedByStrategy(strategy, ttl=self.ttl)
        return GuardedByUs(strategy, ttl=self.ttl, fencing=self.fencing, address=ctx.resource)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The holds and the resource, and progress."""
        return [
            LockChecker(
                ttl=self.ttl,
                lease=self.lease,
                fencing=self.fencing,
                faults=tuple(meta.get("faults", ())),
            ),
            ProgressChecker(workload=self.name, ttl=self.ttl),
        ]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """Every operation touches its lock; two at once are contention."""
        asked = operation.asked
        return (asked if isinstance(asked, str) else asked[0]), True

    def remedy(self, anomaly: str) -> str:
        """How a lock is mended."""
        if anomaly == "double-hold":
            return (
                "Release only what is yours: compare the token and delete the key in one step, in "
                "a script on the server. A plain DEL, or a GET followed by a DEL, can delete the "
                "lock of the next holder."
            )
        if anomaly == "deadlock":
            return (
                "Let the lock end by itself: give it an expiry in the very command that takes it "
                "(SET with NX and PX), so that a holder that dies, wherever it was, gives it back."
            )
        return (
            "A lease can run out while its holder is stopped, and no lock service can prevent "
            "that. Let the resource refuse old holders: give each holder a token that grows, and "
            "check it on entry, before anything is read, as well as at the write."
        )

    def _names(self) -> list[str]:
        return [f"lock-{i}" for i in range(self.names)]
