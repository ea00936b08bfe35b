"""`dokkaebi init`: a first strategy of one's own, which runs as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .harness.errors import UsageError
from .harness.plugins import registered, unknown_name

_FOLDER: Final = Path(__file__).parent / "starters"


def starters() -> list[str]:
    """The workloads for which there is a file to begin with."""
    return sorted(path.stem for path in _FOLDER.glob("*.txt"))


def starter(workload: str) -> str:
    """The file to begin with; `UsageError` for a workload that has none."""
    path = _FOLDER / f"{workload}.txt"
    if not path.is_file():
        raise UsageError(unknown_name("workload", workload, registered("workloads")))
    return path.read_text(encoding="utf-8")


def file_name(workload: str) -> str:
    """What the file is called: `mylock.py`, `mylongfork.py`."""
    return f"my{workload.replace('-', '')}.py"


def write_starter(workload: str, folder: Path) -> Path:
    """Write it into a folder; `UsageError` where a file of that name is there already."""
    text = starter(workload)
    target = folder / file_name(workload)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{target} is there already, and stays as it is") from None
    return target
