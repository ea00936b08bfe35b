"""What a run looks like at one moment: the figures that the engine hands to a live view.

A value like any other: the engine fills it a few times a second, `results.live` draws it.
"""

from __future__ import annotations

import msgspec


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A run's figures so far. Counts are of client operations; latencies are of recent ok ones."""

    elapsed_ns: int
    total_ns: int
    phase: str = "main"
    """What goes on, in a word or two: `starting postgres`, `main`, `healing`, `checking`."""
    ok: int = 0
    fail: int = 0
    info: int = 0
    rates: tuple[float, ...] = ()
    """Operations a second, one number for each recent moment, the newest last."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    fault: str | None = None
    """The active fault and what it strikes; None while nothing is broken."""
    faults_injected: int = 0
    faults_took_effect: int = 0
    anomalies: int = 0
    """Anomalies found so far by the checks that run along."""
