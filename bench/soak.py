"""Every strategy under every fault that it declares, over many seeds: `make soak`.

Not one false alarm is allowed: a safe strategy is never violated, and at most one run in twenty of
a cell is unknown. An unsafe one is violated with the anomaly that it declares in 19 of 20 seeds, and
one that lacks progress is violated with that alone, where progress is required.
What was done is kept in `soak-state/`, so that an interrupted soak goes on where it was (`--fresh`
begins again). Exit 1 where a cell did not keep to that.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from dokkaebi.compose import Servers, run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.errors import DokkaebiError, Unavailable
from dokkaebi.harness.household import Household
from dokkaebi.harness.plugins import strategies
from dokkaebi.harness.spec import SECOND
from dokkaebi.results.live import Silent

BRIEF = 3
"""Seconds of a run of a safe strategy on a single server; all others take as long as usual."""


def cells(only: str) -> list[tuple[str, str]]:
    """Every strategy with each of its faults, but those whose violation is known and rare."""
    return [
        (name, fault)
        for name, strategy in strategies().items()
        if not getattr(strategy, "known", None)
        for fault in getattr(strategy, "faults", ()) or ("none",)
        if only in f"{name}/{fault}"
    ]


def main() -> None:
    """Run every cell's seeds; print a line per cell and the runs that were not as they must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="", help="cells whose name contains this")
    parser.add_argument("--clusters", action="store_true", help="only what needs a cluster")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--state", type=Path, default=Path("soak-state"))
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(options.state, ignore_errors=True)
    options.state.mkdir(exist_ok=True)
    chosen = [
        (name, fault)
        for name, fault in cells(options.only)
        if not options.clusters or ":" in "".join(strategies()[name].needs)
    ]
    log = options.state / "runs.jsonl"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = soak(chosen, options, log, done)
    sys.exit(verdict(chosen, done, options.seeds))


def soak(chosen, options, log: Path, done: list[dict]) -> list[dict]:
    """Run what has not been run yet, appending each outcome to the log."""
    had = {(d["strategy"], d["fault"], d["seed"]) for d in done}
    with Household() as household, Servers(household) as servers, log.open("a") as file:
        for strategy, fault in chosen:
            for seed in range(1, options.seeds + 1):
                if (strategy, fault, seed) in had:
                    continue
                try:
                    outcome = one(strategy, fault, seed, options, servers)
                except Unavailable as missing:
                    print(f"{strategy} {fault}: {missing}", flush=True)
                    break
                done.append(outcome)
                file.write(json.dumps(outcome) + "\n")
                file.flush()
            tell(strategy, fault, done)
    return done


def one(strategy: str, fault: str, seed: int, options, servers: Servers) -> dict:
    """One run; its folder is kept only when it was not as it must be."""
    declared = strategies()[strategy]
    brief = declared.expect == "safe" and ":" not in "".join(declared.needs)
    brief = brief and declared.workload != "lock"
    live = declared.expect == "live"
    time_ns = BRIEF * SECOND if brief else None
    wish = Wish(target=strategy, faults=[fault], time=time_ns, seed=seed, require_progress=live)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.state) as folder:
        try:
            finished = run(wish, servers=servers, out=Path(folder), view=Silent())
        except Unavailable:
            raise
        except DokkaebiError as error:
            said, reason, ok = "broke", f"{type(error).__name__}: {error}", 0
        else:
            found = finished.result.verdict
            said, ok = found.verdict, finished.result.stats.ok
            reason = found.reason + "".join(a.sentence for a in found.anomalies)
            resolved = {"deadlock"} if live and finished.result.stats.deadlocks else set()
            if resolved and not found.anomalies:
                said = "violated"  # what the server resolved is counted, and not accused
            if declared.expect != "safe" and declared.anomaly not in named(found) | resolved:
                said = f"{said} ({', '.join(sorted(named(found))) or 'nothing'})"
            if said != must(declared) and finished.result.folder is not None:
                kept = options.state / f"{strategy.replace('/', '-')}-{fault}-{seed}"
                shutil.copytree(finished.result.folder, kept, dirs_exist_ok=True)
    return {
        "strategy": strategy,
        "fault": fault,
        "seed": seed,
        "verdict": said,
        "reason": reason,
        "ok": ok,
        "seconds": round(time.monotonic() - began, 1),
    }


def named(found) -> set[str]:
    """The anomalies found; of those that only an order of sessions or of time closes, the class."""
    return {a.type.removesuffix("-process").removesuffix("-realtime") for a in found.anomalies}


def must(declared) -> str:
    """The verdict that a strategy must get."""
    return "holds" if declared.expect == "safe" else "violated"


def tell(strategy: str, fault: str, done: list[dict]) -> None:
    """A line for a cell."""
    mine = [d for d in done if (d["strategy"], d["fault"]) == (strategy, fault)]
    told = Counter(d["verdict"] for d in mine)
    line = ", ".join(f"{number} {verdict}" for verdict, number in told.most_common())
    seconds = sum(d["seconds"] for d in mine)
    print(f"{strategy} under {fault}: {line or 'not run'}; {seconds:.0f} s", flush=True)


def verdict(chosen, done: list[dict], seeds: int) -> int:
    """1 where a cell is not as it must be."""
    bad = 0
    for strategy, fault in chosen:
        mine = [d for d in done if (d["strategy"], d["fault"]) == (strategy, fault)]
        wanted = must(strategies()[strategy])
        off = [d for d in mine if d["verdict"] != wanted]
        allowed = max(1, seeds // 20)
        accused = wanted == "holds" and any(d["verdict"] == "violated" for d in off)
        if accused or len(off) > allowed or any(d["verdict"] == "broke" for d in off):
            bad += 1
        for d in off:
            print(
                f"{strategy} under {fault}, seed {d['seed']}: {d['verdict']}: {d['reason'][:300]}"
            )
    print(f"{len(done)} runs of {len(chosen)} cells, {bad} cells are not as they must be")
    return 1 if bad else 0


if __name__ == "__main__":
    main()
