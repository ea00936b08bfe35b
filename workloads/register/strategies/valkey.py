"""Registers in Valkey or Redis."""

from __future__ import annotations

from typing import Any

from redis import Redis

from ....harness.context import Context

_COMPARE_AND_SET = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2])
    return 1
end
return 0
"""


class Key:
    """One key per register: GET, SET, and a script that compares and sets."""

    workload = "register"
    needs = ("valkey",)
    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")
    valkey: Redis

    def setup(self, ctx: Context) -> None:
        """One key per register."""
        for key, start in ctx.initial.items():
            ctx.valkey.set(f"register:{key}", start)

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def read(self, key: int) -> Any:
        """One command."""
        return self.valkey.get(f"register:{key}")

    def write(self, key: int, value: int) -> None:
        """One command."""
        self.valkey.set(f"register:{key}", value)

    def cas(self, key: int, old: int, new: int) -> bool:
        """One script."""
        return bool(self.valkey.eval(_COMPARE_AND_SET, 1, f"register:{key}", old, new))
