"""The rules of liveness: what counts as progress, and which time counts at all."""

from mini import history

from dokkaebi.checkers.progress import ProgressChecker


def found(text, **options):
    verdict = ProgressChecker(**options).check(history(text))
    kinds = {anomaly.kind for anomaly in verdict.anomalies}
    assert kinds <= {"liveness"}
    return verdict.verdict, [anomaly.type for anomaly in verdict.anomalies]


def adds(begin, end, outcome="ok", process=0):
    return "\n".join(
        f"{process}  add x 1  {at}-{at + 50}  {outcome}" for at in range(begin, end, 100)
    )


def acquires(begin, end, outcome="refused", process=0, name="a"):
    return "\n".join(
        f"{process}  acquire {name}  {at}-{at + 50}  {outcome}" for at in range(begin, end, 100)
    )


def test_9_steady_success_is_progress():
    assert found(adds(0, 9000)) == ("holds", [])


def test_9_every_attempt_aborted_is_a_livelock():
    assert found(adds(0, 3000) + "\n" + adds(3000, 9000, "fail")) == ("unknown", ["livelock"])


def test_9_no_success_for_a_third_of_the_main_phase_is_no_progress():
    text = adds(0, 5000) + "\n" + adds(5000, 5100, "info") + "\n1  add x 1  5200-9000  info"
    assert "no-progress" in found(text)[1]


def test_9_less_than_a_third_is_no_finding():
    text = "\n".join([adds(0, 5000), adds(5000, 7000, "fail"), adds(7000, 9000)])
    assert found(text) == ("holds", [])


def test_9_time_under_a_fault_and_a_second_after_it_do_not_count():
    text = adds(0, 3000) + "\n" + adds(3000, 8900, "fail") + "\n" + adds(8900, 9000)
    assert found(text)[0] == "unknown"
    assert found(text + "\n!  kill  3000-7000") == ("holds", [])


def test_9_a_refusal_is_an_answer():
    assert found(adds(0, 9000, "refused")) == ("holds", [])


def test_9_a_refused_acquire_is_a_request_that_waits():
    stuck = "0  acquire a  0-50\n" + acquires(100, 6000, process=1)
    assert found(stuck, workload="lock", ttl=1.0)[1] == ["deadlock"]


def test_9_a_lock_that_nobody_gets_for_five_ttls_is_a_deadlock():
    others = acquires(0, 9000, "ok", process=2, name="b")
    text = f"{others}\n0  acquire a  0-50\n{acquires(100, 2500, process=1)}"
    assert found(text, workload="lock", ttl=0.4)[1] == ["deadlock"]
    assert found(text, workload="lock", ttl=0.6) == ("holds", [])


def test_9_a_lock_that_nobody_asks_for_is_not_stuck():
    others = acquires(0, 9000, "ok", process=2, name="b")
    text = f"{others}\n0  acquire a  0-50\n1  acquire a  100-150  refused"
    assert found(text, workload="lock", ttl=0.4) == ("holds", [])


def test_9_a_session_blocked_at_the_end_is_a_deadlock():
    text = adds(0, 9000) + "\n1  add x 1  5000-9100  info"
    assert found(text) == ("unknown", ["deadlock"])


def test_9_the_final_phase_does_not_count():
    text = f"main:\n{adds(0, 3000)}\nfinal:\n{adds(3000, 9000, 'fail')}"
    assert found(text) == ("holds", [])


def test_9_attempts_that_never_succeed_are_a_livelock_wherever_they_stand():
    text = "\n".join(
        [adds(0, 9000), *(f"1  add x 1  {at}-{at + 1500}  info tries=40" for at in (0, 3000))]
    )
    assert found(text) == ("unknown", ["livelock"])
    assert found(text.replace("tries=40", "")) == ("holds", [])


def test_9_one_that_succeeded_at_another_attempt_tells_that_others_may():
    text = adds(0, 9000) + "\n1  add x 1  0-1500  info tries=40"
    assert found(text + "\n2  add x 1  0-1500  tries=2") == ("holds", [])
    assert found(text + "\n2  write x 1  0-1500  tries=2")[1] == ["livelock"]


def test_9_few_or_quick_attempts_are_no_livelock():
    steady = adds(0, 9000)
    assert found(f"{steady}\n1  add x 1  0-1500  fail tries=9") == ("holds", [])
    assert found(f"{steady}\n1  add x 1  0-900  fail tries=40") == ("holds", [])
    assert found(f"{steady}\n1  add x 1  0-1500  fail tries=40")[1] == ["livelock"]
    assert found(f"{steady}\n1  add x 1  0-1500  fail tries=40\n!  kill  200-400") == ("holds", [])
