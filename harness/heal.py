"""Heal: undo what dead harnesses left (processes, private folders, what a fault did elsewhere).

Only what is proved to be theirs is touched: the registry's lock is free, and a process has the
recorded pid, start time and boot, descends from one that has, or lives in a private folder.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .registry import Registry, harnesses_folder, open_undos, read_records

if TYPE_CHECKING:
    import psutil

Record = Mapping[str, Any]


def heal() -> list[str]:
    """Undo what every dead harness of this user left; one sentence for each thing undone."""
    told: list[str] = []
    try:
        paths = sorted(harnesses_folder().glob("*.jsonl"))
    except OSError:
        return told
    for path in paths:
        registry = Registry.seize(path)
        if registry is not None:
            try:
                told.extend(_heal_one(registry))
            finally:
                registry.close()
    return told


def _heal_one(registry: Registry) -> list[str]:
    records = read_records(registry.path)
    _await_reaper(records)
    told = kill_recorded(records)
    told += undo_rest(records, registry)
    return told


def undo_rest(
    records: list[Record], registry: Registry, secrets: Mapping[int, Record] | None = None
) -> list[str]:
    """Undo what is not a process, then remove the folders; delete the file if all went well.

    `secrets` are arguments that were never written down, by the number of the undo.
    """
    told: list[str] = []
    failed = False
    for record in open_undos(records):
        try:
            told.append(_call(record, (secrets or {}).get(record["number"], {})))
        except Exception as error:
            failed = True
            told.append(f"could not undo {record.get('call')}: {type(error).__name__}: {error}")
        else:
            registry.write("undone", number=record.get("number"))
    told += [f"removed {path}" for path in _folders(records) if remove_folder(path)]
    if not failed:
        registry.remove()
    return [sentence for sentence in told if sentence]


def remove_folder(path: Path) -> bool:
    """Remove a private folder if it is a real folder of ours; whether there was one."""
    try:
        stat = path.lstat()
    except OSError:
        return False
    if stat.st_uid != os.geteuid() or path.is_symlink():
        return False
    shutil.rmtree(path, ignore_errors=True)
    return True


def kill_recorded(records: list[Record]) -> list[str]:
    """Kill the recorded processes that still live, and everything that came from them."""
    found = _survivors(records)
    if not found:
        return []
    from .processes import kill_all

    names = [_described(process) for process in found]
    left = kill_all(found)
    told = [f"killed {name}" for name in names]
    return told + [f"process {process.pid} survived SIGKILL" for process in left]


def _survivors(records: list[Record]) -> list[psutil.Process]:
    from .processes import boot_id, living, pause_tree, same

    boot = next((record.get("boot") for record in records if record.get("what") == "harness"), None)
    if boot != boot_id():
        return []
    import psutil

    found: dict[int, psutil.Process] = {}
    for record in records:
        # The harness itself is dead, or its lock would not be free.
        if record.get("what") not in ("process", "reaper"):
            continue
        pid = int(record["pid"])
        if not same(pid, str(record["start"])):
            continue
        try:
            root = psutil.Process(pid)
        except psutil.NoSuchProcess:
            continue
        for process in pause_tree(root):  # what stands still forks no more
            found.setdefault(process.pid, process)
    for process in _inside(_folders(records)):
        found.setdefault(process.pid, process)
    return living(found.values())


def _inside(folders: list[Path]) -> list[psutil.Process]:
    """Processes whose working directory lies in a private folder: orphans of a killed server."""
    import psutil

    inside = []
    for process in psutil.process_iter():
        try:
            where = Path(process.cwd())
        except (psutil.Error, OSError):
            continue
        if any(where.is_relative_to(folder) for folder in folders):
            inside.append(process)
    return inside


def _await_reaper(records: list[Record], *, wait_s: float = 5.0) -> None:
    """A reaper that still lives is at this very work: let it finish."""
    reapers = [record for record in records if record.get("what") == "reaper"]
    if not reapers:
        return
    from .processes import same

    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if not any(same(reaper["pid"], reaper["start"]) for reaper in reapers):
            return
        time.sleep(0.01)


def _folders(records: list[Record]) -> list[Path]:
    return [Path(record["path"]) for record in records if record.get("what") == "folder"]


def _call(record: Record, secret: Record) -> str:
    module, _, name = str(record["call"]).partition(":")
    function = getattr(import_module(module), name)
    return str(function(**{**record["arguments"], **secret}) or "")


def _described(process: psutil.Process) -> str:
    import psutil

    try:
        return f"{process.name()} (pid {process.pid})"
    except psutil.Error:
        return f"pid {process.pid}"
