"""What was stored of a run's judgement: `verdict.json`, as other commands read it again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from ..harness.errors import UsageError
from . import store

Document = Mapping[str, Any]
"""A run's `verdict.json`."""

_PLACES: Final = {"on": "backend", "at": "isolation"}


def document(folder: Path) -> Document:
    """A run's verdict as it was stored; `UsageError` where it was never judged."""
    path = folder / store.VERDICT
    if not path.is_file():
        raise UsageError(f"{folder} has no verdict; `dokkaebi check {folder}` judges it")
    try:
        read: Document = msgspec.json.decode(path.read_bytes())
    except msgspec.DecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    return read


def test_of(run: Document) -> tuple[str, str]:
    """What a run is a run of, as a suite would call it: the case, and the fault."""
    spec = run.get("spec") or {}
    words = [spec.get("label", "a history")]
    words += [f"{word} {spec[name]}" for word, name in _PLACES.items() if spec.get(name)]
    return " ".join(words), "+".join(spec.get("faults", ())) or "none"
