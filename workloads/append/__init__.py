"""append: transactions that read lists and append to them; held to a level of isolation.

A list shows its whole history at every read, so that what each transaction saw and overwrote is
known without guessing.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from ...checkers.progress import ProgressChecker
from ...checkers.transactions import AppendChecker
from ...harness.context import Context
from ...harness.history import Operation
from ...harness.protocols import Checker, Script, Session
from .. import transactions
from ..session import MethodSession

_HERE = "dokkaebi.workloads.append.strategies"


class Append(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Transactions of up to `most` reads and appends over `keys` lists in use at a time, each left
    when it has about `writes` elements. `level` is the level of isolation that is demanded.
    """

    name: ClassVar[str] = "append"
    functions: ClassVar[frozenset[str]] = frozenset({"txn"})
    methods: ClassVar[tuple[str, ...]] = ("txn",)
    levels: ClassVar[tuple[str, ...]] = transactions.LEVELS
    traits: ClassVar[tuple[str, ...]] = ()
    default: ClassVar[str] = "concat"
    resource: ClassVar[str | None] = None
    coverage: ClassVar[str] = "contended"
    strategies: ClassVar[Mapping[str, str]] = {
        "concat": f"{_HERE}.postgres:Concat",
        "concat-plain-reads": f"{_HERE}.postgres:ConcatPlainReads",
        "three-tables": f"{_HERE}.postgres:ThreeTables",
        "concat-repeatable-read": f"{_HERE}.postgres:ConcatRepeatableRead",
        "concat-read-committed": f"{_HERE}.postgres:ConcatReadCommitted",
        "read-modify-write": f"{_HERE}.postgres:ReadModifyWrite",
        "rows-by-parent-lock": f"{_HERE}.postgres:RowsByParentLock",
        "begin-immediate": f"{_HERE}.sqlite:BeginImmediate",
        "implicit-begin": f"{_HERE}.sqlite:ImplicitBegin",
        "concat-mariadb": f"{_HERE}.mariadb:Concat",
        "concat-repeatable-read-mariadb": f"{_HERE}.mariadb:ConcatRepeatableRead",
        "concat-read-committed-mariadb": f"{_HERE}.mariadb:ConcatReadCommitted",
        "concat-read-uncommitted-mariadb": f"{_HERE}.mariadb:ConcatReadUncommitted",
        "concat-snapshot-isolation": f"{_HERE}.mariadb:ConcatSnapshotIsolation",
        "concat-snapshot-isolation-skew": f"{_HERE}.mariadb:ConcatSnapshotWriteSkew",
        "etcd-revisions": f"{_HERE}.etcd:Revisions",
        "script": f"{_HERE}.valkey:Script",
        "watch-multi": f"{_HERE}.valkey:WatchMulti",
        "get-then-set": f"{_HERE}.valkey:GetThenSet",
    }

    keys: Annotated[int, msgspec.Meta(ge=1)] = 6
    most: Annotated[int, msgspec.Meta(ge=1)] = 4
    writes: Annotated[int, msgspec.Meta(ge=1)] = 32
    level: str = transactions.LEVELS[0]

    def initial(self) -> Mapping[Any, Any]:
        """Nothing: keys come into being when they are first appended to."""
        return {}

    def dry(self) -> Script:
        """An append and a read, on a key of its own."""
        yield from transactions.dry("append")

    def main(self, rng: random.Random, process: int) -> Script:
        """Appends and reads in equal parts; some keys are hot."""
        keys = transactions.Keys(width=self.keys, most=self.writes, process=process)
        yield from transactions.transactions(rng, keys, write="append", most=self.most)

    def final(self, worker: int, workers: int) -> Script:
        """Every key once more."""
        yield from transactions.last_look(worker, workers)

    def session(self, strategy: Any, ctx: Context) -> Session:
        """Operations are one method."""
        return MethodSession(strategy, transactions.METHODS)

    def checkers(self, meta: Mapping[str, Any]) -> Sequence[Checker]:
        """The level, and progress."""
        return [AppendChecker(level=self.level), ProgressChecker(workload=self.name)]

    def contends(self, operation: Operation) -> tuple[Hashable, bool] | None:
        """Transactions that append to their key write it."""
        return transactions.contends(operation)

    def remedy(self, anomaly: str) -> str:
        """How transactions are mended."""
        return transactions.remedy(anomaly)
