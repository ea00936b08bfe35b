"""Anomalies and levels as a reader meets them: a noun in both numbers, and what they mean.

Meanings come from `checkers/anomalies.py` and `checkers/levels.py`, where each is written once.
"""

from __future__ import annotations

from typing import Final

from ..checkers import anomalies
from ..checkers.anomalies import Definition, define
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


def noun(name: str, number: int = 1) -> str:
    """An anomaly as a noun, with the name that the papers use: `write skews (G2-item)`."""
    word = anomalies.noun(name, number)
    papers = name.startswith("G") or name.endswith("-cycle-exists")
    return f"{word} ({name})" if papers else word


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
