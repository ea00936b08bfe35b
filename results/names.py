"""Anomalies and levels as a reader meets them: a noun, a definition, what it means for users.

Definitions come from `checkers/anomalies.py`, where each is written once. What is added here is
the consequence: what somebody who runs such a system would notice.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

_NOUNS: Final = {
    "G0": ("dirty write", "dirty writes"),
    "G1a": ("aborted read", "aborted reads"),
    "G1b": ("intermediate read", "intermediate reads"),
    "G1c": ("circular information flow", "circular information flows"),
    "G-single": ("read skew", "read skews"),
    "G2-item": ("write skew", "write skews"),
    "nonlinearizable": ("nonlinearizable key", "nonlinearizable keys"),
    "conservation": ("broken total", "broken totals"),
    "internal": ("internal contradiction", "internal contradictions"),
    "no-progress": ("standstill", "standstills"),
    "read-your-writes": ("lost sight of an own write", "lost sights of own writes"),
}

_CONSEQUENCES: Final = {
    "lost-update": "An acknowledged change is gone, and nobody was told.",
    "lost-write": "A write that was acknowledged is gone.",
    "double-hold": "Two clients were inside the critical section at once; each may undo the "
    "other's work.",
    "expired-hold": "A client went on working after its lease had run out, while the next one "
    "was already inside.",
    "stale-read": "A client saw old data after the new data had been acknowledged.",
    "nonlinearizable": "Clients saw values in an order that a single copy of the data could never "
    "have shown.",
    "garbage-read": "A client was given a value that nobody ever stored.",
    "duplicate": "Two clients were given the same thing, each believing it to be theirs alone.",
    "double-success": "Two clients were both told that they had won.",
    "oversell": "More was sold than there was.",
    "overdraft": "Money was spent that was not there.",
    "conservation": "Money appeared or vanished.",
    "lost-message": "A message that was accepted never took effect.",
    "duplicate-effect": "One request took effect more than once.",
    "order-violation": "Things happened in another order than promised.",
    "over-admission": "More were let in than the limit allows.",
    "lost-element": "Something that was acknowledged as stored is missing.",
    "ghost-effect": "Something happened that nobody had asked for, or that had been refused.",
    "read-your-writes": "A client did not see what it had itself just written.",
    "non-monotonic-read": "A client went back in time: it saw new data, then older data.",
    "G2-item": "Two transactions each decided on data that the other was changing; together they "
    "broke a rule that each alone kept.",
    "G-single": "A transaction saw half of another one's changes.",
    "G0": "Two transactions' writes are interleaved; the result belongs to neither.",
    "G1a": "A transaction used data that was then rolled back.",
    "G1b": "A transaction used data that was not final yet.",
    "G1c": "Two transactions each saw the other's changes; no order of them explains that.",
    "deadlock": "Clients waited for each other and nothing moved.",
    "livelock": "Every attempt was aborted; work was done, but none of it counted.",
    "no-progress": "For a long time nothing succeeded although nothing was broken any more.",
}

_VARIANTS: Final = {
    "-process": " (seen by one process in its own order)",
    "-realtime": " (although one had ended before the other began)",
}


def noun(name: str, number: int = 1) -> str:
    """An anomaly as a noun: `lost update`, `write skews (G2-item)`."""
    base, _ = _base(name)
    singular, plural = _NOUNS.get(base, (base.replace("-", " "), _plural(base.replace("-", " "))))
    word = singular if number == 1 else plural
    return f"{word} ({name})" if name.startswith("G") and word != name else word


def counted(name: str, number: int) -> str:
    """`3 write skews (G2-item)`."""
    return f"{number:,} {noun(name, number)}"


def definition(name: str) -> str:
    """The definition that `checkers/anomalies.py` has of an anomaly, else nothing."""
    for candidate in (name, _base(name)[0]):
        found = _lookup("anomalies", "ANOMALIES", candidate)
        if found is not None:
            return str(getattr(found, "definition", found))
    return ""


def consequence(name: str) -> str:
    """What an anomaly means for the people who use such a system, else nothing."""
    base, variant = _base(name)
    text = _CONSEQUENCES.get(base, "")
    return text[:-1] + _VARIANTS[variant] + "." if text and variant else text


def ladder_of_levels() -> tuple[str, ...]:
    """The levels that a reader is shown, the weakest first."""
    return (
        "read-uncommitted",
        "read-committed",
        "repeatable-read",
        "snapshot-isolation",
        "serializable",
        "strict-serializable",
    )


def _base(name: str) -> tuple[str, str]:
    for suffix in _VARIANTS:
        if name.endswith(suffix):
            return name.removesuffix(suffix), suffix
    return name, ""


def _plural(word: str) -> str:
    head, space, last = word.rpartition(" ")
    if last.endswith(("s", "x", "ch", "sh")):
        return head + space + last + "es"
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return head + space + last[:-1] + "ies"
    return word + "s"


def _lookup(module: str, table: str, name: str) -> object | None:
    """An entry of a table of the checkers' room; None where it has none."""
    try:
        entries = getattr(import_module(f"..checkers.{module}", __package__), table)
        return entries.get(name) if hasattr(entries, "get") else None
    except (ImportError, AttributeError):
        return None
