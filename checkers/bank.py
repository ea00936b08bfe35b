"""Banks: the total is the same in every read, no balance falls below zero, and at rest each account
has what the acknowledged transfers left it.

A read is of one moment, so a transfer that may or may not have happened changes no total.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from ..harness.columns import FAIL, INFO, OK
from ..harness.errors import UsageError
from ..harness.history import History
from ..harness.interning import I64
from ..harness.verdict import Anomaly, Verdict, unknown
from .accounts import Book, Sheet, alone, book, differences, overlaps
from .findings import merged
from .wording import counted, freeze, label, plain, show, titled


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
        found = book(history, self._initial)
        self._refuse(found)
        judged = len(found.sheets) + len(found.strange)
        findings = [self._tell_garbage(found)] if found.strange else []
        findings += self._unsettled(found)
        findings += self._unbalanced(found)
        if not self._allow_negative:
            findings += _overdrawn(found)
        if not judged:
            return unknown("the bank was never read")
        judged += int(np.count_nonzero(found.transfers.type == OK))
        return Verdict(
            verdict="violated" if findings else "holds", anomalies=merged(findings), judged=judged
        )

    def _refuse(self, found: Book) -> None:
        """Raise `UsageError` at the first operation that is bad input."""
        wrong = list(found.wrong)
        if self._initial is None:
            wrong += [(at, why) for at, value in found.strange for why in _decimals(value)]
        if wrong:
            index, why = min(wrong, key=itemgetter(0))
            raise UsageError(f"operation {index}: {why}")

    def _nonsense(self, value: Any) -> str:
        """What makes an answer no balance sheet of this bank."""
        if not isinstance(value, dict):
            return f"{show(value)} where balances by account were expected"
        for name, balance in value.items():
            if type(balance) is not int:
                return f"{show(balance)} as the balance of {titled(name)}"
        if self._initial is None:
            return ""
        names = set(map(label, value))
        for name in self._initial:
            if name not in names:
                return f"no balance for account {titled(name)}"
        for name in map(label, value):
            if name not in self._initial:
                return f"an account {titled(name)} that nobody opened"
        return ""

    def _unbalanced(self, found: Book) -> Iterator[Anomaly]:
        """Reads whose total is not the bank's."""
        sheets = found.sheets
        if not len(sheets):
            return
        total = sheets.total.item(0) if self._total is None else self._total
        wrong = np.flatnonzero(sheets.total != total)
        if len(wrong):
            yield _tell_total(found, wrong, total)

    def _unsettled(self, found: Book) -> Iterator[Anomaly]:
        """The last read at rest, where some account lacks what acknowledged transfers left it.

        Of several at one instant none is the last: each has to be right.
        """
        transfers, calls = found.transfers, found.sheets.call
        settled = transfers.ret[transfers.type == OK].max(initial=-1)
        rest = np.flatnonzero(calls > settled)
        if self._initial is None or not len(rest):
            return
        latest = rest[calls[rest] == calls[rest].max()]
        sheets = [found.sheet(row) for row in latest.tolist()]
        told = [(differences(found, self._initial, sheet), sheet) for sheet in sheets]
        off, sheet = max(told, key=lambda each: len(each[0]))
        if off:
            yield _tell_unsettled(found, off, sheet)

    def _tell_garbage(self, found: Book) -> Anomaly:
        index, value = found.strange[0]
        return Anomaly(
            type="garbage-read",
            sentence=f"Process {found.history.process[index]} read {self._nonsense(value)}.",
            ops=(index,),
            count=len(found.strange),
            evidence={"kind": "ladder", "read": index, "value": plain(freeze(value))},
        )


def _decimals(value: Any) -> Iterator[str]:
    """A bank of others' that counts in fractions is beyond this checker, and is not to be accused."""
    for name, balance in value.items() if isinstance(value, dict) else ():
        if isinstance(balance, float):
            yield (
                f"a balance is a whole number, not {show(balance)} "
                f"(account {titled(name)}); count in the smallest unit"
            )


# --- how it is told ------------------------------------------------------------------------------


def _overdrawn(found: Book) -> Iterator[Anomaly]:
    below = np.flatnonzero(found.sheets.below)
    if not len(below):
        return
    sheet = found.sheet(below.item(0))
    account, balance = min(sheet.balances.items(), key=itemgetter(1))
    last = _latest_debits(found, account, sheet)
    told = ""
    if last:
        one, other = map(found.process, last)
        amounts = found.transfers.amount
        told = (
            f" Processes {one} and {other} had both taken from it at "
            f"the same time, {amounts.item(last[0])} and {amounts.item(last[1])}."
        )
    yield Anomaly(
        type="overdraft",
        sentence=f"Process {sheet.process} saw account {titled(account)} at {balance}, below zero.{told}",
        ops=(sheet.index, *found.transfers.index[list(last)].tolist()),
        count=len(below),
        evidence={"kind": "ladder", "read": sheet.index, "account": account, "balance": balance},
    )


def _latest_debits(found: Book, account: str, sheet: Sheet) -> tuple[int, ...]:
    """The last two overlapping ok transfers out of an account before a read, if there are two."""
    transfers = found.transfers
    debits = transfers.effect(found.accounts.get(account, -1)) < 0
    before = debits & (transfers.type == OK) & (transfers.call <= sheet.ret)
    pairs = overlaps(transfers, np.flatnonzero(before))
    return pairs[-1] if pairs else ()


def _tell_total(found: Book, wrong: I64, total: int) -> Anomaly:
    sheet = found.sheet(wrong.item(0))
    half = _half_seen(found, sheet, sheet.total - total)
    if len(half):
        transfer = found.history.operation(found.transfers.index.item(half[0]))
        side = "arrived but not that it had left" if sheet.total > total else "left but not arrived"
        why = (
            f" It saw that {transfer.asked['amount']} from {_account(transfer.asked, 'from')} "
            f"to {_account(transfer.asked, 'to')} (process {transfer.process}) had {side}."
        )
    else:
        why = f" {abs(sheet.total - total)} {'too much' if sheet.total > total else 'is gone'}."
    if wrong[-1] == len(found.sheets) - 1:
        last = found.sheets.total.item(-1)
        why += f" The last read still sees {last}: it is wrong for good."
    return Anomaly(
        type="conservation",
        sentence=f"Process {sheet.process} saw {sheet.total} in all accounts together, "
        f"but the bank holds {total}.{why}",
        ops=(sheet.index, *found.transfers.index[half[:1]].tolist()),
        count=len(wrong),
        evidence={
            "kind": "ladder",
            "read": sheet.index,
            "balances": sheet.balances,
            "total": sheet.total,
            "expected": total,
        },
    )


def _account(asked: Mapping[str, Any], end: str) -> str:
    return titled(label(asked.get(end)))


def _half_seen(found: Book, sheet: Sheet, surplus: int) -> I64:
    """The transfers that overlapped the read and alone account for the difference."""
    transfers = found.transfers
    return np.flatnonzero(
        (np.abs(transfers.amount) == abs(surplus))
        & (transfers.source != transfers.target)
        & (transfers.type != FAIL)
        & (transfers.call <= sheet.ret)
        & (sheet.call <= transfers.ret)
    )


def _tell_unsettled(found: Book, off: Mapping[str, int], sheet: Sheet) -> Anomaly:
    account, difference = next(iter(off.items()))
    cause = _cause(found, off, account)
    balance = sheet.balances[account]
    transfers = found.transfers.index[list(cause.transfers)].tolist()
    return Anomaly(
        type=cause.type,
        sentence=f"At rest account {titled(account)} has {balance}, but the acknowledged transfers "
        f"make {balance - difference}{_indeterminate(found, account)}: {cause.sentence}.",
        ops=(sheet.index, *transfers),
        count=len(off),
        evidence={
            "kind": "ladder",
            "read": sheet.index,
            "balances": sheet.balances,
            "expected": {name: sheet.balances[name] - by for name, by in off.items()},
            "transfers": transfers,
        },
    )


def _indeterminate(found: Book, account: str) -> str:
    transfers = found.transfers.of(found.transfers.type == INFO)
    opened = int(np.count_nonzero(transfers.effect(found.accounts.get(account, -1))))
    return f", and no choice of {counted(opened, 'indeterminate one')} explains it" * (opened > 0)


@dataclass(frozen=True, slots=True)
class _Cause:
    """What explains it; `transfers` are rows."""

    type: str
    sentence: str
    transfers: Sequence[int] = ()


def _cause(found: Book, off: Mapping[str, int], account: str) -> _Cause:
    """The plainest explanation of balances that are off: one transfer alone, else an overlap."""
    transfers, amount = found.transfers, found.transfers.amount
    done = np.flatnonzero(transfers.type == OK)
    for gone in alone(found, done, off, -1):
        sentence = f"the transfer of {amount[gone]} by process {found.process(gone)} is lost"
        return _Cause("lost-update", sentence, (gone,))
    for ghost in alone(found, np.flatnonzero(transfers.type == FAIL), off, 1):
        sentence = (
            f"the one of {amount[ghost]} by process {found.process(ghost)}, which failed, counts"
        )
        return _Cause("ghost-effect", sentence, (ghost,))
    for twice in alone(found, done, off, 1):
        sentence = f"the one of {amount[twice]} by process {found.process(twice)} counts twice"
        return _Cause("duplicate-effect", sentence, (twice,))
    about = transfers.effect(found.accounts.get(account, -1)) != 0
    pairs = overlaps(transfers, done[about[done]])
    if not pairs:
        return _Cause("lost-update", "a transfer is lost")
    a, b = pairs[-1]
    among = f" (one of {len(pairs)} such pairs)" if len(pairs) > 1 else ""
    sentence = (
        f"those of processes {found.process(a)} and {found.process(b)} overlapped{among}, "
        "and probably one of these overwrote the other"
    )
    return _Cause("lost-update", sentence, (a, b))
