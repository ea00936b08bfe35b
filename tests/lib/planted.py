"""Planted histories of transactions, one for each class of anomaly, and what each must show.

They stand in `tests/histories/<strongest level>/<kind>/<anomaly>.jsonl`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dokkaebi.harness.formats.jsonl import read_jsonl
from dokkaebi.harness.history import History

FOLDER = Path(__file__).parent.parent / "histories"

ALONG = {
    "dirty-update": {"G1a"},
    "lost-update": {"G-single"},
    "cyclic-versions": {"G1c"},
    "cyclic-versions-process": {"cyclic-versions-realtime"},
}
"""What necessarily comes along with an anomaly, by its definition."""

ALONG_IN = {
    # Nobody wrote after the final read of nil, so the lost write follows it in the graph too.
    ("rw-register", "lost-write"): {"G-single-realtime"},
}
"""What comes along with an anomaly in one kind of history only."""

NOT = {
    # What each anomaly rules out of the levels below, the strongest first.
    "G0": "everything",
    "G0-process": "strict session strong-si session-si strong-rc session-rc strong-ru session-ru",
    "G0-realtime": "strict strong-si strong-rc strong-ru",
    "G1a": "strict session serial strong-si session-si si rr cv cs strong-rc session-rc rc",
    "G1b": "strict session serial strong-si session-si si rr cv cs strong-rc session-rc rc",
    "G1c": "strict session serial strong-si session-si si rr cv cs strong-rc session-rc rc",
    "G1c-process": "strict session strong-si session-si strong-rc session-rc",
    "G1c-realtime": "strict strong-si strong-rc",
    "G-single": "strict session serial strong-si session-si si rr cv",
    "G-single-process": "strict session strong-si session-si",
    "G-single-realtime": "strict strong-si",
    "G-nonadjacent": "strict session serial strong-si session-si si rr",
    "G-nonadjacent-process": "strict session strong-si session-si",
    "G-nonadjacent-realtime": "strict strong-si",
    "G2-item": "strict session serial rr",
    "G2-item-process": "strict session",
    "G2-item-realtime": "strict",
    "internal": "strict session serial strong-si session-si si",
    "future-read": "strict session serial strong-si session-si si rr cv cs strong-rc session-rc rc",
    "dirty-update": "strict session serial strong-si session-si si rr cv cs strong-rc session-rc rc",
    "lost-update": "strict session serial strong-si session-si si rr cv cs",
    "incompatible-order": (
        "strict session serial strong-si session-si si rr cv cs strong-rc session-rc rc"
    ),
    "duplicate-elements": "everything",
    "garbage-read": "everything",
    "lost-write": "everything",
    "cyclic-versions": "everything",
    "cyclic-versions-process": "strict session strong-si session-si",
    "cyclic-versions-realtime": "strict strong-si",
}

NAMES = {
    "strict": "strict-serializable",
    "session": "strong-session-serializable",
    "serial": "serializable",
    "strong-si": "strong-snapshot-isolation",
    "session-si": "strong-session-snapshot-isolation",
    "si": "snapshot-isolation",
    "rr": "repeatable-read",
    "cv": "consistent-view",
    "cs": "cursor-stability",
    "strong-rc": "strong-read-committed",
    "session-rc": "strong-session-read-committed",
    "rc": "read-committed",
    "strong-ru": "strong-read-uncommitted",
    "session-ru": "strong-session-read-uncommitted",
    "ru": "read-uncommitted",
}
"""The whole ladder, by the short names used above."""


@dataclass(frozen=True)
class Planted:
    """A history with one anomaly in it."""

    kind: str
    anomaly: str
    strongest: str
    history: History

    def __str__(self) -> str:
        return f"{self.kind}-{self.anomaly}"

    @property
    def shows(self) -> set[str]:
        """Every anomaly that must be reported."""
        along = ALONG.get(self.anomaly, set())
        return {self.anomaly} | along | ALONG_IN.get((self.kind, self.anomaly), set())

    @property
    def broken(self) -> set[str]:
        """The levels of the ladder that it rules out."""
        short = NOT[self.anomaly]
        return set(NAMES.values()) if short == "everything" else {NAMES[s] for s in short.split()}


def planted() -> list[Planted]:
    """All of them."""
    return [
        Planted(path.parent.name, path.stem, path.parent.parent.name, read_jsonl(path))
        for path in sorted(FOLDER.glob("*/*/*.jsonl"))
    ]
