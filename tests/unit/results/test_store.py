"""The run store: numbering, finding, locking, and histories of killed runs."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from dokkaebi.harness.errors import UsageError
from dokkaebi.harness.history import Op
from dokkaebi.harness.journal import Segment
from dokkaebi.harness.spec import Spec
from dokkaebi.results import store


def spec() -> Spec:
    return Spec(workload="counter", strategy="c:C", label="counter", params={"start": 3})


def made(out, slug="run"):
    folder = store.new_run(out, slug)
    spec().save(folder / store.SPEC)
    return folder


def test_runs_are_numbered_and_the_latest_is_linked(tmp_path):
    first, second = made(tmp_path, "Counter / naïve!"), made(tmp_path, "")
    assert first.name == "0001-counter-na-ve"
    assert second.name == "0002-run"
    assert (tmp_path / "latest").resolve() == second.resolve()
    assert {p.name for p in second.iterdir()} == {"journal", "trace", "logs", "spec.json"}


def test_concurrent_creators_get_numbers_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda i: store.new_run(tmp_path, f"n{i}"), range(24)))
    assert len({folder.name.split("-")[0] for folder in folders}) == 24


def test_a_run_is_found_by_folder_by_number_and_as_the_latest(tmp_path):
    first, second = made(tmp_path, "a"), made(tmp_path, "b")
    assert store.find_run(tmp_path, str(first)) == first
    assert store.find_run(tmp_path, first.name) == first
    assert store.find_run(tmp_path, "1") == first
    assert store.find_run(tmp_path, str(tmp_path)) == second
    assert store.find_run(tmp_path) == second
    assert store.find_run(tmp_path, str(tmp_path / "latest")) == second.resolve()
    (tmp_path / "latest").unlink()
    assert store.find_run(tmp_path) == second


@pytest.mark.parametrize(
    ("ref", "says"),
    [("7", "no run 7 in"), ("0001-a", "has 0001-aa"), ("/nowhere", "no file '/nowhere'")],
)
def test_a_wrong_reference_says_what_there_is(tmp_path, ref, says):
    made(tmp_path, "aa")
    with pytest.raises(UsageError, match=says):
        store.find_run(tmp_path, ref)


def test_a_folder_without_runs_says_how_to_make_one(tmp_path):
    with pytest.raises(UsageError, match="there are no runs"):
        store.find_run(tmp_path)


def test_a_run_is_alive_while_its_lock_is_held_and_not_after(tmp_path):
    folder = made(tmp_path)
    assert not store.is_alive(folder)
    with store.lock_run(folder):
        assert store.is_alive(folder)
        with pytest.raises(UsageError, match="still going on"):
            store.lock_run(folder, patience_s=0.05)
    assert not store.is_alive(folder)


def test_a_lock_dies_with_its_process(tmp_path):
    folder = made(tmp_path)
    code = (
        "import sys, pathlib; from dokkaebi.results import store;"
        "lock = store.lock_run(pathlib.Path(sys.argv[1])); print('locked', flush=True);"
        "sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"locked\n"
    assert store.is_alive(folder)
    child.kill()
    child.wait()
    assert not store.is_alive(folder)


def test_a_killed_run_is_read_from_its_segments_a_torn_line_dropped(tmp_path):
    folder = made(tmp_path)
    segment = Segment(folder / store.JOURNAL / "0-0.jsonl")
    segment.append(Op(time=1, process=0, type="invoke", f="add", value=["c", 1]))
    segment.append(Op(time=2, process=0, type="ok", f="add", value=["c", 1]))
    segment.append(Op(time=3, process=0, type="invoke", f="add", value=["c", 1]))
    with segment.path.open("ab") as file:
        file.write(b'{"time":4,"process":0,"ty')
    history = store.load_history(folder)
    assert [op.type for op in history.operations()] == ["ok", "info"]
    assert history.meta["start"] == 3


def test_what_a_history_lacks_is_told(tmp_path):
    folder = made(tmp_path)
    assert [note.partition(" before")[0] for note in store.notes_on(folder)] == ["the run ended"]
    whole = '{"process":0,"type":"invoke","f":"add"}\n'
    (folder / store.HISTORY).write_text(whole)
    assert store.notes_on(folder) == ()
    (folder / store.HISTORY).write_text(whole + '{"process":0')
    assert [note.partition(",")[0] for note in store.notes_on(folder)] == ["line 2"]


@pytest.mark.parametrize("name", ["nofile.jsonl", "some/where"])
def test_what_looks_like_a_file_is_called_one(tmp_path, name):
    with pytest.raises(UsageError, match=f"there is no file '{name}'"):
        store.find_run(tmp_path, name)
    with pytest.raises(UsageError, match="there is no run 'nofile'"):
        store.find_run(tmp_path, "nofile")


def test_a_complete_history_wins_over_the_segments(tmp_path):
    folder = made(tmp_path)
    Segment(folder / store.JOURNAL / "0-0.jsonl").append(
        Op(time=1, process=0, type="invoke", f="add")
    )
    merged = store.load_history(folder)
    store.save_history(folder, merged)
    assert (folder / store.HISTORY).read_bytes().count(b"\n") == 1
    assert len(store.load_history(folder)) == 1
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []


def test_a_run_without_operations_has_no_history(tmp_path):
    with pytest.raises(UsageError, match="no history"):
        store.load_history(made(tmp_path))


def test_an_unwritable_place_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--out"):
        store.new_run(tmp_path / "file" / "runs", "x")
