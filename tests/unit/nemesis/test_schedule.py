"""The plan of faults: kinds in turn, the first at a quarter, one at a time."""

import itertools

import msgspec
import pytest

from dokkaebi import UsageError
from dokkaebi.harness.choosing import Wish, choose
from dokkaebi.harness.faults import SHORTEST_GAP
from dokkaebi.harness.spec import SECOND
from dokkaebi.nemesis.schedule import plan


def test_the_first_strikes_at_a_quarter_of_the_time():
    moments = plan(["kill"], time=10 * SECOND, lasts=SECOND, every=2 * SECOND)
    assert [m.at for m in moments] == [t * SECOND // 2 for t in (5, 11, 17)]


def test_kinds_come_in_turn_and_never_overlap():
    moments = plan(["kill", "pause"], time=30 * SECOND, lasts=SECOND, every=2 * SECOND)
    assert [m.name for m in moments[:4]] == ["kill", "pause", "kill", "pause"]
    for one, two in itertools.pairwise(moments):
        assert two.at - (one.at + one.lasts) >= SHORTEST_GAP
    assert moments[-1].at + moments[-1].lasts <= 30 * SECOND


def test_gaps_shrink_so_that_every_kind_has_its_turn():
    kinds = ["kill", "pause", "kill-client"]
    moments = plan(kinds, time=5 * SECOND, lasts=SECOND, every=2 * SECOND)
    assert [m.name for m in moments] == kinds


@pytest.mark.parametrize(("kinds", "shortest"), [(1, "1.4s"), (3, "4.6s")])
def test_where_that_is_not_enough_the_shortest_time_is_named_and_works(kinds, shortest):
    names = ["kill", "pause", "kill-client"][:kinds]
    wish = Wish(target="counter", on="postgres", faults=names, lasts=SECOND)
    with pytest.raises(UsageError, match=f"--time {shortest}"):
        choose(msgspec.structs.replace(wish, time=SECOND))
    enough = round(float(shortest[:-1]) * SECOND)
    spec, _ = choose(msgspec.structs.replace(wish, time=enough))
    moments = plan(names, time=spec.time, lasts=SECOND, every=2 * SECOND)
    assert [moment.name for moment in moments] == names
    assert moments[-1].at + SECOND <= enough


def test_no_faults_no_plan():
    assert plan([], time=SECOND, lasts=SECOND, every=SECOND) == []
