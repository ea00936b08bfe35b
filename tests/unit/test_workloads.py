"""What workloads ask: values that are never repeated, keys on which processes meet, last looks."""

import random
from itertools import islice

import pytest

from dokkaebi.harness.choosing import Wish, choose, make_workload
from dokkaebi.harness.errors import UsageError
from dokkaebi.harness.plugins import find, registered, strategies
from dokkaebi.harness.protocols import Answer, Ask, Rest
from dokkaebi.workloads import transactions
from dokkaebi.workloads.append import Append
from dokkaebi.workloads.constraint import Constraint
from dokkaebi.workloads.ledger import Ledger
from dokkaebi.workloads.queue import Queue
from dokkaebi.workloads.session_ import Session
from dokkaebi.workloads.unique import Unique
from dokkaebi.workloads.wr import Wr


def answered(script, reply, most=2000):
    """The first operations of a script whose asks are answered by `reply`."""
    asks = []
    ask = next(script, None)
    while isinstance(ask, Ask) and len(asks) < most:
        asks.append(ask)
        try:
            ask = script.send(reply(ask))
        except StopIteration:
            break
    return asks


class Lists:
    """A store of lists that carries transactions out one after another."""

    def __init__(self):
        self.lists = {}

    def __call__(self, ask):
        done = []
        for f, key, value in ask.value:
            if f == "r":
                done.append([f, key, list(self.lists.get(key, [])) or None])
            else:
                self.lists.setdefault(key, []).append(value)
                done.append([f, key, value])
        return Answer(type="ok", value=done)


@pytest.mark.parametrize("workload", [Append(), Wr()])
def test_what_processes_write_to_a_key_is_never_the_same(workload):
    store = Lists()
    for process in range(1, 5):
        answered(workload.main(random.Random(process), process), store, most=300)
    for elements in store.lists.values():
        assert len(set(elements)) == len(elements)


def test_a_key_is_left_when_it_has_enough_elements():
    store = Lists()
    answered(Append(writes=10).main(random.Random(1), 1), store)
    full = sorted(store.lists)[:-10]
    assert len(full) > 100
    assert all(10 <= len(store.lists[key]) <= 20 for key in full)


def test_a_process_that_begins_late_skips_to_where_the_others_are():
    store = Lists()
    answered(Append().main(random.Random(1), 1), store, most=4000)
    frontier = max(store.lists)
    late = answered(Append().main(random.Random(2), 2), store, most=200)
    skipping = next(i for i, ask in enumerate(late) if ask.value != [["r", ask.value[0][1], None]])
    assert skipping < 60
    assert min(key for ask in late[skipping:] for _, key, _ in ask.value) >= frontier - 10


def test_the_last_look_reads_every_key_once_and_then_stops():
    store = Lists()
    answered(Append().main(random.Random(1), 1), store, most=1000)
    read = [
        key
        for worker in range(3)
        for ask in answered(Append().final(worker, 3), store)
        for _, key, _ in ask.value
    ]
    assert set(range(max(store.lists) + 1)) <= set(read)
    assert len(read) == len(set(read))


def test_the_last_look_asks_for_something_whatever_it_is_told():
    """Floors go through it without any answers."""
    assert len(list(islice(Append().final(0, 1), 10))) == 1


@pytest.mark.parametrize(
    "returned",
    [
        None,
        [],
        [["r", 1, [1]]],
        [["r", 2, [1]], ["append", 1, 7]],
        [["append", 1, 7], ["r", 1, [1]]],
        "txn",
    ],
    ids=str,
)
def test_a_transaction_that_answers_something_else_is_refused(returned):
    asked = [["r", 1, None], ["append", 1, 7]]
    with pytest.raises(TypeError, match="same mops"):
        transactions.METHODS["txn"].answer(asked, returned)


def test_what_a_transaction_read_is_plain():
    asked = [["r", 1, None], ["append", 1, 7], ["r", 2, None]]
    answer = transactions.METHODS["txn"].answer(
        asked, [("r", 1, [b"1", "2"]), ("append", 1, 7), ("r", 2, None)]
    )
    assert answer.value == [["r", 1, [1, 2]], ["append", 1, 7], ["r", 2, None]]


def test_a_strategy_cannot_change_what_was_asked():
    class Careless:
        def txn(self, mops):
            mops[0][2] = "changed"
            return mops

    asked = [["r", 1, None]]
    transactions.METHODS["txn"].call(Careless(), asked)
    assert asked == [["r", 1, None]]


def test_claims_meet_on_the_same_names_and_owners_are_never_the_same():
    taken = {}

    def reply(ask):
        if ask.f == "read":
            return Answer(type="ok", value=[list(row) for row in taken.items()])
        mine = ask.value[0] not in taken
        taken.setdefault(*ask.value)
        return Answer(type="ok" if mine else "fail")

    first = answered(Unique().main(random.Random(1), 1), reply, most=1000)
    late = answered(Unique().main(random.Random(2), 2), reply, most=500)
    owners = [ask.value[1] for ask in first + late if ask.f == "claim"]
    assert len(set(owners)) == len(owners)
    assert max(ask.value[0] for ask in late if ask.f == "claim") > 900


def test_a_session_writes_only_its_own_keys_with_growing_numbers():
    seen = answered(Session().main(random.Random(1), 3), lambda ask: Answer(type="info"))
    writes = [ask.value for ask in seen if ask.f == "write"]
    assert {key for key, _ in writes} == {6, 7}
    assert [number for _, number in writes] == list(range(1, len(writes) + 1))


def test_constraint_groups_begin_full():
    assert Constraint(keys=2, size=3).initial() == {0: [0, 1, 2], 1: [0, 1, 2], 2: [0, 1, 2]}


def test_a_level_that_is_asked_for_becomes_a_parameter():
    spec, _ = choose(Wish(target="append", level="snapshot-isolation"))
    assert (spec.level, spec.params["level"]) == ("snapshot-isolation", "snapshot-isolation")
    workload = make_workload(find("workloads", "append"), spec.params)
    assert workload.level == "snapshot-isolation"
    spec, _ = choose(Wish(target="append"))
    assert spec.params["level"] == "strict-serializable"


def test_a_level_that_does_not_exist_lists_the_close_ones():
    with pytest.raises(UsageError, match="serializable"):
        choose(Wish(target="wr", level="serialisable"))


@pytest.mark.parametrize("name", ["admission", "approx-count", "cache", "rate-limit"])
def test_a_workload_without_built_in_strategies_wants_a_file(name):
    with pytest.raises(UsageError, match=f"{name} has no built-in strategy: name a FILE.py"):
        choose(Wish(target=name))


def drained(*left):
    """What is asked when the queue answers its consumptions so, and for how long it rests."""
    answers, asks, rests = list(left), [], 0.0
    script = Queue(redelivery=0.5).final(0, 4)
    step = next(script)
    while step is not None:
        if isinstance(step, Rest):
            rests += step.seconds
            step = next(script, None)
            continue
        asks.append(step.f)
        answer = Answer(type="ok", value=[])
        if step.f == "consume":
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            step = script.send(answer)
        except StopIteration:
            break
    return asks, rests


EMPTY, LOST = Answer(type="ok"), Answer(type="info", error="no answer")


def test_a_queue_is_drained_for_longer_than_a_message_can_stay_away():
    asks, rests = drained(Answer(type="ok", value=7), EMPTY, Answer(type="ok", value=8), EMPTY)
    assert asks == ["consume"] * 5 + ["effects"]
    assert rests == 1.5


def test_a_consumption_that_went_wrong_does_not_say_that_the_queue_is_empty():
    """What it had taken comes back after a while."""
    asks, rests = drained(EMPTY, EMPTY, LOST, EMPTY)
    assert asks == ["consume"] * 6 + ["effects"]
    assert rests == 3.0


def test_a_queue_that_cannot_be_drained_is_not_looked_at():
    asks, _ = drained(LOST)
    assert set(asks) == {"consume"}
    assert len(asks) < 100
    assert list(Queue().final(1, 4)) == []


def test_a_request_of_unknown_outcome_is_tried_once_more_under_its_id():
    asks = answered(Ledger().main(random.Random(1), 1), lambda ask: Answer(type="info"), most=100)
    tried = [ask.value for ask in asks if ask.f == "execute"]
    assert tried[0::2] == tried[1::2]
    assert len({request for request, _ in tried}) == len(tried) // 2


def test_every_strategy_declares_what_the_suite_needs_and_shows_its_reason():
    for name, strategy in strategies().items():
        assert strategy.expect in ("safe", "unsafe", "live"), name
        assert strategy.__doc__, name
        assert strategy.workload == name.partition("/")[0]
        if strategy.expect == "unsafe":
            assert strategy.anomaly, name


def test_every_workload_has_a_safe_default_and_asks_what_it_says():
    for name in registered("workloads"):
        workload = find("workloads", name)
        assert bool(workload.default) == bool(workload.strategies)
        if workload.default:
            assert strategies()[f"{name}/{workload.default}"].expect == "safe"
        instance = workload()
        asked = {ask.f for ask in answered(instance.dry(), lambda ask: Answer(type="ok"))}
        assert asked
        assert asked <= workload.functions
