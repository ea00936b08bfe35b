"""The result of a run: the joined verdict, what each checker said, figures and faults.

This is the value behind `verdict.json`, the terminal summary and the report.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from .faults import FaultRecord
from .spec import Spec
from .verdict import Verdict


class CheckerResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one checker said, and how long it took."""

    verdict: Verdict
    seconds: float


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies of ok operations, in milliseconds."""

    p50: float = 0.0
    p99: float = 0.0
    max: float = 0.0


class KeyStats(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of the operations on one key; `anomalies` are those whose witnesses touch it."""

    key: str
    ok: int = 0
    fail: int = 0
    info: int = 0
    conflicts: int = 0
    latency_ms: Latency = Latency()
    anomalies: tuple[str, ...] = ()


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a history; counts are of client operations of the main and final phases.

    `conflicts` are pairs of overlapping operations on one key of which at least one writes,
    `handovers` consecutive holds of one lock by different processes, `left_open` the operations
    that answered ok and left a transaction open, by function, `suspicious` the oks that a driver
    warned about, `deadlocks` those that the server resolved, `errors` the commonest errors of
    failed and unknown operations (refusals are none), `keys` how many keys were touched, `by_key`
    the figures of those that anomalies touch and of the most contended.
    """

    ok: int = 0
    fail: int = 0
    info: int = 0
    seconds: float = 0.0
    ops_per_second: float = 0.0
    latency_ms: Latency = Latency()
    conflicts: int = 0
    handovers: int | None = None
    deadlocks: int = 0
    left_open: dict[str, int] = {}
    suspicious: dict[str, int] = {}
    errors: dict[str, int] = {}
    keys: int = 0
    by_key: tuple[KeyStats, ...] = ()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is said about one judged history; `folder` is None for a foreign one.

    `notes` say how it was read: as what it was judged, and what of the file was left out.
    """

    verdict: Verdict
    checkers: dict[str, CheckerResult]
    stats: Stats
    faults: tuple[FaultRecord, ...]
    spec: Spec | None
    folder: Path | None
    environment: dict[str, Any] = {}
    """Versions, platform, and `settings`: server settings that differ from their defaults."""
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 holds, 1 violated, 3 unknown."""
        return {"holds": 0, "violated": 1, "unknown": 3}[self.verdict.verdict]

    def to_json(self) -> bytes:
        """The result as `verdict.json` has it."""
        verdict = msgspec.to_builtins(self.verdict)
        document = {
            "schema": 1,
            "verdict": self.verdict.verdict,
            "reason": self.verdict.reason,
            "anomalies": [
                {"kind": "safety", "count": 1, "ops": [], **anomaly}
                for anomaly in verdict.get("anomalies", [])
            ],
            "not": list(self.verdict.not_),
            "also-not": list(self.verdict.also_not),
            "strongest": self.verdict.strongest,
            "judged": self.verdict.judged,
            "notes": list(self.notes),
            "checkers": {
                name: {
                    "verdict": result.verdict.verdict,
                    "reason": result.verdict.reason,
                    "judged": result.verdict.judged,
                    "seconds": round(result.seconds, 4),
                }
                for name, result in self.checkers.items()
            },
            "stats": msgspec.to_builtins(self.stats),
            "faults": self.fault_counts(),
            "spec": msgspec.to_builtins(self.spec) if self.spec else {},
            "seed": self.spec.seed if self.spec else None,
            "environment": self.environment,
        }
        return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"

    def fault_counts(self) -> list[dict[str, Any]]:
        """Each kind of fault with how often it was injected and how often it took effect."""
        names = dict.fromkeys(record.name for record in self.faults)
        return [
            {
                "name": name,
                "count": sum(record.name == name for record in self.faults),
                "took_effect": sum(
                    record.took_effect for record in self.faults if record.name == name
                ),
            }
            for name in names
        ]
