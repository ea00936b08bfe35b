"""The spec: everything needed to run a test again, as one value that round-trips through JSON."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import msgspec

from .errors import UsageError

SCHEMA = 1
Aim = Literal["holder", "any", "mixed"]

SECOND = 1_000_000_000
_UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}


class Floors(msgspec.Struct, frozen=True, kw_only=True):
    """What a run must reach before a pass means anything (absolute, never scaled by time)."""

    ok: int = 100
    conflicts: int = 20
    handovers: int = 20


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One test. Times are in nanoseconds. `strategy` is a reference, `module:Class` or
    `FILE.py:Class`; `params` are the workload's, `dsn` is redacted before it is stored."""

    schema: int = SCHEMA
    workload: str
    strategy: str
    label: str
    """How the strategy is called on the command line."""
    needs: tuple[str, ...] = ()
    topologies: dict[str, str] = {}
    """Of the backends that are not in their default one: `{"valkey": "sentinel"}`."""
    backend: str | None = None
    """What `--on` said: `postgres`, `postgres@16`."""
    isolation: str | None = None
    faults: tuple[str, ...] = ()
    every: int = 0
    """From a healing to the next injection."""
    lasts: int = 0
    """How long a fault lasts."""
    aim: Aim = "mixed"
    level: str | None = None
    workers: int = 8
    processes: int = 2
    rate: float | None = None
    """Operations a second over all workers; None is as fast as they go."""
    time: int = 10 * SECOND
    op_timeout: int = 5 * SECOND
    seed: int = 0
    provider: str = "local"
    dsn: tuple[str, ...] = ()
    params: dict[str, Any] = {}
    require_progress: bool = False
    expect: str | None = None
    anomaly: str | None = None
    floors: Floors = Floors()
    versions: dict[str, str] = {}
    epoch_ns: int = 0
    """The wall clock at time 0 of the history, so that the servers' logs line up with it."""

    def save(self, path: Path) -> None:
        """Write the spec as JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def load_spec(path: Path) -> Spec:
    """Read a stored spec; raise `UsageError` saying what is wrong with it."""
    try:
        spec = msgspec.json.decode(path.read_bytes(), type=Spec)
    except FileNotFoundError:
        raise UsageError(f"{path.parent} is no run: it has no spec.json") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    if spec.schema != SCHEMA:
        raise UsageError(
            f"{path}: schema {spec.schema}, but this version of dokkaebi reads schema {SCHEMA}"
        )
    return spec


def parse_duration(text: str) -> int:
    """Read `500ms`, `30s`, `2m` as nanoseconds; raise `UsageError` for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ns|us|ms|s|m|h)\s*", text)
    if not match:
        raise UsageError(f"a duration reads like 500ms, 30s or 2m, not {text!r}")
    return round(float(match[1]) * _UNITS[match[2]])


def show_duration(nanoseconds: int) -> str:
    """Write nanoseconds the way `parse_duration` reads them."""
    for unit in ("m", "s", "ms", "us"):
        if nanoseconds and nanoseconds % _UNITS[unit] == 0:
            return f"{nanoseconds // _UNITS[unit]}{unit}"
    return f"{nanoseconds}ns"


def redact(url: str) -> str:
    """A server's address without its password."""
    url = re.sub(r"(://[^/@:\s]*):[^@\s]*@", r"\1:***@", url)
    return re.sub(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)", r"\1***", url, flags=re.I)
