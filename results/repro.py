"""The lines that repeat a result: check the same history again, run again, run again ten times.

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

from ..harness.choosing import Wish, choose, param_text
from ..harness.errors import DokkaebiError
from ..harness.plugins import find
from ..harness.spec import SECOND, Spec, redact, show_duration
from . import words

CAVEAT: Final = (
    "The seed fixes what each worker asks and what the nemesis does; it does not fix the "
    "operating system's timing, so a run again may differ."
)


def command_line(spec: Spec, *, out: Path | None = None) -> str:
    """The shell line that runs this spec again; only options that differ from their defaults.

    For a user's own file, which is not loaded for this, faults and parameters always stand there.
    """
    usual = _usual(spec)
    line = ["dokkaebi", "run", *_subject(spec), *_where(spec, usual)]
    line += [*_faults(spec, usual), *_load(spec)]
    for name, value in _unusual(spec, usual):
        line += ["--param", f"{name}={param_text(value)}"]
    if spec.require_progress:
        line.append("--require-progress")
    if out is not None:
        line += ["--out", str(out)]
    return " ".join(map(quoted, [*line, "--seed", str(spec.seed)]))


def check_line(folder: Path) -> str:
    """The shell line that judges the stored history again."""
    return f"dokkaebi check {quoted(shown_path(folder))}"


def replay_line(folder: Path) -> str:
    """The shell line that runs the stored spec several times and counts what is found."""
    return f"dokkaebi replay {quoted(shown_path(folder))} --times 10"


def quoted(word: str) -> str:
    """A word for the shell; one with characters that cannot be seen stands in `$'…'`, escaped."""
    if words.clean(word) == word:
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{words.clean(escaped)}'"


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


def _usual(spec: Spec) -> Spec | None:
    """The spec that a built-in strategy gets when nothing more is said; None for others."""
    head, _, name = spec.label.partition("/")
    if head != spec.workload:
        return None
    try:
        usual, _ = choose(Wish(target=head, strategy=name, on=spec.backend))
    except DokkaebiError:
        return None
    return usual if usual.strategy == spec.strategy else None


def _unusual(spec: Spec, usual: Spec | None) -> list[tuple[str, Any]]:
    """The parameters that differ from the strategy's; for a user's file, from the workload's.

    What a class says of itself is no parameter of the command, and the level has its own option.
    """
    if usual is not None:
        known, traits = usual.params, ()
    else:
        try:
            workload = find("workloads", spec.workload)
            known, traits = msgspec.structs.asdict(workload()), workload.traits
        except DokkaebiError:  # a workload that is not installed here
            known, traits = {}, ()
    return [
        (name, value)
        for name, value in spec.params.items()
        if known.get(name) != value and name not in traits and (name != "level" or not spec.level)
    ]


def _where(spec: Spec, usual: Spec | None) -> list[str]:
    return [
        *_option("--on", spec.backend),
        *_option("--isolation", spec.isolation, usual.isolation if usual else None),
        *_option("--provider", spec.provider, _default("provider")),
        *(word for dsn in spec.dsn for word in ("--dsn", redact(dsn))),
    ]


def _faults(spec: Spec, usual: Spec | None) -> list[str]:
    named = ["--faults", ",".join(spec.faults) or "none"]
    line = [] if usual is not None and usual.faults == spec.faults else named
    if not spec.faults:
        return line
    if spec.every and spec.every != max(2 * SECOND, spec.time // 5):
        line += ["--every", show_duration(spec.every)]
    if spec.lasts and spec.lasts != _usual_length(spec, usual):
        line += ["--for", show_duration(spec.lasts)]
    return [*line, *_option("--aim", spec.aim, _default("aim"))]


def _usual_length(spec: Spec, usual: Spec | None = None) -> int:
    """How long a fault lasts when nothing is said: as the strategy says, twice the ttl, a second."""
    if usual is not None and usual.lasts != _usual_length(usual):
        return usual.lasts
    if spec.workload != "lock":
        return SECOND
    ttl = spec.params.get("ttl", 1.0)
    return round(2 * SECOND * ttl) if isinstance(ttl, int | float) else 2 * SECOND


def _load(spec: Spec) -> list[str]:
    line = [
        *_option("--level", spec.level),
        *_option("--workers", spec.workers, _default("workers")),
        *_option("--processes", spec.processes, _default("processes")),
    ]
    if spec.rate is not None:
        line += ["--rate", f"{spec.rate:g}/s"]
    for name, value, default in (
        ("--time", spec.time, _default("time")),
        ("--op-timeout", spec.op_timeout, _default("op_timeout")),
    ):
        if value != default:
            line += [name, show_duration(value)]
    return line


def _option(name: str, value: object, default: object = None) -> Sequence[str]:
    return () if value is None or value == default else (name, str(value))


def _default(field: str) -> Any:
    return next(f.default for f in msgspec.structs.fields(Spec) if f.name == field)
