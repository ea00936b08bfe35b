"""The matrix's data, and the parts of the interpreter that need no server."""

import threading
from pathlib import Path

import msgspec
import pytest

import dokkaebi
from dokkaebi.harness.errors import Broken, UsageError
from dokkaebi.results.terminal import make_console
from dokkaebi.suite.expectations import exit_code
from dokkaebi.suite.hermitage import ATTRIBUTION, cells, choose, document, kinds, show
from dokkaebi.suite.hermitage.conditions import committed, holds, occurred
from dokkaebi.suite.hermitage.interpreter import Answer, Said, Stuck, play, reach_rest
from dokkaebi.suite.hermitage.judged import finished, judged
from dokkaebi.suite.hermitage.monitor import waiting_in
from dokkaebi.suite.hermitage.running import Outcome, mechanism, run_cell
from dokkaebi.suite.hermitage.schedules import Condition, Step, read_step, schedules

LEVELS = ["read uncommitted", "read committed", "repeatable read", "serializable"]


# --- the data ------------------------------------------------------------------------------------


def test_the_matrix_has_every_schedule_at_every_level_on_every_server():
    assert kinds() == ["postgres", "mariadb"]
    assert len(schedules()) == 20
    assert len(cells("postgres")) == 80
    assert len(cells("mariadb")) == 160
    assert len({cell.name for cell in cells()}) == 240
    assert list(dict.fromkeys(cell.level for cell in cells())) == LEVELS
    assert {cell.anomaly for cell in cells()} == set(schedules())


def test_snapshot_isolation_and_serializable_prevent_what_their_definitions_forbid():
    for cell in cells():
        if cell.level == "serializable" or cell.anomaly.endswith("(control)"):
            assert cell.expected == "P", cell.name


def test_the_page_shows_the_matrix():
    page = Path(dokkaebi.__file__).parent.resolve() / "docs" / "hermitage.md"
    lines = iter([line for line in page.read_text().splitlines() if line.startswith("| ")])
    told = {"A": "**A**", "P": "P"}
    how = {"waits": "*waits*"}
    for cell in cells():
        if cell.level == LEVELS[0]:
            line = next(line for line in lines if not line.startswith("| |"))
            words = [word.strip() for word in line.strip("|").split("|")]
            assert words[0] == cell.anomaly
        expected = [told[cell.expected], how.get(cell.mechanism, cell.mechanism)]
        assert words[1 + LEVELS.index(cell.level)].split() == [word for word in expected if word]


def test_a_kind_of_server_without_a_matrix_is_refused():
    with pytest.raises(UsageError, match="known for postgres and mariadb"):
        cells("valkey")


def test_cells_are_chosen_by_their_names():
    assert [cell.name for cell in choose("mariadb", ["mariadb/serializable/P4"])] == [
        "mariadb/serializable/P4"
    ]
    assert len(choose(None, ["*/G2-item", "*/G0"])) == 24
    assert choose("postgres", ["mariadb*"]) == []


@pytest.mark.parametrize("schedule", schedules().values(), ids=lambda each: each.anomaly)
def test_a_schedule_begins_and_ends_each_transaction_and_names_its_answers(schedule):
    steps = schedule.steps
    for session in range(1, schedule.sessions + 1):
        own = [step for step in steps if step.session == session]
        assert own[0].text == "begin"
        assert own[-1].ends
        assert not any(step.ends or step.text == "begin" for step in own[1:-1])
    names = [step.name for step in steps if step.name is not None]
    assert len(names) == len(set(names))
    for condition in schedule.occurs:
        asked = {*condition.any_of, *condition.together, condition.of, condition.differs_from}
        assert asked - {"", None} <= {*names, "final"}


def test_a_step_is_read_with_its_name():
    assert read_step("2 select * from test -> seen") == Step(2, "select * from test", "seen")
    assert read_step("1 commit") == Step(1, "commit")
    with pytest.raises(UsageError, match="a step reads like"):
        read_step("select * from test")


# --- conditions ----------------------------------------------------------------------------------


def rows(*pairs):
    return Answer(rows=tuple(pairs))


@pytest.mark.parametrize(
    ("condition", "answer", "expected"),
    [
        ({"is": [[1, 10]]}, rows((1, 10)), True),
        ({"is": [[1, 10]]}, rows((1, 10), (2, 20)), False),
        ({"is": []}, rows(), True),
        ({"has": [1, 101]}, rows((1, 101), (2, 20)), True),
        ({"has": [1, 101]}, rows((1, 10)), False),
        ({"lacks": [1, 12]}, rows((1, 11)), True),
        ({"lacks": [1, 12]}, rows((1, 12)), False),
        ({"not_among": [[[1, 10]], [[1, 11]]]}, rows((1, 11)), False),
        ({"not_among": [[[1, 10]], [[1, 11]]]}, rows((1, 12)), True),
        ({"rows": 2}, rows((1, 10), (2, 20)), True),
        ({"rows": 2}, rows((1, 10)), False),
        ({"changed": 1}, Answer(changed=1), True),
        ({"changed": 1}, Answer(changed=0), False),
        ({"changed": 1}, Answer(error="40001"), False),
        ({"differs_from": "other"}, rows((1, 11)), True),
        ({"differs_from": "other"}, rows((1, 10)), False),
    ],
)
def test_a_condition_holds_or_does_not(condition, answer, expected):
    condition = msgspec.convert({"of": "it", **condition}, Condition)
    assert holds(condition, {"it": answer, "other": rows((1, 10))}) is expected


@pytest.mark.parametrize("condition", [{"lacks": [1, 1]}, {"not_among": []}, {"rows": 0}])
def test_no_condition_holds_of_what_was_refused(condition):
    condition = msgspec.convert({"of": "it", **condition}, Condition)
    for answer in (Answer(error="40001"), Answer(left_out=True)):
        assert not holds(condition, {"it": answer})


def test_answers_are_judged_singly_or_together():
    answers = {"a": rows((1, 1)), "b": rows((2, 2)), "refused": Answer(error="1213")}
    unlike = [[[[1, 1]], [[2, 2]]]]
    for names, expected in ((["a", "b"], False), (["b", "a"], True), (["a", "refused"], False)):
        condition = msgspec.convert({"together": names, "unlike": unlike}, Condition)
        assert holds(condition, answers) is expected
    either = msgspec.convert({"any_of": ["refused", "b"], "is": [[2, 2]]}, Condition)
    assert holds(either, answers)


def test_a_commit_that_came_to_a_rollback_is_none():
    said = [
        Said(step=Step(1, "commit"), answer=Answer(ended="commit")),
        Said(step=Step(2, "commit"), answer=Answer(ended="rollback")),
        Said(step=Step(3, "commit"), answer=Answer(error="40001")),
    ]
    assert committed(said) == {1}
    assert not occurred(schedules()["P4"], said, ())


# --- how it went ---------------------------------------------------------------------------------


def test_a_refusal_tells_more_than_a_wait():
    waited = Said(step=Step(1, "x"), answer=Answer(changed=1), waited=True)
    refused = Said(step=Step(2, "y"), answer=Answer(error="40001"))
    assert mechanism([]) == ""
    assert mechanism([waited]) == "waits"
    assert mechanism([waited, refused]) == "40001"


# --- who waits for whom --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waits_for", "expected"),
    [
        ({1: {9}}, True),
        ({1: {2}, 2: {9}}, True),
        ({1: {2}, 2: {1}}, False),
        ({1: {2}, 2: {3}, 3: {1}}, False),
        ({1: {2}, 2: {1, 9}}, True),
        ({1: {9}, 2: set()}, False),
    ],
)
def test_who_waits_in_a_circle_is_not_at_rest(waits_for, expected):
    assert reach_rest(waits_for, set(waits_for)) is expected


MONITOR = """
------------------------
LATEST DETECTED DEADLOCK
------------------------
*** (1) TRANSACTION:
TRANSACTION 40, ACTIVE 0 sec starting index read
LOCK WAIT 4 lock struct(s), heap size 1128, 2 row lock(s)
MariaDB thread id 7, OS thread handle 1, query id 9 127.0.0.1 x Updating
------------
TRANSACTIONS
------------
Trx id counter 53
LIST OF TRANSACTIONS FOR EACH SESSION:
---TRANSACTION 52, ACTIVE 1 sec starting index read
mysql tables in use 1, locked 1
LOCK WAIT 2 lock struct(s), heap size 1128, 1 row lock(s)
MariaDB thread id 8, OS thread handle 2, query id 31 127.0.0.1 x Updating
update test set value = 12 where id = 1
------- TRX HAS BEEN WAITING 100 us FOR THIS LOCK TO BE GRANTED:
---TRANSACTION 51, ACTIVE 1 sec
2 lock struct(s), heap size 1128, 1 row lock(s), undo log entries 1
MariaDB thread id 5, OS thread handle 3, query id 30 127.0.0.1 x
---TRANSACTION (0x7f), not started
0 lock struct(s), heap size 1128, 0 row lock(s)
--------
FILE I/O
--------
"""


def test_of_the_monitor_only_the_list_of_transactions_counts():
    assert waiting_in(MONITOR) == {8}
    assert waiting_in("nothing of the kind") == set()


# --- the interpreter, on lines of our own ---------------------------------------------------------


class OneLock:
    """A server with one lock: `take` waits for it, `commit` gives it back."""

    def __init__(self):
        self.change = threading.Condition()
        self.holder = None
        self.queue = []

    def waiting(self, numbers):
        with self.change:
            return {number for number in self.queue if number != self.holder} & set(numbers)

    def waits_for(self, numbers):
        with self.change:
            return {number: {self.holder} for number in self.waiting(numbers)}


class OneLine:
    """A session; `fail` is refused, `vanish` loses the connection, `hang` never answers."""

    def __init__(self, server, number):
        self.server, self.number, self.sent = server, number, []

    def send(self, text):
        self.sent.append(text)
        if text == "fail":
            return Answer(error="40001")
        if text == "vanish":
            raise OSError("gone")
        if text == "hang":
            threading.Event().wait()
        with self.server.change:
            if text == "take":
                self.server.queue.append(self.number)
                if self.server.holder is None:
                    self.server.holder = self.number
                self.server.change.wait_for(lambda: self.server.holder == self.number)
                self.server.queue.remove(self.number)
                return Answer(changed=1)
            if text == "commit" and self.server.holder == self.number:
                self.server.holder = self.server.queue[0] if self.server.queue else None
                self.server.change.notify_all()
        return Answer(ended="commit") if text == "commit" else Answer()

    def close(self):
        pass


def played(text, **options):
    server = OneLock()
    steps = [read_step(line) for line in text.strip().splitlines()]
    lines = {session: OneLine(server, 100 + session) for session in {s.session for s in steps}}
    return play(steps, lines, server, **options), lines


def test_a_statement_that_waits_is_completed_later_and_answers_are_in_their_order():
    said, _ = played("1 take\n2 take\n2 look\n1 look\n1 commit\n2 commit")
    told = [(each.step.session, each.step.text, each.waited) for each in said]
    assert told.index((2, "take", True)) > told.index((1, "look", False))
    assert told.index((2, "look", False)) > told.index((2, "take", True))
    assert told[-1] == (2, "commit", False)
    assert len(told) == 6


def test_a_transaction_that_failed_is_sent_nothing_but_its_end():
    said, lines = played("1 fail\n1 look\n1 commit\n2 look")
    assert lines[1].sent == ["fail", "commit"]
    assert [each.answer.left_out for each in said] == [False, True, False, False]


def test_a_lost_session_is_no_answer():
    with pytest.raises(Broken, match="gone"):
        played("1 look\n1 vanish\n1 commit")


def test_a_statement_that_neither_answers_nor_waits_for_anybody_is_no_outcome():
    with pytest.raises(Stuck, match="1: hang"):
        played("1 hang\n1 commit", patience_s=0.2)


# --- what is told of it --------------------------------------------------------------------------


def outcome(cell, found, **more):
    return Outcome(cell=cell, server="postgres 18", found=found, mechanism="", seconds=0.1, **more)


@pytest.mark.parametrize(
    ("anomaly", "found", "more", "status", "code"),
    [
        ("P4", "A", {}, "caught", 0),
        ("P4", "P", {}, "missed", 1),
        ("G0", "P", {}, "held", 0),
        ("G0", "A", {}, "violated", 1),
        ("G0", None, {"reason": "no rest"}, "broke", 4),
        ("G0", None, {"reason": "not here", "skipped": True}, "skipped", 5),
    ],
)
def test_an_outcome_is_a_cell_of_a_suite(anomaly, found, more, status, code):
    (cell,) = choose("postgres", [f"postgres/read-committed/{anomaly}"])
    done = finished([outcome(cell, found, **more)], seconds=1.0)
    assert [each.status for each in done.cells] == [status]
    assert exit_code(done.cells) == code


def test_what_is_not_as_expected_is_told_step_by_step(capsys):
    (cell,) = choose("postgres", ["postgres/read-committed/G0"])
    said = (Said(step=Step(1, "update test"), answer=Answer(changed=1), waited=True),)
    wrong = outcome(cell, "A", said=said, final=((1, 12),))
    show([wrong], make_console("never"))
    told = capsys.readouterr().out
    assert "0 of 1 cells as expected" in told
    assert "≠ seen" in told
    assert "1  update test  → 1 row, after waiting" in told
    assert "Martin Kleppmann" in told
    assert "1 row, after waiting" in judged(wrong).reason


def test_the_document_names_its_source_and_can_be_written():
    (cell,) = choose("mariadb", ["mariadb/serializable/P4"])
    said = (Said(step=Step(1, "commit"), answer=Answer(error="1213", message="deadlock")),)
    told = msgspec.json.decode(msgspec.json.encode(document([outcome(cell, "P", said=said)])))
    assert told["attribution"] == ATTRIBUTION
    (entry,) = told["cells"]
    assert entry["met"] is True
    assert entry["steps"] == [
        {"session": 1, "statement": "commit", "error": "1213", "message": "deadlock"}
    ]


def test_a_cell_whose_schedule_breaks_is_told_as_unknown():
    class Nowhere:
        def renew(self):
            raise Broken("the server is gone")

    told = run_cell(Nowhere(), cells("postgres")[0])
    assert told.found is None
    assert not told.met
    assert told.reason == "the server is gone"
