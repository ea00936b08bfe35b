"""In which order faults that are under way together are healed."""

from types import SimpleNamespace

import pytest

from dokkaebi.harness.errors import Broken
from dokkaebi.harness.protocols import Evidence
from dokkaebi.nemesis.damage import FlipBit
from dokkaebi.nemesis.nemesis import _heal_all, _UnderWay


class Healed:
    """A strike that notes when it is healed, or cannot be."""

    def __init__(self, name, order, *, heals_first=False, fails=False):
        self.name, self.order, self.fails = name, order, fails
        self.heals_first = heals_first

    def heal(self):
        self.order.append(self.name)
        if self.fails:
            raise Broken(self.name)

    def evidence(self):
        return Evidence(True, self.name)


@pytest.fixture
def arena(tmp_path):
    return SimpleNamespace(
        took_effect=0, now=lambda: 0, record=lambda *_: None, folder=tmp_path, epoch_ns=0
    )


def under_way(*strikes):
    return [_UnderWay(number, strike.name, strike) for number, strike in enumerate(strikes)]


def test_links_and_pauses_are_healed_before_whoever_needs_them(arena):
    order = []
    kill, cut = Healed("kill", order), Healed("partition", order, heals_first=True)
    _heal_all(arena, under_way(kill, cut, Healed("lag", order)))
    assert order == ["partition", "kill", "lag"]
    assert arena.took_effect == 3


def test_what_cannot_be_healed_keeps_nothing_else_from_it(arena):
    order = []
    with pytest.raises(Broken, match="first"):
        _heal_all(arena, under_way(Healed("first", order, fails=True), Healed("second", order)))
    assert order == ["first", "second"]


def test_who_has_no_peers_cannot_be_damaged():
    alone = SimpleNamespace(name="postgres", clusters={"replicas": ""})
    assert "no peers" in FlipBit().missing(alone)
