"""Banks: the total is the same in every read, no balance falls below zero, and at rest each account
has what the acknowledged transfers left it.

A read is of one moment, so a transfer that may or may not have happened changes no total.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec

from ..harness.errors import UsageError
from ..harness.history import History, Operation
from ..harness.verdict import Anomaly, Verdict, unknown
from .findings import merged
from .sums import reachable
from .wording import counted, freeze, label, plain, show


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """A transfer between two accounts."""

    op: Operation
    source: str
    target: str
    amount: int

    def effect(self, account: str) -> int:
        """What it does to one account's balance."""
        return self.amount * ((account == self.target) - (account == self.source))


class Read(msgspec.Struct, frozen=True, gc=False):
    """A read that answered a balance for every account."""

    op: Operation
    balances: dict[str, int]

    @property
    def total(self) -> int:
        """All the money that it saw."""
        return sum(self.balances.values())


@dataclass(slots=True)
class _Book:
    """A history of a bank, sorted; `strange` are the reads that make no sense, and why."""

    transfers: list[Transfer] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    strange: list[tuple[Operation, str]] = field(default_factory=list)


class BankChecker:
    """Judges `transfer {"from", "to", "amount"}` and `read` -> {account: balance}."""

    name = "bank"

    def __init__(
        self,
        *,
        initial: Mapping[Any, int] | None = None,
        total: int | None = None,
        allow_negative: bool = False,
    ) -> None:
        """`initial` are the opening balances; without them and `total` the first read is trusted."""
        self._initial = (
            None if initial is None else {label(key): value for key, value in initial.items()}
        )
        self._total = sum(initial.values()) if initial is not None and total is None else total
        self._allow_negative = allow_negative

    def check(self, history: History) -> Verdict:
        """Judge every read and, at rest, every acknowledged transfer; count both."""
        book = self._book(history)
        judged = len(book.reads) + len(book.strange)
        findings = [_tell_garbage(book.strange)] if book.strange else []
        findings += self._unsettled(book)
        findings += self._unbalanced(book)
        if not self._allow_negative:
            findings += _overdrawn(book)
        if not judged:
            return unknown("the bank was never read")
        judged += sum(transfer.op.type == "ok" for transfer in book.transfers)
        return Verdict(
            verdict="violated" if findings else "holds", anomalies=merged(findings), judged=judged
        )

    def _book(self, history: History) -> _Book:
        book = _Book()
        for op in history.operations("transfer", "read"):
            if op.f == "transfer":
                book.transfers.append(_transfer(op))
            elif op.type == "ok":
                balances = self._balances(op.value)
                if balances is None and self._initial is None:
                    _refuse_decimals(op)
                if balances is None:
                    book.strange.append((op, self._nonsense(op.value)))
                else:
                    book.reads.append(Read(op, balances))
        return book

    def _balances(self, value: Any) -> dict[str, int] | None:
        """The balance of each account; None if an answer is no balance sheet of this bank."""
        if not isinstance(value, dict) or not set(map(type, value.values())) <= {int}:
            return None
        balances = {label(name): balance for name, balance in value.items()}
        known = self._initial is None or balances.keys() == self._initial.keys()
        return balances if known else None

    def _nonsense(self, value: Any) -> str:
        """What makes an answer no balance sheet of this bank."""
        if not isinstance(value, dict):
            return f"{show(value)} where balances by account were expected"
        for name, balance in value.items():
            if type(balance) is not int:
                return f"{show(balance)} as the balance of {show(name)}"
        if self._initial is None:
            return ""
        names = set(map(label, value))
        for name in self._initial.keys() - names:
            return f"no balance for account {show(name)}"
        for name in names - self._initial.keys():
            return f"an account {show(name)} that nobody opened"
        return ""

    def _unbalanced(self, book: _Book) -> Iterator[Anomaly]:
        """Reads whose total is not the bank's."""
        if not book.reads:
            return
        total = book.reads[0].total if self._total is None else self._total
        wrong = [read for read in book.reads if read.total != total]
        if wrong:
            yield _tell_total(wrong, total, book)

    def _unsettled(self, book: _Book) -> Iterator[Anomaly]:
        """The last read at rest, where some account lacks what acknowledged transfers left it.

        Of several at one instant none is the last: each has to be right.
        """
        settled = max((t.op.ret for t in book.transfers if t.op.type == "ok"), default=-1)
        rest = [read for read in book.reads if read.op.call > settled]
        if self._initial is None or not rest:
            return
        latest = max(read.op.call for read in rest)
        told = [
            (dict(_differences(self._initial, book.transfers, read)), read)
            for read in rest
            if read.op.call == latest
        ]
        off, read = max(told, key=lambda each: len(each[0]))
        if off:
            yield _tell_unsettled(off, read, book.transfers)


def _refuse_decimals(op: Operation) -> None:
    """A bank of others' that counts in fractions is beyond this checker, and is not to be accused."""
    for name, balance in op.value.items() if isinstance(op.value, dict) else ():
        if isinstance(balance, float):
            raise UsageError(
                f"operation {op.index}: a balance is a whole number, not {show(balance)} "
                f"(account {show(name)}); count in the smallest unit"
            )


def _transfer(op: Operation) -> Transfer:
    asked = op.asked
    if not isinstance(asked, dict) or type(asked.get("amount")) is not int:
        raise UsageError(
            f"operation {op.index}: a transfer reads {{from, to, amount}} with an integer amount, "
            f"not {show(asked)}"
        )
    return Transfer(op, label(asked.get("from")), label(asked.get("to")), asked["amount"])


def _differences(
    initial: Mapping[str, int], transfers: Sequence[Transfer], read: Read
) -> Iterator[tuple[str, int]]:
    """The accounts whose balance no choice of the indeterminate transfers explains, with by how much."""
    expected = dict(initial)
    opened: defaultdict[str, list[int]] = defaultdict(list)
    for transfer in transfers:
        for account in {transfer.source, transfer.target}:
            if transfer.op.type == "ok":
                expected[account] = expected.get(account, 0) + transfer.effect(account)
            elif transfer.op.type == "info" and transfer.op.call <= read.op.ret:
                opened[account].append(transfer.effect(account))
    for account, balance in read.balances.items():
        difference = balance - expected.get(account, 0)
        if not reachable(difference, opened[account]):
            yield account, difference


def _overdrawn(book: _Book) -> Iterator[Anomaly]:
    below = [read for read in book.reads if min(read.balances.values(), default=0) < 0]
    if not below:
        return
    read = below[0]
    account, balance = min(read.balances.items(), key=lambda item: item[1])
    last = _latest_debits(book.transfers, account, read)
    told = ""
    if last:
        told = (
            f" Processes {last[0].op.process} and {last[1].op.process} had both taken from it at "
            f"the same time, {last[0].amount} and {last[1].amount}."
        )
    yield Anomaly(
        type="overdraft",
        sentence=f"Process {read.op.process} saw account {show(account)} at {balance}, below zero.{told}",
        ops=(read.op.index, *(transfer.op.index for transfer in last)),
        count=len(below),
        evidence={"kind": "ladder", "read": read.op.index, "account": account, "balance": balance},
    )


def _latest_debits(transfers: Iterable[Transfer], account: str, read: Read) -> tuple[Transfer, ...]:
    """The last two overlapping ok transfers out of an account before a read, if there are two."""
    pairs = _overlaps(
        t
        for t in transfers
        if t.op.type == "ok" and t.effect(account) < 0 and t.op.call <= read.op.ret
    )
    return pairs[-1] if pairs else ()


# --- how it is told ------------------------------------------------------------------------------


def _tell_garbage(strange: Sequence[tuple[Operation, str]]) -> Anomaly:
    op, wrong = strange[0]
    return Anomaly(
        type="garbage-read",
        sentence=f"Process {op.process} read {wrong}.",
        ops=(op.index,),
        count=len(strange),
        evidence={"kind": "ladder", "read": op.index, "value": plain(freeze(op.value))},
    )


def _tell_total(wrong: Sequence[Read], total: int, book: _Book) -> Anomaly:
    read = wrong[0]
    half = _half_seen(book.transfers, read, read.total - total)
    if half:
        side = "arrived but not that it had left" if read.total > total else "left but not arrived"
        why = (
            f" It saw that {half.amount} from {show(half.source)} to {show(half.target)} "
            f"(process {half.op.process}) had {side}."
        )
    else:
        why = f" {abs(read.total - total)} {'too much' if read.total > total else 'is gone'}."
    last = book.reads[-1]
    if last in wrong:
        why += f" The last read still sees {last.total}: it is wrong for good."
    return Anomaly(
        type="conservation",
        sentence=f"Process {read.op.process} saw {read.total} in all accounts together, "
        f"but the bank holds {total}.{why}",
        ops=(read.op.index, *([half.op.index] if half else [])),
        count=len(wrong),
        evidence={
            "kind": "ladder",
            "read": read.op.index,
            "balances": read.balances,
            "total": read.total,
            "expected": total,
        },
    )


def _half_seen(transfers: Iterable[Transfer], read: Read, surplus: int) -> Transfer | None:
    """A transfer that overlapped the read and alone accounts for the difference."""
    return next(
        (
            t
            for t in transfers
            if abs(t.amount) == abs(surplus)
            and t.source != t.target
            and t.op.type != "fail"
            and t.op.call <= read.op.ret
            and read.op.call <= t.op.ret
        ),
        None,
    )


def _tell_unsettled(off: Mapping[str, int], read: Read, transfers: Sequence[Transfer]) -> Anomaly:
    account, difference = next(iter(off.items()))
    cause = _cause(off, account, read, transfers)
    balance = read.balances[account]
    return Anomaly(
        type=cause.type,
        sentence=f"At rest account {show(account)} has {balance}, but the acknowledged transfers "
        f"make {balance - difference}{_indeterminate(transfers, account)}: {cause.sentence}.",
        ops=(read.op.index, *(t.op.index for t in cause.transfers)),
        count=len(off),
        evidence={
            "kind": "ladder",
            "read": read.op.index,
            "balances": read.balances,
            "expected": {name: read.balances[name] - by for name, by in off.items()},
            "transfers": [t.op.index for t in cause.transfers],
        },
    )


def _indeterminate(transfers: Iterable[Transfer], account: str) -> str:
    opened = sum(t.op.type == "info" and t.effect(account) != 0 for t in transfers)
    return f", and no choice of {counted(opened, 'indeterminate one')} explains it" * (opened > 0)


@dataclass(frozen=True, slots=True)
class _Cause:
    type: str
    sentence: str
    transfers: tuple[Transfer, ...] = ()


def _cause(
    off: Mapping[str, int], account: str, read: Read, transfers: Sequence[Transfer]
) -> _Cause:
    """The plainest explanation of balances that are off: one transfer alone, else an overlap."""
    done = [t for t in transfers if t.op.type == "ok"]
    for gone in _alone(off, done, -1):
        sentence = f"the transfer of {gone.amount} by process {gone.op.process} is lost"
        return _Cause("lost-update", sentence, (gone,))
    for ghost in _alone(off, [t for t in transfers if t.op.type == "fail"], 1):
        sentence = f"the one of {ghost.amount} by process {ghost.op.process}, which failed, counts"
        return _Cause("ghost-effect", sentence, (ghost,))
    for twice in _alone(off, done, 1):
        sentence = f"the one of {twice.amount} by process {twice.op.process} counts twice"
        return _Cause("duplicate-effect", sentence, (twice,))
    pairs = _overlaps([t for t in done if t.effect(account)])
    if not pairs:
        return _Cause("lost-update", "a transfer is lost")
    a, b = pairs[-1]
    among = f" (one of {len(pairs)} such pairs)" if len(pairs) > 1 else ""
    sentence = (
        f"those of processes {a.op.process} and {b.op.process} overlapped{among}, "
        "and probably one of these overwrote the other"
    )
    return _Cause("lost-update", sentence, (a, b))


def _alone(off: Mapping[str, int], transfers: Iterable[Transfer], times: int) -> Iterator[Transfer]:
    """The transfers that, counted so many times more, account for every difference alone."""
    for transfer in transfers:
        accounts = {*off, transfer.source, transfer.target}
        if all(times * transfer.effect(a) == off.get(a, 0) for a in accounts):
            yield transfer


def _overlaps(transfers: Iterable[Transfer]) -> list[tuple[Transfer, Transfer]]:
    """Neighbours in the order of their calls that were under way at the same time."""
    ordered = sorted(transfers, key=lambda t: t.op.call)
    return [(a, b) for a, b in pairwise(ordered) if b.op.call <= a.op.ret]
