"""Strategies that lack nothing but progress: real runs are caught at it, and at nothing worse."""

import os

import msgspec
import pytest

from dokkaebi.compose import Servers
from dokkaebi.suite.catalogue import catalogue
from dokkaebi.suite.expectations import judge_cell
from dokkaebi.suite.tasks import Task, carry_out

CELLS = {cell.name: cell for cell in catalogue().cells if cell.wish.require_progress}
FEW = (
    "bank/for-update-unordered/none",
    "counter/retry-in-the-same-snapshot/none",
    "lock/setnx-then-expire/kill-client",
)
"""What is tried where time is short: without DOKKAEBI_EVERY_STRATEGY."""


@pytest.mark.parametrize("name", CELLS if os.environ.get("DOKKAEBI_EVERY_STRATEGY") else FEW)
def test_a_strategy_that_lacks_progress_is_caught_at_it(household, tmp_path, name):
    cell = CELLS[name]
    wish = msgspec.structs.replace(cell.wish, seed=1)
    with Servers(household) as servers:
        outcome = carry_out(Task(wish=wish, out=str(tmp_path)), servers)
    judged = judge_cell(cell, [outcome])
    if judged.status == "skipped" and not os.environ.get("CI"):
        pytest.skip(judged.reason)
    assert judged.status == "caught", judged.reason
