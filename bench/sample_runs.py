"""Made-up runs that look like real ones: to try the report and the terminal, and to measure them.

    python bench/sample_runs.py DIR        writes one run of each kind, with its report, below DIR

Nothing here was measured on a server; every history is drawn from a seeded random generator.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dokkaebi.checkers.stats import stats
from dokkaebi.harness.faults import fault_records, heal_event, inject_event
from dokkaebi.harness.history import History, Op, Operation
from dokkaebi.harness.result import CheckerResult, Result
from dokkaebi.harness.spec import Spec
from dokkaebi.harness.trace import TraceFile, Tracer
from dokkaebi.harness.verdict import Anomaly, Verdict
from dokkaebi.results import store

MS = 1_000_000
SECOND = 1000 * MS
ENVIRONMENT = {
    "dokkaebi": "0.1.0",
    "python": "3.11.7",
    "platform": "Linux x86_64, 2 cores",
    "postgres": "18.4",
    "settings": {"postgres": {"fsync": "on", "max_connections": "64"}},
}
REMEDIES = {
    "lost-update": "Let the database do the arithmetic: UPDATE counters SET value = value + 1 ... "
    "Or lock the row while you decide: SELECT ... FOR UPDATE.",
    "double-hold": "Release the lock only if it is still yours: compare the token and delete in "
    "one step (a script), never GET and then DEL.",
    "expired-hold": "Give every lock a growing number (a fencing token) and let the resource "
    "refuse older ones, at entry and at every write.",
    "nonlinearizable": "Read from the primary, or wait until the replica has replayed the write.",
    "G2-item": "Ask for SERIALIZABLE and retry on 40001, or lock the rows that the decision reads.",
}


def remedy(anomaly: str) -> str:
    """What a workload would advise."""
    return REMEDIES.get(anomaly, "")


class Recorder:
    """Collects events and trace rows of a made-up run."""

    def __init__(self) -> None:
        self.events: list[Op] = []
        self.rows: list[tuple[Any, ...]] = []
        self.numbers: dict[int, int] = {}

    def op(
        self, process: int, f: str, value: Any, call: int, ret: int, *, kind: str = "ok",
        filled: Any = None, phase: str = "main", steps: list[tuple[Any, ...]] = (), ext: Any = None,
        **more: Any,
    ) -> tuple[int, int]:  # fmt: skip
        """Record an operation; steps are (start, took, sent, args, got[, error]) from its call."""
        n = self.numbers.get(process, 0)
        self.numbers[process] = n + 1
        self.events.append(
            Op(time=call, process=process, type="invoke", f=f, value=value, phase=phase)
        )
        done = value if filled is None else filled
        self.events.append(
            Op(time=ret, process=process, type=kind, f=f, value=done, phase=phase, ext=ext, **more)
        )
        for start, took, sent, args, got, *error in steps:
            at = call + start
            self.rows.append(
                (
                    process,
                    n,
                    at,
                    at + took,
                    "postgres",
                    sent,
                    args,
                    got,
                    error[0] if error else None,
                )
            )
        return process, call

    def fault(
        self, number: int, name: str, target: str, start: int, end: int, *processes: int
    ) -> None:
        """Record a fault that took effect."""
        self.events.append(
            inject_event(
                time=start, name=name, number=number, target=target, processes=list(processes)
            )
        )
        self.events.append(
            heal_event(
                time=end, name=name, number=number, took_effect=True,
                evidence=f"nothing was answered for {(end - start) / 1e9:.2f} s",
            )
        )  # fmt: skip

    def history(self, **meta: Any) -> History:
        """Everything so far in its total order."""
        self.events.sort(key=lambda op: (op.time, op.type != "invoke", str(op.process)))
        return History(self.events, meta=meta)

    def write_trace(self, folder: Path) -> None:
        """Write the trace rows as one worker process would."""
        tracer = Tracer(epoch_ns=0)
        for process, n, start, end, node, sent, args, got, error in self.rows:
            tracer.process, tracer.n = process, n
            tracer.record(node, sent, args, start, end, got, error)
        file = TraceFile(folder / "0-0.jsonl")
        file.write(tracer)
        file.close()


def find(history: History, process: int, call: int) -> int:
    """The index of the invocation by this process at this time."""
    return next(
        i for i in history.invocations()
        if history.process[i] == process and history.time[i] == call
    ).item()  # fmt: skip


SELECT = "SELECT value FROM counters WHERE key = %s"
UPDATE = "UPDATE counters SET value = %s WHERE key = %s"


def adding(
    rng: random.Random, recorder: Recorder, n: int, seconds: float, faults: list[tuple[int, int]]
) -> None:
    """Eight processes add to six counters; in a fault operations become slow, fail, or hang."""
    clocks = {p: rng.randrange(3 * MS) for p in range(8, 16)}
    step = seconds * SECOND / n * 8
    totals = dict.fromkeys((f"c{i}" for i in range(6)), 0)
    while min(clocks.values()) < seconds * SECOND:
        process = min(clocks, key=clocks.__getitem__)
        call = clocks.pop(process)
        took = int(rng.lognormvariate(0, 0.45) * 0.8 * step)
        hit = next((end for start, end in faults if start <= call + took and call < end), None)
        key = rng.choice(list(totals))
        kind, error = "ok", None
        if hit is not None:
            took = hit - call + rng.randrange(5 * MS)
            kind = rng.choice(["info", "fail", "ok"]) if hit - call < 0.5 * SECOND else "info"
            error = {"info": "the connection was lost", "fail": "40001 could not serialize"}.get(
                kind
            )
        if rng.random() < 0.25:
            recorder.op(process, "read", [key, None], call, call + took, kind=kind, error=error,
                        filled=[key, totals[key]] if kind == "ok" else None)  # fmt: skip
        else:
            totals[key] += kind == "ok"
            recorder.op(process, "add", [key, 1], call, call + took, kind=kind, error=error,
                        result=totals[key] if kind == "ok" else None)  # fmt: skip
        after = process + 8 if kind == "info" else process
        clocks[after] = call + took + 1 + rng.randrange(int(0.1 * step) + 1)


def counter(folder: Path, n: int = 4000, seconds: float = 10.0) -> tuple[Result, History]:
    """A counter whose strategy reads, adds in the application, and writes back."""
    recorder, rng = Recorder(), random.Random("counter")
    adding(rng, recorder, n, seconds, [])
    at = int(seconds * 0.42 * SECOND)
    first = recorder.op(0, "add", ["c0", 1], at, at + 4 * MS, result=42, steps=[
        (100_000, 200_000, "BEGIN", None, None),
        (400_000, 500_000, SELECT, ["c0"], [[41]]),
        (1_300_000, 700_000, UPDATE, [42, "c0"], "UPDATE 1"),
        (2_300_000, 1_400_000, "COMMIT", None, None)])  # fmt: skip
    second = recorder.op(1, "add", ["c0", 1], at + 300_000, at + 6 * MS, result=42, steps=[
        (100_000, 200_000, "BEGIN", None, None),
        (600_000, 400_000, SELECT, ["c0"], [[41]]),
        (1_500_000, 3_000_000, UPDATE, [42, "c0"], "UPDATE 1"),
        (4_700_000, 600_000, "COMMIT", None, None)])  # fmt: skip
    history = recorder.history()
    recorder.write_trace(folder / store.TRACE)
    anomaly = Anomaly(
        type="lost-update",
        sentence="processes 0 and 1 both read 41 of c0 and both stored 42: two adds were "
        "acknowledged, the counter grew by one",
        ops=(find(history, *first), find(history, *second)),
        count=17,
        evidence={"kind": "ladder", "key": "c0"},
    )
    verdict = Verdict(verdict="violated", anomalies=(anomaly,), judged=len(history) // 2)
    spec = Spec(workload="counter", strategy="dokkaebi.workloads.counter:Naive",
                label="counter/read-then-write", needs=("postgres",), seed=1592,
                isolation="read committed", expect="unsafe", anomaly="lost-update")  # fmt: skip
    return result(folder, history, verdict, spec), history


def lock(folder: Path) -> tuple[Result, History]:
    """A lock with a lease of a second, and a holder that was paused for longer."""
    recorder, rng = Recorder(), random.Random("lock")
    clock, token, first, second = 20 * MS, 30, (0, 0), (0, 0)
    while clock < 9 * SECOND:
        process, took = 8 + rng.randrange(6), rng.randrange(1 * MS, 3 * MS)
        paused = 4 * SECOND < clock < 4.05 * SECOND
        if paused:
            process = 15
        token += 1
        got = recorder.op(
            process, "acquire", "lock-2", clock, clock + took, result=f"t{token}", ext={"ttl": 1.0},
            steps=[(200_000, took - 400_000, "SET", ["lock-2", f"t{token}", "NX", "PX", 1000], "OK")],
        )  # fmt: skip
        clock += took
        hold = 1600 * MS if paused else rng.randrange(10 * MS, 40 * MS)
        if paused:
            recorder.fault(
                1, "pause-client", "worker process 1", clock + 5 * MS, clock + 1500 * MS, 15, 13
            )
            first, start, lease = got, clock, clock - took + SECOND
            second = recorder.op(
                9, "acquire", "lock-2", clock + 1020 * MS, clock + 1023 * MS, result=f"t{token + 1}", ext={"ttl": 1.0},
                steps=[(200_000, 2_400_000, "SET", ["lock-2", f"t{token + 1}", "NX", "PX", 1000], "OK")],
            )  # fmt: skip
            at = clock + 1023 * MS
            recorder.op(
                9, "guard-read", ["lock-2", None], at + MS, at + 2 * MS, filled=["lock-2", 88]
            )
            recorder.op(9, "guard-write", ["lock-2", 90], at + 620 * MS, at + 621 * MS)
            recorder.op(
                15,
                "guard-read",
                ["lock-2", None],
                clock + MS,
                clock + 2 * MS,
                filled=["lock-2", 88],
            )
            recorder.op(15, "guard-write", ["lock-2", 89], clock + 1505 * MS, clock + 1506 * MS)
            recorder.op(9, "release", "lock-2", at + 640 * MS, at + 642 * MS, steps=[
                (200_000, 800_000, "GET", ["lock-2"], f"t{token + 1}"), (1_100_000, 600_000, "DEL", ["lock-2"], 1)])  # fmt: skip
            token += 1
        clock += hold
        recorder.op(process, "release", "lock-2", clock, clock + 2 * MS, ext={"token": f"t{token}"},
                    steps=[(200_000, 800_000, "GET", ["lock-2"], f"t{token - paused}")])  # fmt: skip
        clock += 3 * MS + (200 * MS if paused else 0)
    history = recorder.history(ttl=1.0)
    recorder.write_trace(folder / store.TRACE)
    ops = (find(history, *first), find(history, *second))
    release = [op.index for op in history.operations("release") if op.process == 15]
    later = [
        op.index for op in history.operations("release") if op.process == 9 and op.call > second[1]
    ]
    anomaly = Anomaly(
        type="expired-hold",
        sentence="process 9 was given lock-2 while process 15 still held it: its lease of 1 s had "
        "run out, but it had not stopped",
        ops=ops,
        count=1,
        evidence={
            "kind": "lanes",
            "name": "lock-2",
            "holds": [
                {"process": 15, "token": f"t{_token(history, ops[0])}", "from": start,
                 "to": start + 1600 * MS, "lease_to": lease, "acquire": ops[0],
                 "release": release[0]},
                {"process": 9, "token": f"t{_token(history, ops[1])}", "from": start + 1023 * MS,
                 "to": start + 1663 * MS, "lease_to": start + 2020 * MS, "acquire": ops[1],
                 "release": later[0]},
            ],
            "overlap": [start + 1023 * MS, start + 1600 * MS],
            "faults": [1],
        },
    )  # fmt: skip
    verdict = Verdict(verdict="violated", anomalies=(anomaly,), judged=len(history) // 2)
    spec = Spec(workload="lock", strategy="mylock.py:MyLock", label="mylock.py:MyLock",
                needs=("valkey",), seed=7, faults=("pause-client",), every=2 * SECOND,
                lasts=1500 * MS, params={"ttl": 1.0}, processes=4)  # fmt: skip
    return result(folder, history, verdict, spec), history


def _token(history: History, index: int) -> int:
    return int(str(history.operation(index).result).removeprefix("t"))


def register(folder: Path) -> tuple[Result, History]:
    """A register that is read from a replica."""
    recorder, rng = Recorder(), random.Random("register")
    values = {f"r{i}": 0 for i in range(5)}
    clocks = {p: rng.randrange(3 * MS) for p in range(5, 10)}
    number = 100
    while min(clocks.values()) < 5 * SECOND:
        process = min(clocks, key=clocks.__getitem__)
        call, key = clocks[process], f"r{process - 5}"
        took = int(rng.lognormvariate(0, 0.4) * 4 * MS)
        if rng.random() < 0.4:
            number += 1
            values[key] = number
            recorder.op(process, "write", [key, number], call, call + took)
        else:
            recorder.op(process, "read", [key, None], call, call + took, filled=[key, values[key]])
        clocks[process] = call + took + rng.randrange(2 * MS)
    at = 2 * SECOND
    before = [
        recorder.op(1, "write", ["r9", 7], at, at + 3 * MS),
        recorder.op(2, "read", ["r9", None], at + 4 * MS, at + 5 * MS, filled=["r9", 7]),
        recorder.op(1, "write", ["r9", 8], at + 5 * MS, at + 9 * MS),
    ]
    open_one = recorder.op(3, "write", ["r9", 9], at + 11 * MS, at + 15 * MS)
    stale = recorder.op(2, "read", ["r9", None], at + 12 * MS, at + 13 * MS, filled=["r9", 7])
    history = recorder.history()
    prefix = [find(history, *one) for one in before]
    guilty, concurrent = find(history, *stale), find(history, *open_one)
    anomaly = Anomaly(
        type="nonlinearizable",
        sentence="process 2 read 7 of r9, but by then 8 had replaced it: only 8 or 9 could be read",
        ops=(*prefix, guilty),
        evidence={"kind": "linearizability", "key": "r9", "states": [8, 9], "prefix": prefix,
                  "op": guilty, "concurrent": [concurrent]},
    )  # fmt: skip
    verdict = Verdict(verdict="violated", anomalies=(anomaly,), judged=len(history) // 2,
                      not_=("linearizable",), strongest="sequential")  # fmt: skip
    spec = Spec(workload="register", strategy="dokkaebi.workloads.register:Replica",
                label="register/replica-read", needs=("postgres",), seed=3, level="linearizable",
                backend="postgres:primary+2")  # fmt: skip
    return result(folder, history, verdict, spec), history


def append(folder: Path) -> tuple[Result, History]:
    """Write skew: two transactions that each read what the other one changes."""
    recorder, rng = Recorder(), random.Random("append")
    adding(rng, recorder, 800, 4.0, [])
    at, read, write = (
        1500 * MS,
        "SELECT vals FROM lists WHERE k = %s",
        "UPDATE lists SET vals = vals || %s WHERE k = %s",
    )
    one = recorder.op(0, "txn", [["r", 5, None], ["append", 6, 3]], at, at + 5 * MS,
                      filled=[["r", 5, [2]], ["append", 6, 3]], steps=[
        (200_000, 300_000, "BEGIN ISOLATION LEVEL REPEATABLE READ", None, None),
        (700_000, 300_000, read, [5], [[[2]]]), (1_400_000, 300_000, write, [3, 6], "UPDATE 1"),
        (4_000_000, 600_000, "COMMIT", None, None)])  # fmt: skip
    two = recorder.op(1, "txn", [["r", 6, None], ["append", 5, 9]], at + 200_000, at + 6 * MS,
                      filled=[["r", 6, []], ["append", 5, 9]], steps=[
        (200_000, 300_000, "BEGIN ISOLATION LEVEL REPEATABLE READ", None, None),
        (900_000, 300_000, read, [6], []), (1_900_000, 300_000, write, [9, 5], "UPDATE 1"),
        (4_400_000, 600_000, "COMMIT", None, None)])  # fmt: skip
    history = recorder.history()
    recorder.write_trace(folder / store.TRACE)
    first, second = find(history, *one), find(history, *two)
    anomaly = Anomaly(
        type="G2-item",
        sentence="T1 read 5 before T2 appended to it, and T2 read 6 before T1 appended to it",
        ops=(first, second),
        count=3,
        evidence={"kind": "ladder", "edges": [
            {"from": first, "to": second, "kind": "rw", "key": 5, "why": "T1 must come before T2: "
             "its SELECT returned [2], so it did not see T2's append of 9 to 5."},
            {"from": second, "to": first, "kind": "rw", "key": 6, "why": "T2 must come before T1: "
             "its SELECT returned no rows, so it did not see T1's append of 3 to 6."}]},
    )  # fmt: skip
    verdict = Verdict(verdict="violated", anomalies=(anomaly,), judged=len(history) // 2,
                      not_=("serializable",), also_not=("strict-serializable",),
                      strongest="snapshot-isolation")  # fmt: skip
    spec = Spec(workload="append", strategy="dokkaebi.workloads.append:Plain", label="append",
                needs=("postgres",), backend="postgres", isolation="repeatable read",
                level="serializable", seed=1592, time=30 * SECOND)  # fmt: skip
    return result(folder, history, verdict, spec), history


def ring(folder: Path) -> tuple[Result, History]:
    """A cycle of seven transactions, each of which did not see the next one's write."""
    recorder, rng = Recorder(), random.Random("ring")
    adding(rng, recorder, 400, 2.0, [])
    at, size = SECOND, 7
    asked = [
        recorder.op(i, "txn", [["r", i, None], ["append", (i - 1) % size, 10 + i]], at + i * MS // 2,
                    at + 9 * MS + i, filled=[["r", i, []], ["append", (i - 1) % size, 10 + i]])
        for i in range(size)
    ]  # fmt: skip
    history = recorder.history()
    ops = [find(history, *one) for one in asked]
    edges = [
        {"from": ops[i], "to": ops[(i + 1) % size], "kind": "rw", "key": i,
         "why": f"T{i + 1} must come before T{(i + 1) % size + 1}: it read nothing of {i}, so it "
         f"did not see T{(i + 1) % size + 1}'s append of {10 + (i + 1) % size}."}
        for i in range(size)
    ]  # fmt: skip
    anomaly = Anomaly(type="G2-item", sentence="seven transactions each missed the next one's "
                      "append", ops=tuple(ops), evidence={"kind": "ladder", "edges": edges})  # fmt: skip
    verdict = Verdict(verdict="violated", anomalies=(anomaly,), judged=400, not_=("serializable",),
                      strongest="snapshot-isolation")  # fmt: skip
    spec = Spec(workload="append", strategy="a.py:A", label="a.py:A", level="serializable")
    return result(folder, history, verdict, spec), history


def passing(folder: Path, n: int = 6000) -> tuple[Result, History]:
    """A safe counter under kills and pauses: nothing was found."""
    recorder, rng = Recorder(), random.Random("passing")
    faults = [(2 * SECOND, 3 * SECOND), (5 * SECOND, 6 * SECOND), (8 * SECOND, 8500 * MS)]
    adding(rng, recorder, n, 10.0, faults)
    for number, (start, end) in enumerate(faults, start=1):
        recorder.fault(number, ("kill", "pause", "kill")[number - 1], "postgres", start, end)
    history = recorder.history()
    verdict = Verdict(verdict="holds", judged=len(history) // 2)
    spec = Spec(workload="counter", strategy="dokkaebi.workloads.counter:Atomic",
                label="counter/atomic", needs=("postgres",), seed=11, faults=("kill", "pause"),
                every=2 * SECOND, lasts=SECOND)  # fmt: skip
    return result(folder, history, verdict, spec), history


def unproved(folder: Path) -> tuple[Result, History]:
    """A run in which too little happened to prove anything."""
    recorder, rng = Recorder(), random.Random("unproved")
    adding(rng, recorder, 80, 2.0, [])
    history = recorder.history()
    verdict = Verdict(verdict="unknown", judged=len(history) // 2,
                      reason="only 61 operations were ok; at least 100 are needed")  # fmt: skip
    spec = Spec(workload="counter", strategy="c.py:C", label="c.py:C", seed=2, time=2 * SECOND)
    return result(folder, history, verdict, spec), history


def hostile(folder: Path) -> tuple[Result, History]:
    """Values, names and errors that try to break out of wherever they are shown."""
    recorder = Recorder()
    bad = [
        "</script><script>window.hacked=1</script>",
        "<img src=x onerror=window.hacked=2>",
        '" onmouseover="window.hacked=3" \'`${window.hacked=4}`{{ 7*7 }}{% raw %}',
        "\u202etxt.exe\u2066\u200f\u0000\u0007\u001b[31mred\u2028\u2029",
        "x" * 1_000_000,
        "]]>--><svg onload=window.hacked=5>",
    ]
    at = MS
    ops = []
    for i, value in enumerate(bad):
        ops.append(recorder.op(
            i % 3, f"read{value[:40]}", [value, None], at, at + 2 * MS, filled=[value, value],
            error=value, steps=[(100, 1 * MS, value, [value], [[value]], value if i % 2 else None)],
        ))  # fmt: skip
        at += 3 * MS
    recorder.op(4, "write", {"a": bad}, at, at + MS, kind="info", error=bad[0])
    history = recorder.history()
    recorder.write_trace(folder / store.TRACE)
    anomaly = Anomaly(type="garbage-read", sentence=" ".join(bad), ops=tuple(find(history, *o) for o in ops),
                      evidence={"kind": "ladder", "key": bad[0], "note": bad[1]})  # fmt: skip
    other = Anomaly(
        type="double-hold" + bad[0], sentence=bad[2], evidence={"kind": "lanes", "holds": [{}]}
    )
    lin = Anomaly(type="nonlinearizable", sentence=bad[3], ops=(0,), evidence={
        "kind": "linearizability", "key": bad[0], "states": bad, "prefix": [0], "op": 0})  # fmt: skip
    verdict = Verdict(verdict="violated", reason=bad[0], anomalies=(anomaly, other, lin),
                      not_=(bad[1],), judged=3)  # fmt: skip
    spec = Spec(workload="counter", strategy=bad[0], label=bad[0] + "\n" + bad[2], seed=1,
                params={"x": bad[0], bad[1][:30]: bad[3]}, isolation=bad[0])  # fmt: skip
    return result(folder, history, verdict, spec), history


def touches(op: Operation) -> tuple[Any, bool]:
    """The key that an operation of these runs touches, and whether it writes it."""
    asked = op.asked
    if isinstance(asked, list) and asked and isinstance(asked[0], list):
        return asked[-1][1], True
    return (asked[0] if isinstance(asked, list) else str(asked)), "read" not in op.f


def result(folder: Path, history: History, verdict: Verdict, spec: Spec) -> Result:
    """The result of a made-up run, saved as a real one would be."""
    figures = stats(history, touches, verdict.anomalies)
    spec.save(folder / store.SPEC)
    store.save_history(folder, history)
    made = Result(
        verdict=verdict, checkers={spec.workload: CheckerResult(verdict=verdict, seconds=0.21)},
        stats=figures, faults=tuple(fault_records(history)), spec=spec, folder=folder,
        environment=ENVIRONMENT,
    )  # fmt: skip
    store.save_result(folder, made)
    return made


SAMPLES: dict[str, Callable[[Path], tuple[Result, History]]] = {
    "counter": counter,
    "lock": lock,
    "register": register,
    "append": append,
    "ring": ring,
    "passing": passing,
    "unproved": unproved,
    "hostile": hostile,
}


def main(out: Path) -> None:
    """Write one run of each kind with its report, and print its summary."""
    from dokkaebi.results.report import write_report
    from dokkaebi.results.terminal import make_console, summary

    for name, make in SAMPLES.items():
        folder = store.new_run(out, name)
        made, history = make(folder)
        write_report(made, history, folder, remedy=remedy)
        summary(made, history, make_console(), remedy=remedy)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
