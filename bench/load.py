"""How much of pgbench's speed the harness reaches while it records everything: `make bench`.

Both run `BEGIN; UPDATE one of 10,000 rows by key; COMMIT` on the embedded PostgreSQL with fsync
off, in turn: pgbench with 8 clients in 2 threads, the harness with 8 workers in 2 processes. The
ratio of each pair counts, because the machine's speed drifts; the median of the pairs is printed.
"""

import argparse
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

import psycopg

from dokkaebi.backends.postgres import Postgres
from dokkaebi.compose import Servers, run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.household import Household
from dokkaebi.harness.spec import SECOND
from dokkaebi.results.live import Silent

ROWS = 10_000
SCRIPT = f"""\\set id random(0, {ROWS - 1})
BEGIN;
UPDATE counter SET n = n + 1 WHERE id = :id;
COMMIT;
"""


def pgbench(server: Postgres, seconds: int, folder: Path) -> float:
    """Transactions a second that pgbench reaches."""
    spec = server.prepare("bench", isolation=None)
    script = folder / "update.sql"
    script.write_text(SCRIPT)
    with psycopg.connect(spec.dsn) as connection:
        connection.execute("CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL)")
        connection.execute(
            f"INSERT INTO counter SELECT i, 0 FROM generate_series(0, {ROWS - 1}) AS i"
        )
    command = [server.program("pgbench"), "-n", "-M", "prepared", "-c", "8", "-j", "2"]
    command += ["-T", str(seconds), "-f", str(script), spec.dsn]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    server.finish()
    found = re.search(r"tps = ([\d.]+)", said)
    assert found, said
    return float(found[1])


def harness(servers: Servers, seconds: int, folder: Path, seed: int) -> float:
    """Recorded transactions a second that the harness reaches."""
    wish = Wish(
        target=str(Path(__file__).parent / "update_one_row.py"),
        faults=[],
        keys=ROWS,
        params={"read_share": "0"},
        time=seconds * SECOND,
        workers=8,
        processes=2,
        seed=seed,
    )
    finished = run(wish, servers=servers, out=folder, view=Silent())
    main = [op for op in finished.history.operations("add") if op.phase == "main"]
    ok = [op for op in main if op.type == "ok"]
    return len(ok) / ((max(op.ret for op in ok) - min(op.call for op in ok)) / SECOND)


def main() -> None:
    """Alternate, and print each pair and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as name, Household() as household:
        folder = Path(name)
        folder.chmod(0o755)
        with Servers(household) as servers:
            server = servers.get("postgres", None, None)
            assert isinstance(server, Postgres)
            for pair in range(options.pairs):
                theirs = pgbench(server, options.seconds, folder)
                ours = harness(servers, options.seconds, folder, pair)
                ratios.append(ours / theirs)
                print(f"pgbench {theirs:8.0f}/s   dokkaebi {ours:8.0f}/s   ratio {ratios[-1]:.2f}")
    print(f"median ratio {statistics.median(ratios):.2f} over {len(ratios)} pairs")


if __name__ == "__main__":
    main()
