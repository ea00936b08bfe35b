"""Values as numbers: equal ones alike, from 0, in the order of first appearance."""

import pytest

from dokkaebi.harness.interning import freeze, interned

LISTS = (
    [],
    [None],
    [None, None],
    [5, 3, None, 5, 3, None, 4],
    [None, -7, 0, -7, 1_000_000],
    [2**53, 1, None, 2**53],
    [-(2**53), 1],
    [10**400, 1, 10**400, None],
    [2**63, -(2**63), 2**63],
    [True, 1, 0, False],
    [1.0, 1, "1"],
    ["b", "a", "b"],
    [[1, 2], [2, 1], [1, 2], {"a": [1]}, {"a": [1]}, None, 3],
)


@pytest.mark.parametrize("values", LISTS)
def test_as_one_dictionary_would_number_them(values):
    known = {}
    numbers = [known.setdefault(freeze(value), len(known)) for value in values]
    found = interned(values)
    assert found.of.tolist() == numbers
    assert found.values == list(known)
    assert list(map(type, found.values)) == list(map(type, known))
