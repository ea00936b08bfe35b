"""Write the pages that are drawn from the code: `make docs`. `--check` only compares.

`--measured RUNS/cells.jsonl` first takes over what the last runs of `dokkaebi suite catalogue` said.
"""

import argparse
import inspect
import json
import re
import sys
from pathlib import Path

import anomaly_pages
import workload_pages

from dokkaebi.checkers.anomalies import noun
from dokkaebi.harness.plugins import find, registered, strategies
from dokkaebi.suite.catalogue import catalogue

HERE = Path(__file__).parent
MEASURED = HERE / "measured.json"
STRATEGIES = """# Strategies

Drawn from the code by `make docs`. Each shows the one thing its name says; `unsafe` ones must be
caught with the anomaly named, `safe` ones must never be accused.

"""
CATALOGUE = """# The catalogue

Every strategy in the code under every fault that it declares, with the verdict that it must get and
what it got when `make catalogue` was last run. Drawn from the code by `make docs`;
[strategies.md](strategies.md) says of each what goes wrong and how to mend it.

`safe` rows must hold, `unsafe` ones must be caught with the anomaly named, `live` ones keep what
they promise and stop getting on. *Found after* is the time in the run at which the first anomaly was
complete.

"""
_ROW = re.compile(r"\b([A-G]\d\d[a-z]?|J\d+)\b")


def strategies_page() -> str:
    """Every built-in strategy with what it declares and its docstring."""
    parts = [STRATEGIES]
    every = strategies()
    for workload in registered("workloads"):
        parts.append(
            f"## {workload}\n\n{inspect.getdoc(inspect.getmodule(find('workloads', workload)))}\n"
        )
        for name, cls in every.items():
            if name.startswith(f"{workload}/"):
                parts.append(entry(name, cls))
    return "\n".join(parts)


def entry(name: str, cls: type) -> str:
    """One strategy."""
    anomaly = None if cls.expect == "safe" else cls.anomaly
    faults = [fault for fault in getattr(cls, "faults", ()) if fault != "none"]
    facts = [
        f"needs {' and '.join(cls.needs)}",
        f"expected {cls.expect}{f' ({anomaly})' if anomaly else ''}",
        *([f"under {', '.join(faults)}"] if faults else []),
    ]
    return f"### {name}\n\n{inspect.getdoc(cls)}\n\n*{'; '.join(facts)}*\n"


def catalogue_page() -> str:
    """A table for each workload: a line for each strategy and fault."""
    measured = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    every = strategies()
    parts, workload = [CATALOGUE], ""
    for cell in catalogue().cells:
        cls = every[cell.case]
        if cls.workload != workload:
            workload = cls.workload
            parts.append(f"\n## {workload}\n\n{HEADINGS}")
        parts.append(row(cell.case, cell.fault, cls, measured.get(cell.name)))
    return "".join(parts)


HEADINGS = (
    "| row | strategy | what it does | fault | must be | was | runs | found after |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def row(name: str, fault: str, cls: type, was: dict | None) -> str:
    """One cell as a line of its table."""
    text = inspect.getdoc(cls) or ""
    ids = ", ".join(dict.fromkeys(_ROW.findall(text)))
    what = sentence(text)
    anomaly = None if cls.expect == "safe" else cls.anomaly
    must = f"{cls.expect}{f': {anomaly}' if anomaly else ''}"
    told = "not measured", "", ""
    if was is not None:
        first = was["first_anomaly_s"]
        told = was["status"], was["runs"], "" if first is None else f"{first:.1f} s"
    fields = (ids, f"`{name}`", what, fault, must, *told)
    return f"| {' | '.join(map(str, fields))} |\n"


def take_over(path: Path) -> None:
    """Keep what the last run of each cell of the catalogue said."""
    last = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    for line in path.read_text().splitlines():
        cell = json.loads(line)
        if cell["suite"] == "catalogue" and cell["status"] != "skipped":
            keep = ("status", "runs", "seconds", "first_anomaly_s")
            last[cell["cell"]] = {name: cell.get(name) for name in keep}
    known = {cell.name for cell in catalogue().cells}
    kept = {name: said for name, said in sorted(last.items()) if name in known}
    MEASURED.write_text(json.dumps(kept, indent=1) + "\n")


SHOWN = {
    "counter/select-then-update": "read a counter, add in Python, write it back",
    "counter/for-update-autocommit": "`SELECT ... FOR UPDATE` on an autocommit connection",
    "counter/version-compared-in-app": "a version compared in the application, not in the `UPDATE`",
    "counter/multi-without-watch": "`GET`, add, `MULTI`/`SET`/`EXEC` without `WATCH`",
    "append/concat-repeatable-read": "repeatable read taken for serializable",
    "append/concat-repeatable-read-mariadb": "repeatable read taken for a snapshot",
    "bank/read-committed": "transfers that read and write balances without locks",
    "constraint/check-then-leave": "one doctor must stay: count the others, then leave",
    "unique/unique-with-null": "a UNIQUE constraint over a column that may be NULL",
    "ledger/retry-after-lost-commit": "a request tried again because its COMMIT was not answered",
    "queue/claim-then-work": "claim with SKIP LOCKED, commit, then work",
    "queue/nats-memory-stream": "a stream of one replica, in memory",
    "lock/set-nx-plain-del": "`SET NX PX` released by a plain `DEL`",
    "lock/set-nx-get-then-del": "`SET NX PX` released by `GET`, then `DEL`",
    "lock/guarded-without-fencing": "a correct lock, and a row that does not refuse old holders",
    "lock/guarded-fencing-the-write-only": "fencing checked at the write but not on entry",
    "lock/failover-loses-the-lock": "`SET NX PX` on a primary with replicas",
    "lock/redlock-forgetful-servers": "Redlock on servers that keep nothing",
    "lock/redlock-jumping-clocks": "Redlock, and most servers' clocks jump ahead",
    "lock/etcd-lease": "a key with a lease as a lock",
    "lock/session-lock-through-pooler": "an advisory lock of the session, through pgbouncer",
    "session/read-from-replica": "write to the primary, read from a standby",
    "long-fork/primary-and-replica": "snapshots of a primary and of its standby",
    "set/async-failover": "a primary that acknowledges before its standbys know",
    "set/commit-warning-ignored": 'the warning at COMMIT that says "not replicated", ignored',
    "set/insert-unflushed": "`innodb_flush_log_at_trx_commit = 0`",
    "set/sadd-every-second": "`appendfsync everysec`",
}
"""What the README tells of, in words of its own; all else stands in the catalogue."""
BEGIN, END = "<!-- known results: make docs -->\n", "<!-- end of known results -->\n"


def readme() -> str:
    """The README with its table of known results."""
    text = (HERE.parent / "README.md").read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    every = strategies()
    lines = [
        "| row | pattern | on | found | when | command |\n",
        "|---|---|---|---|---|---|\n",
    ]
    lines += [known_result(name, told, every[name]) for name, told in SHOWN.items()]
    return f"{before}{BEGIN}{''.join(lines)}{END}{after}"


def known_result(name: str, told: str, cls: type) -> str:
    """One line of the README's table."""
    ids = ", ".join(dict.fromkeys(_ROW.findall((inspect.getdoc(cls) or "").split(":")[0])))
    workload, _, strategy = name.partition("/")
    faults = getattr(cls, "faults", ())
    fields = (
        ids,
        told,
        ", ".join(need.partition(":")[0] for need in cls.needs),
        noun(cls.anomaly),
        " and ".join(faults).replace("+", ", ") if faults else "load alone",
        f"`dokkaebi run {workload} --strategy {strategy}`",
    )
    return f"| {' | '.join(fields)} |\n"


def sentence(text: str) -> str:
    """The first paragraph of a docstring, without the row that it names."""
    first = text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    return re.sub(r"^[A-Z]\d+\w?(, [A-Z]\d+\w?)*( (with|on|at) [^:]*)?: ", "", first)


PAGES = {
    "docs/strategies.md": strategies_page,
    "docs/catalogue.md": catalogue_page,
    "README.md": readme,
}


DRAWN = ("anomalies", "workloads")
"""Folders in which everything is drawn."""


def main() -> None:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--measured", type=Path)
    options = parser.parse_args()
    if options.measured is not None:
        take_over(options.measured)
    pages = {name: page() for name, page in PAGES.items()}
    pages |= anomaly_pages.pages() | workload_pages.pages()
    for name, text in pages.items():
        path = HERE.parent / name
        if not options.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            sys.exit(f"{name} is out of date: make docs")
    for path in sorted(path for folder in DRAWN for path in (HERE / folder).iterdir()):
        if f"docs/{path.parent.name}/{path.name}" not in pages:
            if options.check:
                sys.exit(f"docs/{path.parent.name}/{path.name} is of nothing any more: make docs")
            path.unlink()


if __name__ == "__main__":
    main()
