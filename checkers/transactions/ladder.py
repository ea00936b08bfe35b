"""From the anomalies of a history to its verdict at the level that was demanded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...harness.verdict import Anomaly, Verdict
from ..anomalies import implied
from ..findings import merged
from ..levels import STRENGTH, also, proscribed, ruled_out, strongest, weakest

NOTHING = "empty-transaction-graph: no transaction was answered"


def verdict(
    found: Iterable[Anomaly], *, level: str, judged: int, spent: Sequence[str] = ()
) -> Verdict:
    """The verdict at a level: its anomalies are those that the level excludes.

    What it permits is named in the reason, and in the levels that are ruled out. `spent` are the
    classes of cycles whose search ended with its budget; a pass needs that the level excludes none
    of them. A level that dependencies alone do not decide is never said to hold.
    """
    anomalies = merged(found)
    names = [anomaly.type for anomaly in anomalies]
    broken = ruled_out(names)
    out = weakest(broken)
    guilty = tuple(a for a in anomalies if implied([a.type]) & proscribed(level))
    permitted = [a.type for a in anomalies if a not in guilty]
    open_ = [name for name in spent if implied([name]) & proscribed(level)]
    reasons = (
        [f"cycle-search-timeout: the budget of the search ran out for {', '.join(spent)}"]
        if spent
        else []
    )
    if permitted:
        reasons.append(f"seen, and permitted at {level}: {', '.join(permitted)}")
    if level in broken:
        outcome = "violated"
    elif not judged:
        outcome, reasons = "unknown", [NOTHING]
    elif open_ or level not in STRENGTH:
        outcome = "unknown"
        if level not in STRENGTH:
            reasons.insert(
                0, f"nothing contradicts {level}, but dependencies alone do not decide it"
            )
    else:
        outcome = "holds"
    return Verdict(
        verdict=outcome,  # type: ignore[arg-type]
        reason="; ".join(reasons),
        anomalies=guilty,
        not_=out,
        also_not=also(broken),
        strongest=strongest(broken) if judged else None,
        judged=judged,
    )
