"""Keys that are written once, in Valkey or Redis."""

from __future__ import annotations

from typing import Any

from redis import Redis

from ....harness.context import Context


class Mget:
    """All keys are read by one command."""

    workload = "long-fork"
    needs = ("valkey",)
    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")
    valkey: Redis

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def write(self, key: int) -> None:
        """One command."""
        self.valkey.set(f"written:{key}", 1)

    def read(self, keys: list[int]) -> Any:
        """One command."""
        return self.valkey.mget([f"written:{key}" for key in keys])
