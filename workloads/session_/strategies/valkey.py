"""Keys of sessions in Valkey or Redis."""

from __future__ import annotations

from typing import Any

from redis import Redis

from ....harness.context import Context


class Key:
    """GET and SET on the one server."""

    workload = "session"
    needs = ("valkey",)
    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")
    valkey: Redis

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def write(self, key: int, value: int) -> None:
        """One command."""
        self.valkey.set(f"version:{key}", value)

    def read(self, key: int) -> Any:
        """One command."""
        return self.valkey.get(f"version:{key}")
