"""bank: workers move money between accounts and read all balances; the total never changes.

Every read is of one moment and adds up to the same total; no balance goes below zero.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.bank import BankChecker
from ...checkers.progress import ProgressChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Answer, Ask, Checker, Script, Session
from ..session import Method, MethodSession, integer, yes_or_no

_HERE = "dokkaebi.workloads.bank.strategies"


class Bank(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`keys` accounts that start with `start` each; half of the operations are reads."""

    name: ClassVar[str] = "bank"
    functions: ClassVar[frozenset[str]] = frozenset({"transfer", "read"})
    methods: ClassVar[tuple[str, ...]] = ("transfer", "balances")
    levels: ClassVar[tuple[str, ...]] = ()
    traits: ClassVar[tuple[str, ...]] = ()
    default: ClassVar[str] = "for-update-ordered"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {
        "read-committed": f"{_HERE}.postgres:ReadCommitted",
        "for-update-ordered": f"{_HERE}.postgres:ForUpdateOrdered",
        "for-update-unordered": f"{_HERE}.postgres:ForUpdateUnordered",
        "serializable-retry": f"{_HERE}.postgres:SerializableRetry",
        "read-committed-mariadb": f"{_HERE}.mariadb:ReadCommitted",
        "repeatable-read-mariadb": f"{_HERE}.mariadb:RepeatableRead",
        "for-update-ordered-mariadb": f"{_HERE}.mariadb:ForUpdateOrdered",
        "for-update-in-callers-order": f"{_HERE}.mariadb:ForUpdateInCallersOrder",
        "serializable-retry-mariadb": f"{_HERE}.mariadb:SerializableRetry",
    }

    keys: Annotated[int, msgspec.Meta(ge=2)] = 5
    start: int = 100
    most: Annotated[int, msgspec.Meta(ge=1)] = 5
    allow_negative: bool = False

    def initial(self) -> Mapping[Any, Any]:
        """Accounts 0 to `keys`-1."""
        return dict.fromkeys(range(self.keys), self.start)

    def dry(self) -> Script:
        """One transfer and one read, judged like all others."""
        yield _transfer(0, 1, 1)
        yield Ask("read")

    def main(self, rng: random.Random, process: int) -> Script:
        """Transfers of 1 to `most` between two accounts, and reads of all."""
        while True:
            if rng.random() < 0.5:
                yield Ask("read")
            else:
                source, target = rng.sample(range(self.keys), 2)
                yield _transfer(source, target, rng.randint(1, self.most))

    def final(self, worker: int, workers: int) -> Script:
        """One last read by each of two workers."""
        if worker < 2:
            yield Ask("read")

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are methods."""
        return MethodSession(strategy, _METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The total, the balances, and progress."""
        return [
            BankChecker(initial=self.initial(), allow_negative=self.allow_negative),
            ProgressChecker(workload=self.name),
        ]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """Every operation touches the same accounts; transfers write them."""
        return "accounts", operation.f == "transfer"

    def remedy(self, anomaly: str) -> str:
        """How a bank is mended."""
        return (
            "Lock both rows before you read them, always in the same order (SELECT ... WHERE id IN "
            "(...) ORDER BY id FOR UPDATE), and read all balances in one statement; or run both at "
            "serializable and repeat the whole transaction on 40001."
        )


def _transfer(source: int, target: int, amount: int) -> Ask:
    return Ask("transfer", {"from": source, "to": target, "amount": amount})


def _read(asked: Any, returned: Any) -> Answer:
    if not isinstance(returned, Mapping):
        raise TypeError(f"balances() must answer a dict of account to balance, not {returned!r}")
    balances = {str(k): integer(v, "balances()") for k, v in returned.items()}
    return Answer(type="ok", value=balances)


_METHODS: Mapping[str, Method] = {
    "transfer": Method(
        lambda strategy, value: strategy.transfer(value["from"], value["to"], value["amount"]),
        yes_or_no,
    ),
    "read": Method(lambda strategy, value: strategy.balances(), _read),
}
