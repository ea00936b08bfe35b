"""One kind of anomaly as it was found, before it is told: rows of numbers, no words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """An anomaly without a cycle: how many there are, and the smallest witness.

    `steps` are the rows of the micro-operations that show it, in the order in which they are told;
    `value` is the number of the value in question, -1 without one.
    """

    name: str
    count: int
    steps: tuple[int, ...]
    value: int = -1
