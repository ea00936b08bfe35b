"""Histories whose values are JSON, one operation a line: `process f asked [-> answer] call-ret`.

0  add 5                    0-1
1  read null -> [5]         2-3
2  claim ["ann", 1]         2-9  refused     or fail, info; = gives the result
3  add 6                    2-               never answered
"""

from __future__ import annotations

import json
import re
from typing import Any

from mini import in_order

from dokkaebi.harness.history import History, Op

_LINE = re.compile(
    r"(?P<process>\d+)\s+(?P<f>[\w-]+)\s+(?P<asked>.*?)(?:\s+->\s+(?P<answer>.*?))?\s+"
    r"(?P<call>\d+)-(?P<ret>\d+)?(?:\s+(?P<kind>ok|info|fail|refused))?(?:\s+=\s*(?P<result>\S+))?"
)


def written(text: str, *, unit: int = 1_000_000, **meta: Any) -> History:
    """The history that the lines describe; times are milliseconds unless `unit` (ns) is given."""
    events: list[Op] = []
    phase: Any = None
    for line in filter(None, map(str.strip, text.splitlines())):
        if line in ("dry:", "main:", "final:"):
            phase = line[:-1]
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"no operation: {line!r}")
        events += _events(found.groupdict(), phase, unit)
    return in_order(events, **meta)


def _events(line: dict[str, Any], phase: Any, unit: int) -> list[Op]:
    process, f, asked = int(line["process"]), line["f"], json.loads(line["asked"])
    events = [
        Op(
            time=int(line["call"]) * unit,
            process=process,
            type="invoke",
            f=f,
            value=asked,
            phase=phase,
        )
    ]
    if line["ret"] is not None:
        kind = line["kind"] or "ok"
        ok = kind == "ok"
        events.append(
            Op(
                time=int(line["ret"]) * unit,
                process=process,
                type="fail" if kind == "refused" else kind,
                f=f,
                value=json.loads(line["answer"]) if ok and line["answer"] else asked,
                error=None if ok else kind,
                result=json.loads(line["result"]) if line["result"] else None,
            )
        )
    return events
