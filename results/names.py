"""Anomalies and levels as a reader meets them: a noun in both numbers, and what they mean.

Meanings come from `checkers/anomalies.py` and `checkers/levels.py`, where each is written once.
"""

from __future__ import annotations

from typing import Final

from ..checkers.anomalies import SUFFIXES, Definition, define
from ..checkers.levels import LEVELS
from ..harness.errors import UsageError

LADDER: Final = (
    "read-uncommitted",
    "read-committed",
    "repeatable-read",
    "snapshot-isolation",
    "serializable",
    "strict-serializable",
)
"""The levels that a reader is always shown, the weakest first."""

_NO_ORDER: Final = "-cycle-exists"

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


def noun(name: str, number: int = 1) -> str:
    """An anomaly as a noun: `lost update`, `write skews (G2-item)`."""
    base = _base(name)
    if base.endswith(_NO_ORDER):
        return f"impossible order{'' if number == 1 else 's'} ({name})"
    singular, plural = _NOUNS.get(base, (base.replace("-", " "), _plural(base.replace("-", " "))))
    word = singular if number == 1 else plural
    return f"{word} ({name})" if name.startswith("G") and word != name else word


def counted(name: str, number: int) -> str:
    """`3 write skews (G2-item)`."""
    return f"{number:,} {noun(name, number)}"


def definition(name: str) -> str:
    """What an anomaly is, as `checkers/anomalies.py` defines it, else nothing."""
    defined = _define(name)
    return defined.meaning if defined else ""


def consequence(name: str) -> str:
    """What an anomaly means for an application, else nothing."""
    defined = _define(name)
    return defined.impact if defined else ""


def promise(level: str) -> str:
    """What a level promises, as `checkers/levels.py` defines it, else nothing."""
    found = LEVELS.get(level)
    return found.meaning if found else ""


def _define(name: str) -> Definition | None:
    try:
        return define(name)
    except UsageError:
        return None


def _base(name: str) -> str:
    """A variant's anomaly: `G2-item` of `G2-item-realtime`."""
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def _plural(word: str) -> str:
    head, space, last = word.rpartition(" ")
    if last.endswith(("s", "x", "ch", "sh")):
        return head + space + last + "es"
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return head + space + last[:-1] + "ies"
    return word + "s"
