"""What a history is of is told from its operations, or asked for where several things fit."""

import msgspec
import pytest

from dokkaebi.harness.errors import UsageError
from dokkaebi.harness.history import History, Op
from dokkaebi.inference import infer


def history(*operations, timed=False):
    events = []
    for f, asked, *answer in operations:
        value = answer[0] if answer else asked
        events.append(Op(process=0, type="invoke", f=f, value=asked))
        events.append(Op(process=0, type="ok", f=f, value=value))
    times = range(len(events)) if timed else [-1] * len(events)
    return History(
        msgspec.structs.replace(event, time=time) for event, time in zip(events, times, strict=True)
    )


@pytest.mark.parametrize(
    ("operations", "kind", "name"),
    [
        ([("write", 1), ("read", None, 1)], "model", "cas-register"),
        ([("cas", [1, 2]), ("read", None, 2)], "model", "cas-register"),
        ([("add", 1), ("read", None, 1)], "workload", "counter"),
        ([("add", ["x", 1]), ("read", ["x", None], ["x", 1])], "workload", "counter"),
        ([("add", 1), ("add", 1)], "workload", "counter"),
        ([("add", 1), ("add", 2), ("read", None, [1, 2])], "workload", "set"),
        ([("add", ["x", 1]), ("read", ["x", None], ["x", [1]])], "workload", "set"),
        ([("transfer", {"from": 0}), ("read", None, {"0": 1})], "workload", "bank"),
        ([("read", None, {"0": 1})], "workload", "bank"),
        ([("enqueue", 1), ("consume", None, 1)], "workload", "queue"),
        ([("execute", [1, 5]), ("read", None, [[1, 5]])], "workload", "ledger"),
        ([("txn", [["append", 1, 2]])], "workload", "append"),
        ([("txn", [["r", 1, None]], [["r", 1, [2]]])], "workload", "append"),
        ([("txn", [["w", 1, 2], ["r", 1, None]])], "workload", "wr"),
        ([("txn", [["r", 1, None]], [["r", 1, 2]])], "workload", "wr"),
        ([("txn", [["read", "x", None], ["write", "y", 1]])], "model", "multi-register"),
        ([("read", [["r", 0, None]], [["r", 0, 1]])], "workload", "long-fork"),
    ],
)
def test_it_is_told_from_functions_and_values(operations, kind, name):
    guess = infer(history(*operations), ours=False)
    assert (guess.kind, guess.name) == (kind, name)
    assert guess.reason


def test_registers_of_ours_are_the_workload():
    guess = infer(history(("write", [0, 1]), ("cas", [0, [1, 2]])), ours=True)
    assert (guess.kind, guess.name) == ("workload", "register")


def test_without_cas_ours_may_be_sessions_whose_reads_may_be_old():
    with pytest.raises(UsageError, match=r"--workload register .*--workload session"):
        infer(history(("write", [0, 1]), ("read", [0, None], [0, 1])), ours=True)


@pytest.mark.parametrize(
    ("operations", "candidates"),
    [
        ([("add", 1), ("add", 2)], ["--workload counter", "--workload set"]),
        ([("txn", [["append", 1, 2], ["w", 3, 4]])], ["--workload append", "--workload wr"]),
        ([("txn", [["r", 1, None]])], ["--workload append", "--workload wr"]),
        ([("enqueue", 1), ("dequeue", None, 1)], ["--workload queue", "--model fifo-queue"]),
    ],
)
def test_where_several_things_fit_they_are_listed(operations, candidates):
    with pytest.raises(UsageError) as refused:
        infer(history(*operations), ours=False)
    for candidate in candidates:
        assert candidate in str(refused.value)


def test_locks_with_names_are_the_workload():
    named = [("acquire", "lock-0"), ("release", "lock-0")]
    assert infer(history(*named, timed=True), ours=False).name == "lock"


def test_locks_without_names_may_be_a_plain_mutex_and_without_times_are_no_leases():
    with pytest.raises(UsageError, match=r"--workload lock .*--model mutex .*--model owner-mutex"):
        infer(history(("acquire", None), ("release", None), timed=True), ours=False)
    with pytest.raises(UsageError) as refused:
        infer(history(("acquire", "a"), ("release", "a")), ours=False)
    assert "--model mutex" in str(refused.value)
    assert "--workload lock" not in str(refused.value)


def test_what_fits_nothing_and_what_is_empty_is_refused():
    with pytest.raises(UsageError, match=r"fit no workload.*counter.*--model"):
        infer(history(("dance", 1)), ours=False)
    with pytest.raises(UsageError, match="empty"):
        infer(History([]), ours=False)
