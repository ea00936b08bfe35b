"""A set in Valkey or Redis."""

from __future__ import annotations

import json
from typing import Any

from redis import Redis

from ....harness.context import Context


class Sadd:
    """The server's own set: SADD, SMEMBERS."""

    workload = "set"
    needs: tuple[str, ...] = ("valkey",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    valkey: Redis

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def add(self, x: int) -> None:
        """One command."""
        self.valkey.sadd("elements", x)

    def members(self) -> Any:
        """One command."""
        return self.valkey.smembers("elements")


class SaddWithoutFile(Sadd):
    """D18: the same on a server that keeps nothing: no append-only file, no snapshots.

    Killed, it comes back empty. Mend it with `appendonly yes` and `appendfsync always` (`sadd`);
    with `everysec` a killed server keeps what it acknowledged, and only a power loss takes it.
    """

    needs = ("valkey:volatile",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("kill",)


class SaddSynced(Sadd):
    """The append-only file is synced at every write: what was acknowledged survives a power loss."""

    faults = ("power-loss",)


class SaddEverySecond(Sadd):
    """D18: the append-only file is synced once a second.

    A killed server keeps what it acknowledged, because the kernel has it; a power loss takes the
    last second. Mend it with `appendfsync always` (`sadd-synced`).
    """

    needs = ("valkey:everysec",)
    expect = "unsafe"
    anomaly = "lost-element"
    faults = ("power-loss",)


class MembersThenSet:
    """The set as one JSON text: GET, add in Python, SET.

    What others add between the two commands is wiped out. Mend it with SADD, a script or WATCH.
    """

    workload = "set"
    needs = ("valkey",)
    expect = "unsafe"
    anomaly = "lost-element"
    valkey: Redis

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def add(self, x: int) -> None:
        """Read, add, write."""
        self.valkey.set("elements", json.dumps([*self.members(), x]))

    def members(self) -> list[int]:
        """One command."""
        text: Any = self.valkey.get("elements")
        found: list[int] = json.loads(text) if text else []
        return found
