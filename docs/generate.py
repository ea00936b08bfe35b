"""Write the pages that are drawn from the code: `make docs`. `--check` only compares."""

import inspect
import sys
from pathlib import Path

from dokkaebi.harness.plugins import find, registered, strategies

HERE = Path(__file__).parent
HEAD = """# Strategies

Drawn from the code by `make docs`. Each shows the one thing its name says; `unsafe` ones must be
caught with the anomaly named, `safe` ones must never be accused.

"""


def page() -> str:
    """Every built-in strategy with what it declares and its docstring."""
    parts = [HEAD]
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
    anomaly = getattr(cls, "anomaly", None)
    faults = [fault for fault in getattr(cls, "faults", ()) if fault != "none"]
    facts = [
        f"needs {' and '.join(cls.needs)}",
        f"expected {cls.expect}{f' ({anomaly})' if anomaly else ''}",
        *([f"under {', '.join(faults)}"] if faults else []),
    ]
    return f"### {name}\n\n{inspect.getdoc(cls)}\n\n*{'; '.join(facts)}*\n"


def main() -> None:
    """Write or compare."""
    path = HERE / "strategies.md"
    if "--check" in sys.argv:
        sys.exit(path.read_text() != page() and "docs/strategies.md is out of date: make docs")
    path.write_text(page())


if __name__ == "__main__":
    main()
