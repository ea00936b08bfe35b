"""Every strategy under every fault that it declares, over many seeds: `make soak`.

Not one false alarm is allowed: a safe strategy is never violated, and at most one run in twenty of
a cell is unknown. An unsafe one is violated with the anomaly that it declares in 19 of 20 seeds, and
one that lacks progress is violated with that alone, where progress is required.
What was done is kept in `soak-state/`, so that an interrupted soak goes on where it was (`--fresh`
begins again); the folders of runs stay where they were not as they must be. Exit 1 where a cell did
not keep to that.
"""

import argparse
import json
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import as_completed
from pathlib import Path

import msgspec

from dokkaebi.harness.plugins import strategies
from dokkaebi.suite.cases import Cell
from dokkaebi.suite.catalogue import catalogue
from dokkaebi.suite.executor import Local
from dokkaebi.suite.expectations import MET, judge_cell
from dokkaebi.suite.tasks import Outcome, Task

Done = dict[str, dict[int, dict]]
"""What came of each cell, by its name and the seed."""


def main() -> None:
    """Run every cell's seeds; print a line per cell and the runs that were not as they must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2, help="cells at once")
    parser.add_argument("--only", default="", help="cells whose name contains this")
    parser.add_argument("--clusters", action="store_true", help="only what needs a cluster")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--state", type=Path, default=Path("soak-state"))
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(options.state, ignore_errors=True)
    options.state.mkdir(exist_ok=True)
    chosen = [cell for cell in cells(clusters=options.clusters) if options.only in cell.name]
    done = soak(chosen, options)
    sys.exit(verdict(chosen, done, options.seeds))


def cells(*, clusters: bool) -> Iterable[Cell]:
    """Every cell of the catalogue, but those whose violation is known and rare.

    What must be caught has as long as usual: here each seed has to show it.
    """
    for cell in catalogue().cells:
        if cell.known or (clusters and ":" not in "".join(strategies()[cell.case].needs)):
            continue
        if cell.must_catch:
            cell = msgspec.structs.replace(cell, wish=msgspec.structs.replace(cell.wish, time=None))
        yield cell


def soak(chosen: list[Cell], options: argparse.Namespace) -> Done:
    """Run what has not been run yet, appending each outcome to the log."""
    log = options.state / "runs.jsonl"
    done: Done = defaultdict(dict)
    for line in log.read_text().splitlines() if log.exists() else []:
        record = json.loads(line)
        done[record["cell"]][record["seed"]] = record
    executor = Local(options.jobs, logs=options.state)
    out = str((options.state / "runs").resolve())
    going = {
        executor.submit(Task(wish=msgspec.structs.replace(cell.wish, seed=seed), out=out)): cell
        for cell in chosen
        for seed in range(1, options.seeds + 1)
        if seed not in done[cell.name]
    }
    try:
        with log.open("a") as file:
            for future in as_completed(going):
                cell, outcome = going[future], future.result()
                done[cell.name][outcome.seed] = record = told(cell, outcome)
                file.write(json.dumps(record) + "\n")
                file.flush()
                if len(done[cell.name]) >= options.seeds:
                    tell(cell, done)
    finally:
        executor.close()
    return done


def told(cell: Cell, outcome: Outcome) -> dict:
    """What a run came to; its folder goes where that is as it must be."""
    judged = judge_cell(cell, [outcome])
    if judged.met and outcome.folder is not None:
        shutil.rmtree(outcome.folder)
    return {
        "cell": cell.name,
        "seed": outcome.seed,
        "status": judged.status,
        "reason": judged.reason,
        "ok": outcome.ok,
        "seconds": round(outcome.seconds, 1),
    }


def tell(cell: Cell, done: Done) -> None:
    """A line for a cell."""
    mine = done[cell.name].values()
    counts = Counter(record["status"] for record in mine)
    line = ", ".join(f"{number} {status}" for status, number in counts.most_common())
    print(f"{cell.name}: {line}; {sum(record['seconds'] for record in mine):.0f} s", flush=True)


def verdict(chosen: list[Cell], done: Done, seeds: int) -> int:
    """1 where a cell is not as it must be."""
    bad, runs = 0, 0
    for cell in chosen:
        mine = list(done[cell.name].values())
        runs += len(mine)
        off = [r for r in mine if r["status"] not in MET and r["status"] != "skipped"]
        never = any(r["status"] in ("violated", "broke") for r in off)
        bad += never or len(off) > max(1, seeds // 20)
        for record in off:
            said = f"{record['status']}: {record['reason'][:300]}"
            print(f"{cell.name}, seed {record['seed']}: {said}")
    print(f"{runs} runs of {len(chosen)} cells, {bad} cells are not as they must be")
    return 1 if bad else 0


if __name__ == "__main__":
    main()
