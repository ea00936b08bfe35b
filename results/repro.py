"""The lines that repeat a result: one that checks the same history again, one that runs again.

Checking is exact. Running again is not: a seed fixes what is asked and what the nemesis does,
not the operating system's timing.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ..harness.spec import SECOND, Spec, redact, show_duration

CAVEAT: Final = (
    "The seed fixes what each worker asks and what the nemesis does; it does not fix the "
    "operating system's timing, so a run again may differ."
)


def command_line(spec: Spec, *, out: Path | None = None) -> str:
    """The shell line that runs this spec again; only options that differ from their defaults.

    `--faults` always stands there, because a strategy may declare faults of its own.
    """
    words = ["dokkaebi", "run", *_subject(spec), *_where(spec), *_faults(spec), *_load(spec)]
    for name, value in spec.params.items():
        words += ["--param", f"{name}={_plain(value)}"]
    if spec.require_progress:
        words.append("--require-progress")
    if out is not None:
        words += ["--out", str(out)]
    return shlex.join([*words, "--seed", str(spec.seed)])


def check_line(folder: Path) -> str:
    """The shell line that judges the stored history again."""
    return shlex.join(["dokkaebi", "check", shown_path(folder)])


def shown_path(path: Path) -> str:
    """A path from here where it lies below the working folder, else in full."""
    absolute = path.absolute()
    here = Path(os.getcwd())
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def _subject(spec: Spec) -> list[str]:
    head, slash, name = spec.label.partition("/")
    if slash and head == spec.workload:
        return [spec.workload, "--strategy", name]
    return [spec.label]


def _where(spec: Spec) -> list[str]:
    return [
        *_option("--on", spec.backend),
        *_option("--isolation", spec.isolation),
        *_option("--provider", spec.provider, _default("provider")),
        *(word for dsn in spec.dsn for word in ("--dsn", redact(dsn))),
    ]


def _faults(spec: Spec) -> list[str]:
    if not spec.faults:
        return ["--faults", "none"]
    words = ["--faults", ",".join(spec.faults)]
    if spec.every and spec.every != max(2 * SECOND, spec.time // 5):
        words += ["--every", show_duration(spec.every)]
    if spec.lasts and spec.lasts != _usual_length(spec):
        words += ["--for", show_duration(spec.lasts)]
    return [*words, *_option("--aim", spec.aim, _default("aim"))]


def _usual_length(spec: Spec) -> int:
    """How long a fault lasts when nothing is said: twice the ttl for locks, else a second."""
    if spec.workload != "lock":
        return SECOND
    ttl = spec.params.get("ttl", 1.0)
    return round(2 * SECOND * ttl) if isinstance(ttl, int | float) else 2 * SECOND


def _load(spec: Spec) -> list[str]:
    words = [
        *_option("--level", spec.level),
        *_option("--workers", spec.workers, _default("workers")),
        *_option("--processes", spec.processes, _default("processes")),
    ]
    if spec.rate is not None:
        words += ["--rate", f"{spec.rate:g}/s"]
    for name, value, default in (
        ("--time", spec.time, _default("time")),
        ("--op-timeout", spec.op_timeout, _default("op_timeout")),
    ):
        if value != default:
            words += [name, show_duration(value)]
    return words


def _option(name: str, value: object, default: object = None) -> Sequence[str]:
    return () if value is None or value == default else (name, str(value))


def _default(field: str) -> Any:
    return next(f.default for f in msgspec.structs.fields(Spec) if f.name == field)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
