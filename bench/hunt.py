"""`make hunt`: list-append on three tables at serializable, run after run, each checked as it ends.

After the workload with which a G2-item at serializable was reported of PostgreSQL 18.4: 50
connections, INSERT ... ON CONFLICT, at most one write to a key. Runs in which something was found
are kept; all others leave a line in `hunt-runs/hunt.jsonl`. Ctrl-C ends it and says what was seen.
"""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

from dokkaebi.compose import Servers, run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.errors import DokkaebiError
from dokkaebi.harness.household import Household
from dokkaebi.harness.spec import SECOND
from dokkaebi.results.live import Silent


def main() -> None:
    """Run until the time is over; exit 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seconds", type=int, default=60, help="of each run")
    parser.add_argument("--strategy", default="append/three-tables")
    parser.add_argument("--on", default="postgres")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--out", type=Path, default=Path("hunt-runs"))
    options = parser.parse_args()
    options.out.mkdir(exist_ok=True)
    seen: list[dict] = []
    began = time.monotonic()
    try:
        with Household() as household, Servers(household) as servers:
            while time.monotonic() - began < options.hours * 3600:
                seen.append(one(options, options.seed + len(seen), servers))
                tell(seen)
    except KeyboardInterrupt:
        pass
    print(summed(seen, time.monotonic() - began))
    sys.exit(any(each["found"] for each in seen))


def one(options, seed: int, servers: Servers) -> dict:
    """One run; its folder stays only where something was found."""
    wish = Wish(
        target=options.strategy,
        on=options.on,
        level="serializable",
        faults=[],
        workers=options.connections,
        processes=options.processes,
        time=options.seconds * SECOND,
        seed=seed,
    )
    began = time.monotonic()
    try:
        result = run(wish, servers=servers, out=options.out, view=Silent()).result
    except DokkaebiError as error:
        said = {"seed": seed, "verdict": "broke", "reason": str(error), "ok": 0, "found": {}}
    else:
        found = {anomaly.type: anomaly.count for anomaly in result.verdict.anomalies}
        said = {
            "seed": seed,
            "verdict": result.verdict.verdict,
            "reason": result.verdict.reason,
            "ok": result.stats.ok,
            "failed": result.stats.fail,
            "found": found,
            "folder": str(result.folder),
        }
        if not found and result.folder is not None:
            shutil.rmtree(result.folder)
    said["seconds"] = round(time.monotonic() - began, 1)
    with (options.out / "hunt.jsonl").open("a") as file:
        file.write(json.dumps(said) + "\n")
    return said


def tell(seen: list[dict]) -> None:
    """A line for the last run."""
    last = seen[-1]
    found = ", ".join(f"{name} ×{count}" for name, count in last["found"].items())
    what = found or last["reason"] or "nothing"
    print(f"seed {last['seed']}: {last['verdict']}, {last['ok']:,} committed: {what}", flush=True)


def summed(seen: list[dict], seconds: float) -> str:
    """What was seen in all."""
    hits = [each for each in seen if each["found"]]
    committed = sum(each["ok"] for each in seen)
    told = "; ".join(f"seed {each['seed']}: {each['folder']}" for each in hits)
    return (
        f"{len(seen)} runs, {committed:,} transactions committed, {seconds / 60:.0f} min: "
        f"{len(hits)} runs with an anomaly{': ' + told if told else ''}"
    )


if __name__ == "__main__":
    main()
