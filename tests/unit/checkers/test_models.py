"""Each model by hand: what it accepts, what it does not, and how a violation of it is told."""

import pytest

from dokkaebi.checkers.linearizable import LinearizableChecker
from dokkaebi.checkers.models import (
    MODELS,
    Counter,
    FencedMutex,
    FifoQueue,
    MultiRegister,
    Mutex,
    OwnerMutex,
    PriorityQueue,
    Semaphore,
    Set,
    Stack,
    UnorderedQueue,
)
from dokkaebi.harness.errors import UsageError
from dokkaebi.harness.history import History, Op


def in_turn(*operations):
    """Operations one after another: (process, f, asked), and what was answered if it differs.

    An answer may be a value, `refused`, `lost` (info), or a dict of fields of the completion.
    """
    events = []
    for process, f, asked, *answer in operations:
        events.append(Op(process=process, type="invoke", f=f, value=asked))
        told = answer[0] if answer else asked
        fields = told if isinstance(told, dict) else {"value": told}
        if told == "refused":
            fields = {"type": "fail", "error": "refused", "value": asked}
        elif told == "lost":
            fields = {"type": "info", "value": asked}
        events.append(Op(**{"process": process, "type": "ok", "f": f, "value": asked, **fields}))
    return History(events)


def told(model, *operations):
    verdict = LinearizableChecker(model).check(in_turn(*operations))
    return verdict.anomalies[0].sentence if verdict.anomalies else verdict.verdict


ACQUIRED = (0, "acquire", "a")

CASES = {
    "values of several registers at once": (
        MultiRegister({"x": 0}),
        [(0, "txn", [["w", "x", 1], ["w", "y", 2]]),
         (1, "txn", [["r", "x", None], ["read", "y", None]], [["r", "x", 1], ["read", "y", 2]])],
        (1, "txn", [["r", "x", None], ["r", "y", None]], [["r", "x", 1], ["r", "y", None]]),
        'read 1 of x, read nil of y, which fits no order of the operations: the state can only '
        'have been {"x":1,"y":2} then.',
    ),
    "a lock that knows its owner": (
        OwnerMutex(), [ACQUIRED], (1, "release", "a"),
        "released it (key a), which fits no order of the operations: the state can only have "
        "been held by process 0 then.",
    ),
    "a mutex whose refusals count": (
        Mutex(strict_try=True), [ACQUIRED, (1, "acquire", "a", "refused"), (0, "release", "a")],
        (1, "acquire", "a", "refused"),
        "was refused it (key a), which fits no order of the operations: the state can only have "
        "been free then.",
    ),
    "tokens that grow": (
        FencedMutex(),
        [(0, "acquire", "a", {"result": 5}), (0, "release", "a"),
         (1, "acquire", "a", {"result": 7}), (1, "release", "a")],
        (0, "acquire", "a", {"result": 6}),
        "acquired it with token 6 (key a), which fits no order of the operations: the state can "
        "only have been free, token 7 given then.",
    ),
    "two permits": (
        Semaphore(k=2), [ACQUIRED, (1, "acquire", "a")], (2, "acquire", "a"),
        "acquired it (key a), which fits no order of the operations: the state can only have "
        "been 2 of 2 permits taken then.",
    ),
    "a set and its elements": (
        Set(), [(0, "add", 1), (0, "add", 1, "refused"), (1, "read", None, [1]), (0, "remove", 1)],
        (1, "read", None, [1]),
        "read [1], which fits no order of the operations: the state can only have been [] then.",
    ),
    "an element by itself": (
        Set(initial=[3]), [(0, "contains", 3, {"result": True}), (0, "remove", 3)],
        (1, "add", 3, "refused"),
        "was refused to add 3 (key 3), which fits no order of the operations: the state can only "
        "have been [] then.",
    ),
    "first in, first out": (
        FifoQueue(),
        [(0, "dequeue", None), (0, "enqueue", "a"), (0, "enqueue", "b"),
         (0, "dequeue", None, "a"), (0, "enqueue", "c")],
        (1, "dequeue", None, "c"),
        'dequeued c, which fits no order of the operations: the state can only have been '
        '["b","c"] then.',
    ),
    "a drain is many dequeues": (
        FifoQueue(), [(0, "enqueue", 1), (0, "enqueue", 2), (1, "drain", None, [1, 2])],
        (1, "dequeue", None, 2),
        "dequeued 2, which fits no order of the operations: the state can only have been [] then.",
    ),
    "in any order": (
        UnorderedQueue(), [(0, "enqueue", 1), (0, "enqueue", 2), (1, "dequeue", None, 2)],
        (1, "dequeue", None),
        "found it empty, which fits no order of the operations: the state can only have been "
        "[1] then.",
    ),
    "last in, first out": (
        Stack(), [(0, "push", 1), (0, "push", 2), (1, "pop", None, 2)], (1, "pop", None, 2),
        "popped 2, which fits no order of the operations: the state can only have been [1] then.",
    ),
    "the greatest first": (
        PriorityQueue(), [(0, "insert", 1), (0, "insert", 3), (0, "insert", 2),
                          (1, "poll", None, 3)], (1, "poll", None, 1),
        "polled 1, which fits no order of the operations: the state can only have been [1,2] then.",
    ),
    "the smallest first": (
        PriorityQueue(smallest=True), [(0, "insert", 2), (0, "insert", 1), (1, "poll", None, 1)],
        (1, "poll", None, 1),
        "polled 1, which fits no order of the operations: the state can only have been [2] then.",
    ),
    "a number": (
        Counter(initial=5), [(0, "add", 2, {"result": 7}), (0, "add", -1), (1, "read", None, 6)],
        (1, "add", 1, {"result": 8}),
        "added 1 and was told 8, which fits no order of the operations: the state can only have "
        "been 6 then.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("says", CASES)
def test_a_model_accepts_what_is_right_and_tells_what_is_wrong(says):
    model, right, wrong, sentence = CASES[says]
    assert told(model, *right) == "holds"
    assert told(model, *right, wrong) == f"Process {wrong[0]} {sentence}"


UNKNOWN = {
    "an enqueue": (FifoQueue, [(0, "enqueue", 1, "lost"), (1, "dequeue", None, 1)]),
    "an enqueue that never was": (FifoQueue, [(0, "enqueue", 1, "lost"), (1, "dequeue", None)]),
    "a dequeue": (FifoQueue, [(0, "enqueue", 1), (1, "dequeue", None, "lost"),
                              (2, "dequeue", None)]),
    "a dequeue of either": (UnorderedQueue, [(0, "enqueue", 1), (0, "enqueue", 2),
                                             (1, "dequeue", None, "lost"),
                                             (2, "dequeue", None, 1), (2, "dequeue", None)]),
    "a drain": (FifoQueue, [(0, "enqueue", 1), (0, "enqueue", 2), (1, "drain", None, "lost"),
                            (2, "dequeue", None, 2), (2, "dequeue", None)]),
    "an acquire with a token": (FencedMutex, [(0, "acquire", "a", {"result": 1}),
                                              (0, "release", "a"), (1, "acquire", "a", "lost"),
                                              (2, "read", None)][:3]),
    "a txn": (MultiRegister, [(0, "txn", [["w", "x", 1]], "lost"),
                              (1, "txn", [["r", "x", None]], [["r", "x", 1]])]),
}  # fmt: skip


@pytest.mark.parametrize("says", UNKNOWN)
def test_what_is_unknown_may_have_happened_or_not(says):
    model, operations = UNKNOWN[says]
    assert told(model(), *operations) == "holds"


@pytest.mark.parametrize("name", MODELS)
def test_a_model_names_itself_and_what_it_has(name):
    model = MODELS[name]()
    assert model.name == name
    assert set(model.reads) <= {*model.functions, "read"}
    assert MODELS[name].__doc__
    with pytest.raises(UsageError, match=f"a {name} has no 'dance', only {model.functions[0]}"):
        LinearizableChecker(model).check(in_turn((0, "dance", 1)))


def test_a_user_may_build_on_a_register():
    class Sticky(MODELS["register"]):
        """Keeps what was first written."""

        def step(self, state, operation):
            if operation.f == "write" and state is not None:
                return (state,)
            return super().step(state, operation)

    written = [(0, "write", 1), (0, "write", 2)]
    assert told(Sticky(), *written, (1, "read", None, 1)) == "holds"
    assert told(Sticky(), *written, (1, "read", None, 2)).startswith("Process 1 read 2, which")


class Broken:
    """A user's model whose `step`, or whose beginning, answers what cannot be a state."""

    def __init__(self, answer, begins=0):
        self.answer, self.begins = answer, begins

    def init(self):
        return self.begins

    def step(self, state, operation):
        return self.answer


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Broken(True), "Broken.step, operation 0: expected the states that may follow, not true"),
        (Broken(None), "Broken.step, operation 0: expected the states that may follow, not nil"),
        (Broken(["a", []]), r"Broken.step, operation 0: a state is a hashable value .* not \[\]"),
        (Broken([1], {}), r"Broken.init: a state is a hashable value .* not \{\}"),
    ],
)
def test_a_users_model_that_answers_no_states_is_told_so(model, expected):
    with pytest.raises(UsageError, match=expected):
        LinearizableChecker(model).check(in_turn((0, "poke", 1)))
