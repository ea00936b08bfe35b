"""Every command of the README does what it says there; the Korean one has the same commands."""

import re
import subprocess
import sys
from pathlib import Path

from pages import BLOCK, Shell, files

import dokkaebi
from dokkaebi.suite.catalogue import catalogue

ROOT = Path(dokkaebi.__file__).parent.resolve()

TYPED = {
    # As it stands there: what is typed here, and the exit codes that may come of it.
    "dokkaebi run mylock.py --faults pause-client": (None, 1),
    "dokkaebi suite --jobs 2 --junit junit.xml": (None, 0),
    'dokkaebi suite dokkaebi-suite.toml --accept "orders:G2-item" --reason "see ADR-7"': (None, 0),
    "dokkaebi replay 12 --times 10": ("dokkaebi replay 1 --times 2", 1),
    "dokkaebi shrink 12": ("dokkaebi shrink 1 --times 2", 0),
    "dokkaebi diff 12 15": ("dokkaebi diff 1 2", 0),
    "dokkaebi index": (None, 0),
    "dokkaebi check history.edn --model cas-register --initial 0": (
        "dokkaebi check register.edn --model cas-register --initial 0", 1),
    "dokkaebi check history.edn --level snapshot-isolation": (
        "dokkaebi check lost.edn --level snapshot-isolation", 1),
    "dokkaebi list anomalies G-single": (None, 0),
    "dokkaebi convert dokkaebi-runs/0001-append --to edn": (
        "dokkaebi convert dokkaebi-runs/0001-lock-mylock --to edn", 0),
}  # fmt: skip

ELSEWHERE = {
    "dokkaebi init lock",  # test_starters
    "dokkaebi list workloads",  # test_listing
    "dokkaebi suite catalogue",  # test_catalogue
    "dokkaebi check RUN",  # test_check
    "dokkaebi demo",  # test_run
    "dokkaebi check",
}


def commands(page):
    """The lines of its plain blocks that begin with `dokkaebi`, without their comments."""
    for language, text in BLOCK.findall(page):
        if not language:
            for line in text.splitlines():
                if line.startswith("dokkaebi "):
                    yield re.split(r"\s{2,}#", line)[0].strip()


def readme(name="README.md"):
    return (ROOT / name).read_text()


def test_both_readmes_have_the_same_commands_and_each_is_run_somewhere():
    assert list(commands(readme())) == list(commands(readme("README.ko.md")))
    assert set(commands(readme())) == TYPED.keys() | {"dokkaebi suite catalogue"}
    inline = set(re.findall(r"`(dokkaebi (?!run)[^`|]*)`", readme()))
    assert inline <= ELSEWHERE | TYPED.keys()


def test_what_the_table_of_known_results_says_is_held_by_the_catalogue():
    caught = {cell.case: cell for cell in catalogue().cells if cell.must_catch}
    named = re.findall(r"`dokkaebi run (\w[\w-]*) --strategy ([\w-]+)`", readme())
    assert len(named) >= 20
    for workload, name in named:
        assert f"{workload}/{name}" in caught


def test_the_commands_do_what_they_say(tmp_path):
    for name, text in files(readme()):
        # Shorter, and with one seed: what is looked for is found soon.
        text = text.replace('time = "10s"', 'time = "4s"').replace("seeds = [1, 2]", "seeds = [1]")
        (tmp_path / name).write_text(text)
    for name, text in files((ROOT / "docs/tutorial/a-jepsen-history.md").read_text()):
        (tmp_path / name).write_text(text)
    shell = Shell(tmp_path)
    for said, (typed, code) in TYPED.items():
        seen = shell.run(typed or said)
        assert shell.code == code, f"$ {typed or said}\n{seen}"
    assert (tmp_path / "junit.xml").is_file()
    assert list((tmp_path / "tests" / "anomalies").glob("test_*.py"))


def test_the_test_of_the_readme_shows_the_anomaly(tmp_path):
    for name, text in files(readme()):
        (tmp_path / name).write_text(text)
    (block,) = [text for _, text in BLOCK.findall(readme()) if "must_hold()" in text]
    (tmp_path / "test_lock.py").write_text(block)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "expired hold" in done.stdout
