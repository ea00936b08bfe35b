"""From the anomalies of a history to its verdict at the level that was demanded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ...harness.verdict import Anomaly, Verdict
from ..anomalies import implied
from ..findings import merged
from ..levels import STRENGTH, also, proscribed, ruled_out, strongest, weaker, weakest

NOTHING = "empty-transaction-graph: no transaction was answered"


def verdict(
    found: Iterable[Anomaly],
    *,
    level: str,
    judged: int,
    spent: Sequence[str] = (),
    excluded: frozenset[str] = frozenset(),
    undecided: str | None = None,
    notes: Sequence[str] = (),
    decide: Callable[[str], bool | None] | None = None,
) -> Verdict:
    """The verdict at a level: its anomalies are those that the level excludes.

    What it permits is named in the reason, and in the levels that are ruled out. `spent` are the
    classes of cycles whose search ended with its budget; a pass needs that the level excludes none
    of them. `excluded` are anomalies that count here beside those of the level's own. `undecided`
    says why a pass would prove nothing ("": it would prove all); None: a level that dependencies
    alone do not decide is never said to hold. `notes` are further reasons, whatever the outcome.
    `decide` says whether another level holds; without it, dependencies decide all of `STRENGTH`.
    """
    if undecided is None and level not in STRENGTH:
        undecided = f"nothing contradicts {level}, but dependencies alone do not decide it"
    excluded |= proscribed(level)
    anomalies = merged(found)
    names = [anomaly.type for anomaly in anomalies]
    broken = ruled_out(names)
    out = sorted(weakest(broken), key=lambda name: name not in weaker(level))
    wrong = tuple(a for a in anomalies if implied([a.type]) & excluded)
    permitted = [a.type for a in anomalies if a not in wrong]
    open_ = [name for name in spent if implied([name]) & excluded]
    reasons = (
        [f"cycle-search-timeout: the budget of the search ran out for {', '.join(spent)}"]
        if spent
        else []
    )
    reasons += notes
    if permitted:
        reasons.append(f"seen, and permitted at {level}: {', '.join(permitted)}")
    if wrong:
        outcome = "violated"
        if level not in broken:
            out.insert(0, level)
    elif not judged:
        outcome, reasons = "unknown", [NOTHING]
    elif open_ or undecided:
        outcome = "unknown"
        reasons[:0] = [undecided] if undecided else []
    else:
        outcome = "holds"
    return Verdict(
        verdict=outcome,  # type: ignore[arg-type]
        reason="; ".join(reasons),
        anomalies=wrong,
        not_=tuple(out),
        also_not=also(broken),
        strongest=_best(broken, decide) if judged else None,
        judged=judged,
    )


def _best(broken: frozenset[str], decide: Callable[[str], bool | None] | None) -> str | None:
    """The first level of `STRENGTH` that is not broken, and holds for all that can be known."""
    if decide is None:
        return strongest(broken)
    for level in STRENGTH:
        if level not in broken:
            holds = decide(level)
            if holds is None:
                return None
            if holds:
                return level
    return None


def guilty(found: Iterable[Anomaly], level: str, excluded: frozenset[str]) -> bool:
    """Whether something was found that the level, or what counts beside it, excludes."""
    return bool(implied(anomaly.type for anomaly in found) & (proscribed(level) | excluded))
