"""How verdicts join: violated beats unknown beats holds."""

import itertools

import pytest

from dokkaebi import Anomaly, Verdict
from dokkaebi.harness.verdict import join

RANK = {"holds": 0, "unknown": 1, "violated": 2}


@pytest.mark.parametrize("outcomes", list(itertools.product(RANK, repeat=3)))
def test_the_worst_outcome_wins(outcomes):
    joined = join(Verdict(verdict=outcome, reason=outcome) for outcome in outcomes)
    assert joined.verdict == max(outcomes, key=RANK.__getitem__)
    assert joined.reason == joined.verdict


def test_no_verdicts_at_all_are_unknown():
    assert join([]).verdict == "unknown"
    assert join([]).reason


def test_every_anomaly_is_kept_safety_first():
    slow = Anomaly(type="deadlock", sentence="stuck", kind="liveness")
    wrong = Anomaly(type="lost-update", sentence="lost")
    joined = join(
        [
            Verdict(verdict="unknown", anomalies=(slow,), judged=3),
            Verdict(verdict="violated", anomalies=(wrong,), not_=("serializable",), judged=9),
        ]
    )
    assert joined.anomalies == (wrong, slow)
    assert joined.not_ == ("serializable",)
    assert joined.judged == 9
