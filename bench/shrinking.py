"""How small `dokkaebi shrink` makes violations, and how often its tests fail: `make shrinking`.

    python bench/shrinking.py [NAME ...]      strategies, by default one of each class

Each strategy is run until it is violated, the run is shrunk, and the pytest file that comes of it is
run ten times. Exit 1 where a history keeps more operations than it may, or a test fails in fewer
than nine of its ten runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from dokkaebi.results.names import noun

STRATEGIES = (
    "append/concat-read-committed",
    "append/concat-repeatable-read",
    "append/read-modify-write",
    "bank/read-committed",
    "counter/select-then-update",
    "ids/max-plus-one",
    "lock/set-nx-get-then-del",
    "lock/set-nx-plain-del",
    "long-fork/one-by-one",
    "queue/claim-then-work",
    "register/own-cache",
    "session/snapshot-kept-open",
    "set/members-then-set",
    "unique/check-then-insert",
)
MOST = {"lock": 8, "register": 8}
"""Operations that a shrunk history may keep; of other workloads five."""
TIMES = 10
ENOUGH = 9


def main(names: tuple[str, ...]) -> int:
    """Shrink a violation of each, print a line for it; 1 where one is not as it must be."""
    short = 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            short += not shrunk(name, Path(folder))
    return 1 if short else 0


def shrunk(name: str, folder: Path) -> bool:
    """Whether a violation of this strategy becomes as small as it should."""
    for seed in range(1, 6):
        if dokkaebi(folder, "run", name, "--seed", str(seed)).returncode == 1:
            break
    made = dokkaebi(folder, "shrink", "--to", "tests", "--json")
    if made.returncode:
        print(f"{name}: {made.stderr.strip()[-300:]}", flush=True)
        return False
    told = json.loads(made.stdout)
    failed = sum(fails(folder, told["test"], told["anomaly"]) for _ in range(TIMES))
    print(f"{name}: {told['anomaly']}, {told['operations']} operations after {told['judged']} tries, "
          f"the test failed {failed} of {TIMES} times", flush=True)  # fmt: skip
    return told["operations"] <= MOST.get(name.partition("/")[0], 5) and failed >= ENOUGH


def fails(folder: Path, file: str, anomaly: str) -> bool:
    """Whether the test fails, and for that reason."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ran.returncode == 1 and noun(anomaly) in ran.stdout


def dokkaebi(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, in a folder of its own."""
    line = [sys.executable, "-m", "dokkaebi", *words, "--progress", "none"]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:]) or STRATEGIES))
