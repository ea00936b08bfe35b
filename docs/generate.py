"""Write the pages that are drawn from the code: `make docs`. `--check` only compares.

`--measured RUNS/cells.jsonl` first takes over what the last runs of `dokkaebi suite catalogue` said.
"""

import argparse
import inspect
import json
import re
import sys
from pathlib import Path

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
    what = _ROW.sub("", text.split("\n\n")[0]).replace("\n", " ").lstrip(":, ").replace("|", "\\|")
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


PAGES = {"strategies.md": strategies_page, "catalogue.md": catalogue_page}


def main() -> None:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--measured", type=Path)
    options = parser.parse_args()
    if options.measured is not None:
        take_over(options.measured)
    for name, page in PAGES.items():
        path = HERE / name
        if not options.check:
            path.write_text(page())
        elif not path.exists() or path.read_text() != page():
            sys.exit(f"docs/{name} is out of date: make docs")


if __name__ == "__main__":
    main()
