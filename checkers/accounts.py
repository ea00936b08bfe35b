"""What is known of a bank: its transfers and the balance sheets that reads answered, as columns.

Says what is, accuses nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from ..harness.columns import INFO, OK
from ..harness.history import History
from ..harness.interning import I64
from .rows import Columns, Mask, asked, labelled, lengths, rows, told
from .sums import Integers, integers, reachable
from .wording import label, show


@dataclass(frozen=True, slots=True)
class Transfers(Columns):
    """Transfers in the order of invocation; `source` and `target` are numbers of accounts."""

    index: I64
    type: npt.NDArray[np.int8]
    call: I64
    ret: I64
    source: I64
    target: I64
    amount: Integers

    def __len__(self) -> int:
        return len(self.index)

    def effect(self, account: int) -> Integers:
        """What each does to one account's balance."""
        effect: Integers = self.amount * (
            (self.target == account).astype(np.int64) - (self.source == account)
        )
        return effect


@dataclass(frozen=True, slots=True)
class Sheets(Columns):
    """Reads that answered a balance for every account, in the order of invocation.

    `total` is all the money that each saw; `below` says that some account was below zero.
    """

    index: I64
    call: I64
    ret: I64
    total: Integers
    below: Mask

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One of them, to tell of."""

    index: int
    process: int
    call: int
    ret: int
    total: int
    balances: dict[str, int]


@dataclass(frozen=True, slots=True)
class Book:
    """A history of a bank. `accounts` numbers the accounts that transfers name.

    `strange` are the reads that make no sense: places in the history, and what was answered.
    `wrong` are the operations that are bad input, and why.
    """

    history: History
    accounts: dict[str, int]
    transfers: Transfers
    sheets: Sheets
    strange: Sequence[tuple[int, Any]]
    wrong: Sequence[tuple[int, str]]

    def sheet(self, row: int) -> Sheet:
        """A row of `sheets`."""
        op = self.history.operation(self.sheets.index.item(row))
        total = self.sheets.total.item(row)
        return Sheet(op.index, op.process, op.call, op.ret, total, balances(op.value))

    def process(self, transfer: int | np.int64) -> int:
        """Whose transfer (a row) this is."""
        return int(self.history.process[self.transfers.index[transfer]])


def book(history: History, accounts: Mapping[str, int] | None) -> Book:
    """The transfers and the reads of a bank, which has just these accounts if they are given."""
    numbers, transfers, wrong = _transfers(history)
    reads = rows(history, "read")
    reads = reads.of(reads.type == OK)
    answers = told(history, reads)
    fine, sheets = _sound(answers, accounts)
    strange = [(reads.index.item(row), answers[row]) for row in np.flatnonzero(~fine).tolist()]
    reads = reads.of(fine)
    flat = integers([*chain.from_iterable(map(dict.values, sheets))])
    ends = np.cumsum(lengths(sheets))
    so_far = np.zeros(len(flat) + 1, dtype=flat.dtype)
    np.cumsum(flat, out=so_far[1:])
    below = np.zeros(len(reads), dtype=np.bool_)
    below[np.searchsorted(ends, np.flatnonzero(flat < 0), side="right")] = True
    total = np.diff(so_far[np.concatenate(([0], ends))])
    seen = Sheets(reads.index, reads.call, reads.ret, total, below)
    return Book(history, numbers, transfers, seen, strange, wrong)


def _transfers(history: History) -> tuple[dict[str, int], Transfers, list[tuple[int, str]]]:
    """The accounts that transfers name, the transfers, and the first operation that is none."""
    chosen = rows(history, "transfer")
    requests = asked(history, chosen)
    wrong: list[tuple[int, str]] = []
    many = _before_nonsense(requests)
    if many < len(requests):
        why = "a transfer reads {from, to, amount} with an integer amount, not "
        wrong.append((chosen.index.item(many), why + show(requests[many])))
        chosen, requests = chosen.of(slice(many)), requests[:many]
    keys = labelled([request.get(end) for end in ("from", "to") for request in requests])
    transfers = Transfers(
        index=chosen.index,
        type=chosen.type,
        call=chosen.call,
        ret=chosen.ret,
        source=keys.of[: len(requests)],
        target=keys.of[len(requests) :],
        amount=integers([request["amount"] for request in requests]),
    )
    return {str(name): number for number, name in enumerate(keys.values)}, transfers, wrong


def _before_nonsense(requests: Sequence[Any]) -> int:
    """How many requests there are before the first that is no transfer."""
    if set(map(type, requests)) <= {dict}:
        amounts = [request.get("amount") for request in requests]
        if set(map(type, amounts)) <= {int}:
            return len(requests)
    return next(
        row
        for row, request in enumerate([*requests, None])
        if not isinstance(request, dict) or type(request.get("amount")) is not int
    )


def balances(value: Mapping[Any, int]) -> dict[str, int]:
    """A balance sheet by the labels of its accounts."""
    return {label(name): balance for name, balance in value.items()}


def _sound(
    answers: Sequence[Any], accounts: Mapping[str, int] | None
) -> tuple[Mask, Sequence[dict[str, int]]]:
    """Which answers are balance sheets of this bank, of integers and for just its accounts; and
    those by the labels of their accounts."""
    if set(map(type, answers)) <= {dict}:
        kinds = set(map(type, chain.from_iterable(map(dict.values, answers))))
        layouts = set(map(tuple, answers))
        named = set(map(type, chain.from_iterable(layouts))) <= {str}
        if named and kinds <= {int} and all(_complete(names, accounts) for names in layouts):
            return np.ones(len(answers), dtype=np.bool_), answers
    sound = (
        isinstance(answer, dict)
        and set(map(type, answer.values())) <= {int}
        and _complete(answer, accounts)
        for answer in answers
    )
    fine = np.fromiter(sound, np.bool_, len(answers))
    return fine, [balances(answers[row]) for row in np.flatnonzero(fine).tolist()]


def _complete(names: Iterable[Any], accounts: Mapping[str, int] | None) -> bool:
    return accounts is None or set(map(label, names)) == accounts.keys()


# --- balances that nothing explains --------------------------------------------------------------


def differences(found: Book, initial: Mapping[str, int], sheet: Sheet) -> dict[str, int]:
    """The accounts whose balance at rest no choice of indeterminate transfers explains: by how much."""
    transfers = found.transfers
    done = transfers.of(transfers.type == OK)
    gains = np.zeros(len(found.accounts), dtype=transfers.amount.dtype)
    np.add.at(gains, done.target, done.amount)
    np.subtract.at(gains, done.source, done.amount)
    opened = transfers.of((transfers.type == INFO) & (transfers.call <= sheet.ret))
    off: dict[str, int] = {}
    for account, balance in sheet.balances.items():
        number = found.accounts.get(account, -1)
        gain = gains.item(number) if number >= 0 else 0
        difference = balance - (initial.get(account, 0) + gain)
        mine = opened.of((opened.source == number) | (opened.target == number))
        if not reachable(difference, mine.effect(number).tolist()):
            off[account] = difference
    return off


def alone(found: Book, transfers: I64, off: Mapping[str, int], times: int) -> Iterator[int]:
    """Of these transfers (rows) those that, counted so many times more, account for every
    difference alone."""
    some = found.transfers.of(transfers)
    lacks = np.zeros(len(found.accounts), dtype=object)
    for account, difference in off.items():
        if account in found.accounts:
            lacks[found.accounts[account]] = difference
    circular = some.source == some.target
    effect = times * np.where(circular, 0, some.amount)
    explained = (lacks != 0)[some.target].astype(np.int64)
    explained += (lacks != 0)[some.source] & ~circular
    fits = (effect == lacks[some.target]) & (-effect == lacks[some.source])
    yield from transfers[fits.astype(np.bool_) & (explained == len(off))].tolist()


def overlaps(transfers: Transfers, chosen: I64) -> list[tuple[int, int]]:
    """Of these transfers (rows), neighbours in the order of their calls that were under way at the
    same time."""
    ordered = chosen[np.argsort(transfers.call[chosen], kind="stable")]
    at = np.flatnonzero(transfers.call[ordered[1:]] <= transfers.ret[ordered[:-1]])
    return list(zip(ordered[at].tolist(), ordered[at + 1].tolist(), strict=True))
