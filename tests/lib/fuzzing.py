"""How long the differential fuzz runs: seconds in `make test`, many times that in `make fuzz`."""

import os


def cases(number: int) -> int:
    """The number of random cases to try: `number` times the environment's DOKKAEBI_FUZZ."""
    return max(1, int(number * float(os.environ.get("DOKKAEBI_FUZZ", "1"))))
