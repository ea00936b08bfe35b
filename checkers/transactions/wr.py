"""Read-write register transactions: every value written once, the order of versions partly known.

Whom a transaction read from is known, and of the order in which versions replaced each other what
can be inferred (Elle, section 5). What is found is certain; where versions stay in no known order
more may be wrong than is found.
"""

from __future__ import annotations

import numpy as np

from ...harness.columns import OK
from ...harness.history import History
from ...harness.transactions import Transactions, transactions
from ...harness.verdict import Verdict
from .. import levels
from .cycles import cycles
from .graph import Builder, add_orders
from .ladder import verdict
from .registers import Registers
from .tell import Teller


class WrChecker:
    """Judges `txn` operations of `["w", key, value]` and `["r", key, value]`; nil comes first."""

    name = "wr"

    def __init__(self, *, level: str = "strict-serializable") -> None:
        """`level` is the name or an alias of what is demanded; raises `UsageError` for others."""
        self._level = levels.named(level).name

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
        search = cycles(graph)
        teller = Teller(history, txns)
        found = [teller.finding(finding) for finding in (*registers.findings(), *wrong)]
        found += [teller.cycle(cycle, graph) for cycle in search.found]
        judged = int(np.count_nonzero(txns.type == OK))
        return verdict(found, level=self._level, judged=judged, spent=search.spent)
