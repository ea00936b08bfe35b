"""What outcomes mean for a cell and for a suite, without any run."""

import msgspec
import pytest

from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.spec import SECOND
from dokkaebi.suite.cases import Cell
from dokkaebi.suite.expectations import exit_code, judge_cell, next_seed
from dokkaebi.suite.tasks import Found, Outcome

HOLD = Cell(
    case="c", fault="none", wish=Wish(), seeds=(1, 2), budget=60 * SECOND, must_hold="its promise"
)
KNOWN = Cell(
    case="c", fault="none", wish=Wish(), seeds=(1, 2), budget=60 * SECOND,
    must_hold="serializable", known={"G2-item": "see ADR-7"},
)  # fmt: skip
CATCH = Cell(
    case="t", fault="none", wish=Wish(), seeds=(1, 2), budget=25 * SECOND, must_catch=("G-single",)
)


def said(verdict, *anomalies, seed=1, **more):
    found = tuple(Found(type=name, sentence=f"{name}!") for name in anomalies)
    return Outcome(seed=seed, said=verdict, found=found, seconds=10.0, ok=500, **more)


@pytest.mark.parametrize(
    ("cell", "outcomes", "status"),
    [
        (HOLD, [said("holds"), said("holds")], "held"),
        (HOLD, [said("violated", "lost-update")], "violated"),
        (HOLD, [said("holds"), said("unknown", reason="few")], "unknown"),
        (HOLD, [said("holds"), said("broke", reason="x")], "broke"),
        (HOLD, [said("unavailable", reason="no zookeeper")], "skipped"),
        (HOLD, [], "interrupted"),
        (HOLD, [said("holds", interrupted=True)], "interrupted"),
        (HOLD, [said("violated", "G0", interrupted=True)], "violated"),
        (KNOWN, [said("violated", "G2-item")], "known"),
        (KNOWN, [said("violated", "G2-item", "G-single")], "violated"),
        (KNOWN, [said("holds"), said("holds")], "held"),
        (CATCH, [said("holds"), said("violated", "G-single")], "caught"),
        (CATCH, [said("violated", "G-single-realtime")], "caught"),
        (CATCH, [said("holds"), said("violated", "G2-item")], "missed"),
        (CATCH, [said("unknown", reason="x")], "missed"),
        (CATCH, [said("broke", reason="x")], "broke"),
    ],
)  # fmt: skip
def test_a_cell_is_as_its_outcomes_are(cell, outcomes, status):
    judged = judge_cell(cell, outcomes)
    assert judged.status == status
    assert judged.reason


def test_a_deadlock_that_the_server_resolved_is_a_deadlock_that_was_caught():
    cell = msgspec.structs.replace(CATCH, must_catch=("deadlock",))
    assert judge_cell(cell, [said("holds"), said("holds")]).status == "missed"
    caught = judge_cell(cell, [said("holds"), said("holds", deadlocks=3)])
    assert (caught.status, caught.reason) == ("caught", "3 deadlocks resolved by the server")


def test_what_is_new_is_named_beside_what_is_known():
    judged = judge_cell(KNOWN, [said("violated", "G2-item", "G-single")])
    assert [found.type for found in judged.news] == ["G-single"]
    assert "G-single, seed 1: G-single!" in judged.reason


def test_a_known_anomaly_that_stays_away_is_a_note_or_strictly_a_failure():
    held = judge_cell(KNOWN, [said("holds"), said("holds")])
    assert (held.met, held.notes) == (True, ("known and not found: G2-item",))
    assert judge_cell(KNOWN, [said("holds"), said("holds")], strict_known=True).status == "missed"


def test_liveness_breaks_a_cell_only_where_progress_is_required():
    stuck = Outcome(
        seed=1, said="violated", found=(Found(type="deadlock", sentence="d", kind="liveness"),)
    )
    assert judge_cell(HOLD, [stuck]).status == "held"
    required = Cell(
        case="c", fault="none", wish=Wish(require_progress=True), seeds=(1,), budget=0,
        must_hold="its promise",
    )  # fmt: skip
    assert judge_cell(required, [stuck]).status == "violated"


LIVE = Cell(
    case="l", fault="none", wish=Wish(require_progress=True), seeds=(1,), budget=0,
    must_catch=("deadlock",),
)  # fmt: skip
STUCK = Found(type="deadlock", sentence="stuck!", kind="liveness")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(seed=1, said="violated", found=(STUCK,)), "caught"),
        (Outcome(seed=1, said="holds", deadlocks=3), "caught"),
        (Outcome(seed=1, said="holds"), "missed"),
        (
            Outcome(seed=1, said="violated", found=(STUCK, Found(type="G0", sentence="!"))),
            "violated",
        ),
    ],
)
def test_a_lack_of_progress_is_caught_and_must_be_all(outcome, status):
    """Deadlocks that the server resolved count where progress is what is looked at."""
    judged = judge_cell(LIVE, [outcome])
    assert judged.status == status
    assert judged.reason
    assert next_seed(LIVE, [outcome]) is None


def test_deadlocks_that_the_server_resolved_are_nothing_where_safety_is_looked_at():
    assert judge_cell(CATCH, [said("holds", deadlocks=3)]).status == "missed"
    assert judge_cell(HOLD, [said("holds", deadlocks=3)]).status == "held"


def test_seeds_go_on_until_they_have_told_all():
    assert next_seed(HOLD, []) == 1
    assert next_seed(HOLD, [said("holds")]) == 2
    assert next_seed(HOLD, [said("holds"), said("holds")]) is None
    assert next_seed(HOLD, [said("violated", "lost-update")]) is None
    assert next_seed(HOLD, [said("broke")]) is None
    assert next_seed(KNOWN, [said("violated", "G2-item")]) == 2


def test_what_must_be_caught_is_looked_for_as_long_as_the_budget_lasts():
    assert next_seed(CATCH, [said("violated", "G-single")]) is None
    two = [said("holds"), said("holds", seed=2)]
    assert next_seed(CATCH, two) == 3
    assert next_seed(CATCH, [*two, said("holds", seed=3)]) is None


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([["holds"]], 0),
        ([["holds"], ["unavailable"]], 0),
        ([["unavailable"]], 5),
        ([["holds"], ["unknown"]], 3),
        ([["broke"], ["unknown"]], 4),
        ([["broke"], ["violated"]], 1),
        ([[], ["violated"]], 130),
    ],
)
def test_the_exit_code_is_the_first_that_applies(verdicts, code):
    cells = [
        judge_cell(
            HOLD,
            [said(v, *(["lost-update"] if v == "violated" else [])) for v in each] * 1,
        )
        for each in verdicts
    ]
    assert exit_code(cells) == code


def test_a_skipped_cell_fails_where_nothing_may_be_skipped():
    cells = [judge_cell(HOLD, [said("holds")] * 2), judge_cell(HOLD, [said("unavailable")])]
    assert exit_code(cells, no_skips=True) == 5
