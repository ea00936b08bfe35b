"""What `acquire` may answer instead of a bare token."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    """A lock's token together with the seconds for which this one lease was granted.

    `seconds` replaces the workload's `ttl` for this hold (a server may grant less than asked).
    """

    token: Any
    seconds: float
