"""Heal undoes what a dead harness left, and touches nothing that it cannot prove to be its own."""

import json
import os
from pathlib import Path

import pytest

from dokkaebi.harness.heal import heal
from dokkaebi.harness.processes import boot_id, start_of
from dokkaebi.harness.registry import Registry, harnesses_folder, open_undos, read_records


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("DOKKAEBI_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def left_behind(*records, boot=None):
    """The registry of a harness that is dead: nobody holds its lock."""
    registry = Registry.create()
    registry.write("harness", pid=1, start="0", boot=boot or boot_id())
    for what, fields in records:
        registry.write(what, **fields)
    registry.close()
    return registry.path


def test_nothing_to_heal():
    assert heal() == []


def test_folders_and_undos_of_a_dead_harness(state):
    folder = state / "private"
    (folder / "deep").mkdir(parents=True)
    target = state / "fault"
    target.write_text("")
    path = left_behind(
        ("folder", {"path": str(folder)}),
        ("undo", {"number": 1, "call": "os:remove", "arguments": {"path": str(target)}}),
        ("undo", {"number": 2, "call": "os:abort", "arguments": {}}),
        ("undone", {"number": 2}),
    )
    assert heal() == [f"removed {folder}"]
    assert not folder.exists()
    assert not target.exists()
    assert not path.exists()


def test_an_undo_that_fails_is_told_and_kept():
    path = left_behind(
        ("undo", {"number": 1, "call": "os:remove", "arguments": {"path": "/no/such/thing"}})
    )
    (told,) = heal()
    assert told.startswith("could not undo os:remove: FileNotFoundError")
    assert path.exists()


def test_a_living_harness_is_left_alone(state):
    folder = state / "private"
    folder.mkdir()
    registry = Registry.create()
    registry.write("harness", pid=os.getpid(), start=start_of(os.getpid()), boot=boot_id())
    registry.write("folder", path=str(folder))
    assert heal() == []
    assert folder.exists()
    registry.close()


@pytest.mark.parametrize(
    ("start", "boot"), [("0", None), (None, "another boot")], ids=["another start", "another boot"]
)
def test_a_process_that_is_not_provably_ours_lives(start, boot):
    # Were it killed, this test would not end.
    mine = {"pid": os.getpid(), "start": start or start_of(os.getpid()), "name": "me"}
    left_behind(("process", mine), boot=boot)
    assert heal() == []


def test_a_link_in_place_of_a_folder_is_not_followed(state):
    precious = state / "precious"
    precious.mkdir()
    link = state / "private"
    link.symlink_to(precious)
    left_behind(("folder", {"path": str(link)}))
    assert heal() == []
    assert precious.exists()


def test_a_torn_registry_is_read_up_to_the_tear():
    path = left_behind(("run", {"path": "/r"}))
    with path.open("a") as file:
        file.write('{"what": "fold')
    assert [record["what"] for record in read_records(path)] == ["harness", "run"]
    assert heal() == []
    assert not path.exists()


def test_the_registry_is_private():
    path = left_behind()
    assert path.stat().st_mode & 0o777 == 0o600
    assert harnesses_folder() == path.parent
    assert json.loads(Path(path).read_text().splitlines()[0])["what"] == "harness"


def test_undos_are_undone_in_reverse():
    records = [{"what": "undo", "number": n} for n in (1, 2, 3)] + [{"what": "undone", "number": 2}]
    assert [record["number"] for record in open_undos(records)] == [3, 1]
