"""`--accept CASE:ANOMALY --reason "…"`: writes a known anomaly into a suite file; comments stay."""

from __future__ import annotations

import os
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Table

from ..checkers.anomalies import define
from ..harness.errors import UsageError
from ..harness.plugins import unknown_name
from .cases import load_suite


def accept(path: Path, what: str, reason: str | None) -> str:
    """Write it down and answer what was done; the file stays as it was where that makes no sense."""
    case, colon, anomaly = what.rpartition(":")
    if not colon or not case or not anomaly:
        raise UsageError(f"--accept reads like CASE:ANOMALY, not {what!r}")
    if not reason or not reason.strip():
        raise UsageError('--accept needs --reason "why this is put up with"')
    define(anomaly)
    before = path.read_text(encoding="utf-8")
    try:
        document = tomlkit.parse(before)
    except TOMLKitError as error:
        raise UsageError(f"{path}: {error}") from None
    table = _find(document.get("case"), case, path)
    if "must-catch" in table:
        raise UsageError(f"{path}: case {case!r} must catch; only must-hold has known anomalies")
    known = table.get("known")
    if known is None:
        known = table["known"] = tomlkit.inline_table()
    known[anomaly] = reason.strip()
    _replace(path, tomlkit.dumps(document), before)
    return f"{path}: {case} puts up with {anomaly}: {reason.strip()}"


def _find(cases: object, name: str, path: Path) -> Table:
    tables: list[Table] = list(cases) if isinstance(cases, AoT) else []
    for table in tables:
        if table.get("name") == name:
            return table
    names = [str(table.get("name")) for table in tables]
    raise UsageError(f"{path}: {unknown_name('case', name, names)}")


def _replace(path: Path, after: str, before: str) -> None:
    """Write the file, unless a suite could not be read from it any more."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(after, encoding="utf-8")
    try:
        load_suite(partial)
    except UsageError:
        partial.unlink()
        load_suite(path)  # says what is wrong with the file as it stands
        raise
    if path.read_text(encoding="utf-8") != before:
        partial.unlink()
        raise UsageError(f"{path} changed meanwhile: nothing was written")
    os.chmod(partial, path.stat().st_mode & 0o7777)
    partial.replace(path)
