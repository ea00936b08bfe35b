"""The registry: what a living harness would leave behind if it died now, one file per harness.

`<state folder>/harnesses/<id>.jsonl`, locked (`flock`) by the harness for as long as it lives, so
that a free lock proves that its owner is dead. Every line is one JSON object with a `what`:
`harness`, `reaper` and `process` (with pid and start), `folder`, `run`, `undo` and `undone`.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def state_folder() -> Path:
    """Where this user's harnesses are registered; `DOKKAEBI_STATE_DIR` overrides it."""
    chosen = os.environ.get("DOKKAEBI_STATE_DIR")
    if chosen:
        return Path(chosen)
    import platformdirs  # not needed by the reaper, which must start quickly

    return Path(platformdirs.user_state_dir("dokkaebi"))


def harnesses_folder() -> Path:
    """The folder of the registry files; need not exist."""
    return state_folder() / "harnesses"


class Registry:
    """An append-only registry file; `create` locks it, `join` only writes to it."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def create(cls) -> Registry:
        """Make and lock this harness's file. The descriptor is not inherited by any child."""
        folder = harnesses_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = folder / f"{os.getpid()}-{secrets.token_hex(6)}.jsonl"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_at(fd, path):
                return cls(path, fd)
            os.close(fd)  # a heal found it unlocked and empty in between, and took it away

    @classmethod
    def join(cls, path: Path) -> Registry:
        """Open a harness's file for writing without locking it (the reaper does)."""
        return cls(path, os.open(path, os.O_WRONLY | os.O_APPEND))

    @classmethod
    def seize(cls, path: Path) -> Registry | None:
        """Lock the file of a dead harness; None while its owner lives or another one heals it."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return None
        if _is_at(fd, path):
            return cls(path, fd)
        os.close(fd)
        return None

    def write(self, what: str, **fields: Any) -> None:
        """Append one record in one write."""
        os.write(self._fd, json.dumps({"what": what, **fields}).encode() + b"\n")

    def remove(self) -> None:
        """Delete the file; nothing is left to undo."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file, and of the lock with it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_records(path: Path) -> list[Mapping[str, Any]]:
    """The records of a registry file; torn or strange lines are dropped."""
    records: list[Mapping[str, Any]] = []
    try:
        data = path.read_bytes()
    except OSError:
        return records
    for line in data.split(b"\n")[:-1]:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def open_undos(records: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The `undo` records without their `undone`, the latest first."""
    done = {record.get("number") for record in records if record.get("what") == "undone"}
    undos = [record for record in records if record.get("what") == "undo"]
    return [record for record in reversed(undos) if record.get("number") not in done]


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.fstat(fd).st_ino == os.stat(path).st_ino
    except FileNotFoundError:
        return False
