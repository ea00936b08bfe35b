"""What a checker says of a history: three outcomes, the anomalies behind them, and how they join.

`violated` beats `unknown` beats `holds`. Nothing here looks at a history.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

Outcome = Literal["holds", "violated", "unknown"]
Kind = Literal["safety", "liveness"]

_RANK: dict[str, int] = {"holds": 0, "unknown": 1, "violated": 2}


class Anomaly(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One kind of thing that went wrong, with its smallest witness.

    `type` is a name from `checkers/anomalies.py`. `ops` are the indices, in the history, of the
    witness operations' invocations, in the order the sentence names them. `count` says how many
    of this kind were found. `evidence` is what a picture of it is drawn from (plain JSON).
    """

    type: str
    sentence: str
    ops: tuple[int, ...] = ()
    kind: Kind = "safety"
    count: int = 1
    evidence: dict[str, Any] = {}


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`holds`, `violated` or `unknown`, with the anomalies and how much was really judged.

    `not_` are the weakest levels that the anomalies rule out, `also_not` the stronger ones that
    fall with them, `strongest` the strongest level that nothing here contradicts.
    """

    verdict: Outcome
    reason: str = ""
    anomalies: tuple[Anomaly, ...] = ()
    not_: tuple[str, ...] = msgspec.field(default=(), name="not")
    also_not: tuple[str, ...] = msgspec.field(default=(), name="also-not")
    strongest: str | None = None
    judged: int = 0


def unknown(reason: str, *, judged: int = 0) -> Verdict:
    """Say that nothing was proved, and why."""
    return Verdict(verdict="unknown", reason=reason, judged=judged)


def join(verdicts: Iterable[Verdict]) -> Verdict:
    """Join the verdicts of several checkers over one history into one.

    The worst outcome wins and brings its reasons; every anomaly is kept, safety before
    liveness; `judged` is the most that any one checker judged. No verdicts at all is `unknown`.
    """
    every = list(verdicts)
    if not every:
        return unknown("no checker ran")
    worst = max(every, key=lambda verdict: _RANK[verdict.verdict]).verdict
    reasons = dict.fromkeys(v.reason for v in every if v.verdict == worst and v.reason)
    anomalies = [anomaly for verdict in every for anomaly in verdict.anomalies]
    anomalies.sort(key=lambda anomaly: anomaly.kind != "safety")
    return Verdict(
        verdict=worst,
        reason="; ".join(reasons),
        anomalies=tuple(anomalies),
        not_=_merged(verdict.not_ for verdict in every),
        also_not=_merged(verdict.also_not for verdict in every),
        strongest=next((v.strongest for v in every if v.strongest is not None), None),
        judged=max(verdict.judged for verdict in every),
    )


def _merged(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in names for name in group))
