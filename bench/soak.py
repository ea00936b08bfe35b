"""The safe strategies over many seeds: `make soak`. Not one false alarm is allowed.

Each cell is (strategy, fault); each seed of it one run. What was done is kept in `soak-state/`, so
that an interrupted soak goes on where it was (`--fresh` begins again). Exit 1 for a violation, or
for more than one unknown of twenty in a cell.
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
from dokkaebi.harness.errors import DokkaebiError
from dokkaebi.harness.household import Household
from dokkaebi.harness.spec import SECOND
from dokkaebi.results.live import Silent

CELLS = [
    (strategy, fault)
    for strategy in (
        "counter/update-in-place",
        "counter/for-update",
        "counter/optimistic-version",
        "bank/for-update-ordered",
        "bank/serializable-retry",
    )
    for fault in ("none", "kill", "pause", "kill-client")
]
MORE = [
    ("counter/repeatable-read-retry", "none"),
    ("counter/repeatable-read-retry", "kill"),
    ("counter/optimistic-version-sqlite", "none"),
    ("counter/optimistic-version-sqlite", "kill-client"),
    ("counter/watch-multi", "none"),
    ("counter/watch-multi", "kill-client"),
    ("register/row", "none"),
    ("register/row", "kill"),
    ("register/row", "kill-client"),
    ("register/key", "none"),
    ("register/key", "kill"),
    ("register/key", "kill-client"),
    ("lock/set-nx-compare-and-del", "none"),
    ("lock/set-nx-compare-and-del", "kill-client"),
    ("lock/guarded-with-fencing", "pause-client"),
]
LONGER = {"lock": 10}
"""Seconds for workloads whose leases need more time than three seconds."""


def main() -> None:
    """Run every cell's seeds; print a line per cell and the runs that were not clean."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--time", type=int, default=3, help="seconds of each run")
    parser.add_argument("--only", default="", help="cells whose name contains this")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--state", type=Path, default=Path("soak-state"))
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(options.state, ignore_errors=True)
    options.state.mkdir(exist_ok=True)
    log = options.state / "runs.jsonl"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    cells = [cell for cell in CELLS + MORE if options.only in "/".join(cell)]
    done = soak(cells, options, log, done)
    sys.exit(verdict(cells, done, options.seeds))


def soak(cells, options, log: Path, done: list[dict]) -> list[dict]:
    """Run what has not been run yet, appending each outcome to the log."""
    had = {(d["strategy"], d["fault"], d["seed"]) for d in done}
    with Household() as household, Servers(household) as servers, log.open("a") as file:
        for strategy, fault in cells:
            for seed in range(1, options.seeds + 1):
                if (strategy, fault, seed) in had:
                    continue
                outcome = one(strategy, fault, seed, options, servers)
                done.append(outcome)
                file.write(json.dumps(outcome) + "\n")
                file.flush()
            tell(strategy, fault, done)
    return done


def one(strategy: str, fault: str, seed: int, options, servers: Servers) -> dict:
    """One run; its folder is kept only when it did not hold."""
    seconds = LONGER.get(strategy.partition("/")[0], options.time)
    wish = Wish(target=strategy, faults=[fault], time=seconds * SECOND, seed=seed)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.state) as folder:
        try:
            finished = run(wish, servers=servers, out=Path(folder), view=Silent())
        except DokkaebiError as error:
            said, reason, ok = "broke", f"{type(error).__name__}: {error}", 0
        else:
            said = finished.result.verdict.verdict
            reason = finished.result.verdict.reason
            reason += "".join(a.sentence for a in finished.result.verdict.anomalies)
            ok = finished.result.stats.ok
            if said != "holds" and finished.result.folder is not None:
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


def tell(strategy: str, fault: str, done: list[dict]) -> None:
    """A line for a cell."""
    mine = [d for d in done if (d["strategy"], d["fault"]) == (strategy, fault)]
    counts = Counter(d["verdict"] for d in mine)
    said = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))
    print(f"{strategy:<36} {fault:<13} {said}", flush=True)
    for outcome in mine:
        if outcome["verdict"] != "holds":
            print(f"    seed {outcome['seed']}: {outcome['verdict']}: {outcome['reason']}")


def verdict(cells, done: list[dict], seeds: int) -> int:
    """0 when nothing was accused, nothing broke, and at most one of twenty was unknown."""
    bad = 0
    for cell in cells:
        counts = Counter(d["verdict"] for d in done if (d["strategy"], d["fault"]) == cell)
        bad += counts["violated"] + counts["broke"]
        bad += counts["unknown"] > max(1, seeds // 20)
    print(f"{len(done)} runs, {bad} cells or runs to look at")
    return 1 if bad else 0


if __name__ == "__main__":
    main()
