"""Where servers' programs are, and that the user they run as can read them."""

import os
import threading
from pathlib import Path

import pytest

from dokkaebi.backends import local
from dokkaebi.harness.household import passable


@pytest.fixture
def programs(tmp_path):
    """A package's folder with a program, and the libraries beside it, where only we may look."""
    home = tmp_path / "site-packages"
    (home / "package" / "bin").mkdir(parents=True)
    program = home / "package" / "bin" / "server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    (home / "package.libs").mkdir()
    (home / "package.libs" / "lib.so").write_text("")
    (home / "unrelated").mkdir()
    tmp_path.chmod(0o700)
    return home


def test_a_folder_is_passable_when_all_its_parents_are(programs):
    assert not passable(programs)
    assert passable(Path("/usr/bin"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another user")
def test_what_the_servers_user_cannot_reach_is_copied_once(programs, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setattr(local, "_cache_folder", lambda: cache)
    copy = local.readable(programs / "package", beside=[programs / "package.libs"])
    assert copy.is_relative_to(cache)
    assert (copy / "bin" / "server").stat().st_mode & 0o777 == 0o755
    assert (copy.parent / "package.libs" / "lib.so").stat().st_mode & 0o777 == 0o644
    assert not (copy.parent / "unrelated").exists()
    again = local.readable(programs / "package", beside=[programs / "package.libs"])
    assert again == copy
    assert len(list(cache.iterdir())) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
def test_a_single_program_is_copied_alone(programs, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setattr(local, "_cache_folder", lambda: cache)
    copy = local.readable(programs / "package" / "bin" / "server")
    assert copy.is_relative_to(cache)
    assert copy.read_bytes() == (programs / "package" / "bin" / "server").read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o755
    assert list(copy.parent.iterdir()) == [copy]


@pytest.mark.skipif(os.geteuid() == 0, reason="root drops to another user")
def test_our_own_programs_are_used_where_they_are(programs):
    assert local.readable(programs / "package") == programs / "package"


def test_a_wheel_is_found_without_importing_it():
    assert local.wheel_folder("no_such_package_at_all") is None
    assert local.wheel_folder("psutil").name == "psutil"


def test_a_question_that_hangs_is_not_waited_for():
    assert local.within(1.0, lambda: None)
    assert not local.within(1.0, lambda: 1 / 0)
    assert not local.within(0.01, lambda: threading.Event().wait(0.2))


def test_nobody_answers_once_the_power_is_lost():
    """A server that lived on after its disk was gone acknowledged what nobody had."""
    happened = []

    class Disk:
        def lose_power(self):
            happened.append("disk")
            return True

        def come_back(self):
            happened.append("back")

    class Server(local.LocalServer):
        name = "server"

        def pause(self):
            happened.append("still")
            return []

        def kill(self):
            happened.append("gone")
            return []

    server = Server(household=None)
    server.disk = Disk()
    assert server.lose_power()
    assert happened == ["still", "disk", "gone", "back"]
