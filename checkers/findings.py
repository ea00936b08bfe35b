"""How a checker's findings become its verdict: one anomaly of each type, with all of them counted."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..harness.verdict import Anomaly


def merged(findings: Iterable[Anomaly]) -> tuple[Anomaly, ...]:
    """One anomaly of each type, in the order of first finding: the first witness, counts added up."""
    first: dict[str, Anomaly] = {}
    for finding in findings:
        earlier = first.get(finding.type)
        if earlier is not None:
            count = earlier.count + finding.count
            finding = msgspec.structs.replace(earlier, count=count)
        first[finding.type] = finding
    return tuple(first.values())
