"""Registers that transactions share, in Valkey or Redis."""

from __future__ import annotations

from typing import Any

from redis import Redis

from ....harness.context import Context

_TXN = """
local done = {}
for i, key in ipairs(KEYS) do
    if ARGV[i] == '' then
        done[i] = redis.call('GET', key)
    else
        redis.call('SET', key, ARGV[i])
        done[i] = false
    end
end
return done
"""


class GetAndSetInScript:
    """The whole transaction is one script: the server does nothing else meanwhile."""

    workload = "wr"
    needs = ("valkey",)
    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")
    valkey: Redis

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def txn(self, mops: list[Any]) -> list[Any]:
        """One script."""
        keys = [f"register:{key}" for _, key, _ in mops]
        values = ["" if value is None else value for _, _, value in mops]
        done: Any = self.valkey.eval(_TXN, len(keys), *keys, *values)
        for mop, found in zip(mops, done, strict=True):
            if mop[0] == "r":
                mop[2] = found
        return mops


class GetAndSet:
    """Each step is a command of its own, and others come in between.

    A reader sees one half of a transaction before the other half is there. Mend it with a script,
    or with MULTI/EXEC under WATCH.
    """

    workload = "wr"
    needs = ("valkey",)
    expect = "unsafe"
    anomaly = "G-single"
    valkey: Redis

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def txn(self, mops: list[Any]) -> list[Any]:
        """One command for each step."""
        for mop in mops:
            if mop[0] == "r":
                mop[2] = self.valkey.get(f"register:{mop[1]}")
            else:
                self.valkey.set(f"register:{mop[1]}", mop[2])
        return mops
