"""How long the differential fuzz runs: seconds in `make test`, many times that in `make fuzz`."""

import os

import pytest

FULL = 100_000
"""Histories that a checker and its oracle must agree on in `make fuzz`, whose factor is 40."""


def cases(number: int, *, oracle: bool = False) -> int:
    """The number of random cases to try: `number` times the environment's DOKKAEBI_FUZZ.

    With `oracle` it is the one test that holds a checker against its oracle: at least FULL cases
    in `make fuzz`.
    """
    times = float(os.environ.get("DOKKAEBI_FUZZ", "1"))
    least = FULL * times / 40 if oracle and times > 1 else 1
    return round(max(least, number * times))


SHARES = 8 if os.environ.get("DOKKAEBI_FUZZ") else 1
"""The parts into which the longest tests are cut, so that no processor waits for another."""


def shared(test):
    """The test once for each `share` of its cases."""
    return pytest.mark.parametrize("share", range(SHARES))(test)


def seeds(number: int, share: int, *, oracle: bool = False) -> range:
    """The seeds of a share of so many cases."""
    return range(share, cases(number, oracle=oracle), SHARES)
