"""What sessions must know: the kernel means the same interpreted and compiled."""

import numpy as np

from dokkaebi.checkers import compiled
from dokkaebi.checkers.knowing import CALL, END, MW, READ, RYW, missed

ALL = np.ones(5, dtype=np.bool_)

# kind, session, key, write, place: session 0 writes keys 0 and 1; session 1 sees the later write
# and then nil where the earlier one was; session 0 does not see its own write.
EVENTS = np.array(
    [
        (CALL, 0, 0, 1, 0),
        (END, 0, 0, 1, 0),
        (CALL, 0, 1, 2, 2),
        (END, 0, 1, 2, 2),
        (READ, 1, 1, 2, 4),
        (READ, 1, 0, 0, 6),
        (READ, 0, 1, 0, 8),
    ]
).T


def found():
    events, due = missed(*EVENTS, demanded=ALL)
    return events.tolist(), due.tolist()


def test_what_was_missed_is_told_with_its_witnesses():
    assert found() == ([5, 6], [[MW, 1, 0, 2, 4], [RYW, 2, 2, -1, -1]])


def test_compiled_it_means_the_same(monkeypatch):
    interpreted = found()
    monkeypatch.setattr(compiled, "COMPILE_FROM", 1)
    assert found() == interpreted


def test_no_event_misses_nothing():
    nothing = np.zeros(0, dtype=np.int64)
    events, due = missed(nothing, nothing, nothing, nothing, nothing, demanded=ALL)
    assert not len(events)
    assert not len(due)
