"""`dokkaebi list`: what there is, read from the code itself, and one of them explained."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..checkers import anomalies as _anomalies
from ..checkers import levels as _levels
from ..harness.errors import UsageError
from ..harness.plugins import find, registered, strategies, unknown_name

Row = dict[str, Any]

_ONLY_EXPLAINED = ("explained", "aliases", "functions", "parameters")
"""What is told of one thing and would make the table of all of them too wide."""


def listing(kind: str | None, name: str | None, *, console: Console, as_json: bool) -> None:
    """Print what there is of one kind, or of all; with a name, explain one."""
    if kind is None:
        for each in _ROWS:
            rows = _ROWS[each]()
            line = Text.assemble((each, "bold"), "  ", ", ".join(row["name"] for row in rows))
            console.print(line)
        return
    rows = _ROWS[kind]()
    if kind == "anomalies" and name in _anomalies.GROUPS:
        rows = [{"name": name, "what": _anomalies.GROUPS[name], "explained": _grouped(name)}]
    elif name is not None:
        rows = [row for row in rows if _base(name) in (row["name"], *row.get("aliases", ()))]
        if not rows:
            names = [row["name"] for row in _ROWS[kind]()]
            raise UsageError(unknown_name(kind, name, names))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(rows), indent=1).decode())
    elif name is not None:
        _explain(rows[0], console)
    else:
        _table(rows, console)


def _grouped(name: str) -> str:
    """What is said of a phenomenon that is known by what it follows from."""
    found = [each for each in _anomalies.ANOMALIES if name in _anomalies.implied([each])]
    told = f"\nIt is reported as what it follows from: {', '.join(found)}." if found else ""
    return (
        f"{_anomalies.GROUPS[name]}\nLevels are defined by it; no checker finds it by itself.{told}"
    )


def _base(name: str) -> str:
    """The anomaly behind its variants: `G0-realtime` is explained with `G0`."""
    for suffix in _anomalies.SUFFIXES:
        if name.endswith(suffix) and name.removesuffix(suffix) in _anomalies.ANOMALIES:
            return name.removesuffix(suffix)
    return name


def _table(rows: Sequence[Row], console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = [key for key in rows[0] if key not in _ONLY_EXPLAINED]
    for key in columns:
        table.add_column(key, overflow="fold", no_wrap=key == "name")
    for row in rows:
        table.add_row(*(_text(row[key]) for key in columns))
    console.print(table)


def _explain(row: Row, console: Console) -> None:
    console.print(Text(row["name"], "bold"))
    explained = str(row.get("explained") or "")
    for key, value in row.items():
        if key not in ("name", "explained") and value and not explained.startswith(_text(value)):
            console.print(f"  {key}: {_text(value)}", soft_wrap=True)
    if explained:
        console.print(f"\n{explained}", soft_wrap=True, markup=False)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _workloads() -> list[Row]:
    rows = []
    for name in registered("workloads"):
        workload = find("workloads", name)
        rows.append(
            {
                "name": name,
                "methods": list(workload.methods),
                "default": workload.default,
                "what": _first_line(inspect.getmodule(workload)),
                "explained": inspect.getdoc(inspect.getmodule(workload)),
            }
        )
    return rows


def _strategies() -> list[Row]:
    return [
        {
            "name": name,
            "workload": cls.workload,
            "needs": list(cls.needs),
            "expect": getattr(cls, "expect", None),
            "anomaly": getattr(cls, "anomaly", None),
            "faults": list(getattr(cls, "faults", ())),
            "explained": inspect.getdoc(cls),
        }
        for name, cls in strategies().items()
    ]


def _plugins(kind: str) -> list[Row]:
    return [{"name": name, "what": _first_line(find(kind, name))} for name in registered(kind)]


def _models() -> list[Row]:
    from ..checkers import models

    return [
        {
            "name": name,
            "what": _first_line(model),
            "functions": list(getattr(model, "functions", ())),
            "parameters": list(inspect.signature(model).parameters),
            "explained": inspect.getdoc(model),
        }
        for name, model in sorted(models.MODELS.items())
    ]


_ROWS: dict[str, Any] = {
    "workloads": _workloads,
    "strategies": _strategies,
    "backends": lambda: _plugins("backends"),
    "faults": lambda: _plugins("faults"),
    "models": _models,
    "levels": _levels.rows,
    "anomalies": _anomalies.rows,
}
