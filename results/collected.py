"""A folder of runs as one page: `dokkaebi index`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ..harness.errors import UsageError
from . import store
from .index import Field, Overall, Page, Past, Tone, write_index
from .judged import Document, document, test_of
from .terminal import SIGNS
from .words import clean

_TONES: Final[dict[str, Tone]] = {"holds": "good", "violated": "bad", "unknown": "warn"}
_NONE: Final = Past(tone="none", sign="–", said="never judged")


def index_runs(out: Path) -> Path:
    """Write the page of all runs in a folder, and answer its path."""
    every = store.runs(out)
    if not every:
        raise UsageError(f"there are no runs in {out}: `dokkaebi run` makes one, --out says where")
    return write_index(page_of(every, title=clean(str(out))), out)


def page_of(every: Sequence[Path], *, title: str) -> Page:
    """The page of these runs, the oldest first."""
    tests: dict[tuple[str, str], list[tuple[Path, Document | None]]] = {}
    for folder in every:
        run = _judged(folder)
        tests.setdefault(test_of(run or {"spec": _asked(folder)}), []).append((folder, run))
    fields = [_field(*test, runs) for test, runs in tests.items()]
    said = [field.last.said for field in fields]
    verdict: Overall = next((word for word in ("violated", "unknown") if word in said), "holds")
    statements = {
        "violated": "Some of these tests were violated the last time",
        "unknown": "Of some of these tests nothing is known",
        "holds": "In no test was a violation found the last time",
    }
    return Page(
        title=f"{SIGNS[verdict]} {title}",
        verdict=verdict,
        sign=f"{SIGNS[verdict]} {verdict.upper()}",
        statement=statements[verdict],
        sum=f"{len(every)} runs of {len(fields)} tests",
        fields=fields,
    )


def _asked(folder: Path) -> Any:
    """What was asked for, of a run that was never judged."""
    try:
        return msgspec.json.decode((folder / store.SPEC).read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}


def _judged(folder: Path) -> Document | None:
    try:
        return document(folder)
    except UsageError:
        return None


def _field(case: str, fault: str, runs: Sequence[tuple[Path, Document | None]]) -> Field:
    last, run = runs[-1]
    found: Sequence[Any] = run["anomalies"] if run else ()
    reason = found[0]["sentence"] if found else run["reason"] if run else "it was never judged"
    expected = (run or {}).get("spec", {}).get("anomaly")
    report = last / "report.html"
    return Field(
        case=clean(case),
        fault=clean(fault),
        past=[_past(each) for _, each in runs],
        must=f"declares {clean(expected)}" if expected else "",
        reason=clean(reason, 1_000),
        runs=len(runs),
        seconds=run["stats"]["seconds"] if run else 0.0,
        report=report if report.is_file() else None,
    )


def _past(run: Document | None) -> Past:
    if run is None:
        return _NONE
    word = run["verdict"]
    return Past(
        tone=_TONES[word],
        sign=SIGNS[word],
        said=word,
        ops_per_second=run["stats"]["ops_per_second"],
        p99_ms=run["stats"]["latency_ms"]["p99"],
    )
