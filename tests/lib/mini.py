"""The mini-language in which tests write histories: one operation a line, times in milliseconds.

0  add x 1          0-5          ok by default, = gives the result
1  add x 1          1-6   = 1
2  cas x 1 2        2-3   refused
3  write x 7        2-           never answered
4  write x 7        2-9   info   answered with an unknown outcome
4  add x 1          2-9   tries=3          after so many attempts
5  add x 1          2-4   fail
6  acquire lock-0   0-1   = t6 ttl=0.5
7  release lock-0   4-5   token=t7
8  transfer a b 10  0-2
9  balances a=90 b=110  3-4
final:                           a phase, for the lines below it
!  pause-client 6   1-900        a fault: the processes it struck, injected-healed
"""

from __future__ import annotations

import re
from typing import Any

from dokkaebi.harness.faults import heal_event, inject_event
from dokkaebi.harness.history import History, Op

MILLISECOND = 1_000_000
_TIMES = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)?")
_OUTCOMES = ("ok", "fail", "info", "refused")


def history(text: str, **meta: Any) -> History:
    """The history that the lines describe; `meta` is what is known about its run."""
    events: list[Op] = []
    phase: Any = None
    faults = 0
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.rstrip(":") in ("dry", "main", "final"):
            phase = line.rstrip(":")
        elif line.startswith("!"):
            events += _fault(line[1:].split(), faults)
            faults += 1
        else:
            events += _operation(line.split(), phase)
    return in_order(events, **meta)


def in_order(events: list[Op], **meta: Any) -> History:
    """A history of events in the order in which a run merges them: time, invocations first."""
    events.sort(key=lambda op: (op.time, op.type != "invoke", str(op.process)))
    return History(events, meta=meta)


def _operation(words: list[str], phase: Any) -> list[Op]:
    at = next(i for i, word in enumerate(words) if _TIMES.fullmatch(word))
    process, f, arguments, rest = int(words[0]), words[1], words[2:at], words[at + 1 :]
    call, ret = _TIMES.fullmatch(words[at]).groups()  # type: ignore[union-attr]
    f, asked, value = _values(f, arguments)
    ext = {k: _atom(v) for k, _, v in (w.partition("=") for w in rest if "=" in w[1:])}
    token = {"token": ext.pop("token")} if "token" in ext else None
    tries: Any = ext.pop("tries", None)
    events = [
        Op(time=_ns(call), process=process, type="invoke", f=f, value=asked, phase=phase, ext=token)
    ]
    if ret is not None:
        outcome = next((word for word in rest if word in _OUTCOMES), "ok")
        result = _atom(rest[rest.index("=") + 1]) if "=" in rest else None
        refused = outcome == "refused"
        events.append(
            Op(
                time=_ns(ret),
                process=process,
                type="fail" if refused else outcome,  # type: ignore[arg-type]
                f=f,
                value=value if outcome == "ok" else asked,
                error="refused" if refused else None if outcome == "ok" else "40001 aborted",
                result=result,
                attempts=tries,
                ext=ext or None,
            )
        )
    return events


def _values(f: str, arguments: list[str]) -> tuple[str, Any, Any]:
    """The function, what was asked, and what a successful completion carries."""
    if f == "balances":
        balances = dict(pair.split("=") for pair in arguments)
        return "read", None, {name: _atom(value) for name, value in balances.items()}
    atoms = [_atom(word) for word in arguments]
    if f == "transfer":
        value = {"from": atoms[0], "to": atoms[1], "amount": atoms[2]}
        return f, value, value
    if f in ("read", "guard-read"):
        return f, [atoms[0], None], [atoms[0], atoms[1] if len(atoms) > 1 else None]
    if f == "cas":
        return f, [atoms[0], atoms[1:]], [atoms[0], atoms[1:]]
    single = atoms[0] if len(atoms) == 1 else atoms
    return f, single, single


def _fault(words: list[str], number: int) -> list[Op]:
    name, *processes, times = words
    injected, healed = _TIMES.fullmatch(times).groups()  # type: ignore[union-attr]
    events = [
        inject_event(
            time=_ns(injected),
            name=name,
            number=number,
            target="worker process" if processes else "server",
            processes=list(map(int, processes)),
        )
    ]
    if healed is not None:
        events.append(
            heal_event(
                time=_ns(healed), name=name, number=number, took_effect=True, evidence="seen"
            )
        )
    return events


def _ns(text: str) -> int:
    return round(float(text) * MILLISECOND)


def _atom(word: str) -> Any:
    if word == "nil":
        return None
    try:
        return int(word)
    except ValueError:
        pass
    try:
        return float(word)
    except ValueError:
        return word
