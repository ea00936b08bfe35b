"""Planted anomalies are found, named exactly, and told with their own witness."""

import random

import msgspec
import pytest
from histories import ACCOUNTS, FINAL, OPENING, correct_bank, correct_counter, correct_lock
from mini import history, in_order

from dokkaebi.checkers.anomalies import define
from dokkaebi.checkers.bank import BankChecker
from dokkaebi.checkers.counter import CounterChecker
from dokkaebi.checkers.linearizable import LinearizableChecker
from dokkaebi.checkers.lock import LockChecker
from dokkaebi.checkers.models import CasRegister, Mutex, Register
from dokkaebi.checkers.progress import ProgressChecker

COUNTER = CounterChecker()
BANK = BankChecker(initial={"a": 100, "b": 100, "c": 100})
REGISTER = LinearizableChecker(CasRegister(0))
LOCK = LockChecker(ttl=1.0, faults=["pause-client"])

PLANTED = {
    "two adds that read the same value": (
        COUNTER,
        """
        0  add x 2    0-5    = 2
        1  add x 3    1-6    = 3
        2  read x 3   10-11
        """,
        "lost-update",
        (0, 1, 4),
        "Processes 0 and 1 added 2 and 3 to counter x when it was 0, and were told that it is "
        "now 2 and 3: one of the two updates is lost. Counter x is 3 at rest, but the "
        "acknowledged adds make 5.",
    ),
    "a sum too low": (
        COUNTER,
        """
        0  add x 1    0-5
        1  add x 1    1-6
        2  add x 1    7-8
        2  read x 2   10-11
        """,
        "lost-update",
        (6, 0, 1),
        "Counter x is 2 at rest, but the acknowledged adds make 3. The adds of processes 0 and 1 "
        "overlapped: probably one of these overwrote the other.",
    ),
    "a low read that is right later": (
        COUNTER,
        """
        0  add x 1    0-5
        1  read x 0   6-7
        2  read x 1   10-11
        """,
        "stale-read",
        (2,),
        "Counter x is 0 at rest, but the acknowledged adds make 1. "
        "Later nothing was missing: the read was stale.",
    ),
    "an add that counted twice": (
        COUNTER,
        """
        0  add x 4    0-5
        2  read x 8   10-11
        """,
        "duplicate-effect",
        (2,),
        "Counter x is 8, but everything that can have happened makes 4 at most: "
        "something took effect more than once, or nobody asked for it.",
    ),
    "an add that failed and counted": (
        COUNTER,
        """
        0  add x 4    0-5
        1  add x 3    0-5   fail
        2  read x 7   10-11
        """,
        "ghost-effect",
        (4, 1),
        "Counter x is 7, but everything that can have happened makes 4 at most: "
        "the add of 3 by process 1, which failed, took effect.",
    ),
    "a value that was never there": (
        COUNTER,
        """
        0  add x 4    0-5
        2  read x 9   10-11
        2  read x 4   20-21
        """,
        "garbage-read",
        (2,),
        "Process 2 read 9 from counter x, a value that the counter never had.",
    ),
    "half of a transfer": (
        BANK,
        """
        0  transfer a b 10             0-9
        1  balances a=90 b=100 c=100   2-3
        1  balances a=90 b=110 c=100   20-21
        """,
        "conservation",
        (1, 0),
        "Process 1 saw 290 in all accounts together, but the bank holds 300. It saw that 10 from "
        "a to b (process 0) had left but not arrived.",
    ),
    "a transfer that is gone": (
        BANK,
        """
        0  transfer a b 10             0-9
        1  transfer a b 20             1-8
        1  balances a=80 b=120 c=100   20-21
        """,
        "lost-update",
        (4, 0),
        "At rest account a has 80, but the acknowledged transfers make 70: "
        "the transfer of 10 by process 0 is lost.",
    ),
    "a balance below zero": (
        BANK,
        """
        0  transfer a b 80             0-9
        1  transfer a c 70             1-8
        1  balances a=-50 b=180 c=170  20-21
        """,
        "overdraft",
        (4, 0, 1),
        "Process 1 saw account a at -50, below zero. Processes 0 and 1 had both taken from it at "
        "the same time, 80 and 70.",
    ),
    "a read of what was overwritten": (
        REGISTER,
        """
        0  write x 1  0-1
        1  write x 2  2-3
        2  read x 1   4-5
        """,
        "stale-read",
        (4, 2),
        "Process 2 read 1 (key x), although process 1 wrote 2 after that and before the read "
        "began.",
    ),
    "a read of what nobody wrote": (
        REGISTER,
        "2  read x 77  4-5",
        "garbage-read",
        (0,),
        "Process 2 read 77 (key x), a value that nobody ever wrote.",
    ),
    "two cas from one value": (
        REGISTER,
        """
        0  write x 1  0-1
        1  cas x 1 2  2-5
        2  cas x 1 3  3-6
        """,
        "nonlinearizable",
        (3,),
        "Process 2 succeeded with its compare-and-set from 1 to 3 (key x), which fits no order "
        "of the operations: the state can only have been 2 then.",
    ),
    "a mutex held twice": (
        LinearizableChecker(Mutex()),
        """
        0  acquire a  0-1
        1  acquire a  2-3
        """,
        "nonlinearizable",
        (2,),
        "Process 1 acquired it (key a), which fits no order of the operations: "
        "the state can only have been held then.",
    ),
    "a lock granted twice": (
        LOCK,
        """
        0  acquire a  0-1      = t0
        1  acquire a  300-301  = t1
        1  release a  400-401  token=t1
        0  release a  500-501  token=t0
        """,
        "double-hold",
        (0, 2),
        "Process 0 and process 1 both held a for 99 ms: it was given to process 1 while the "
        "lease of process 0 had 699 ms left to run.",
    ),
    "a lock released by its last holder but one": (
        LOCK,
        """
        !  pause-client 0  5-1500
        0  acquire a  0-1        = t0
        0  release a  4-1503     token=t0
        1  acquire a  1100-1101  = t1
        2  acquire a  1600-1601  = t2
        1  release a  1700-1701  token=t1
        2  release a  1800-1801  token=t2
        """,
        "double-hold",
        (4, 8, 2),
        "Process 1 and process 2 both held a for 99 ms: process 0 released it in between, "
        "although its own lease had run out and the lock was process 1's. "
        "Process 0 was paused for 1.5 s (pause-client).",
    ),
    "a holder paused past its lease": (
        LOCK,
        """
        !  pause-client 0  5-2005
        0  acquire a  0-1        = t0
        1  acquire a  1900-1901  = t1
        0  release a  2313-2314  token=t0
        1  release a  2400-2401  token=t1
        """,
        "expired-hold",
        (0, 3),
        "Process 0 and process 1 both held a for 412 ms: process 0 was paused for 2.0 s "
        "(pause-client) and its lease of 1 s had run out 901 ms before process 1 was given the "
        "lock.",
    ),
    "two sections that read one version": (
        LockChecker(fencing=True),
        """
        0  acquire a          0-1    = 1
        0  guard-read a 17    2-3
        1  acquire a          4-5    = 2
        1  guard-read a 17    6-7
        0  guard-write a 100  8-9
        1  guard-write a 200  10-11
        0  release a          12-13
        1  release a          12-13
        """,
        "lost-update",
        (0, 2, 8, 4, 6, 10),
        "Process 0 and process 1 both read version 17 of what a guards, and both wrote: "
        "the write of process 0 is lost.",
    ),
    "a lock that nobody frees": (
        ProgressChecker(workload="lock", ttl=1.0),
        """
        0  acquire a  0-1        = t0
        1  acquire a  100-110    refused
        1  acquire a  3000-3010  refused
        1  acquire a  6000-6010  refused
        """,
        "deadlock",
        None,
        None,
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_anomaly_is_found_and_named(what):
    checker, text, name, ops, sentence = PLANTED[what]
    verdict = checker.check(history(text))
    names = {anomaly.type for anomaly in verdict.anomalies}
    assert names == {name}, verdict
    found = verdict.anomalies[0]
    if ops is not None:
        assert (found.ops, found.sentence) == (ops, sentence)
    msgspec.json.encode(found)


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_named_is_defined(what):
    verdict = PLANTED[what][0].check(history(PLANTED[what][1]))
    for anomaly in verdict.anomalies:
        assert define(anomaly.type).kind == anomaly.kind


# --- one anomaly put into a long correct history -------------------------------------------------


def replaced(events, index, **changes):
    events[index] = msgspec.structs.replace(events[index], **changes)
    return in_order(events)


def test_an_add_taken_out_of_a_counter_is_a_lost_update():
    """One acknowledged add has no effect on anything after it."""
    for seed in range(200):
        rng = random.Random(seed)
        events = list(correct_counter(rng, operations=60, deltas=(1, 2, 5), results=False))
        final = [i for i, op in enumerate(events) if op.type == "ok" and op.process >= FINAL]
        opened = {op.value[0] for op in _left_open(events) if op.f == "add"}
        for i in final:
            key, value = events[i].value
            if key not in opened and value > 0:
                verdict = COUNTER.check(replaced(list(events), i, value=[key, value - 1]))
                assert {a.type for a in verdict.anomalies} == {"lost-update"}, seed


def test_a_coin_out_of_nothing_breaks_conservation():
    bank = BankChecker(initial=dict.fromkeys(ACCOUNTS, OPENING))
    for seed in range(200):
        rng = random.Random(seed)
        events = list(correct_bank(rng))
        reads = [i for i, op in enumerate(events) if op.f == "read" and op.type == "ok"]
        i = rng.choice(reads)
        balances = dict(events[i].value)
        balances["a"] += 1
        verdict = bank.check(replaced(events, i, value=balances))
        names = {a.type for a in verdict.anomalies}
        assert "conservation" in names, seed
        assert names <= {"conservation", "lost-update", "duplicate-effect", "ghost-effect"}, seed


def test_a_second_holder_inside_a_hold_is_a_double_hold():
    for seed in range(200):
        rng = random.Random(seed)
        events = list(correct_lock(rng, rounds=20))
        holds = [op for op in events if op.f == "guard-read" and op.type == "ok"]
        middle = rng.choice(holds)
        intruder = [
            msgspec.structs.replace(middle, process=5000, f="acquire", value="l", type=kind)
            for kind in ("invoke", "ok")
        ]
        verdict = LockChecker(lease=None).check(in_order(events + intruder))
        assert {a.type for a in verdict.anomalies} == {"double-hold"}, seed


def test_two_copies_of_a_section_lose_an_update():
    for seed in range(100):
        events = list(correct_lock(random.Random(seed), rounds=20))
        first = next(op for op in events if op.f == "guard-write" and op.type == "ok")
        section = [op for op in events if op.process == first.process]
        section = section[: [op.f for op in section].index("release") + 2]
        if any(op.type == "info" for op in section):
            continue
        copies = [
            msgspec.structs.replace(
                op, process=5000, value=["l", 10**6] if op.f == "guard-write" else op.value
            )
            for op in section
        ]
        verdict = LockChecker(fencing=True).check(in_order(events + copies))
        assert [a.type for a in verdict.anomalies] == ["lost-update"], seed


def test_an_old_value_read_again_is_stale():
    for seed in range(100):
        rng = random.Random(seed)
        lines = [f"{i % 3}  write x {i}  {10 * i}-{10 * i + 9}" for i in range(1, 60)]
        at = rng.randint(10, 50)
        lines.append(f"9  read x {at - rng.randint(2, 8)}  {10 * at + 1}-{10 * at + 2}")
        verdict = LinearizableChecker(Register(0)).check(history("\n".join(lines)))
        assert [a.type for a in verdict.anomalies] == ["stale-read"], seed


def _left_open(events):
    closed = {op.process for op in events if op.type == "info"}
    last = {op.process: op for op in events}
    unanswered = [op for op in last.values() if op.type == "invoke"]
    return [op for op in events if op.process in closed and op.type == "info"] + unanswered
