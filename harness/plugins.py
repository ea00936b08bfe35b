"""What is installed: workloads, backends, faults and their strategies, by entry point.

Built-in ones and other people's are registered the same way.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .errors import UsageError
from .loading import load_strategy


@cache
def registered(kind: str) -> Mapping[str, EntryPoint]:
    """The entry points of `dokkaebi.<kind>` by name; not yet loaded."""
    return {entry.name: entry for entry in sorted(entry_points(group=f"dokkaebi.{kind}"))}


def find(kind: str, name: str) -> Any:
    """Load one of `workloads`, `backends` or `faults`; a wrong name lists the close ones."""
    entries = registered(kind)
    if name not in entries:
        raise UsageError(unknown_name(kind.removesuffix("s"), name, entries))
    return entries[name].load()


def reference(kind: str, name: str) -> str:
    """`module:Class` of one that `find` would load."""
    return registered(kind)[name].value


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that does not exist, with the close ones."""
    names = sorted(known)
    what = what.removesuffix("s") if what != "anomalies" else "anomaly"
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"there is no {what} {name!r}; did you mean {' or '.join(close)}?"
    return f"there is no {what} {name!r}; there are: {', '.join(names)}"


def strategies() -> dict[str, type[Any]]:
    """Every built-in strategy's class by `workload/name`."""
    return {
        f"{workload}/{name}": load_strategy(where)
        for workload in registered("workloads")
        for name, where in find("workloads", workload).strategies.items()
    }
