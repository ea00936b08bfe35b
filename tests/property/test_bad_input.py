"""Whatever a history file holds: a verdict, or an error that says what is wrong, and exit code 2.

Never a traceback, never a hang, never memory without bound.
"""

import gzip
import os
import random
import subprocess
import sys
import time
import tracemalloc

import pytest
import zstandard
from broken import broken, deep_json, sources
from fuzzing import cases

from dokkaebi.checkers.models import MODELS
from dokkaebi.harness.errors import UsageError
from dokkaebi.harness.formats import compressed
from dokkaebi.harness.formats.reading import read
from dokkaebi.harness.plugins import registered
from dokkaebi.judging import Given, check_history
from dokkaebi.results.meter import Meter

LONGEST_S = 10


BY_MODEL = {
    "register": ("cas-register",),
    "lock": ("mutex", "owner-mutex", "fenced-mutex", "semaphore"),
    "set": ("set",),
    "counter": ("counter",),
    "queue": ("fifo-queue", "unordered-queue"),
}


def given(rng, name):
    """Mostly what the file is of, sometimes nothing, sometimes anything."""
    plain = name.partition(".")[0].removesuffix("-vector").removeprefix("bare-")
    workload = {"fork": "long-fork", "sessions": "wr", "bare": "bank"}.get(plain, plain)
    chance = rng.random()
    if chance < 0.3:
        return Given()
    if chance < 0.35:
        return Given(model=rng.choice([*MODELS]))
    if chance < 0.4:
        return Given(workload=rng.choice([*registered("workloads")]))
    if workload in BY_MODEL and (chance < 0.7 or workload not in registered("workloads")):
        return Given(model=rng.choice(BY_MODEL[workload]))
    return Given(workload=workload)


def judged(path, asked):
    """The outcome, or the error that was told; anything else fails the test."""
    began = time.monotonic()
    finished, error = None, ""
    try:
        finished = check_history(str(path), asked, meter=Meter())
    except UsageError as refused:
        error = str(refused)
    assert time.monotonic() - began < LONGEST_S
    if finished is None:
        assert 10 < len(error) < 2500, error
        return "refused"
    finished.result.to_json()
    verdict = finished.result.verdict
    assert verdict.verdict in ("holds", "violated", "unknown")
    # A checker that met a value which it does not know says so; any other error is a defect.
    assert " raised " not in verdict.reason or " raised ValueError: " in verdict.reason, verdict
    return "judged"


@pytest.mark.parametrize("part", range(4))
def test_broken_files_get_a_verdict_or_a_clear_error(tmp_path, part):
    rng = random.Random(f"bad input {part}")
    said = {"refused": 0, "judged": 0}
    for number in range(cases(75)):
        name, data = rng.choice([*sources(rng).items()])
        path = tmp_path / name
        path.write_bytes(broken(rng, data))
        asked = given(rng, name)
        try:
            said[judged(path, asked)] += 1
        except BaseException:
            print(f"part {part}, case {number}: {name} {asked}\n{path.read_bytes()[:3000]!r}")
            raise
    assert min(said.values()) > 0


def test_sound_files_are_read(tmp_path):
    for name, data in sources(random.Random("sound")).items():
        recorded = read(data, source=name)
        assert len(recorded.history) >= 2, name


@pytest.mark.parametrize("number", range(cases(6)))
def test_the_command_answers_broken_files(tmp_path, number):
    rng = random.Random(f"command {number}")
    name, data = rng.choice([*sources(rng).items()])
    (tmp_path / name).write_bytes(broken(rng, data))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "dokkaebi", "check", name],
        cwd=tmp_path,
        env={**os.environ, "DOKKAEBI_STATE_DIR": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (0, 1, 2, 3), (tmp_path / name).read_bytes()
    assert "Traceback" not in done.stderr
    if done.returncode == 2:
        assert len(done.stderr.strip()) > 20
    assert time.monotonic() - began < (LONGEST_S if not os.environ.get("CI") else 30)


# --- the worst ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("h.jsonl", deep_json(100), "in one another"),
        ("h.jsonl", deep_json(100_000), "in one another"),
        ("h.json", b"[" + deep_json(100_000) + b"]", "in one another"),
        ("h.json", b"[" * 1_000_000, "in one another"),
        ("h.edn", b"[" * 1_000_000, "in one another"),
        ("h.edn", b"{:a " * 100_000, "in one another"),
        ("h.edn", b"#a " * 1_000_000 + b"1", "in one another"),
        ("h.edn", b"{:type :invoke :f :x :process 0 :value " + b"9" * 100_000 + b"}", "digits"),
        ("h.jsonl", b'{"process":0,"type":"invoke","f":"x","value":' + b"9" * 9000 + b"}\n", "range"),
        ("h.jsonl", b'{"process":0,"type":"invoke","f":"x","time":1' + b"0" * 30 + b"}\n", "at most"),
        ("h.jsonl", b'{"process":5000000000,"type":"invoke","f":"x"}\n', "at most"),
        ("h.jsonl", b'{"process":0,"type":"invoke","f":"\\ud800"}\n', "line 1"),
        ("h.jsonl", '{"process":0}'.encode("utf-16"), "UTF-16"),
        ("h.edn", "{:process 0}".encode("utf-16-le"), "UTF-16"),
        ("h.edn", "{:process 0}".encode("utf-32"), "UTF-32"),
        ("h.edn", b"{:type :invoke :f \xff}", "utf-8"),
        ("h.edn", b'{:type :invoke\n :f "no end}', "line 2, column 5"),
        ("h.edn", b"{:type :invoke\n :f :x]", "line 2, column 7"),
        ("h.edn", b"[{:type :invoke :f :a :process 0}\n\n{:type :maybe :f :a}]", "line 3"),
        ("h.edn", b"{:type :ok :f :a :process 0}", "completes nothing"),
        ("h.json", b'[{"type":"invoke","f":"a",\n"process":0,,}]', "line 2, column 13"),
        ("h.json", b'[{"type":"invoke","f":"a","process":"x"}]', "process"),
        ("h.txt", b"w 1 1\nw 1\n", "line 2"),
        ("h.txt", b"", "empty"),
        ("h.bin", b"\x7fELF\x02\x01\x01\x00", "no history that is known"),
        ("h.jsonl.gz", gzip.compress(b"x" * 10_000)[:-9], "unpacked"),
        ("h.jsonl.zst", zstandard.compress(b"x" * 10_000)[:-2], "unpacked"),
        ("h.jsonl.gz", gzip.compress(gzip.compress(b"x" * 10_000)), "malformed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_worst_is_told(name, data, told):
    began = time.monotonic()
    with pytest.raises(UsageError) as refused:
        read(data, source=name)
    assert told in str(refused.value)
    assert len(str(refused.value)) < 600
    assert time.monotonic() - began < LONGEST_S


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_what_unpacks_without_end_is_refused_before_it_fills_the_memory(monkeypatch, pack):
    monkeypatch.setattr(compressed, "ALWAYS", 2**20)
    bomb = pack(b"\0" * 2**28)
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="unpack to more than"):
            read(bomb, source="h.gz")
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()
