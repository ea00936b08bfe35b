"""wr: transactions that read and write registers; held to a level of isolation.

Every written value is unique, so that a read names its write; in which order the values of one
key replaced each other has to be inferred.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.progress import ProgressChecker
from ...checkers.transactions import WrChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Checker, Script, Session
from .. import transactions
from ..session import MethodSession

_HERE = "dokkaebi.workloads.wr.strategies"


class Wr(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Transactions of up to `most` reads and writes over `keys` registers in use at a time, each
    left when it has been written about `writes` times. `level` is the level of isolation that is demanded.
    """

    name: ClassVar[str] = "wr"
    functions: ClassVar[frozenset[str]] = frozenset({"txn"})
    methods: ClassVar[tuple[str, ...]] = ("txn",)
    levels: ClassVar[tuple[str, ...]] = transactions.LEVELS
    traits: ClassVar[tuple[str, ...]] = ()
    default: ClassVar[str] = "upsert"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {
        "upsert": f"{_HERE}.postgres:Upsert",
        "upsert-plain-reads": f"{_HERE}.postgres:UpsertPlainReads",
        "upsert-repeatable-read": f"{_HERE}.postgres:UpsertRepeatableRead",
        "upsert-read-committed": f"{_HERE}.postgres:UpsertReadCommitted",
        "upsert-begin-immediate": f"{_HERE}.sqlite:UpsertBeginImmediate",
        "upsert-mariadb": f"{_HERE}.mariadb:Upsert",
        "upsert-repeatable-read-mariadb": f"{_HERE}.mariadb:UpsertRepeatableRead",
        "upsert-read-committed-mariadb": f"{_HERE}.mariadb:UpsertReadCommitted",
        "upsert-read-uncommitted-mariadb": f"{_HERE}.mariadb:UpsertReadUncommitted",
        "get-and-set-in-script": f"{_HERE}.valkey:GetAndSetInScript",
        "get-and-set": f"{_HERE}.valkey:GetAndSet",
    }

    keys: Annotated[int, msgspec.Meta(ge=1)] = 6
    most: Annotated[int, msgspec.Meta(ge=1)] = 4
    writes: Annotated[int, msgspec.Meta(ge=1)] = 32
    level: str = transactions.LEVELS[0]

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: keys come into being when they are first written."""
        return {}

    def dry(self) -> Script:
        """A write and a read, on a key of its own."""
        yield from transactions.dry("w")

    def main(self, rng: random.Random, process: int) -> Script:
        """Writes and reads in equal parts; some keys are hot."""
        keys = transactions.Keys(width=self.keys, most=self.writes, process=process)
        yield from transactions.transactions(rng, keys, write="w", most=self.most)

    def final(self, worker: int, workers: int) -> Script:
        """Every key once more."""
        yield from transactions.last_look(worker, workers)

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are one method."""
        return MethodSession(strategy, transactions.METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The level, and progress."""
        checker = WrChecker(level=self.level, outside=bool(meta.get("outside")))
        return [checker, ProgressChecker(workload=self.name)]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """Transactions with a write write their key."""
        return transactions.contends(operation)

    def remedy(self, anomaly: str) -> str:
        """How transactions are mended."""
        return transactions.remedy(anomaly)
