"""The System V segment by which PostgreSQL knows that its data folder is in use.

A light module: the reaper imports it on its way out.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

from ..harness.processes import boot_id

_IPC_RMID = 0


def remove_shared_memory(*, data: str, boot: str) -> str:
    """Remove the System V segment that a SIGKILLed server left; its key stands in its pid file.

    A few bytes that the kernel would keep until the next boot. Called when the server is dead.
    """
    if boot != boot_id():
        return ""
    try:
        lines = (Path(data) / "postmaster.pid").read_text().splitlines()
        key, identifier = map(int, lines[6].split())
    except (OSError, IndexError, ValueError):
        return ""  # a clean stop removes the file, and its segment with it
    libc = ctypes.CDLL(None)
    if libc.shmget(key, 0, 0) != identifier:
        return ""
    libc.shmctl(identifier, _IPC_RMID, None)
    return f"removed the shared memory of the server in {data}"
