"""One planted anomaly of each class in sets, queues, sessions and the like: exactly that is named."""

import msgspec
import pytest
from jsonlines import written

from dokkaebi.checkers.admission import AdmissionChecker, RateLimitChecker
from dokkaebi.checkers.anomalies import define
from dokkaebi.checkers.constraint import ConstraintChecker
from dokkaebi.checkers.estimate import EstimateChecker
from dokkaebi.checkers.ids import IdsChecker
from dokkaebi.checkers.ledger import LedgerChecker
from dokkaebi.checkers.long_fork import LongForkChecker
from dokkaebi.checkers.sessions import SessionChecker
from dokkaebi.checkers.set_full import SetFullChecker
from dokkaebi.checkers.staleness import StalenessChecker
from dokkaebi.checkers.total_queue import TotalQueueChecker
from dokkaebi.checkers.unique import UniqueChecker

SET, UNIQUE, LEDGER = SetFullChecker(), UniqueChecker(), LedgerChecker()
QUEUE, SESSION = TotalQueueChecker(), SessionChecker()
RULE = ConstraintChecker(initial={"night": ["ann", "bob"]})

PLANTED = {
    "an element that is gone": (
        SET,
        """
        0  add 1               0-1
        1  read null -> [1]    2-3
        1  read null -> []     6-7
        """,
        "lost-element",
        (0, 4),
        "Element 1 was acknowledged (process 0), but the read of process 1, 5 ms later, does not "
        "have it; no later read saw it.",
    ),
    "an element of unknown outcome that was seen and is gone": (
        SET,
        """
        0  add 1               0-1  info
        1  read null -> [1]    2-3
        2  read null -> []     6-7
        """,
        "lost-element",
        (2, 4),
        "Element 1 had been read (process 1), but the read of process 2, 3 ms later, does not "
        "have it; no later read saw it.",
    ),
    "an element that comes late": (
        SetFullChecker(linearizable=True),
        """
        0  add 1               0-1
        1  read null -> []     2-3
        1  read null -> [1]    6-7
        """,
        "stale-read",
        (0, 2),
        "Element 1 was acknowledged (process 0), but the read of process 1, 1 ms later, does not "
        "have it; later reads saw it again.",
    ),
    "an element of one set of many": (
        SET,
        """
        0  add ["a", 1]                    0-1
        0  add ["b", 2]                    2-3
        1  read ["a", null] -> ["a", [1]]  4-5
        1  read ["b", null] -> ["b", []]   6-7
        """,
        "lost-element",
        (2, 6),
        "Element 2 of set b was acknowledged (process 0), but the read of process 1, 3 ms later, "
        "does not have it; no later read saw it.",
    ),
    "an element that nobody added": (
        SET,
        "1  read null -> [7]  2-3",
        "garbage-read",
        (0,),
        "Process 1 saw element 7, which nobody had added by then.",
    ),
    "an element whose add failed": (
        SET,
        """
        0  add 1               0-1  fail
        1  read null -> [1]    2-3
        """,
        "ghost-effect",
        (2,),
        "Process 1 saw element 1, although its add had failed.",
    ),
    "an element that is there twice": (
        SET,
        """
        0  add 1                  0-1
        1  read null -> [1, 1]    2-3
        """,
        "duplicate",
        (2,),
        "Process 1 saw element 1 more than once.",
    ),
    "a name given twice": (
        UNIQUE,
        """
        0  claim ["ann", 1]    0-5
        1  claim ["ann", 2]    1-6
        """,
        "double-success",
        (0, 1),
        "Processes 0 and 1 were both told that ann is theirs.",
    ),
    "two rows of one name": (
        UNIQUE,
        """
        0  claim ["ann", 1]    0-5
        1  claim ["ann", 2]    1-6  info
        2  read null -> [["ann", 1], ["ann", 2]]  8-9
        """,
        "duplicate",
        (4,),
        "Process 2 saw 2 rows for ann: of 1, 2.",
    ),
    "a claim that is gone": (
        UNIQUE,
        """
        0  claim ["ann", 1]    0-5
        2  read null -> []     8-9
        """,
        "lost-write",
        (0, 2),
        "The claim of ann by 1 was acknowledged (process 0), but process 2, 3 ms later, and all "
        "after it do not see it.",
    ),
    "a claim that was refused and counts": (
        UNIQUE,
        """
        0  claim ["ann", 1]    0-5
        1  claim ["bob", 2]    0-5  refused
        2  read null -> [["ann", 1], ["bob", 2]]  8-9
        """,
        "ghost-effect",
        (4,),
        "Process 2 saw bob by 2, although that claim had been refused or had failed.",
    ),
    "an id given twice": (
        IdsChecker(),
        """
        0  generate null -> 7  0-5
        1  generate null -> 8  1-6
        2  generate null -> 7  8-9
        """,
        "duplicate",
        (0, 4),
        "Processes 0 and 2 were both given the identifier 7.",
    ),
    "a long fork": (
        LongForkChecker(),
        """
        0  write [["w", 0, 1]]  0-9
        1  write [["w", 1, 1]]  0-9
        2  read [["r", 0, null], ["r", 1, null]] -> [["r", 0, 1], ["r", 1, null]]  2-3
        3  read [["r", 1, null], ["r", 0, null]] -> [["r", 1, 1], ["r", 0, null]]  2-3
        """,
        "long-fork",
        (2, 3),
        "Process 2 saw the write of key 0 and not that of key 1; process 3 saw that of 1 and not "
        "that of 0: they disagree about which came first.",
    ),
    "a write that failed and is seen": (
        LongForkChecker(),
        """
        0  write [["w", 0, 1]]  0-1  fail
        2  read [["r", 0, null]] -> [["r", 0, 1]]  2-3
        """,
        "G1a",
        (2,),
        "Process 2 saw 1 in key 0, although every write of it had failed.",
    ),
    "a session that does not see its write": (
        SESSION,
        """
        0  write ["x", 1]               0-1
        0  read ["x", null] -> ["x", null]  2-3
        """,
        "read-your-writes",
        (2, 0),
        "Process 0 read nil from key x, although it had itself written 1 before.",
    ),
    "a session that sees something go back": (
        SESSION,
        """
        0  write ["x", 1]               0-1
        0  write ["x", 2]               2-3
        1  read ["x", null] -> ["x", 2]  4-5
        1  read ["x", null] -> ["x", 1]  6-7
        """,
        "non-monotonic-read",
        (6, 4),
        "Process 1 read 1 from key x, although it had read 2 before.",
    ),
    "a writer's second write seen without its first": (
        SESSION,
        """
        0  write ["x", 1]                   0-1
        0  write ["y", 2]                   2-3
        1  read ["y", null] -> ["y", 2]     4-5
        1  read ["x", null] -> ["x", null]  6-7
        """,
        "monotonic-writes",
        (6, 0, 2, 4),
        "Process 1 read nil from key x, although it had seen a later write of the same writer, "
        "who wrote 1 before that.",
    ),
    "an answer seen without its question": (
        SESSION,
        """
        0  write ["x", 1]                   0-1
        1  read ["x", null] -> ["x", 1]     2-3
        1  write ["y", 1]                   4-5
        2  read ["y", null] -> ["y", 1]     6-7
        2  read ["x", null] -> ["x", null]  8-9
        """,
        "writes-follow-reads",
        (8, 2, 4, 6),
        "Process 2 read nil from key x, although it had seen a write whose writer knew of 1.",
    ),
    "both leave": (
        RULE,
        """
        0  leave ["night", "ann"]                  0-5
        1  leave ["night", "bob"]                  1-6
        2  read ["night", null] -> ["night", []]   8-9
        """,
        "G2-item",
        (4, 0, 1),
        "Process 2 saw 0 members in group night, where at least 1 must stay. Processes 0 and 1 "
        "let ann and bob leave at the same time, each counting on the other.",
    ),
    "both leave and nobody looks": (
        RULE,
        """
        0  leave ["night", "ann"]  0-5
        1  leave ["night", "bob"]  1-6
        1  join ["night", "bob"]   8-9
        """,
        "G2-item",
        (0, 1),
        "Everybody had left group night, where at least 1 must stay. Processes 0 and 1 let ann and "
        "bob leave at the same time, each counting on the other.",
    ),
    "a message that is gone": (
        QUEUE,
        """
        0  enqueue 1           0-1
        1  drain null -> []    2-3
        """,
        "lost-message",
        (0, 2),
        "Process 0 was told that message 1 is enqueued, but it never took effect.",
    ),
    "a message that counts twice": (
        QUEUE,
        """
        0  enqueue 1           0-1
        1  consume null -> 1   2-3
        2  consume null -> 1   4-5
        1  drain null -> []    6-7
        """,
        "duplicate-effect",
        (0, 2, 4),
        "Message 1 took effect 2 times (processes 1 and 2), although it was enqueued 1 time.",
    ),
    "a message before the one before it": (
        TotalQueueChecker(ordered="key"),
        """
        0  enqueue ["a", 1]           0-1
        0  enqueue ["a", 2]           2-3
        1  dequeue null -> ["a", 2]   4-5
        1  dequeue null -> ["a", 1]   6-7
        """,
        "order-violation",
        (0, 2, 4, 6),
        'Message ["a",1] was enqueued before ["a",2] was, but took effect after it.',
    ),
    "a message whose enqueueing failed": (
        QUEUE,
        """
        0  enqueue 1           0-1  fail
        1  drain null -> [1]   2-3
        """,
        "ghost-effect",
        (2,),
        "Process 1 got message 1, whose enqueueing had failed.",
    ),
    "a request that is booked twice": (
        LEDGER,
        """
        0  execute ["r1", 5]                        0-1  info
        1  execute ["r1", 5]                        2-3
        2  read null -> [["r1", 5], ["r1", 5]]      4-5
        """,
        "duplicate-effect",
        (0, 2, 4),
        "Process 2 saw more than one entry of request r1.",
    ),
    "a request that is booked with another amount": (
        LEDGER,
        """
        1  execute ["r1", 5]           2-3
        2  read null -> [["r1", 6]]    4-5
        """,
        "conservation",
        (0, 2),
        "Process 2 saw, of request r1, 6 where 5 was asked.",
    ),
    "half of a transfer": (
        LEDGER,
        """
        1  execute ["r1", 5]               2-3
        2  read null -> [["r1", "a", -5]]  4-5
        """,
        "conservation",
        (0, 2),
        "Process 2 saw, of request r1, entries that add up to -5, not to 0.",
    ),
    "a request that is gone": (
        LEDGER,
        """
        1  execute ["r1", 5]  2-3
        2  read null -> []    4-5
        """,
        "lost-write",
        (0, 2),
        "Request r1 was acknowledged or seen (process 1), but process 2, 1 ms later, and all "
        "after it see no entry of it.",
    ),
    "one too many inside": (
        AdmissionChecker(limit=1),
        """
        0  enter "ann"  0-1  = "t1"
        1  enter "bob"  2-3  = "t2"
        0  leave "t1"   4-5
        1  leave "t2"   6-7
        """,
        "over-admission",
        (0, 2),
        "2 were inside at once when process 1 was let in (ann, bob); at most 1 may be.",
    ),
    "somebody who jumped the queue": (
        AdmissionChecker(limit=1, ordered=True),
        """
        0  enter "ann"  0-1    refused
        1  enter "bob"  2-3    = "t2"
        1  leave "t2"   4-5
        0  enter "ann"  6-7    = "t1"
        """,
        "order-violation",
        (0, 2, 6),
        "ann had asked before bob did, but bob was let in first.",
    ),
    "too many within a window": (
        RateLimitChecker(limit=1, window=1.0),
        """
        0  allow "ann"  0-10
        0  allow "ann"  900-990
        """,
        "over-admission",
        (0, 2),
        "ann was let in 2 times within 990 ms; at most 1 times within 1.0 s (sliding windows) are "
        "allowed.",
    ),
    "a read that is too old": (
        StalenessChecker(bound=1.0),
        """
        0  write ["x", 1]                0-1
        0  write ["x", 2]                2-3
        1  read ["x", null] -> ["x", 1]  2000-2001
        """,
        "stale-beyond-bound",
        (4, 2),
        "Process 1 read 1 from key x 2.0 s after process 0 had replaced it by 2; at most 1.0 s "
        "are allowed.",
    ),
    "a cache that differs for good": (
        StalenessChecker(bound=9.0),
        """
        0  write ["x", 1]                  0-1
        0  write ["x", 2]                  2-3
        1  read ["x", null] -> ["x", 1]    20-21
        1  source ["x", null] -> ["x", 2]  22-23
        """,
        "divergence",
        (4, 6),
        "At rest key x is 1 for process 1, but 2 at the source.",
    ),
    "an estimate that is off": (
        EstimateChecker(),
        """
        0  visit "ann"          0-1
        0  estimate null -> 9   2-3
        """,
        "bad-estimate",
        (2,),
        "Process 0 was told 9 where 1 different users had come; 4.05 % are allowed.",
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_anomaly_is_found_and_named(what):
    checker, text, name, ops, sentence = PLANTED[what]
    verdict = checker.check(written(text))
    assert {anomaly.type for anomaly in verdict.anomalies} == {name}, verdict
    found = verdict.anomalies[0]
    assert (found.sentence, found.ops) == (sentence, ops)
    assert define(found.type).kind == found.kind == "safety"
    msgspec.json.encode(found)
