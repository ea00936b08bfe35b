"""`dokkaebi suite`: which suite, who carries it out, and everything that is told of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..harness.errors import UsageError
from .accepting import accept as accept_into
from .cases import Suite, load_suite, only, with_seeds
from .catalogue import catalogue
from .cluster import Cluster
from .executor import Executor, Local, usual_jobs
from .expectations import Judged, exit_code
from .github import on_github, tell_github
from .hermitage.command import run_command as matrix_command
from .junit import write_junit
from .page import write_page
from .past import Past
from .runner import Finished, run_suite
from .table import Watch, table

if TYPE_CHECKING:
    from ..cli import Output
    from ..compose import Servers

HERMITAGE = "hermitage"
"""The isolation matrix, whose cells are no runs but fixed schedules."""

BUILT_IN: dict[str, Callable[[], Suite]] = {"catalogue": catalogue}


def run_command(
    name: str,
    output: Output,
    *,
    heal: Callable[[], None],
    servers: Callable[[], AbstractContextManager[Servers]],
    on: tuple[str, ...],
    only: tuple[str, ...],
    jobs: int | None,
    seeds: int | None,
    junit: Path | None,
    github: bool,
    accept: str | None,
    reason: str | None,
    strict_known: bool,
    no_skips: bool,
    cluster: str | None,
) -> int:
    """Run a suite, or write a known anomaly into its file; the exit code."""
    if name == HERMITAGE:
        others = {"accept": accept, "seeds": seeds, "cluster": cluster, "jobs": jobs}
        for option, given in (others | {"strict-known": strict_known or None}).items():
            if given is not None:
                raise UsageError(
                    f"--{option}: the schedules of hermitage are fixed, and played here one by one"
                )
        return matrix_command(
            output,
            servers=servers,
            on=on,
            only=only,
            junit=junit,
            github=github,
            no_skips=no_skips,
        )
    if on:
        raise UsageError(f"--on chooses where {HERMITAGE} is played; cases say it themselves")
    if accept is not None:
        if name in BUILT_IN:
            raise UsageError(f"--accept writes into a suite file; {name} is built in")
        print(accept_into(Path(name), accept, reason))
        return 0
    if reason is not None:
        raise UsageError("--reason belongs to --accept CASE:ANOMALY")
    chosen = chosen_suite(name, only, seeds)
    heal()
    finished, past = _run(chosen, output, cluster=cluster, jobs=jobs, strict_known=strict_known)
    past.add(finished.cells)
    page = write_page(finished, output.out, past=past)
    _print(finished, output, past, page)
    if junit is not None:
        write_junit(finished, junit)
    if github or on_github():
        tell_github(finished, lambda line: print(line, flush=True))
    return exit_code(finished.cells, no_skips=no_skips)


def chosen_suite(name: str, patterns: tuple[str, ...], seeds: int | None) -> Suite:
    """The suite of this name or file, with only the cells that were asked for."""
    if name in BUILT_IN:
        suite = BUILT_IN[name]()
    elif not name.endswith(".toml") and not Path(name).exists():
        raise UsageError(
            f"there is no suite {name!r}: name a FILE.toml, or one of {', '.join((*BUILT_IN, HERMITAGE))}"
        )
    else:
        suite = load_suite(Path(name))
    return with_seeds(only(suite, patterns), seeds)


def _run(
    suite: Suite, output: Output, *, cluster: str | None, jobs: int | None, strict_known: bool
) -> tuple[Finished, Past]:
    if cluster is not None and jobs is not None:
        raise UsageError("--jobs is for this machine; a --cluster takes as many as it has threads")
    output.out.mkdir(parents=True, exist_ok=True)
    executor: Executor = (
        Cluster(cluster) if cluster else Local(jobs or usual_jobs(), logs=output.out)
    )
    console = output.console(stderr=True)
    silent = output.progress == "none"
    with Watch(len(suite.cells), console, silent=silent) as watch:
        finished = run_suite(
            suite, executor, out=output.out, watcher=watch, strict_known=strict_known
        )
    return finished, Past(output.out, suite.name)


def _print(finished: Finished, output: Output, past: Past, page: Path) -> None:
    if output.as_json:
        print(msgspec.json.format(msgspec.json.encode(document(finished)), indent=1).decode())
        return
    console = output.console()
    table(finished, console, past=past)
    console.print(f"  {page}", soft_wrap=True)


def document(finished: Finished) -> dict[str, Any]:
    """The suite as `--json` has it."""
    return {
        "schema": 1,
        "suite": finished.suite.name,
        "seconds": round(finished.seconds, 1),
        "cells": [_cell(judged) for judged in finished.cells],
    }


def _cell(judged: Judged) -> dict[str, Any]:
    cell = judged.cell
    return {
        "case": cell.case,
        "fault": cell.fault,
        "status": judged.status,
        "met": judged.met,
        "reason": judged.reason,
        "must_hold": cell.must_hold,
        "must_catch": list(cell.must_catch),
        "known": cell.known,
        "notes": list(judged.notes),
        "seconds": round(judged.seconds, 1),
        "runs": [
            {
                "seed": outcome.seed,
                "verdict": outcome.said,
                "reason": outcome.reason,
                "anomalies": [msgspec.to_builtins(found) for found in outcome.found],
                "seconds": outcome.seconds,
                "ok": outcome.ok,
                "ops_per_second": outcome.ops_per_second,
                "p99_ms": outcome.p99_ms,
                "folder": outcome.folder,
            }
            for outcome in judged.outcomes
        ],
    }
