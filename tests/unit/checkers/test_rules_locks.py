"""The rules of locks: definite holds, lease windows, guarded sections. One rule, one test."""

from mini import history

from dokkaebi.checkers.lock import LockChecker


def judged(text, **options):
    verdict = LockChecker(**{"ttl": 1.0, **options}).check(history(text))
    return verdict.verdict, [anomaly.type for anomaly in verdict.anomalies]


TWO_WITHIN_A_LEASE = """
    0  acquire a  0-1    = t0
    1  acquire a  10-11  = t1
    1  release a  20-21  token=t1
    0  release a  30-31  token=t0
"""

PAST_THE_LEASE = """
    0  acquire a  0-1        = t0
    1  acquire a  1100-1101  = t1
    0  release a  1150-1151  token=t0
    1  release a  1200-1201  token=t1
"""


def test_4_1_an_indeterminate_acquire_is_no_hold():
    assert judged("""
        0  acquire a       0-5    info
        0  guard-read a 1  30-31
        1  acquire a       10-11  = t1
        1  release a       20-21  token=t1
    """) == ("holds", [])


def test_4_1_a_hold_ends_when_its_release_is_invoked():
    assert judged("""
        0  acquire a  0-1     = t0
        0  release a  5-100   token=t0
        1  acquire a  50-51   = t1
        1  release a  60-61   token=t1
    """) == ("holds", [])


def test_4_1_a_hold_ends_when_its_release_is_invoked_whatever_its_outcome():
    for outcome in ("fail", "info"):
        assert judged(f"""
            0  acquire a  0-1     = t0
            0  release a  5-100   {outcome} token=t0
            1  acquire a  50-51   = t1
            1  release a  60-61   token=t1
        """) == ("holds", [])


def test_4_1_a_hold_without_release_ends_with_the_last_event_of_its_process():
    text = """
        0  acquire a       0-1    = t0
        0  guard-read a 1  2-20
        1  acquire a       {}     = t1
        1  release a       60-61  token=t1
    """
    assert judged(text.format("10-11")) == ("violated", ["double-hold"])
    assert judged(text.format("10-30")) == ("holds", [])


def test_4_1_who_never_came_back_does_not_hold_for_ever():
    assert judged("""
        0  acquire a  0-1     = t0
        1  acquire a  50-51   = t1
        1  release a  60-61   token=t1
    """) == ("holds", [])


def test_4_1_an_info_that_others_may_have_written_does_not_prolong_a_hold():
    assert judged(
        """
        0  acquire a       0-1     = t0
        0  guard-read a    2-100   info
        1  acquire a       50-51   = t1
        1  release a       60-61   token=t1
        """,
        lease=None,
    ) == ("holds", [])


def test_4_2_without_leases_the_window_is_the_hold():
    assert judged(PAST_THE_LEASE, lease=None) == ("violated", ["double-hold"])


def test_4_2_a_renewed_lease_must_not_run_out():
    assert judged(PAST_THE_LEASE, lease="renewed") == ("violated", ["expired-hold"])


def test_4_2_a_lease_with_its_own_seconds_replaces_the_ttl():
    own = PAST_THE_LEASE.replace("= t0", "= t0 ttl=1.2")
    assert judged(own) == ("violated", ["double-hold"])


def test_4_2_a_lease_runs_from_the_call_of_its_acquire():
    # Granted at some moment after 0 ms, so surely valid until 1000 ms and no longer.
    assert judged("""
        0  acquire a  0-900      = t0
        1  acquire a  1100-1101  = t1
        1  release a  1110-1111  token=t1
        0  release a  1150-1151  token=t0
    """) == ("unknown", [])


def test_4_3_overlapping_lease_windows_are_always_a_violation():
    assert judged(TWO_WITHIN_A_LEASE) == ("violated", ["double-hold"])


def test_4_3_windows_that_only_touch_do_not_overlap():
    assert judged("""
        0  acquire a  0-10    = t0
        0  release a  20-30   token=t0
        1  acquire a  15-20   = t1
        1  release a  40-41   token=t1
    """) == ("holds", [])


def test_4_3_holding_past_the_lease_is_unknown_on_a_busy_machine():
    verdict = LockChecker(ttl=1.0).check(history(PAST_THE_LEASE))
    assert verdict.verdict == "unknown"
    assert verdict.anomalies == ()
    assert verdict.reason == "a holder stalled 1.1 s, longer than its ttl of 1 s"


def test_4_3_holding_past_the_lease_is_a_violation_when_clients_were_to_be_paused():
    for faults in (("pause-client",), ("clock",), ("kill", "partition+pause-client")):
        assert judged(PAST_THE_LEASE, faults=faults) == ("violated", ["expired-hold"])


def test_4_3_a_paused_server_does_not_make_it_a_violation():
    assert judged(PAST_THE_LEASE, faults=("pause", "kill", "kill-client")) == ("unknown", [])


SECTIONS = """
    0  acquire a          0-1    = 1
    0  guard-read a nil   2-3
    0  guard-write a 100  6-7    {}
    0  release a          8-9    token=1
    1  acquire a          10-11  = 2
    1  guard-read a nil   12-13
    1  guard-write a 200  16-17
    1  release a          18-19  token=2
"""


def test_4_4_two_sections_that_read_the_same_version_lose_an_update():
    assert judged(SECTIONS.format("")) == ("violated", ["lost-update"])


def test_4_3_nor_does_what_a_stalled_holder_wrote_after_its_lease():
    stalled = """
        0  acquire a          0-1        = 1
        0  guard-read a nil   2-3
        1  acquire a          1100-1101  = 2
        1  guard-read a nil   1102-1103
        1  guard-write a 200  1104-1105
        1  release a          1106-1107  token=2
        0  guard-write a 100  1200-1201
        0  release a          1202-1203  token=1
    """
    assert judged(stalled) == ("unknown", [])
    assert judged(stalled, faults=["pause-client"])[1] == ["expired-hold", "lost-update"]
    assert judged(stalled, fencing=True) == ("violated", ["lost-update"])


def test_4_4_a_section_with_an_info_in_it_never_counts():
    assert judged(SECTIONS.format("info")) == ("holds", [])
    released = SECTIONS.format("").replace("8-9 ", "8-9  info ")
    assert judged(released) == ("holds", [])


def test_4_4_a_write_that_the_resource_refused_loses_nothing():
    assert judged(SECTIONS.format("refused")) == ("holds", [])


def test_4_4_an_untouched_resource_reads_nil_or_zero():
    mixed = SECTIONS.format("").replace("guard-read a nil   2-3", "guard-read a 0     2-3")
    assert judged(mixed) == ("violated", ["lost-update"])


def test_4_4_with_fencing_only_the_resource_is_judged():
    inside = (
        TWO_WITHIN_A_LEASE
        + """
        2  acquire b          0-1    = 1
        2  guard-read b nil   2-3
        2  guard-write b 100  6-7
        2  release b          8-9    token=1
    """
    )
    assert judged(inside, fencing=True) == ("holds", [])
    assert judged(inside) == ("violated", ["double-hold"])
    assert judged(SECTIONS.format(""), fencing=True) == ("violated", ["lost-update"])


def test_4_6_a_refusal_proves_nothing():
    assert judged("""
        0  acquire a  0-1      = t0
        0  release a  2-3      token=t0
        1  acquire a  500-501  refused
        0  acquire a  600-601  = t2
        0  release a  602-603  token=t2
    """) == ("holds", [])
