"""Identifiers from Valkey or Redis."""

from __future__ import annotations

from typing import Any

from redis import Redis

from ....harness.context import Context


class Incr:
    """INCR: one command, one number; the append-only file is written before the answer."""

    workload = "ids"
    needs = ("valkey",)
    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")
    valkey: Redis

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def next_id(self) -> Any:
        """One command."""
        return self.valkey.incr("ids")


class GetPlusOne:
    """GET, add in Python, SET.

    Two clients get the same number. Mend it with INCR.
    """

    workload = "ids"
    needs = ("valkey",)
    expect = "unsafe"
    anomaly = "duplicate"
    valkey: Redis

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def next_id(self) -> int:
        """Read, add, write."""
        found: Any = self.valkey.get("ids")
        number = int(found or 0) + 1
        self.valkey.set("ids", number)
        return number
