"""`dokkaebi list`: what there is, read from the code itself, and one of them explained."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..checkers import anomalies as _anomalies
from ..checkers import levels as _levels
from ..harness.errors import UsageError
from ..harness.plugins import find, registered, strategies, unknown_name

Row = dict[str, Any]

_COLUMNS = {
    "workloads": ("name", "methods", "what"),
    "strategies": ("name", "needs", "verdict", "what"),
    "backends": ("name", "what"),
    "faults": ("name", "what"),
    "models": ("name", "what"),
    "levels": ("name", "what"),
    "anomalies": ("name", "what"),
}
"""What the table of a kind shows; the rest is told of one thing by itself."""

_GAP = 2
_LEAST = 40
"""How wide the last column has to be before it stands in the table."""


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
        _table(kind, rows, console)


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


def _table(kind: str, rows: Sequence[Row], console: Console) -> None:
    """A line for each, the last column wrapped; where that would be too narrow, below its name."""
    columns = _COLUMNS[kind]
    cells = [[_cell(row, column) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if console.width - sum(width + _GAP for width in widths[:-1]) < min(widths[-1], _LEAST):
        for first, *others, last in cells:
            said = (" " * _GAP + other for other in others if other)
            console.print(Text.assemble((first, "bold"), *said))
            console.print(Padding(Text(last), (0, 0, 0, _GAP)))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column != columns[-1])
    for each in cells:
        table.add_row(*map(Text, each))
    console.print(table)


def _cell(row: Row, column: str) -> str:
    if column == "verdict":
        anomaly = row["anomaly"] if row["expect"] != "safe" else None
        return " ".join(filter(None, (row["expect"], anomaly)))
    if column == "what" and "what" not in row:
        return _text(row["explained"]).partition("\n")[0]
    return _text(row[column])


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


def _first_line(thing: Any, name: str | None = None) -> str:
    """The first line of its docstring, without its name at the beginning."""
    line = (inspect.getdoc(thing) or "").partition("\n")[0]
    start, _, rest = line.partition(": ")
    return rest[:1].upper() + rest[1:] if name and start.strip("`") == name else line


def _workloads() -> list[Row]:
    rows = []
    for name in registered("workloads"):
        workload = find("workloads", name)
        rows.append(
            {
                "name": name,
                "methods": list(workload.methods),
                "default": workload.default,
                "what": _first_line(inspect.getmodule(workload), name),
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
    return [
        {"name": name, "what": _first_line(find(kind, name), name)} for name in registered(kind)
    ]


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
