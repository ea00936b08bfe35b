"""A page for each workload: what it asks, what is promised, and how a broken promise looks."""

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import example_histories as examples
import msgspec

from dokkaebi.checkers.anomalies import noun
from dokkaebi.harness.plugins import find, registered

EXAMPLES = {
    "admission": "over-admission",
    "append": "G2-item",
    "approx-count": "bad-estimate",
    "bank": "conservation",
    "cache": "stale-beyond-bound",
    "constraint": "constraint",
    "counter": "lost-update",
    "ids": "duplicate",
    "ledger": "ledger",
    "lock": "double-hold",
    "long-fork": "long-fork",
    "queue": "lost-message",
    "rate-limit": "rate-limit",
    "register": "nonlinearizable",
    "session": "read-your-writes",
    "set": "lost-element",
    "unique": "double-success",
    "wr": "fractured-read",
}
"""The history that shows each workload's promise broken."""

INDEX = """# Workloads

What is asked of a strategy, and what would be wrong. Each page has the methods that a strategy
implements, the parameters, and a small history in which the promise is broken. Drawn from the code
by `make docs`.

| name | what it is |
|---|---|
"""


def pages() -> dict[str, str]:
    """Every page and picture by its path below the project."""
    found = {"docs/workloads/index.md": index()}
    for name in registered("workloads"):
        found |= page(name)
    return found


def index() -> str:
    """A line for each workload."""
    lines = [f"| [{name}]({name}.md) | {about(name)[0]} |" for name in registered("workloads")]
    return INDEX + "\n".join(lines) + "\n"


def about(name: str) -> list[str]:
    """What its module says of a workload, a paragraph each; the first without its name."""
    text = inspect.cleandoc(sys.modules[find("workloads", name).__module__].__doc__ or "")
    first, *rest = text.split("\n\n")
    first = first.partition(": ")[2] or first
    return [first[:1].upper() + first[1:], *rest]


def page(name: str) -> dict[str, str]:
    """The page of one workload, and its pictures."""
    workload = find("workloads", name)
    parts = [f"# {name}", *about(name), *asked(name, workload), *parameters(workload)]
    broken, pictures = example(name)
    text = "\n\n".join([*parts, *broken]) + "\n"
    return {f"docs/workloads/{name}.md": text} | pictures


def asked(name: str, workload: type[Any]) -> Iterator[str]:
    """What a strategy implements, and which are there."""
    methods = ", ".join(f"`{method}`" for method in workload.methods)
    yield f"A strategy implements {methods}; `dokkaebi init {name}` writes one to begin with."
    if workload.strategies:
        count = len(workload.strategies)
        yield f"[{count} strategies](../strategies.md) for it are built in."


def parameters(workload: type[Any]) -> Iterator[str]:
    """Its parameters and what they are when nothing is said."""
    fields = [
        field for field in msgspec.structs.fields(workload) if field.name not in workload.traits
    ]
    if not fields:
        return
    lines = [f"| `{f.name}` | `{msgspec.json.encode(f.default).decode()}` |" for f in fields]
    yield "## Parameters"
    yield inspect.cleandoc(workload.__doc__ or "").partition("\n\n")[0]
    yield "\n".join(["| `--param` | usual value |", "|---|---|", *lines])


def example(name: str) -> tuple[list[str], dict[str, str]]:
    """A history in which the promise is broken, what is wrong with it, and how it is mended."""
    history = EXAMPLES[name]
    judged = examples.judge(history)
    anomaly = judged.result.verdict.anomalies[0]
    told, pictures = examples.drawn(judged, 0, folder="workloads", name=name)
    title = f"## When it is broken: {noun(anomaly.type)}"
    told = [title, *told, judged.remedy(anomaly.type), "Judge it yourself:"]
    return [*told, examples.command(history)], pictures
