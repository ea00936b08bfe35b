"""A run's spec asks for itself again; what came back is counted by its name."""

import msgspec
import pytest

from dokkaebi import UsageError
from dokkaebi.failures.replay import Replayed, document, line_of, summary, wish_of
from dokkaebi.harness.choosing import Wish, choose
from dokkaebi.harness.plugins import strategies
from dokkaebi.harness.spec import SECOND
from dokkaebi.suite.tasks import Found, Outcome

MINE = """
class Mine:
    workload = "counter"
    needs = ["postgres"]
    params = {"keys": 7}

    def open(self, ctx): ...

    def add(self, key, delta): ...

    def read(self, key): ...
"""


@pytest.mark.parametrize("name", strategies())
def test_a_spec_asks_for_itself_again(name):
    spec, _ = choose(Wish(target=name, seed=12))
    again, _ = choose(wish_of(spec))
    assert again == spec


def test_so_does_a_spec_with_everything_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    wish = Wish(
        target="mine.py",
        isolation="serializable",
        faults=["kill", "pause"],
        every=2 * SECOND,
        lasts=SECOND // 2,
        workers=5,
        processes=5,
        rate=50.0,
        time=9 * SECOND,
        op_timeout=SECOND,
        params={"keys": "3"},
        require_progress=True,
        seed=4,
    )
    spec, _ = choose(wish)
    again, _ = choose(wish_of(spec))
    assert again == spec
    monkeypatch.chdir(tmp_path.parent)
    elsewhere, _ = choose(wish_of(spec))
    assert msgspec.structs.replace(elsewhere, label="mine.py") == spec


def test_a_server_with_a_password_has_to_be_named_again():
    spec, _ = choose(Wish(target="counter", dsn=["postgresql://me:secret@db/x"]))
    with pytest.raises(UsageError, match="password was not stored"):
        wish_of(spec)
    assert wish_of(spec, dsn=["postgresql://me:secret@db/x"]).dsn == (
        "postgresql://me:secret@db/x",
    )


def found(*names, said="violated"):
    return Outcome(seed=1, said=said, found=tuple(Found(type=n, sentence=n) for n in names))


def test_what_came_back_is_counted_and_what_is_new_is_said():
    outcomes = found("G0", "G0"), found(said="holds"), found("G1a")
    replayed = Replayed(run="0001-x", found=("G0", "G1b"), outcomes=outcomes)
    assert replayed.came_back() == {"G0": 1, "G1b": 0, "G1a": 1}
    assert summary(replayed) == [
        "G0 came back in 1 of 3",
        "G1b came back in 0 of 3",
        "G1a was new in 1 of 3",
    ]
    assert document(replayed)["times"] == 3
    assert line_of(2, 3, outcomes[0]) == "2/3  violated: G0"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (["holds", "holds"], 0),
        (["holds", "unknown"], 3),
        (["broke", "violated"], 1),
        (["broke", "unknown"], 4),
        (["unavailable"], 5),
    ],
)
def test_the_exit_code_is_that_of_run(said, code):
    replayed = Replayed(run="x", found=(), outcomes=tuple(found(said=word) for word in said))
    assert replayed.exit_code == code
