"""Every rule that keeps verdicts true is switched off in the code, one by one: the test that is
named for it must then fail. A rule whose test cannot fail is not tested.

To add a rule, add a row: what it says, the test that holds it, and how to break the code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from dokkaebi.checkers import (
    accounts,
    admission,
    bank,
    counter,
    counting,
    floors,
    holds,
    judge,
    linearizable,
    lock,
    long_fork,
    models,
    progress,
    sections,
    sessions,
    set_full,
    staleness,
    total_queue,
)
from dokkaebi.checkers.linear import operations as linear_operations
from dokkaebi.checkers.linear import registers
from dokkaebi.harness import history, journal, lane, outcomes, pairing, seat, verdict
from dokkaebi.harness.columns import FAIL, INFO, OK
from dokkaebi.harness.protocols import Answer
from dokkaebi.workloads import bank as bank_workload
from dokkaebi.workloads import counter as counter_workload
from dokkaebi.workloads import register as register_workload
from dokkaebi.workloads import session
from dokkaebi.workloads.lock import session as lock_session

TESTS = Path(__file__).parent.parent
OUTCOMES = "unit/checkers/test_rules_outcomes.py::"
LOCKS = "unit/checkers/test_rules_locks.py::"
BOUNDS = "unit/checkers/test_rules_bounds.py::"
LIVENESS = "unit/checkers/test_rules_liveness.py::"
APPLICATIONS = "unit/checkers/test_rules_applications.py::"
ENGINE = "unit/harness/test_rules_engine.py::"
FLOORS = "unit/checkers/test_rules_floors.py::"
CLASSIFY = "unit/harness/test_outcomes.py::"
HISTORY = "unit/harness/test_history.py::"
VERDICT = "unit/harness/test_verdict.py::"


@dataclass(frozen=True)
class Rule:
    """A rule, the test named for it, and how it is switched off: (owner, attribute, wrapper)."""

    says: str
    test: str
    owner: Any
    attribute: str
    broken: Callable[[Any], Any]


def always(value: Any) -> Callable[[Any], Any]:
    """Whatever the code decides, it decides this."""
    return lambda real: lambda *args, **kwargs: value


def events(change: Callable[[Any], Any]) -> tuple[Any, str, Callable[[Any], Any]]:
    """Make every history of events that are changed on their way in."""

    def broken(real: Any) -> Any:
        return lambda self, ops, **more: real(self, map(change, ops), **more)

    return history.History, "__init__", broken


def _answered_well(op: Any) -> Any:
    """Take what nobody knows for acknowledged."""
    return msgspec.structs.replace(op, type="ok") if op.type == "info" else op


def columns(change: Callable[[Any, Any], Any]) -> tuple[Any, str, Callable[[Any], Any]]:
    """Show every checker columns that are changed on their way out of the history."""

    def broken(real: Any) -> Any:
        return lambda self: change(self, real(self))

    return history.History, "_tabulate", broken


def _typed_ok(code: int) -> Callable[[Any, Any], Any]:
    """Take what ended in this way for acknowledged."""

    def change(of: Any, table: Any) -> Any:
        those = (table.type == code) & (table.end >= 0)
        return dataclasses.replace(
            table,
            type=np.where(those, OK, table.type).astype(np.int8),
            ret=np.where(those, of.time[table.end], table.ret),
        )

    return change


def _typed_failed(of: Any, table: Any) -> Any:
    """Take an unknown outcome for a failure."""
    kind = np.where(table.type == INFO, FAIL, table.type).astype(np.int8)
    return dataclasses.replace(table, type=kind)


def _all_refused(of: Any, table: Any) -> Any:
    """Take every failure for a refusal."""
    return dataclasses.replace(table, refused=table.type == FAIL)


def _earlier_by_one(of: Any, table: Any) -> Any:
    """Half-open intervals: what ends when another begins lies before it."""
    return dataclasses.replace(table, ret=table.ret - 1)


def _all_at_once(of: Any, table: Any) -> Any:
    return dataclasses.replace(table, call=np.zeros_like(table.call))


def _times_of(function: str, **taken: str) -> Callable[[Any, Any], Any]:
    """Take one time of these operations for the other: `call="ret"` or `ret="call"`."""

    def change(of: Any, table: Any) -> Any:
        those = table.f == of.functions.index(function)
        return dataclasses.replace(
            table,
            **{
                name: np.where(those, getattr(table, other), getattr(table, name))
                for name, other in taken.items()
            },
        )

    return change


def _refused_means_given(of: Any, table: Any) -> Any:
    """Take a failure for a success, half a second before it was asked for."""
    failed = table.type == FAIL
    return dataclasses.replace(
        table,
        type=np.where(failed, OK, table.type).astype(np.int8),
        ret=np.where(failed, table.call - 498_500_000, table.ret),
    )


def _none_dry(of: Any, table: Any) -> Any:
    return dataclasses.replace(table, dry=np.zeros_like(table.dry))


def each(value: int) -> Callable[[Any], Any]:
    """The same time for every process."""
    return lambda real: lambda of, process: np.full(len(process), value)


def _last_events_of_all(real: Any) -> Any:
    return lambda of, process: np.array([of.time[of.process == p].max() for p in process])


def _only_increments(real: Any) -> Any:
    """Decrements never happened."""
    return lambda adds, keys: real(
        dataclasses.replace(adds, type=np.where(adds.delta > 0, adds.type, FAIL)), keys
    )


def _something_lost(real: Any) -> Any:
    """No read ever shows every add."""

    def bounded(found: Any) -> Any:
        reads = real(found)
        return dataclasses.replace(reads, attempted=reads.attempted + 1)

    return bounded


def _one_session_for_each_seat(real: Any) -> Any:
    return lambda of, place: of.process[place].astype(np.int64) % 8


def _option(**forced: Any) -> Callable[[Any], Any]:
    """A checker that is made with these options, whatever was asked for."""

    def broken(real: Any) -> Any:
        return lambda self, *args, **kwargs: real(self, *args, **{**kwargs, **forced})

    return broken


def _without_subset(real: Any) -> Any:
    return lambda target, amounts: target == 0


def _unless_unknown(real: Any) -> Any:
    """No total is wrong where the outcome of a transfer is unknown."""
    return lambda self, book: [] if (book.transfers.type == INFO).any() else real(self, book)


def _within_bounds_only(real: Any) -> Any:
    return lambda target, amounts: True


def _first_next_state(real: Any) -> Any:
    return lambda self, state, code: tuple(real(self, state, code))[:1]


def _only_the_last(real: Any) -> Any:
    return lambda verdicts: real(list(verdicts)[-1:])


def _no_rule_of(name: str) -> Callable[[Any], Any]:
    """The findings of one type are dropped."""

    def broken(real: Any) -> Any:
        return lambda *args, **kwargs: [f for f in real(*args, **kwargs) if f.type != name]

    return broken


def _answers(**changed: Any) -> Callable[[Any], Any]:
    """Whatever the code answers, with these fields changed."""
    return lambda real: lambda *a, **k: msgspec.structs.replace(real(*a, **k), **changed)


def _nothing(real: Any) -> Any:
    return lambda *args, **kwargs: None


def _invoked_later(real: Any) -> Any:
    """Hand the invocation over together with the completion."""

    def append(self: Any, *ops: Any) -> None:
        kept = getattr(self, "kept", ())
        self.kept = () if ops[-1].type != "invoke" else (*kept, *ops)
        if ops[-1].type != "invoke":
            real(self, *kept, *ops)

    return append


def _first_step_only(real: Any) -> Any:
    def enter(self: Any, old: Any) -> None:
        if self.entered is None:
            real(self, old)
            self.left = None

    return enter


def _same_block(real: Any) -> Any:
    return lambda self, rng, process: real(self, rng, 0)


RULES = [
    # The engine
    Rule("a definite error is fail", ENGINE + "test_1_1_a_definite_error_is_fail_and_keeps_the_process",
         seat, "classify", _answers(type="info")),
    Rule("anything else is info", ENGINE + "test_1_1_anything_else_is_info_and_retires_the_process",
         seat, "classify", _answers(type="fail")),
    Rule("an error of a connection that we did not see is unknown",
         ENGINE + "test_1_4_a_definite_error_of_a_connection_that_we_did_not_see_is_info",
         outcomes, "_came_through", always(True)),
    Rule("an answer after the deadline is too late",
         ENGINE + "test_1_7_an_answer_after_the_deadline_is_too_late",
         lane.Turn, "_timeout", always(Answer(type="ok"))),
    Rule("a write elsewhere makes a definite error unknown",
         CLASSIFY + "test_1_1_a_definite_error_after_a_write_outside_what_it_rolled_back_is_info",
         outcomes, "classify", _answers(type="fail")),
    Rule("errors are never found through __context__", CLASSIFY + "test_1_1_never_through_context",
         outcomes, "causes",
         lambda real: lambda error: [error, *([error.__context__] if error.__context__ else [])]),
    Rule("on untraced connections only Failed is definite",
         CLASSIFY + "test_1_4_on_untraced_connections_only_failed_is_definite",
         outcomes, "classify", _answers(type="fail")),
    Rule("after a fail the connection is rolled back",
         ENGINE + "test_1_3_after_a_fail_the_connection_is_rolled_back",
         seat.Seat, "settle", always(True)),
    Rule("a connection that cannot be rolled back is retired",
         ENGINE + "test_1_3_a_connection_that_cannot_be_rolled_back_retires_the_process",
         seat.Seat, "settle", always(True)),
    Rule("an ok that leaves a transaction open is counted",
         ENGINE + "test_1_3_an_ok_that_leaves_a_transaction_open_is_counted_and_then_rolled_back",
         lane.Turn, "_completion",
         lambda real: lambda *a, **k: msgspec.structs.replace(real(*a, **k), ext=None)),
    Rule("a falsy answer is a refusal",
         ENGINE + "test_1_5_a_falsy_answer_of_a_method_that_answers_yes_or_no_is_refused",
         bank_workload, "_METHODS",
         lambda real: {**real, "transfer": session.Method(real["transfer"].call, session.done)}),
    Rule("None from acquire is a refusal",
         ENGINE + "test_1_5_none_from_acquire_is_refused_and_what_release_answers_is_ignored",
         lock_session._Holder, "answer", always(Answer(type="ok"))),
    Rule("None from any other method is ok", ENGINE + "test_1_5_none_from_any_other_method_is_ok",
         register_workload, "_METHODS",
         lambda real: {**real, "write": session.Method(real["write"].call, session.yes_or_no)}),
    Rule("a suspicious ok stays ok and is counted",
         ENGINE + "test_1_6_a_suspicious_ok_stays_ok_and_is_counted", lane.Turn, "_completion",
         lambda real: lambda *a, **k: msgspec.structs.replace(real(*a, **k), type="info")),
    Rule("Failed is fail", ENGINE + "test_failed_is_fail_whatever_was_written",
         seat, "classify", _answers(type="info")),
    Rule("every operation has a deadline",
         ENGINE + "test_1_7_at_its_deadline_an_operation_is_info_and_its_worker_goes_on",
         lane.Turn, "overdue", always(False)),
    Rule("a process id never outlives its client",
         ENGINE + "test_2_a_process_id_never_outlives_its_client",
         lane.Lane, "next_turn",
         lambda real: lambda self, phase: (setattr(self, "incarnation", 0), real(self, phase))[1]),
    Rule("the invocation comes first",
         ENGINE + "test_3_1_the_invocation_is_on_its_way_to_the_disk_before_the_strategy_is_called",
         journal.Segment, "append", _invoked_later),
    Rule("times strictly increase within a process",
         ENGINE + "test_3_2_times_strictly_increase_within_a_process",
         lane.Turn, "_now", always(7)),
    Rule("a stream is a function of seed, worker and incarnation",
         ENGINE + "test_3_3_a_workers_stream_is_a_function_of_seed_worker_and_incarnation",
         seat.Shop, "script", lambda real: lambda self, phase, worker, process: real(self, phase, 0, 8)),
    Rule("written values are never repeated",
         ENGINE + "test_3_3_a_respawned_worker_never_writes_a_value_again",
         register_workload.Register, "main", _same_block),
    Rule("a lease brings its own seconds", ENGINE + "test_4_2_a_lease_brings_its_own_seconds",
         lock_session._Holder, "answer", _answers(ext=None)),
    Rule("guarded is two operations",
         ENGINE + "test_4_4_guarded_is_a_read_up_to_step_and_a_write_from_its_return",
         lock_session.GuardedByStrategy, "ended", lambda real: lambda self, ask, answer: answer),
    Rule("only the last call of step counts",
         ENGINE + "test_4_4_where_a_retry_calls_step_again_only_the_last_call_counts",
         lock_session._Step, "_enter", _first_step_only),
    Rule("a stale token is refused",
         ENGINE + "test_4_4_a_stale_token_is_refused_on_entry_or_at_the_write",
         lock_session, "yes_or_no", always(Answer(type="ok"))),
    Rule("a refused write is a refusal",
         ENGINE + "test_4_4_a_refused_write_is_a_read_and_a_refusal",
         lock_session, "yes_or_no", always(Answer(type="ok"))),
    Rule("what breaks after step leaves the write unknown",
         ENGINE + "test_4_4_what_breaks_after_step_leaves_the_write_unknown",
         lock_session.GuardedByStrategy, "ended", lambda real: lambda self, ask, answer: answer),
    Rule("a senseless answer is info",
         ENGINE + "test_an_answer_that_makes_no_sense_is_info_and_says_what_was_expected",
         counter_workload, "integer", always(0)),
    # Floors
    Rule("a run that reached every floor proves something",
         FLOORS + "test_8_a_run_that_reached_every_floor_proves_something",
         floors, "_counts", lambda real: lambda *a: iter(["never enough"])),
    Rule("a pass needs the final reads",
         FLOORS + "test_8_a_run_without_its_final_reads_proves_nothing",
         floors, "_finals", lambda real: lambda *a: iter(())),
    *(Rule(f"a pass needs {what}", FLOORS + test, floors, "_counts", lambda real: lambda *a: iter(()))
      for what, test in {
          "a hundred operations": "test_8_too_few_operations_prove_nothing",
          "operations that met": "test_8_operations_that_never_met_prove_nothing",
          "locks that changed hands": "test_8_a_lock_that_never_changed_hands_proves_nothing",
      }.items()),
    Rule("dry operations do not count", FLOORS + "test_8_dry_operations_do_not_count",
         *columns(_none_dry)),
    *(Rule(f"a pass needs {what}", FLOORS + test, floors, "_faults", lambda real: lambda *a: iter(()))
      for what, test in {
          "each fault to strike": "test_8_a_fault_that_never_struck_proves_nothing",
          "each fault to take effect": "test_8_a_fault_that_did_not_take_effect_proves_nothing",
          "each fault to meet somebody": "test_8_a_fault_that_met_no_operation_proves_nothing",
      }.items()),
    *(Rule(f"a lock's pass needs {what}", FLOORS + test, floors, "_struck", always(True))
      for what, test in {
          "a paused holder":
              "test_4_6_a_pass_under_pause_client_needs_a_holder_paused_for_longer_than_the_ttl",
          "a killed holder":
              "test_4_6_a_pass_under_kill_client_needs_a_process_killed_while_it_held",
      }.items()),
    # Outcomes
    Rule("a refused cas is an observation",
         OUTCOMES + "test_1_5_a_refused_cas_is_an_observation",
         models.CasRegister, "refusals", lambda real: ()),
    Rule("every other failure is dropped",
         OUTCOMES + "test_1_5_every_other_failure_is_dropped", *columns(_all_refused)),
    Rule("what failed did not happen",
         OUTCOMES + "test_1_1_what_failed_did_not_happen", *columns(_typed_ok(FAIL))),
    Rule("an unknown outcome may have happened",
         OUTCOMES + "test_1_1_an_unknown_outcome_may_have_happened", *columns(_typed_failed)),
    Rule("an unknown outcome may not have happened",
         OUTCOMES + "test_1_1_an_unknown_outcome_may_not_have_happened",
         *columns(_typed_ok(INFO))),
    Rule("an unknown outcome may happen later",
         OUTCOMES + "test_1_1_an_unknown_outcome_may_happen_later", *columns(_typed_ok(INFO))),
    # History
    Rule("equal times are concurrent",
         OUTCOMES + "test_3_2_equal_times_are_concurrent",
         *columns(_earlier_by_one)),
    Rule("an invocation without completion is open for ever",
         OUTCOMES + "test_3_2_an_invocation_without_completion_is_open_for_ever",
         *columns(_typed_failed)),
    Rule("an invocation without completion is info",
         HISTORY + "test_an_invocation_without_completion_is_info_and_open_for_ever",
         *columns(_typed_failed)),
    Rule("without times the order of lines counts",
         OUTCOMES + "test_3_2_without_times_the_order_of_lines_counts",
         *columns(_all_at_once)),
    Rule("events of the nemesis need no pairs",
         OUTCOMES + "test_3_2_events_of_the_nemesis_need_no_pairs",
         history, "pairs",
         lambda real: lambda process, *columns, **told: real(
             np.where(process < 0, 99, process), *columns, **told)),
    Rule("a process does one thing at a time",
         OUTCOMES + "test_3_2_a_process_does_one_thing_at_a_time",
         pairing, "_still_open", lambda real: lambda told: np.zeros(len(told.place), dtype=bool)),
    Rule("what does not pair is refused",
         HISTORY + "test_what_does_not_pair_is_refused_with_line_and_reason",
         pairing, "_completes_nothing",
         lambda real: lambda told: np.zeros(len(told.place), dtype=bool)),
    Rule("values are keyed when all writes and ok reads are pairs",
         OUTCOMES + "test_3_5_values_are_keyed_when_all_writes_and_ok_reads_are_pairs",
         registers, "_keys",
         lambda real: lambda of, rows, kind, keyed: real(of, rows, kind, False)),
    Rule("a step may have several next states",
         OUTCOMES + "test_3_5_a_step_may_have_several_next_states",
         linear_operations.Codes, "step", _first_next_state),
    Rule("a value that nobody wrote is garbage",
         OUTCOMES + "test_7_a_value_that_nobody_wrote_is_garbage",
         linearizable, "garbage", always(np.zeros(0, dtype=np.int64))),
    # Joining
    Rule("violated beats unknown beats holds", OUTCOMES + "test_join_violated_beats_unknown_beats_holds",
         verdict, "_RANK", lambda real: {"holds": 2, "unknown": 1, "violated": 0}),
    Rule("the worst outcome wins", VERDICT + "test_the_worst_outcome_wins",
         verdict, "_RANK", lambda real: {"holds": 0, "unknown": 0, "violated": 2}),
    Rule("no verdict at all is unknown", VERDICT + "test_no_verdicts_at_all_are_unknown",
         verdict, "unknown", always(verdict.Verdict(verdict="holds"))),
    Rule("no checker at all is unknown", OUTCOMES + "test_join_no_checker_at_all_is_unknown",
         verdict, "unknown", always(verdict.Verdict(verdict="holds"))),
    Rule("a checker that raises is unknown",
         OUTCOMES + "test_join_a_checker_that_raises_is_unknown_with_the_reason",
         judge, "unknown", always(verdict.Verdict(verdict="holds"))),
    Rule("a checker that raises hides no other",
         OUTCOMES + "test_join_a_checker_that_raises_hides_no_other",
         judge, "join", lambda real: lambda verdicts: real(list(verdicts)[:1])),
    Rule("bad input is no verdict", OUTCOMES + "test_join_bad_input_is_no_verdict",
         judge, "UsageError", lambda real: ZeroDivisionError),
    Rule("nothing judged is nothing proved", OUTCOMES + "test_8_nothing_judged_is_nothing_proved",
         counter, "unknown", always(verdict.Verdict(verdict="holds"))),
    Rule("liveness alone is unknown", OUTCOMES + "test_9_liveness_alone_is_unknown",
         judge, "weigh_liveness",
         lambda real: lambda said, **_: msgspec.structs.replace(said, verdict="holds")),
    Rule("liveness is a violation where progress is required",
         OUTCOMES + "test_9_liveness_is_a_violation_where_progress_is_required",
         judge, "weigh_liveness", lambda real: lambda said, **_: said),
    Rule("safety stands beside liveness", OUTCOMES + "test_9_safety_stands_beside_liveness",
         judge, "join", _only_the_last),
    # Locks
    Rule("an indeterminate acquire is no hold",
         LOCKS + "test_4_1_an_indeterminate_acquire_is_no_hold",
         *columns(_typed_ok(INFO))),
    Rule("a hold ends when its release is invoked",
         LOCKS + "test_4_1_a_hold_ends_when_its_release_is_invoked",
         holds, "_given_up", lambda real: lambda release: release.ret),
    Rule("whatever the outcome of the release",
         LOCKS + "test_4_1_a_hold_ends_when_its_release_is_invoked_whatever_its_outcome",
         holds, "_given_up",
         lambda real: lambda release: np.where(release.type == OK, release.call, release.ret)),
    Rule("a hold without release ends with the last event of its process",
         LOCKS + "test_4_1_a_hold_without_release_ends_with_the_last_event_of_its_process",
         holds, "_last_events", each(0)),
    Rule("who never came back does not hold for ever",
         LOCKS + "test_4_1_who_never_came_back_does_not_hold_for_ever",
         holds, "_last_events", each(history.FOREVER)),
    Rule("an info that others wrote does not prolong a hold",
         LOCKS + "test_4_1_an_info_that_others_may_have_written_does_not_prolong_a_hold",
         holds, "_last_events", _last_events_of_all),
    Rule("without leases the window is the hold",
         LOCKS + "test_4_2_without_leases_the_window_is_the_hold",
         lock.LockChecker, "__init__", _option(lease="ttl")),
    Rule("a renewed lease must not run out", LOCKS + "test_4_2_a_renewed_lease_must_not_run_out",
         lock.LockChecker, "__init__", _option(lease="ttl")),
    Rule("a lease with its own seconds replaces the ttl",
         LOCKS + "test_4_2_a_lease_with_its_own_seconds_replaces_the_ttl",
         holds, "granted_seconds",
         lambda real: lambda of, acquire, ttl: np.full(len(acquire), ttl)),
    Rule("a lease runs from the call of its acquire",
         LOCKS + "test_4_2_a_lease_runs_from_the_call_of_its_acquire",
         *columns(_times_of("acquire", call="ret"))),
    Rule("overlapping lease windows are a violation",
         LOCKS + "test_4_3_overlapping_lease_windows_are_always_a_violation",
         lock, "overlaps", always([])),
    Rule("windows that only touch do not overlap",
         LOCKS + "test_4_3_windows_that_only_touch_do_not_overlap",
         holds, "_given_up", lambda real: lambda release: release.call + 1),
    Rule("holding past the lease is unknown on a busy machine",
         LOCKS + "test_4_3_holding_past_the_lease_is_unknown_on_a_busy_machine",
         lock.LockChecker, "_must_not_expire", always(True)),
    Rule("holding past the lease is a violation under pauses",
         LOCKS + "test_4_3_holding_past_the_lease_is_a_violation_when_clients_were_to_be_paused",
         lock.LockChecker, "_must_not_expire", always(False)),
    Rule("a paused server does not make it a violation",
         LOCKS + "test_4_3_a_paused_server_does_not_make_it_a_violation",
         lock.LockChecker, "_must_not_expire", lambda real: lambda self: bool(self._faults)),
    Rule("nor what a stalled holder wrote after its lease",
         LOCKS + "test_4_3_nor_does_what_a_stalled_holder_wrote_after_its_lease",
         lock.LockChecker, "_counts",
         lambda real: lambda self, of, guarded: np.ones(len(guarded), dtype=bool)),
    Rule("two sections that read the same version lose an update",
         LOCKS + "test_4_4_two_sections_that_read_the_same_version_lose_an_update",
         sections.Sections, "alike", lambda real: lambda self: self.of(slice(0))),
    Rule("a section with an info never counts",
         LOCKS + "test_4_4_a_section_with_an_info_in_it_never_counts",
         *columns(_typed_ok(INFO))),
    Rule("a refused write loses nothing",
         LOCKS + "test_4_4_a_write_that_the_resource_refused_loses_nothing",
         *columns(_typed_ok(FAIL))),
    Rule("an untouched resource reads nil or zero",
         LOCKS + "test_4_4_an_untouched_resource_reads_nil_or_zero",
         sections, "_version", lambda real: lambda value: value[1]),
    Rule("with fencing only the resource is judged",
         LOCKS + "test_4_4_with_fencing_only_the_resource_is_judged",
         lock.LockChecker, "__init__", _option(fencing=False)),
    Rule("a refusal proves nothing", LOCKS + "test_4_6_a_refusal_proves_nothing",
         *columns(_refused_means_given)),
    # Bounds
    Rule("a read sees what was acknowledged before it",
         BOUNDS + "test_6_a_read_sees_at_least_what_was_acknowledged_before_it",
         counter, "gaps", lambda real: lambda adds, reads: 0 * reads.value),
    Rule("a read sees no more than was attempted",
         BOUNDS + "test_6_a_read_sees_at_most_what_was_attempted_before_it_returned",
         counter, "gaps", lambda real: lambda adds, reads: np.maximum(0, real(adds, reads))),
    Rule("an add under way may be seen or not",
         BOUNDS + "test_6_an_add_under_way_may_be_seen_or_not",
         *columns(_times_of("add", ret="call"))),
    Rule("a decrement under way lowers the lower bound",
         BOUNDS + "test_6_a_decrement_under_way_lowers_the_lower_bound",
         *columns(_times_of("add", call="ret"))),
    Rule("an acknowledged decrement lowers the upper bound",
         BOUNDS + "test_6_an_acknowledged_decrement_lowers_the_upper_bound",
         counter, "gaps", lambda real: lambda adds, reads: np.maximum(0, real(adds, reads))),
    Rule("at rest an indeterminate add counts or not",
         BOUNDS + "test_6_at_rest_an_indeterminate_add_counts_or_not",
         counting, "reachable", _without_subset),
    Rule("at rest the value is a subset of the indeterminate",
         BOUNDS + "test_6_at_rest_the_value_is_a_subset_of_the_indeterminate",
         counting, "reachable", _within_bounds_only),
    Rule("an add that failed does not count",
         BOUNDS + "test_6_an_add_that_failed_does_not_count", *columns(_typed_ok(FAIL))),
    Rule("new values that exclude each other name the pair",
         BOUNDS + "test_6_new_values_that_exclude_each_other_name_the_pair",
         counter, "clashing", always([])),
    Rule("a new value may come back where there are decrements",
         BOUNDS + "test_6_a_new_value_may_come_back_where_there_are_decrements",
         counter, "moved", _only_increments),
    Rule("new values accuse nobody where nothing is missing",
         BOUNDS + "test_6_new_values_accuse_nobody_where_nothing_is_missing",
         counter, "bounded", _something_lost),
    Rule("a bank has the same total in every read",
         BOUNDS + "test_6_a_bank_has_the_same_total_in_every_read",
         bank.BankChecker, "_unbalanced", always([])),
    Rule("an indeterminate transfer changes no total",
         BOUNDS + "test_6_an_indeterminate_transfer_changes_no_total",
         bank.BankChecker, "_unbalanced", _unless_unknown),
    Rule("at rest an account has what acknowledged transfers left",
         BOUNDS + "test_6_at_rest_an_account_has_what_acknowledged_transfers_left",
         bank.BankChecker, "_unsettled", always([])),
    Rule("a transfer that was refused does not count",
         BOUNDS + "test_6_a_transfer_that_was_refused_does_not_count",
         *columns(_typed_ok(FAIL))),
    Rule("no balance falls below zero", BOUNDS + "test_6_no_balance_falls_below_zero",
         bank, "_overdrawn", always([])),
    Rule("a read without an account is garbage",
         BOUNDS + "test_6_a_read_without_an_account_is_garbage",
         accounts, "_complete", always(True)),
    # Sets, names, queues, sessions, limits
    Rule("an indeterminate add may never appear",
         APPLICATIONS + "test_6_an_indeterminate_add_may_never_appear",
         *columns(_typed_ok(INFO))),
    Rule("an indeterminate add may appear at any time",
         APPLICATIONS + "test_6_an_indeterminate_add_may_appear_at_any_time",
         *columns(_typed_failed)),
    Rule("a late read fails only where linearizable is demanded",
         APPLICATIONS + "test_6_a_late_read_fails_only_where_linearizable_is_demanded",
         set_full.SetFullChecker, "__init__", _option(linearizable=True)),
    Rule("a late read is told", APPLICATIONS + "test_6_a_late_read_is_told",
         set_full, "counted", always("nothing")),
    Rule("a refused claim proves nothing",
         APPLICATIONS + "test_1_5_a_refused_claim_proves_nothing", *columns(_typed_ok(FAIL))),
    Rule("an unanswered request was given nobody knows what",
         APPLICATIONS + "test_1_1_what_an_unanswered_request_was_given_nobody_knows",
         *columns(_typed_ok(INFO))),
    Rule("an indeterminate message is delivered any number of times",
         APPLICATIONS + "test_6_an_indeterminate_message_is_delivered_any_number_of_times",
         *columns(_typed_ok(INFO))),
    Rule("nothing is lost before the queue was drained",
         APPLICATIONS + "test_6_nothing_is_lost_before_the_queue_was_drained",
         total_queue, "_missing", always([])),
    Rule("an unheard consumption may have taken a message",
         APPLICATIONS + "test_6_an_unheard_consumption_may_have_taken_a_message",
         *columns(_typed_failed)),
    Rule("what is delivered at least once may come again",
         APPLICATIONS + "test_6_what_is_delivered_at_least_once_may_come_again",
         total_queue.TotalQueueChecker, "__init__", _option(delivery="exactly")),
    Rule("an admission counts only where it lies wholly within a window",
         APPLICATIONS + "test_6_an_admission_counts_only_where_it_lies_wholly_within_a_window",
         *columns(_times_of("allow", ret="call"))),
    Rule("a stretch may touch two fixed windows",
         APPLICATIONS + "test_6_a_stretch_may_touch_two_fixed_windows",
         admission.RateLimitChecker, "__init__", _option(kind="sliding")),
    Rule("whoever is leaving is not inside",
         APPLICATIONS + "test_4_1_whoever_is_leaving_is_not_inside",
         *columns(_times_of("leave", call="ret"))),
    Rule("who never came back is not inside for ever",
         APPLICATIONS + "test_4_1_who_never_came_back_is_not_inside_for_ever",
         admission, "_last_events", each(history.FOREVER)),
    Rule("no obligation crosses a reconnect",
         APPLICATIONS + "test_5_no_obligation_crosses_a_reconnect",
         sessions, "_session_of", _one_session_for_each_seat),
    Rule("a key of sessions has one writer",
         APPLICATIONS + "test_5_a_key_has_one_writer_whose_numbers_grow",
         sessions, "_check_writers", _nothing),
    Rule("an indeterminate write binds nobody until it is seen",
         APPLICATIONS + "test_5_an_indeterminate_write_binds_nobody_until_it_is_seen",
         *columns(_typed_ok(INFO))),
    Rule("an indeterminate join may keep a group alive",
         APPLICATIONS + "test_6_an_indeterminate_join_may_keep_a_group_alive",
         *columns(_typed_failed)),
    Rule("an indeterminate request has its effect or not",
         APPLICATIONS + "test_6_an_indeterminate_request_has_its_effect_or_not",
         *columns(_typed_failed)),
    Rule("an indeterminate visit counts or not",
         APPLICATIONS + "test_6_an_indeterminate_visit_counts_or_not",
         *columns(_typed_ok(INFO))),
    Rule("an indeterminate write makes nothing old",
         APPLICATIONS + "test_6_an_indeterminate_write_makes_nothing_old",
         *events(_answered_well)),
    Rule("the same value written twice is bad input",
         APPLICATIONS + "test_7_the_same_value_written_twice_is_bad_input",
         staleness, "_origins", lambda real: lambda key: {op.asked[1]: op for op in key.writes}),
    Rule("a key with two values can show no fork",
         APPLICATIONS + "test_7_a_key_with_two_values_can_show_no_fork",
         long_fork, "_check_one_value", _nothing),
    # Liveness
    Rule("steady success is progress", LIVENESS + "test_9_steady_success_is_progress",
         progress.ProgressChecker, "_succeeded",
         lambda real: lambda self, of: np.zeros(len(of.table), dtype=bool)),
    Rule("every attempt aborted is a livelock",
         LIVENESS + "test_9_every_attempt_aborted_is_a_livelock", progress, "ABORTS",
         lambda real: 10**9),
    Rule("no success for a third is no progress",
         LIVENESS + "test_9_no_success_for_a_third_of_the_main_phase_is_no_progress",
         progress, "_longest", always(None)),
    Rule("less than a third is no finding", LIVENESS + "test_9_less_than_a_third_is_no_finding",
         progress.ProgressChecker, "_silent",
         lambda real: lambda self, of, attempts, clock, threshold: real(
             self, of, attempts, clock, progress.SHORTEST)),
    Rule("time under a fault does not count",
         LIVENESS + "test_9_time_under_a_fault_and_a_second_after_it_do_not_count",
         progress._Clock, "counted", lambda real: lambda self, begin, end: end - begin),
    Rule("a refusal is an answer", LIVENESS + "test_9_a_refusal_is_an_answer",
         progress.ProgressChecker, "_succeeded", lambda real: lambda self, of: of.table.type == OK),
    Rule("a refused acquire is a request that waits",
         LIVENESS + "test_9_a_refused_acquire_is_a_request_that_waits",
         progress.ProgressChecker, "_succeeded",
         lambda real: lambda self, of: (of.table.type == OK) | of.table.refused),
    Rule("a lock that nobody gets for five ttls is a deadlock",
         LIVENESS + "test_9_a_lock_that_nobody_gets_for_five_ttls_is_a_deadlock",
         progress, "TTLS", lambda real: 100),
    Rule("a lock that nobody asks for is not stuck",
         LIVENESS + "test_9_a_lock_that_nobody_asks_for_is_not_stuck",
         progress, "_longest",
         lambda real: lambda group, clock: progress.Silence(0, 9 * 10**9, 9 * 10**9, group)),
    Rule("a session blocked at the end is a deadlock",
         LIVENESS + "test_9_a_session_blocked_at_the_end_is_a_deadlock",
         progress, "_blocked", always([])),
    Rule("the final phase does not count",
         LIVENESS + "test_9_the_final_phase_does_not_count",
         progress, "_in_main_phase", lambda real: lambda of: np.ones(len(of), dtype=bool)),
    Rule("attempts that never succeed are a livelock",
         LIVENESS + "test_9_attempts_that_never_succeed_are_a_livelock_wherever_they_stand",
         progress, "_in_vain", always([])),
    Rule("another attempt that succeeded tells that others may",
         LIVENESS + "test_9_one_that_succeeded_at_another_attempt_tells_that_others_may",
         progress.Attempts, "success", lambda real: property(
             lambda self: np.zeros(len(self), dtype=bool), lambda self, value: None)),
    Rule("few attempts are no livelock",
         LIVENESS + "test_9_few_or_quick_attempts_are_no_livelock", progress, "ABORTS",
         lambda real: 1),
    Rule("quick attempts are no livelock",
         LIVENESS + "test_9_few_or_quick_attempts_are_no_livelock", progress, "SHORTEST",
         lambda real: 0),
]  # fmt: skip


BUGS = (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError)
"""What code raises that was broken by mistake: that is not the rule's test that fails."""


class SwitchedOff:
    """A pytest plugin: breaks the code while a test runs, and remembers how the test ended."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.outcomes: list[str] = []
        self.crashes: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Any:
        rule = self.rule
        with pytest.MonkeyPatch.context() as patch:
            real = getattr(rule.owner, rule.attribute)
            patch.setattr(rule.owner, rule.attribute, rule.broken(real))
            return (yield)

    @pytest.hookimpl
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Note what was raised elsewhere than in the test itself."""
        raised = call.excinfo
        if raised is not None and raised.errisinstance(BUGS):
            where = raised.traceback[-1]
            if Path(where.path) != item.path:
                self.crashes.append(f"{raised.exconly()} ({where.path}:{where.lineno + 1})")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.outcomes.append(report.outcome)


def run(rule: Rule) -> SwitchedOff:
    """How the test named for a rule ends while the rule is switched off."""
    plugin = SwitchedOff(rule)
    options = ["-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist"]
    pytest.main([str(TESTS / rule.test), *options], plugins=[plugin])
    return plugin


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says)
def test_a_rule_that_is_switched_off_is_missed(rule: Rule) -> None:
    ended = run(rule)
    assert ended.outcomes, f"{rule.test} does not exist"
    assert not ended.crashes, f"{rule.test} cannot tell: the code does not run any more"
    assert "failed" in ended.outcomes, f"{rule.test} passes although the rule is switched off"


def test_every_test_of_a_rule_has_its_row() -> None:
    """A rule's test that no row breaks may be unable to fail."""
    named = {rule.test for rule in RULES}
    for path in sorted(TESTS.glob("unit/**/test_rules_*.py")):
        for line in path.read_text().splitlines():
            if line.startswith("def test_"):
                name = line.removeprefix("def ").partition("(")[0]
                assert f"{path.relative_to(TESTS).as_posix()}::{name}" in named
