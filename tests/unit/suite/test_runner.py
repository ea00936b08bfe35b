"""How a suite's cells are handed out, and what becomes of those that Ctrl-C cuts short."""

from concurrent.futures import Future

import pytest

from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.spec import SECOND
from dokkaebi.suite.cases import Cell, Suite
from dokkaebi.suite.runner import run_suite
from dokkaebi.suite.tasks import Found, Outcome

FOUND = (Found(type="lost-update", sentence="lost"),)


class Scripted:
    """An executor of one slot that answers what is written down, then is interrupted."""

    slots = 1
    at_home = True

    def __init__(self, *said):
        self._said = list(said)
        self.seeds = []

    def submit(self, task):
        self.seeds.append(task.wish.seed)
        if not self._said:
            raise KeyboardInterrupt
        answered = Future()
        said, found = self._said.pop(0)
        answered.set_result(Outcome(seed=task.wish.seed, said=said, found=found, ok=100))
        return answered

    def close(self): ...


class Quiet:
    def begun(self, cell, seed): ...

    def done(self, judged): ...


def cell(name, **more):
    promise = {} if "must_catch" in more else {"must_hold": "its promise"}
    given = {"seeds": (1, 2), "budget": SECOND, "fault": "none", "wish": Wish()} | promise | more
    return Cell(case=name, **given)


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        ([("holds", ())], ["interrupted", "interrupted"]),
        ([("holds", ()), ("holds", ()), ("holds", ())], ["held", "interrupted"]),
        ([("violated", FOUND), ("holds", ())], ["violated", "interrupted"]),
    ],
)
def test_what_has_not_run_with_all_of_its_seeds_is_interrupted(tmp_path, said, statuses):
    suite = Suite(name="two", cells=(cell("a"), cell("b")))
    executor = Scripted(*said)
    finished = run_suite(suite, executor, out=tmp_path, watcher=Quiet())
    assert [judged.status for judged in finished.cells] == statuses
    assert len(executor.seeds) == len(said) + 1


def test_what_was_not_caught_yet_is_interrupted_not_missed(tmp_path):
    suite = Suite(name="one", cells=(cell("a", must_catch=("lost-update",)),))
    finished = run_suite(suite, Scripted(("holds", ())), out=tmp_path, watcher=Quiet())
    assert [judged.status for judged in finished.cells] == ["interrupted"]
