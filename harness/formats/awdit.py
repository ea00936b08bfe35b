"""Reads the text format of AWDIT: `w KEY VALUE`, `r KEY VALUE`, `-----` ends a transaction,
`=====` a session.

A session becomes a process, a transaction an operation `txn` that was committed. The format knows
the order within each session and no other, so every event happens at one instant: operations that
share an instant are concurrent, and `meta["realtime"]` is False for those who need real time.
"""

from __future__ import annotations

import re
from typing import Any, Final

from ..errors import MalformedHistory
from ..history import Op
from .jsonl import Tick

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_OFTEN: Final = 5000


class _Names(dict[str, Any]):
    """Keys and values: integers where they read like one, else texts; each made once."""

    def __missing__(self, text: str) -> Any:
        if len(text) > _OFTEN:
            raise ValueError
        self[text] = value = int(text) if _INTEGER.fullmatch(text) else text
        return value


def events(text: str, *, source: str, tick: Tick | None = None) -> list[Op]:
    """The events of a text; raise `MalformedHistory` with line, column and the text around."""
    found: list[Op] = []
    names = _Names()
    mops: list[list[Any]] = []
    session = 0
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if len(words) == 3 and words[0] in "wr":
            try:
                mops.append([words[0], names[words[1]], names[words[2]]])
            except ValueError:
                raise _wrong(line, number, source) from None
        elif words == ["-----"]:
            _commit(found, mops, session)
            mops = []
        elif words == ["====="]:
            _commit(found, mops, session)
            mops = []
            session += 1
        elif words:
            raise _wrong(line, number, source)
        if tick is not None and not number % 10_000:
            tick(number * len(text) // (number + 10_000))
    _commit(found, mops, session)
    return found


def _commit(found: list[Op], mops: list[list[Any]], session: int) -> None:
    if not mops:
        return
    asked = [[kind, key, None if kind == "r" else value] for kind, key, value in mops]
    found.append(Op(time=0, process=session, type="invoke", f="txn", value=asked))
    found.append(Op(time=0, process=session, type="ok", f="txn", value=mops))


def _wrong(line: str, number: int, source: str) -> MalformedHistory:
    shown = line[:80] + ("…" if len(line) > 80 else "")
    return MalformedHistory(
        f"'w KEY VALUE', 'r KEY VALUE', '-----' or '=====' was expected, not {shown!r}",
        source=source,
        line=number,
        column=len(line) - len(line.lstrip()) + 1,
    )
