"""`dokkaebi suite hermitage`: play the matrix on the servers that are asked for, and tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...harness.choosing import backend_parts
from ...harness.errors import UsageError
from ..expectations import exit_code
from ..github import on_github, tell_github
from ..junit import write_junit
from ..table import Watch
from .cells import cells, kinds
from .judged import finished, judged
from .running import Outcome, choose, matrix
from .table import document, show

if TYPE_CHECKING:
    from ...cli import Output
    from ...compose import Servers

INTERRUPTED = 130


def run_command(
    output: Output,
    *,
    servers: Callable[[], AbstractContextManager[Servers]],
    on: Sequence[str],
    only: Sequence[str],
    junit: Path | None,
    github: bool,
    no_skips: bool,
) -> int:
    """Play the cells on each of these servers, print the matrix; the exit code.

    `on` are backends as `--on` names them; without any, those whose matrix is known.
    """
    asked = [_parts(name) for name in on or kinds()]
    total = sum(len(choose(name, only)) for name, _ in asked)
    if not total:
        raise UsageError(
            f"--only {' '.join(only)} fits no cell of hermitage; one is called {cells()[0].name}"
        )
    began, outcomes, interrupted = time.monotonic(), list[Outcome](), False
    silent = output.progress == "none"
    try:
        with Watch(total, output.console(stderr=True), silent=silent) as watch, servers() as ours:
            for outcome in _all(asked, ours, only):
                outcomes.append(outcome)
                watch.done(judged(outcome))
    except KeyboardInterrupt:
        interrupted = True
    done = finished(outcomes, seconds=time.monotonic() - began)
    _print(outcomes, output)
    if interrupted:
        told = f"interrupted: {len(outcomes)} of {total} cells were played"
        output.console(stderr=True).print(told, soft_wrap=True)
    if junit is not None:
        write_junit(done, junit)
    if github or on_github():
        tell_github(done, lambda line: print(line, flush=True))
    return INTERRUPTED if interrupted else exit_code(done.cells, no_skips=no_skips)


def _parts(on: str) -> tuple[str, str | None]:
    name, version, topology = backend_parts(on)
    if topology is not None:
        raise UsageError(f"--on {on}: the matrix is played on single servers")
    cells(name)  # raises for one whose matrix is not known
    return name, version


def _all(
    asked: Sequence[tuple[str, str | None]], servers: Servers, only: Sequence[str]
) -> Iterator[Outcome]:
    for name, version in asked:
        yield from matrix(name, version, servers, only=only)


def _print(outcomes: Sequence[Outcome], output: Output) -> None:
    if output.as_json:
        print(msgspec.json.format(msgspec.json.encode(document(outcomes)), indent=1).decode())
    else:
        show(outcomes, output.console())
