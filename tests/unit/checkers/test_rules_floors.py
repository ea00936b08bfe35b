"""SOUNDNESS 8: nothing judged, nothing proved. Below a floor a pass is unknown, and says which."""

import msgspec
import pytest
from mini import history

from dokkaebi.checkers import floors
from dokkaebi.checkers.stats import stats
from dokkaebi.harness.result import Stats
from dokkaebi.harness.spec import Spec
from dokkaebi.workloads.counter import Counter
from dokkaebi.workloads.lock import Lock

ENOUGH = Stats(ok=100, conflicts=20, handovers=20)
FINALS = """
final:
0  read 0  900-901  = 0
1  read 1  900-901  = 0
"""


def spec(**more):
    return Spec(workload="counter", strategy="x", label="x", workers=2, **more)


def reasons(text=FINALS, *, figures=ENOUGH, workload=None, **more):
    return floors.below_floors(history(text), figures, workload or Counter(keys=2), spec(**more))


def lock_reasons(text, **more):
    return reasons(text, workload=Lock(), params={"ttl": 1.0}, **more)


def test_8_a_run_that_reached_every_floor_proves_something():
    assert reasons() == []


def test_8_a_run_without_its_final_reads_proves_nothing():
    assert "ended before the final reads (1 of 2" in reasons("final:\n0 read 0 1-2 = 0")[0]


def test_8_too_few_operations_prove_nothing():
    below = reasons(figures=msgspec.structs.replace(ENOUGH, ok=99))
    assert below == ["only 99 operations succeeded, a pass needs 100"]


def test_8_operations_that_never_met_prove_nothing():
    below = reasons(figures=msgspec.structs.replace(ENOUGH, conflicts=19))
    assert "only 19 pairs" in below[0]


def test_8_a_lock_that_never_changed_hands_proves_nothing():
    few = msgspec.structs.replace(ENOUGH, handovers=19)
    assert "only 19 times" in reasons("", figures=few, workload=Lock())[0]


def test_8_dry_operations_do_not_count():
    text = "dry:\n" + "\n".join(f"0 add 0 1 {i}-{i}.5" for i in range(1, 200))
    assert stats(history(text), Counter().contends).ok == 0


@pytest.mark.parametrize("kind", ["kill", "pause-client"])
def test_8_a_fault_that_never_struck_proves_nothing(kind):
    assert f"{kind} was never injected" in reasons(faults=(kind,))


def test_8_a_fault_that_did_not_take_effect_proves_nothing(monkeypatch):
    real = floors.fault_records
    monkeypatch.setattr(
        floors,
        "fault_records",
        lambda of: [msgspec.structs.replace(r, took_effect=False) for r in real(of)],
    )
    below = reasons(FINALS + "!  kill 0  1-1000", faults=("kill",))
    assert "kill did not take effect" in below[0]


def test_8_a_fault_that_met_no_operation_proves_nothing():
    assert "struck while nothing was asked" in reasons(FINALS + "! kill 0 1-2", faults=("kill",))[0]


HELD = """
3  acquire lock-2   50-1800 refused
0  acquire lock-0   0-1     = t0
0  release lock-0   1900-1901  token=t0
"""


def test_4_6_a_pass_under_pause_client_needs_a_holder_paused_for_longer_than_the_ttl():
    faults = ("pause-client",)
    assert lock_reasons(HELD + "! pause-client 0 100-1800", faults=faults) == []
    short = lock_reasons(HELD + "! pause-client 0 100-900", faults=faults)
    assert short == ["no holder was paused for longer than the ttl of 1 s"]
    assert lock_reasons(HELD + "! pause-client 1 100-1800", faults=faults) == short


def test_4_6_a_pass_under_kill_client_needs_a_process_killed_while_it_held():
    faults = ("kill-client",)
    held = "0 acquire lock-0 0-1 = t0\n1 acquire lock-1 0-1500 refused\n"
    assert lock_reasons(held + "! kill-client 0 100-1200", faults=faults) == []
    other = lock_reasons(held + "! kill-client 1 100-1200", faults=faults)
    assert other == ["no process was killed while it held a lock"]
