"""Hands a history to other tools: from a run or a file of any format to EDN or JSONL."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .harness.errors import UsageError
from .harness.formats.edn_writer import edn_line
from .harness.formats.jsonl import encode_op
from .harness.formats.reading import Recorded, read, read_file
from .harness.history import History
from .results.store import find_run, load_history, notes_on

WRITERS = {"edn": edn_line, "jsonl": encode_op}


def convert(
    source: str, form: str, target: Path | None, *, out: Path, say: Callable[[str], None]
) -> None:
    """Write a history in another form; a file is there completely or not at all."""
    recorded = _recorded(source, out)
    history = recorded.history
    for note in recorded.notes:
        say(note)
    if form == "edn" and history.meta.get("realtime") is False:
        say(
            "this history has no order between its sessions; in EDN the order of lines will seem "
            "to be one"
        )
    lines = _lines(history, form)
    if target is None:
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
        return
    try:
        _write(lines, target)
    except OSError as error:
        raise UsageError(f"-o {target}: {error.strerror or error}") from None


def _write(lines: Iterable[bytes], target: Path) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.writelines(lines)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _recorded(source: str, out: Path) -> Recorded:
    if source == "-":
        return read(sys.stdin.buffer.read(), source="standard input")
    if Path(source).is_file():
        return read_file(Path(source))
    folder = find_run(out, source)
    return Recorded(load_history(folder), "jsonl", notes_on(folder))


def _lines(history: History, form: str) -> Iterator[bytes]:
    write = WRITERS[form]
    return (write(op) for op in history)
