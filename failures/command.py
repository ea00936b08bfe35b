"""`dokkaebi shrink`: a run's violation as a small history and as a short test."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..harness.choosing import make_workload
from ..harness.formats.jsonl import write_jsonl
from ..harness.plugins import find
from ..harness.spec import load_spec
from ..results.store import SPEC, find_run, load_history
from .history import Shrunk, shrink_history
from .plan import Reproduced, shrink_plan
from .replay import wish_of
from .testfile import operation_lines, written

if TYPE_CHECKING:
    from ..cli import Output
    from ..compose import Servers

FILE = "shrunk.jsonl"


def run_command(
    ref: str | None,
    output: Output,
    *,
    servers: Callable[[], AbstractContextManager[Servers]],
    anomaly: str | None,
    times: int,
    history_only: bool,
    dsn: tuple[str, ...],
    target: Path,
) -> int:
    """Make a run's violation small and print where it stands; the exit code."""
    folder = find_run(output.out, ref)
    spec = load_spec(folder / SPEC)
    workload = make_workload(find("workloads", spec.workload), spec.params)
    small = shrink_history(load_history(folder), workload, anomaly)
    write_jsonl(small.history, folder / FILE)
    lines = operation_lines(small.operations)
    console = output.console(stderr=True)

    def tell(text: str) -> None:
        if output.progress != "none":
            console.print(f"  {text}", soft_wrap=True)

    if not output.as_json:
        for line in _told(small, lines, folder):
            output.console().print(line, soft_wrap=True, markup=False, highlight=False)
    if history_only:
        _as_json(output, small, folder, None, None)
        return 0
    with servers() as ours:
        found = shrink_plan(
            wish_of(spec, dsn=dsn),
            small.anomaly.type,
            servers=ours,
            out=output.out,
            times=times,
            tell=tell,
        )
    text = written(found, sentence=small.anomaly.sentence, history=lines, run=folder.name)
    target.mkdir(parents=True, exist_ok=True)
    file = target / f"test_{folder.name.replace('-', '_')}.py"
    file.write_text(text, encoding="utf-8")
    if not output.as_json:
        output.console().print(
            f"\nfailed in {found.shown} of {found.tried} runs: pytest {file}",
            soft_wrap=True,
            highlight=False,
        )
    _as_json(output, small, folder, found, file)
    return 0


def _told(small: Shrunk, lines: list[str], folder: Path) -> list[str]:
    many = len(small.operations)
    return [
        f"{small.anomaly.type}: {small.anomaly.sentence}",
        "",
        f"{many} operation{'s' if many != 1 else ''} of the run are enough ({folder / FILE}):",
        *(f"  {line}" for line in lines),
    ]


def _as_json(
    output: Output, small: Shrunk, folder: Path, found: Reproduced | None, file: Path | None
) -> None:
    if not output.as_json:
        return
    told = {
        "schema": 1,
        "anomaly": small.anomaly.type,
        "operations": len(small.operations),
        "judged": small.tried,
        "history": str(folder / FILE),
        "test": None if file is None else str(file),
        "shown": None if found is None else found.shown,
        "tried": None if found is None else found.tried,
    }
    print(msgspec.json.format(msgspec.json.encode(told), indent=1).decode())
