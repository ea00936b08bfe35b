"""constraint: members join and leave groups; in each group at least one must stay.

Whoever leaves looks whether somebody else is there: doctors on call, seats, the last administrator.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.constraint import ConstraintChecker
from ...checkers.progress import ProgressChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Answer, Ask, Checker, Script, Session
from ..session import Method, MethodSession, done, plain_value, yes_or_no

_HERE = "dokkaebi.workloads.constraint.strategies"


class Constraint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`keys` groups of `size` members, all of whom are there at first; `least` must stay."""

    name: ClassVar[str] = "constraint"
    functions: ClassVar[frozenset[str]] = frozenset({"join", "leave", "read"})
    methods: ClassVar[tuple[str, ...]] = ("join", "leave", "members")
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ()
    default: ClassVar[str] = "serializable"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {
        "check-then-leave": f"{_HERE}.postgres:CheckThenLeave",
        "check-then-leave-read-committed": f"{_HERE}.postgres:CheckThenLeaveReadCommitted",
        "serializable": f"{_HERE}.postgres:Serializable",
        "lock-parent": f"{_HERE}.postgres:LockParent",
        "lock-parent-repeatable-read": f"{_HERE}.postgres:LockParentRepeatableRead",
        "one-path-read-committed": f"{_HERE}.postgres:OnePathReadCommitted",
        "check-then-leave-mariadb": f"{_HERE}.mariadb:CheckThenLeave",
        "serializable-mariadb": f"{_HERE}.mariadb:Serializable",
        "lock-parent-mariadb": f"{_HERE}.mariadb:LockParent",
        "lock-parent-after-a-read": f"{_HERE}.mariadb:LockParentAfterRead",
        "srem-in-script": f"{_HERE}.valkey:SremInScript",
        "scard-then-srem": f"{_HERE}.valkey:ScardThenSrem",
    }

    keys: Annotated[int, msgspec.Meta(ge=1)] = 4
    size: Annotated[int, msgspec.Meta(ge=2)] = 2
    least: Annotated[int, msgspec.Meta(ge=1)] = 1

    def initial(self) -> Mapping[Any, Any]:
        """Groups 0 to `keys`-1 with members 0 to `size`-1, and one more for the dry run."""
        return {group: list(range(self.size)) for group in range(self.keys + 1)}

    def dry(self) -> Script:
        """Each method once, on the dry run's group."""
        yield Ask("leave", [self.keys, 0])
        yield Ask("join", [self.keys, 0])
        yield Ask("read", [self.keys, None])

    def main(self, rng: random.Random, process: int) -> Script:
        """Members leave and join in equal parts; now and then somebody looks."""
        while True:
            group, draw = rng.randrange(self.keys), rng.random()
            if draw < 0.1:
                yield Ask("read", [group, None])
            else:
                kind = "leave" if draw < 0.55 else "join"
                yield Ask(kind, [group, rng.randrange(self.size)])

    def final(self, worker: int, workers: int) -> Script:
        """Each group is read by one worker."""
        for group in range(worker, self.keys, workers):
            yield Ask("read", [group, None])

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The members, and progress."""
        return [
            ConstraintChecker(initial=self.initial(), least=self.least),
            ProgressChecker(workload=self.name),
        ]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """Whoever joins or leaves writes the group."""
        return operation.asked[0], operation.f != "read"

    def remedy(self, anomaly: str) -> str:
        """How such a rule is kept."""
        return (
            "Make those who check the same rule meet: lock a row that stands for the group before "
            "you look (SELECT ... FOR UPDATE as a statement of its own, at read committed), or run "
            "every transaction that takes part at serializable and repeat it on 40001."
        )


def _members(asked: Any, returned: Any) -> Answer:
    if isinstance(returned, str | bytes | Mapping) or not hasattr(returned, "__iter__"):
        raise TypeError(f"members(group) must answer members, not {returned!r}")
    return Answer(type="ok", value=[asked[0], sorted(map(plain_value, returned), key=repr)])


_METHODS: Mapping[str, Method] = {
    "join": Method(lambda strategy, value: strategy.join(*value), done),
    "leave": Method(lambda strategy, value: strategy.leave(*value), yes_or_no),
    "read": Method(lambda strategy, value: strategy.members(value[0]), _members),
}
