"""The run store: `dokkaebi-runs/NNNN-slug/`, how it is made, found, locked and read back.

A run is alive as long as its `flock` is held; nothing else says so. A history is complete once
`history.jsonl` stands there under that name; before that the journal's segments are the truth.
"""

from __future__ import annotations

import difflib
import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from ..harness.errors import UsageError
from ..harness.formats.jsonl import read_jsonl, torn_note, write_jsonl
from ..harness.history import History
from ..harness.journal import merge, read_segments
from ..harness.result import Result
from ..harness.spec import Spec, load_spec

RUNS: Final = Path("dokkaebi-runs")
"""Where runs are kept unless `--out` says otherwise."""
LATEST: Final = "latest"

JOURNAL: Final = "journal"
TRACE: Final = "trace"
LOGS: Final = "logs"
SPEC: Final = "spec.json"
HISTORY: Final = "history.jsonl"
VERDICT: Final = "verdict.json"
REPORT: Final = "report.html"
FAULTS: Final = "faults.jsonl"

_NAME = re.compile(r"(\d{4,})-.+")


def new_run(out: Path, slug: str) -> Path:
    """Make the next run's folder, with its own folders inside, and point `latest` at it.

    Safe against others who do the same at the same moment, in this process or another.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror or error}") from None
    with _exclusive(out):
        number = 1 + max((n for n, _ in _numbered(out)), default=0)
        folder = out / f"{number:04d}-{_slug(slug)}"
        folder.mkdir()
        for name in (JOURNAL, TRACE, LOGS):
            (folder / name).mkdir()
        _point(out / LATEST, folder.name)
    return folder


def find_run(out: Path, ref: str | Path | None = None) -> Path:
    """The run that `ref` means: a run's folder, a folder of runs (its latest one), or a number.

    A number is looked up in `out`; so is the latest run when `ref` is None.
    """
    if ref is None:
        return _latest(out)
    path = Path(ref)
    if str(ref).isdecimal() and not path.is_dir():
        return _by_number(out, int(str(ref)))
    for candidate in (path, out / path):
        if is_run(candidate):
            return candidate.resolve() if candidate.is_symlink() else candidate
    if path.is_dir():
        return _latest(path)
    if path.suffix or len(path.parts) > 1:
        raise UsageError(f"there is no file {str(ref)!r}{_close_by(path)}")
    raise UsageError(f"there is no run {str(ref)!r}{_close(out, str(ref))}")


def is_run(folder: Path) -> bool:
    """Whether a run was stored in this folder."""
    return (folder / SPEC).is_file() or (folder / JOURNAL).is_dir()


def runs(out: Path) -> list[Path]:
    """The runs in a folder of runs, the oldest first."""
    return [path for _, path in sorted(_numbered(out)) if is_run(path)]


# --- alive ---------------------------------------------------------------------------------------


class RunLock:
    """The lock that says "this run is alive"; released by `close`, or by the process's end."""

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd

    def close(self) -> None:
        """Let go of the folder; safe to call twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def lock_run(folder: Path, *, patience_s: float = 1.0) -> RunLock:
    """Take a run's lock; raise `UsageError` when another living process holds it."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    until = time.monotonic() + patience_s
    while not _try(fd, fcntl.LOCK_EX):
        if time.monotonic() > until:  # `is_alive` holds it for an instant only
            os.close(fd)
            raise UsageError(f"{folder} belongs to a run that is still going on")
        time.sleep(0.01)
    return RunLock(fd)


def is_alive(folder: Path) -> bool:
    """Whether somebody holds this run's lock."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _try(fd: int, mode: int) -> bool:
    try:
        fcntl.flock(fd, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- what is in it -------------------------------------------------------------------------------


def save_history(folder: Path, history: History) -> Path:
    """Write the merged history so that it is there completely or not at all."""
    partial = folder / f".{HISTORY}.{os.getpid()}"
    write_jsonl(history, partial)
    return partial.replace(folder / HISTORY)


def load_history(folder: Path) -> History:
    """A run's history: the complete one, else what the journal's segments have of it."""
    meta = run_meta(load_spec(folder / SPEC)) if (folder / SPEC).is_file() else {}
    if (folder / HISTORY).is_file():
        return read_jsonl(folder / HISTORY, meta=meta)
    if not (folder / JOURNAL).is_dir():
        raise UsageError(f"{folder} is no run: it has neither {HISTORY} nor {JOURNAL}/")
    segments = read_segments(folder / JOURNAL)
    if not any(segments):
        raise UsageError(f"{folder} has no history: the run ended before its first operation")
    return merge(segments, meta=meta)


_CUT_SHORT = (
    "the run ended before its history was put together: what its workers had recorded by then "
    "is judged"
)


def notes_on(folder: Path) -> tuple[str, ...]:
    """What of a run's history is lacking, in words; segments may always end torn."""
    path = folder / HISTORY
    note = torn_note(path.read_bytes()) if path.is_file() else _CUT_SHORT
    return (note,) if note else ()


def run_meta(spec: Spec) -> Mapping[str, Any]:
    """What checkers may need to know of a run: the workload's parameters, and what was asked."""
    return {
        **spec.params,
        "workload": spec.workload,
        "faults": list(spec.faults),
        "level": spec.level,
        "epoch_ns": spec.epoch_ns,
        "workers": spec.workers,
    }


def save_result(folder: Path, result: Result) -> Path:
    """Write `verdict.json` so that it is there completely or not at all."""
    partial = folder / f".{VERDICT}.{os.getpid()}"
    partial.write_bytes(result.to_json())
    return partial.replace(folder / VERDICT)


# --- finding -------------------------------------------------------------------------------------


def _numbered(out: Path) -> Iterator[tuple[int, Path]]:
    if not out.is_dir():
        return
    for path in out.iterdir():
        match = _NAME.fullmatch(path.name)
        if match and path.is_dir() and not path.is_symlink():
            yield int(match[1]), path


def _latest(out: Path) -> Path:
    link = out / LATEST
    if link.is_symlink() and is_run(link):
        return out / link.readlink()
    every = runs(out)
    if not every:
        raise UsageError(f"there are no runs in {out}: `dokkaebi run` makes one, --out says where")
    return every[-1]


def _by_number(out: Path, number: int) -> Path:
    every = runs(out)
    found = [path for path in every if int(path.name.split("-")[0]) == number]
    if found:
        return found[0]
    have = f"; it has {every[0].name} to {every[-1].name}" if every else "; it has no runs"
    raise UsageError(f"there is no run {number} in {out}{have}")


def _close(out: Path, ref: str) -> str:
    names = [path.name for path in runs(out)]
    near = difflib.get_close_matches(Path(ref).name, names, n=3, cutoff=0.5)
    if near:
        return f"; {out} has {', '.join(near)}"
    return "; a run is a run's folder, a folder of runs (its latest), or a number"


def _close_by(path: Path) -> str:
    """Names like a file's in its folder."""
    names = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _slug(text: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return words[:48].strip("-") or "run"


def _point(link: Path, target: str) -> None:
    if link.exists() and not link.is_symlink():
        return  # somebody's own file or folder: not ours to replace
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


@contextmanager
def _exclusive(out: Path) -> Iterator[None]:
    """Hold the folder of runs while a number is taken."""
    fd = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
