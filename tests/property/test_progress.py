"""Progress against its naive oracle."""

import random
from collections import Counter

from fuzzing import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from progress_oracle import Progress, chaos_progress

from dokkaebi.checkers.progress import ProgressChecker


def agrees(seed):
    rng = random.Random(seed)
    history = chaos_progress(rng)
    ttl = rng.choice([None, 0.2, 0.5, 1.0])
    verdict = ProgressChecker(workload="lock", ttl=ttl).check(history)
    found = {anomaly.type for anomaly in verdict.anomalies}
    assert found == Progress(history, ttl).kinds(), seed
    assert {anomaly.kind for anomaly in verdict.anomalies} <= {"liveness"}
    return found


def test_progress_agrees_with_its_oracle():
    seen = Counter()
    for seed in range(cases(1200, oracle=True)):
        seen.update(agrees(seed) or {"nothing"})
    assert min(seen[each] for each in ("nothing", "deadlock", "livelock", "no-progress")) > 20


@settings(deadline=None)
@given(st.integers(min_value=0))
def test_progress_agrees_with_its_oracle_for_any_seed(seed):
    agrees(seed)
