"""Numbers, times, values and names as a reader meets them, in the terminal and in the report.

Values are hostile: they come from servers and from users' code. `clean` makes what a terminal or
a browser would act on (control characters, marks that turn the reading direction) visible.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..harness.history import FOREVER, Operation
from ..harness.quoting import quoted

# Control characters, DEL and C1, soft hyphen, zero-width and direction marks, line separators,
# byte order mark, tag characters, lone surrogates and noncharacters.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_FOREVER: int = int(FOREVER)
_MOPS = ("r", "w", "append")
"""What a transaction may ask of a key."""


def clean(text: str, limit: int | None = None) -> str:
    """Text in one line that is safe to show: what cannot be seen is escaped, the rest is cut.

    A cut text says how long it was.
    """
    whole = len(text)
    if limit is not None and whole > limit:
        tail = f"… ({whole:,} characters)"
        return clean(text[: max(limit - len(tail), 8)]) + tail
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    named = {9: r"\t", 10: r"\n", 13: r"\r"}.get(code)
    return named or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def show(value: Any, limit: int = 120) -> str:
    """A value as compact JSON, cleaned and cut; a bare string without its quotes."""
    if isinstance(value, str):
        return clean(value, limit)
    if isinstance(value, int | float) or value is None:
        return (
            "nil"
            if value is None
            else str(value).lower()
            if value is True or value is False
            else str(value)
        )
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return clean(text, limit)


def told(value: Any, limit: int = 120) -> str:
    """A value of an operation: as `show` has it, but a text that looks like a number in quotes."""
    return show(quoted(value) if isinstance(value, str) else value, limit)


def asked(f: str, value: Any, limit: int = 120) -> str:
    """What an operation asks: `add c0 1`, `read c0`, `cas r1 3 → 4`."""
    if value is None:
        return clean(f, limit)
    if _is_txn(f, value):
        return clean(f"{f} ", limit) + _mops(value, limit)
    if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str | int):
        key, argument = value
        if argument is None:
            return clean(f"{f} {told(key)}", limit)
        if f == "cas" and isinstance(argument, list | tuple) and len(argument) == 2:
            return clean(f"{f} {told(key)} {told(argument[0])} → {told(argument[1])}", limit)
        return clean(f"{f} {told(key)} ", limit) + told(argument, limit)
    if isinstance(value, dict) and {"from", "to", "amount"} <= value.keys():
        amount, source, target = value["amount"], value["from"], value["to"]
        return clean(f"{f} {told(amount)} from {told(source)} to {told(target)}", limit)
    return clean(f"{f} ") + told(value, limit)


def answered(operation: Operation, limit: int = 120) -> str:
    """How an operation ended: `ok`, `→ 41`, `failed: …`, `unknown: …`."""
    if operation.type == "info":
        return "unknown" + (f": {clean(operation.error, limit)}" if operation.error else "")
    if operation.type == "fail":
        if operation.error == "refused":
            return "refused"
        return "failed" + (f": {clean(operation.error, limit)}" if operation.error else "")
    if _is_txn(operation.f, operation.value):
        return f"→ {_mops(operation.value, limit, heard=True)}"
    if operation.result is not None:
        return f"→ {told(operation.result, limit)}"
    if operation.value != operation.asked:
        return f"→ {told(_filled(operation.asked, operation.value), limit)}"
    return "→ nil" if _asks(operation) else "ok"


def _asks(operation: Operation) -> bool:
    """Whether it wants an answer: then one without a value answered nil."""
    asked = operation.asked
    if isinstance(asked, list | tuple):
        return len(asked) == 2 and asked[1] is None
    return asked is None and operation.f in ("read", "consume", "dequeue")


def _is_txn(f: str, value: Any) -> bool:
    """Whether these are micro-operations; outside of `txn` they have to look like some."""
    return (
        isinstance(value, list)
        and (f == "txn" or bool(value))
        and all(
            isinstance(mop, list) and len(mop) == 3 and (f == "txn" or mop[0] in _MOPS)
            for mop in value
        )
    )


def _mops(mops: list[Any], limit: int, *, heard: bool = False) -> str:
    """A transaction's micro-operations: `r 5 → [2] · append 6 3`; `heard`: reads have answers."""
    return clean(" · ".join(_mop(f, key, value, heard) for f, key, value in mops), limit)


def _mop(f: Any, key: Any, value: Any, heard: bool) -> str:
    """One of them; a read that was heard of and saw nothing saw nil."""
    if value is None and not (heard and f == "r"):
        return f"{show(f)} {told(key)}"
    return f"{show(f)} {told(key)} {'→ ' if f == 'r' else ''}{told(value)}"


def _filled(before: Any, after: Any) -> Any:
    """The part of a completion's value that the invocation left open."""
    pair = isinstance(after, list | tuple) and len(after) == 2
    if pair and isinstance(before, list | tuple) and len(before) == 2 and before[0] == after[0]:
        return after[1]
    return after


def count(number: int, noun: str = "", plural: str | None = None) -> str:
    """A number with its thousands marked and, if given, its noun in the right form."""
    if not noun:
        return f"{number:,}"
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def span(nanoseconds: int | float) -> str:
    """A length of time in the unit that suits it: `350 µs`, `12.4 ms`, `1.3 s`, `2 min 5 s`."""
    if nanoseconds >= _FOREVER:
        return "for ever"
    size = abs(nanoseconds)
    if size < 1_000:
        return f"{nanoseconds:.0f} ns"
    if size < 999_500:
        return f"{nanoseconds / 1e3:.3g} µs"
    if size < 999_500_000:
        return f"{nanoseconds / 1e6:.3g} ms"
    if size < 120e9:
        return f"{nanoseconds / 1e9:.3g} s"
    minutes, rest = divmod(round(nanoseconds / 1e9), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def offset(nanoseconds: int) -> str:
    """A time since a picture's first moment: `0.30 ms`, `1.024 s`."""
    if abs(nanoseconds) < 1_000_000_000:
        return f"{nanoseconds / 1e6:.2f} ms"
    return f"{nanoseconds / 1e9:,.4f} s"


def moment(nanoseconds: int) -> str:
    """A moment of the run in seconds with three decimals: `14.204 s`."""
    return "the end" if nanoseconds >= _FOREVER else f"{nanoseconds / 1e9:.3f} s"


def joined(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return (
        words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
    )
