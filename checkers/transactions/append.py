"""List-append transactions: reads of whole lists show the order of all writes (Elle, section 6).

Every append of a value to a key is unique, so that each element names its transaction, and what a
read shows names all versions before. From these dependencies every level from read uncommitted to
strict serializable is judged.
"""

from __future__ import annotations

import numpy as np

from ...harness.columns import OK
from ...harness.history import History
from ...harness.transactions import Transactions, transactions
from ...harness.verdict import Verdict
from .cycles import cycles
from .graph import Builder, add_orders
from .ladder import guilty, verdict
from .list_reads import findings, lost_writes
from .lists import Lists
from .tell import Teller
from .tell_orders import told_circle
from .weak import BUDGET, WEAK, also_excluded, circles, demanded, reading_lists


class AppendChecker:
    """Judges `txn` operations of `["append", key, element]` and `["r", key, list]`."""

    name = "append"

    def __init__(self, *, level: str = "strict-serializable") -> None:
        """`level` is the name or an alias of what is demanded; raises `UsageError` for others."""
        self._level = demanded(level)
        self._more = also_excluded(self._level)

    def check(self, history: History) -> Verdict:
        """Find all anomalies, and say which levels they rule out."""
        txns = transactions(history, lists=True)
        return self.judge(history, txns)

    def judge(self, history: History, txns: Transactions) -> Verdict:
        """The same from columns; the history is looked at only for what is told."""
        lists = Lists(txns)
        builder = Builder(len(txns))
        lost, told = lost_writes(lists)
        lists.add_dependencies(builder, lost)
        add_orders(builder, txns, lists.taking_part)
        graph = builder.finished()
        search = cycles(graph)
        teller = Teller(history, txns)
        found = [teller.finding(finding) for finding in (*told, *findings(lists))]
        found += [teller.cycle(cycle, graph) for cycle in search.found]
        undecided = None
        if self._level in WEAK and not guilty(found, self._level, self._more):
            reads, rows, known = reading_lists(lists)
            seen = list(circles(reads, rows, WEAK[self._level], known))
            undecided = BUDGET if None in seen else ""
            found += [told_circle(teller, txns, circle) for circle in seen if circle is not None]
        return verdict(
            found,
            level=self._level,
            judged=int(np.count_nonzero(txns.type == OK)),
            spent=search.spent,
            excluded=self._more,
            undecided=undecided,
        )
