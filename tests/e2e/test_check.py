"""`check` and `convert` as people use them: what is judged, what is said, and the exit codes."""

import gzip
import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

REGISTER = """\
{:process 0, :type :invoke, :f :write, :value 1}
{:process 0, :type :ok, :f :write, :value 1}
{:process 1, :type :invoke, :f :read, :value nil}
{:process 1, :type :ok, :f :read, :value %s}
"""
COUNTER = "".join(
    json.dumps({"process": 0, "type": kind, "f": f, "value": value, "time": i}) + "\n"
    for i, (kind, f, value) in enumerate(
        [
            ("invoke", "add", ["x", 2]),
            ("ok", "add", ["x", 2]),
            ("invoke", "read", ["x", None]),
            ("ok", "read", ["x", 2]),
        ]
    )
)


def command(tmp_path, *args):
    state = {"DOKKAEBI_STATE_DIR": str(tmp_path / "state"), "COLUMNS": "200"}
    return [sys.executable, "-m", "dokkaebi", *args], {**os.environ, **state}


@pytest.fixture
def dokkaebi(tmp_path):
    """Run the command in a folder of its own; answers the finished process."""

    def call(*args, check, stdin=None):
        line, env = command(tmp_path, *args)
        done = subprocess.run(
            line, cwd=tmp_path, env=env, input=stdin, capture_output=True, timeout=60
        )
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == check, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return call


def test_a_register_is_judged_as_what_it_looks_like(dokkaebi, tmp_path):
    (tmp_path / "h.edn").write_text(REGISTER % 1)
    done = dokkaebi("check", "h.edn", check=0)
    assert "judged as cas-register: it reads and writes registers" in done.stderr
    assert "HOLDS" in done.stdout
    (tmp_path / "h.edn").write_text(REGISTER % 7)
    said = json.loads(dokkaebi("check", "h.edn", "--json", check=1).stdout)
    assert [anomaly["type"] for anomaly in said["anomalies"]] == ["garbage-read"]


def test_model_and_initial_value_are_given(dokkaebi, tmp_path):
    (tmp_path / "h.edn").write_text(REGISTER.replace("write", "read") % 5)
    edn = ["check", "h.edn", "--model", "register"]
    dokkaebi(*edn, "--initial", "5", check=1)
    (tmp_path / "h.edn").write_text(REGISTER.replace("write", "read").replace("1}", "5}") % 5)
    dokkaebi(*edn, "--initial", "5", check=0)
    dokkaebi(*edn, check=1)
    dokkaebi(*edn, "--param", "initial=5", check=0)
    assert "its parameters are initial" in dokkaebi(*edn, "--param", "start=5", check=2).stderr


def test_standard_input_and_packed_files(dokkaebi, tmp_path):
    dokkaebi("check", "-", stdin=COUNTER.encode(), check=0)
    (tmp_path / "h.jsonl.gz").write_bytes(gzip.compress(COUNTER.encode()))
    done = dokkaebi("check", "h.jsonl.gz", check=0)
    assert "judged as counter" in done.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--workload", "countre"], "did you mean counter"),
        (["--model", "registr"], "did you mean"),
        (["--model", "mutex", "--workload", "lock"], "one of them judges"),
        (["--workload", "append", "--level", "serialisable"], "did you mean"),
        (["--workload", "counter", "--level", "serializable"], "counter has no levels"),
        (["--model", "cas-register", "--level", "serializable"], "linearizable"),
        (["--workload", "bank"], "not what bank asks"),
        (["--workload", "counter", "--budget", "5"], "need none"),
        (["--workload", "counter", "--param", "colour=5"], "colour"),
    ],
)
def test_what_cannot_be_meant_is_exit_2(dokkaebi, tmp_path, args, told):
    name = "t.jsonl" if "append" in args else "h.jsonl"
    txn = '{"process":0,"type":"invoke","f":"txn","value":[["append",1,2]]}\n'
    (tmp_path / "h.jsonl").write_text(COUNTER)
    (tmp_path / "t.jsonl").write_text(txn)
    done = dokkaebi("check", name, *args, check=2)
    assert told in done.stderr


def test_a_level_that_needs_real_time_is_refused_where_there_is_none(dokkaebi, tmp_path):
    (tmp_path / "h.txt").write_text("w 1 1\n=====\nr 1 1\n")
    for level in ("strict-serializable", "strong-read-committed", "PL-SS"):
        done = dokkaebi("check", "h.txt", "--workload", "wr", "--level", level, check=2)
        assert "real time" in done.stderr


def test_a_broken_file_is_exit_2_with_line_column_and_text(dokkaebi, tmp_path):
    (tmp_path / "h.edn").write_text(REGISTER % "(1}")
    done = dokkaebi("check", "h.edn", check=2)
    assert "h.edn, line 4, column 44" in done.stderr
    assert ":value (1}" in done.stderr


def test_there_and_back(dokkaebi, tmp_path):
    (tmp_path / "h.jsonl").write_text(COUNTER)
    dokkaebi("convert", "h.jsonl", "--to", "edn", "-o", "h.edn", check=0)
    assert ':f :add, :value ["x" 2]' in (tmp_path / "h.edn").read_text()
    assert [path.name for path in tmp_path.glob("*.edn*")] == ["h.edn"]
    back = dokkaebi("convert", "h.edn", "--to", "jsonl", check=0)
    assert dokkaebi("convert", "h.jsonl", "--to", "jsonl", check=0).stdout == back.stdout
    assert "line 1" in dokkaebi("convert", "-", "--to", "edn", stdin=b"[{:a", check=2).stderr


def test_a_torn_last_line_is_said_and_the_rest_judged(dokkaebi, tmp_path):
    (tmp_path / "h.jsonl").write_text(COUNTER + '{"process":0,"type":"inv')
    done = dokkaebi("check", "h.jsonl", "--progress", "none", check=0)
    assert done.stderr.count("line 5, the last one, is torn and left out") == 1
    said = json.loads(dokkaebi("check", "h.jsonl", "--json", check=0).stdout)
    assert [note for note in said["notes"] if "line 5" in note]
    assert "line 5" in dokkaebi("convert", "h.jsonl", "--to", "edn", check=0).stderr


def test_a_place_that_cannot_be_written_to_is_exit_2(dokkaebi, tmp_path):
    (tmp_path / "h.jsonl").write_text(COUNTER)
    done = dokkaebi("convert", "h.jsonl", "--to", "edn", "-o", "nowhere/x", check=2)
    assert done.stderr == "dokkaebi: -o nowhere/x: No such file or directory\n"


def test_a_reader_who_leaves_early_changes_nothing(tmp_path):
    event = '{"process":0,"type":"%s","f":"add","value":["x",1],"time":%d}\n'
    text = "".join(event % ("invoke", i) + event % ("ok", i) for i in range(20_000))
    (tmp_path / "h.jsonl").write_text(text)
    line, env = command(tmp_path, "convert", "h.jsonl", "--to", "edn")
    running = subprocess.Popen(
        line, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdout.readline().startswith(b"{:index 0")
    running.stdout.close()
    assert (running.stderr.read(), running.wait(30)) == (b"", 0)


def test_what_is_not_there_is_named(dokkaebi):
    assert "no file 'no.jsonl'" in dokkaebi("check", "no.jsonl", check=2).stderr
    assert "no run 'no'" in dokkaebi("check", "no", check=2).stderr


def test_an_anomaly_is_explained(dokkaebi):
    text = dokkaebi("list", "anomalies", "G-single", check=0).stdout
    assert len(text.splitlines()) >= 4
    assert "cas-register" in dokkaebi("list", "models", check=0).stdout
    assert "serializable" in dokkaebi("list", "levels", check=0).stdout


# --- a big one ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A million operations, of a counter."""
    path = tmp_path_factory.mktemp("big") / "big.jsonl"
    with path.open("w") as file:
        for i in range(1_000_000):
            head = f'{{"time":{i * 1000},"process":{i % 10},"type":'
            tail = f'"f":"add","value":[{i % 4},1]}}\n'
            file.write(f'{head}"invoke",{tail}{head}"ok",{tail}')
    return path


@pytest.fixture(scope="module")
def seconds(big):
    """What a check of the big file takes when nobody interrupts it."""
    line, env = command(big.parent, "check", str(big))
    began = time.monotonic()
    subprocess.run(line, cwd=big.parent, env=env, check=True, capture_output=True)
    return time.monotonic() - began


@pytest.mark.parametrize("part", [0.1, 0.4, 0.8])
def test_interrupted_it_ends_within_a_second_with_130(tmp_path, big, seconds, part):
    line, env = command(tmp_path, "check", str(big))
    running = subprocess.Popen(line, cwd=tmp_path, env=env, stderr=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(part * seconds)
    running.send_signal(signal.SIGINT)
    began = time.monotonic()
    running.communicate(timeout=30)
    assert running.returncode == 130
    assert time.monotonic() - began < (1.0 if not os.environ.get("CI") else 3.0)


def test_progress_is_shown_on_a_terminal(tmp_path, big):
    line, env = command(tmp_path, "check", str(big))
    env = {name: value for name, value in env.items() if name != "CI"} | {"TERM": "xterm"}
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        line, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:
        pass  # the other end is gone
    assert running.wait(60) == 0
    os.close(ours)
    for word in (b"reading", b"%", b"judging: counter"):
        assert word in shown
