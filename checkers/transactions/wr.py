"""Read-write register transactions: every value written once, the order of versions partly known.

Whom a transaction read from is known, and of the order in which versions replaced each other what
can be inferred (Elle, section 5). What dependencies show is certain. Where they show nothing
against the level that is demanded, versions in no known order may still: weak levels are decided by
what is visible to each reader, strong ones by a search for an order that explains everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...harness.columns import OK
from ...harness.history import History
from ...harness.transactions import Transactions, transactions
from ...harness.verdict import Anomaly, Verdict
from .cycles import cycles
from .graph import Builder, add_orders
from .ladder import guilty, verdict
from .registers import Registers
from .tell import Teller
from .tell_orders import told_circle, told_impossible
from .versions import DEMANDS, search
from .weak import BUDGET, WEAK, also_excluded, circles, demanded, reading

MOST_EXPLORED = 5_000
"""Transactions up to which levels that were not demanded are decided as well."""

OUTSIDE = (
    "{} read a value that nobody in the recording wrote, taken for one from before it "
    "(with --initial nil it is garbage)"
)


class WrChecker:
    """Judges `txn` operations of `["w", key, value]` and `["r", key, value]`; nil comes first."""

    name = "wr"

    def __init__(self, *, level: str = "strict-serializable", outside: bool = False) -> None:
        """`level` is the name or an alias of what is demanded; raises `UsageError` for others.

        To transactions `causal` means causal-cerone. `outside` says that values which nobody wrote
        may have been there before the recording began; otherwise they are garbage.
        """
        self._level = demanded(level)
        self._outside = outside
        self._more = also_excluded(self._level)

    def check(self, history: History) -> Verdict:
        """Find all anomalies, and say which levels they rule out."""
        txns = transactions(history, lists=False)
        return self.judge(history, txns)

    def judge(self, history: History, txns: Transactions) -> Verdict:
        """The same from columns; the history is looked at only for what is told."""
        registers = Registers(txns)
        builder = Builder(len(txns))
        wrong = registers.dependencies(builder)
        add_orders(builder, txns, registers.taking_part)
        graph = builder.finished()
        found_cycles = cycles(graph)
        teller = Teller(history, txns)
        findings = [*registers.findings(), *wrong]
        strange = [finding for finding in findings if finding.name == "garbage-read"]
        if self._outside:
            findings = [finding for finding in findings if finding not in strange]
        found = [teller.finding(finding) for finding in findings]
        found += [teller.cycle(cycle, graph) for cycle in found_cycles.found]
        undecided = None
        if not guilty(found, self._level, self._more):
            more, undecided = self._beyond(registers, teller)
            found += more
        judged = int(np.count_nonzero(txns.type == OK))
        return verdict(
            found,
            level=self._level,
            judged=judged,
            spent=found_cycles.spent,
            excluded=self._more,
            undecided=undecided,
            decide=lambda level: (
                undecided == "" if level == self._level else _decided(registers, level)
            ),
            notes=[OUTSIDE.format(strange[0].count)] if self._outside and strange else [],
        )

    def _beyond(self, registers: Registers, teller: Teller) -> tuple[list[Anomaly], str | None]:
        """What dependencies do not show: (more anomalies, why a pass would prove nothing)."""
        if self._level in WEAK:
            told = list(self._circles(registers, teller))
            if None in told:
                return [], BUDGET
            return [anomaly for anomaly in told if anomaly is not None], ""
        if self._level in DEMANDS:
            return self._search(registers, teller)
        return [], None

    def _circles(self, registers: Registers, teller: Teller) -> Iterator[Anomaly | None]:
        reads, rows = reading(registers)
        for circle in circles(reads, rows, WEAK[self._level]):
            yield None if circle is None else told_circle(teller, registers.txns, circle)

    def _search(self, registers: Registers, teller: Teller) -> tuple[list[Anomaly], str | None]:
        reads, rows = reading(registers)
        demand = DEMANDS[self._level]
        serial = search(registers, reads, rows, demand)
        if serial.possible is None:
            return [], (
                f"nothing contradicts {self._level}, but no order of versions that proves it "
                f"was found in {serial.rounds} rounds"
            )
        if serial.possible:
            return [], ""
        options: dict[str, Any] = {"anomaly": demand.anomaly, "level": self._level}
        return [told_impossible(teller, registers.txns, serial, rows, **options)], None


def _decided(registers: Registers, level: str) -> bool | None:
    """Whether a level that was not demanded holds; None where that would cost too much."""
    if level not in DEMANDS:
        return True
    if len(registers.txns) > MOST_EXPLORED:
        return None
    return search(registers, *reading(registers), DEMANDS[level]).possible
