"""The rules that the workers keep while a run goes on, each a test of its own."""

import threading
import time

import pytest
from recording import Client, Definite, refuse

from dokkaebi import Failed, Lease
from dokkaebi.harness import seat as seats
from dokkaebi.harness.formats.jsonl import decode_lines
from dokkaebi.harness.journal import Segment, merge, read_segments
from dokkaebi.harness.lane import Lane, Turn
from dokkaebi.harness.orders import WorkerConfig
from dokkaebi.harness.protocols import Ask, ClientSpec
from dokkaebi.harness.seat import Seat, Shop
from dokkaebi.workloads.bank import Bank
from dokkaebi.workloads.counter import Counter
from dokkaebi.workloads.lock import Lock
from dokkaebi.workloads.register import Register

CLIENT = ClientSpec(backend="postgres", factory="recording:open_client", arguments={}, dsn="x")


class Strategy:
    """A strategy whose methods a test replaces."""

    workload = "counter"
    needs = ("postgres",)

    def open(self, ctx):
        self.pg = ctx.postgres
        self.ctx = ctx

    def add(self, key, delta):
        return None

    def read(self, key):
        return 0


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A worker process's inside, around a strategy made of the given methods."""
    Client.opened.clear()

    def make(workload=None, *, op_timeout=5.0, workers=8, **methods):
        strategy = type("Given", (Strategy,), methods)
        monkeypatch.setattr(seats, "load_strategy", lambda reference, **options: strategy)
        (tmp_path / "journal").mkdir(exist_ok=True)
        config = WorkerConfig(
            slot=0,
            segment=str(tmp_path / "journal" / "0-0.jsonl"),
            trace=str(tmp_path / "trace.jsonl"),
            incarnations={0: 0},
            workers=workers,
            seed=1,
            epoch_ns=time.monotonic_ns(),
            op_timeout=int(op_timeout * 1e9),
            rate=None,
            workload="unused",
            params={},
            strategy="unused",
            clients=[CLIENT],
            isolation=None,
            resource=None,
        )
        path = tmp_path / "journal" / "0-0.jsonl"
        return Shop(config, workload or Counter(keys=2), Segment(path))

    return make


def perform(shop, *asks, process=8):
    """Carry the operations out by one process; its turn."""
    turn = Turn(Seat(shop, process % shop.config.workers, process), "main")
    turn.open()
    turn.answers = [turn.perform(ask) for ask in asks]
    return turn


def events(shop):
    data = shop.segment.path.read_bytes().rstrip(b"\0")
    return decode_lines(data, source="segment")


def last(shop):
    return events(shop)[-1]


ADD = Ask("add", [0, 1])


def raises(error):
    def method(self, *args):
        refuse(error)

    return method


# --- outcomes ------------------------------------------------------------------------------------


def test_1_1_a_definite_error_is_fail_and_keeps_the_process(shop):
    made = shop(add=raises(Definite("try again")))
    turn = perform(made, ADD)
    assert (last(made).type, last(made).error) == ("fail", "40001 try again")
    assert not turn.retired


def test_1_4_a_definite_error_of_a_connection_that_we_did_not_see_is_info(shop):
    def add(self, key, delta):
        raise Definite("from a connection of the strategy's own")

    made = shop(add=add)
    assert perform(made, ADD).retired
    assert last(made).type == "info"


def test_1_1_anything_else_is_info_and_retires_the_process(shop):
    made = shop(add=raises(ConnectionResetError("gone")))
    assert perform(made, ADD).retired
    assert last(made).type == "info"


def test_1_3_after_a_fail_the_connection_is_rolled_back(shop):
    def add(self, key, delta):
        self.pg.open = True
        refuse(Definite())

    made = shop(add=add)
    turn = perform(made, ADD)
    assert Client.opened[0].rolled_back == 1
    assert not turn.retired


def test_1_3_a_connection_that_cannot_be_rolled_back_retires_the_process(shop):
    def add(self, key, delta):
        self.pg.stuck = True
        refuse(Definite())

    assert perform(shop(add=add), ADD).retired


def test_1_3_an_ok_that_leaves_a_transaction_open_is_counted_and_then_rolled_back(shop):
    def add(self, key, delta):
        self.pg.open = True

    made = shop(add=add)
    turn = perform(made, ADD)
    assert last(made).type == "ok"
    assert last(made).ext == {"left_open": True}
    assert Client.opened[0].rolled_back == 1
    assert not turn.retired


def test_1_5_a_falsy_answer_of_a_method_that_answers_yes_or_no_is_refused(shop):
    for answer in (False, None, 0):
        made = shop(Bank(), transfer=lambda self, *args, said=answer: said, balances=None)
        perform(made, Ask("transfer", {"from": 0, "to": 1, "amount": 1}))
        assert (last(made).type, last(made).error) == ("fail", "refused")
        made.segment.path.unlink()


def test_1_5_none_from_acquire_is_refused_and_what_release_answers_is_ignored(shop):
    made = shop(Lock(), acquire=lambda self, *args: None, release=lambda self, *args: False)
    perform(made, Ask("acquire", "lock-0"), Ask("release", "lock-0"))
    assert [(e.type, e.error) for e in events(made) if e.type != "invoke"] == [
        ("fail", "refused"),
        ("ok", None),
    ]


def test_1_5_none_from_any_other_method_is_ok(shop):
    made = shop(
        Register(),
        read=lambda self, key: None,
        write=lambda self, key, value: None,
        cas=lambda self, key, old, new: True,
    )
    perform(made, Ask("write", [0, 5]), Ask("read", [0, None]))
    ended = [e for e in events(made) if e.type != "invoke"]
    assert [(e.type, e.value) for e in ended] == [("ok", [0, 5]), ("ok", [0, None])]


def test_1_6_a_suspicious_ok_stays_ok_and_is_counted(shop):
    def add(self, key, delta):
        self.pg.suspicious.append("COMMIT answered ROLLBACK")

    made = shop(add=add)
    perform(made, ADD)
    assert last(made).type == "ok"
    assert last(made).ext == {"suspicious": "COMMIT answered ROLLBACK"}


def test_failed_is_fail_whatever_was_written(shop):
    def add(self, key, delta):
        self.pg.wrote = True
        raise Failed("sold out")

    made = shop(add=add)
    perform(made, ADD)
    assert last(made).type == "fail"


def test_an_answer_that_makes_no_sense_is_info_and_says_what_was_expected(shop):
    made = shop(read=lambda self, key: "many")
    perform(made, Ask("read", [0, None]))
    assert last(made).type == "info"
    assert "must answer an int, not 'many'" in last(made).error


# --- deadlines -----------------------------------------------------------------------------------


def _watch_until(lane, condition, seconds=5.0):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        lane.watch()
        time.sleep(0.005)
    assert condition()


def test_1_7_at_its_deadline_an_operation_is_info_and_its_worker_goes_on(shop):
    release = threading.Event()
    calls = []

    def add(self, key, delta):
        calls.append(1)
        if len(calls) == 1:
            release.wait(5)
            return "late"
        time.sleep(0.01)
        return None

    made = shop(Counter(keys=1, read_share=0.0), op_timeout=0.05, add=add)
    lane = Lane(made, 0, 0)
    lane.start("main")
    _watch_until(lane, lambda: len(calls) > 3)
    assert Client.opened[0].shut
    release.set()
    made.stopping.set()
    lane.thread.join(5)
    time.sleep(0.05)
    first = [e for e in events(made) if e.process == 0]
    assert [e.type for e in first] == ["invoke", "info"]
    assert "no answer within 0.05 s" in first[1].error
    assert {e.process for e in events(made)} == {0, 8}
    merge(read_segments(made.segment.path.parent))


def test_1_7_an_answer_after_the_deadline_is_too_late(shop):
    made = shop(op_timeout=0.02, add=lambda self, *args: time.sleep(0.05))
    assert perform(made, ADD).retired
    assert last(made).type == "info"


def test_2_a_process_id_never_outlives_its_client(shop):
    def add(self, key, delta):
        if self.ctx.rng.random() < 0.3:
            raise ConnectionResetError
        time.sleep(0.001)

    made = shop(Counter(keys=1, read_share=0.0), add=add)
    lane = Lane(made, 3, 0)
    lane.start("main")
    time.sleep(0.2)
    made.stopping.set()
    lane.thread.join(5)
    conns = {}
    for event in events(made):
        assert event.process % 8 == 3
        if event.type == "invoke":
            conns.setdefault(event.process, set()).add(event.conn)
    assert len(conns) > 3
    assert all(len(used) == 1 for used in conns.values())
    made.stopping.clear()
    lane.start("final")
    lane.thread.join(5)
    finals = {e.process for e in events(made) if e.phase == "final"}
    assert finals.isdisjoint(conns)


# --- the history ---------------------------------------------------------------------------------


def test_3_1_the_invocation_is_on_its_way_to_the_disk_before_the_strategy_is_called(shop):
    seen = []

    def add(self, key, delta):
        seen.append([e.type for e in events(made)])

    made = shop(add=add)
    perform(made, ADD)
    assert seen == [["invoke"]]


def test_3_2_times_strictly_increase_within_a_process(shop, monkeypatch):
    made = shop()
    monkeypatch.setattr(Shop, "clock", lambda self: 7)
    perform(made, ADD, ADD, ADD)
    times = [e.time for e in events(made)]
    assert times == sorted(set(times))


def test_3_3_a_workers_stream_is_a_function_of_seed_worker_and_incarnation(shop):
    made = shop()

    def stream(worker, process):
        script = made.script("main", worker, process)
        return [next(script)] + [script.send(None) for _ in range(50)]

    assert stream(0, 8) == stream(0, 8)
    assert stream(0, 8) != stream(0, 16)
    assert stream(0, 8) != stream(1, 9)


def test_3_3_a_respawned_worker_never_writes_a_value_again():
    import random

    from dokkaebi.harness.protocols import Answer

    def written(process):
        script = Register().main(random.Random(process), process)
        ask, values = next(script), []
        for _ in range(500):
            if ask.f != "read":
                values.append(ask.value[1] if ask.f == "write" else ask.value[1][1])
            ask = script.send(Answer(type="fail"))
        return values

    values = [value for process in (0, 8, 16, 1) for value in written(process)]
    assert len(values) == len(set(values))


# --- locks ---------------------------------------------------------------------------------------


def guarded(shop, method):
    made = shop(
        Lock(guarded=True),
        acquire=lambda self, name, ttl: Lease(7, 0.5),
        release=lambda self, name, token: None,
        guarded=method,
    )
    turn = perform(
        made,
        Ask("acquire", "lock-0"),
        Ask("guard-read", ["lock-0", None], {"token": 7}, hint=(99, 0.0)),
    )
    return turn, [(e.type, e.f, e.value) for e in events(made)][2:], made


def test_4_2_a_lease_brings_its_own_seconds(shop):
    _, _, made = guarded(shop, lambda self, name, token, step: step(3) == 99)
    acquired = next(e for e in events(made) if e.type == "ok")
    assert (acquired.result, acquired.ext) == (7, {"ttl": 0.5})


def test_4_4_guarded_is_a_read_up_to_step_and_a_write_from_its_return(shop):
    turn, told, made = guarded(shop, lambda self, name, token, step: step(3) == 99)
    assert told == [
        ("invoke", "guard-read", ["lock-0", None]),
        ("ok", "guard-read", ["lock-0", 3]),
        ("invoke", "guard-write", ["lock-0", 99]),
        ("ok", "guard-write", ["lock-0", 99]),
    ]
    times = [e.time for e in events(made)]
    assert times == sorted(set(times))
    assert not turn.retired


def test_4_4_where_a_retry_calls_step_again_only_the_last_call_counts(shop):
    def twice(self, name, token, step):
        step(3)
        return step(4) == 99

    assert guarded(shop, twice)[1][1] == ("ok", "guard-read", ["lock-0", 4])


def test_4_4_a_stale_token_is_refused_on_entry_or_at_the_write(shop):
    entry = guarded(shop, lambda self, name, token, step: False)[1]
    assert entry[1:] == [("fail", "guard-read", ["lock-0", None])]


def test_4_4_a_refused_write_is_a_read_and_a_refusal(shop):
    write = guarded(shop, lambda self, name, token, step: step(3) == 0)[1]
    assert [(kind, f) for kind, f, _ in write] == [
        ("invoke", "guard-read"),
        ("ok", "guard-read"),
        ("invoke", "guard-write"),
        ("fail", "guard-write"),
    ]


def test_4_4_what_breaks_after_step_leaves_the_write_unknown(shop):
    def broken(self, name, token, step):
        step(3)
        raise ConnectionResetError

    turn, told, _ = guarded(shop, broken)
    assert told[-1][:2] == ("info", "guard-write")
    assert turn.retired
