"""Reading InnoDB's monitor, the text of SHOW ENGINE INNODB STATUS."""

from __future__ import annotations

import re


def waiting_in(monitor: str) -> set[int]:
    """The sessions whose transactions wait, as InnoDB's monitor lists them.

    The last deadlock is described before the list, in the same words: it is left out.
    """
    _, _, listed = monitor.partition("\nLIST OF TRANSACTIONS FOR EACH SESSION:\n")
    listed, _, _ = listed.partition("\n--------\nFILE I/O\n")
    return {
        int(session[1])
        for each in listed.split("---TRANSACTION")
        if re.search(r"^LOCK WAIT ", each, re.M)
        and (session := re.search(r"^M\w+ thread id (\d+)", each, re.M))
    }
