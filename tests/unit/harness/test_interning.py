"""Values as numbers: equal ones alike, whatever they are and whichever way they are counted."""

import random

import numpy as np
import pytest

from dokkaebi.harness.interning import Map, Truth, freeze, interned, renumbered, spoken

ATOMS = [None, 0, 1, -7, 2**60, 1.5, "a", "", True, False]


def test_numbers_are_of_the_first_appearance():
    numbers = interned(["b", "a", "b", None, "a"])
    assert (numbers.of.tolist(), numbers.values) == ([0, 1, 0, 2, 1], ["b", "a", None])
    again = renumbered(np.array([2, 0, 2]), numbers.values)
    assert (again.of.tolist(), again.values) == ([0, 1, 0], [None, "b"])


def test_what_is_not_equal_has_not_one_number():
    values = [1, True, "1", [1], [[1]], {"a": 1}, [["a", 1]], {1, 2}, [1, 2], 1.0, (1,)]
    numbers = interned(values)
    assert numbers.of.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3]
    assert numbers.values[1] is Truth.true
    assert numbers.values[5] == Map(frozenset({("a", 1)}))


@pytest.mark.parametrize("only_pairs", [True, False])
def test_what_events_carry_is_told_by_its_number_and_by_its_halves(only_pairs):
    for seed in range(200):
        rng = random.Random(seed)
        some = [rng.choice(ATOMS) for _ in range(4)]
        values = [[rng.choice(some), rng.choice(some)] for _ in range(rng.randrange(1, 12))]
        if not only_pairs:
            values += [rng.choice([*some, [1, 2, 3], {"k": 1}, {1}]) for _ in range(3)]
        told = {} if only_pairs else {0: rng.choice(some), len(values) - 1: [1, 2]}
        carried = spoken(values, told)
        names = carried.names
        assert [names[i] for i in carried.value.tolist()] == [*map(freeze, values), None]
        expected = [freeze(told.get(i)) for i in range(len(values) + 1)]
        assert [names[i] for i in carried.result.tolist()] == expected
        assert names[carried.nil] is None
        assert len(set(map(repr, names))) == len(names)
        for at, half in enumerate(carried.halves):
            for name, number in zip(names, half.of.tolist(), strict=True):
                if isinstance(name, tuple) and len(name) == 2:
                    assert half.values[number] == name[at]
                else:
                    assert number == -1
