"""Groups and their members in Valkey or Redis: at least one must stay."""

from __future__ import annotations

from typing import Any

from redis import Redis

from ....harness.context import Context

_LEAVE = """
if redis.call('SCARD', KEYS[1]) > tonumber(ARGV[2]) then
    return redis.call('SREM', KEYS[1], ARGV[1])
end
return 0
"""


class ScardThenSrem:
    """SCARD, then SREM.

    Two members count at the same time, each sees the other one, and both leave. Mend it with a
    script (`srem-in-script`), or with WATCH.
    """

    workload = "constraint"
    needs = ("valkey",)
    expect = "unsafe"
    anomaly = "G2-item"
    faults: tuple[str, ...] = ()
    valkey: Redis

    def setup(self, ctx: Context) -> None:
        """One set per group."""
        for group, members in ctx.initial.items():
            ctx.valkey.sadd(f"group:{group}", *members)

    def open(self, ctx: Context) -> None:
        """Keep the connection; how many must stay is the workload's to say."""
        self.valkey = ctx.valkey
        self.least = int(ctx.params["least"])

    def join(self, group: int, member: int) -> None:
        """One command."""
        self.valkey.sadd(f"group:{group}", member)

    def leave(self, group: int, member: int) -> bool:
        """Count, then remove."""
        count: Any = self.valkey.scard(f"group:{group}")
        return count > self.least and bool(self.valkey.srem(f"group:{group}", member))

    def members(self, group: int) -> Any:
        """One command."""
        return self.valkey.smembers(f"group:{group}")


class SremInScript(ScardThenSrem):
    """The count and the removal are one script: the server does nothing else meanwhile."""

    expect = "safe"
    faults = ("none", "kill", "pause", "kill-client")

    def leave(self, group: int, member: int) -> bool:
        """One script."""
        left: Any = self.valkey.eval(_LEAVE, 1, f"group:{group}", member, self.least)
        return bool(left)
