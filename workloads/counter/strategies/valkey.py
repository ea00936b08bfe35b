"""Counters in Valkey or Redis that are computed in the application."""

from __future__ import annotations

from redis import Redis, WatchError

from ....harness.context import Context


class _Keys:
    """The keys that both share."""

    workload = "counter"
    needs = ("valkey",)
    valkey: Redis

    def setup(self, ctx: Context) -> None:
        """One key per counter."""
        for key, start in ctx.initial.items():
            ctx.valkey.set(f"counter:{key}", start)

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def read(self, key: int) -> int:
        """One command."""
        return int(self.valkey.get(f"counter:{key}") or 0)


class MultiWithoutWatch(_Keys):
    """B23: GET, add in Python, then MULTI/EXEC around the SET.

    MULTI makes the queued commands one unit, but nothing ties them to what GET answered. Mend it
    with WATCH before the GET (`watch-multi`), with INCRBY, or with a script.
    """

    expect = "unsafe"
    anomaly = "lost-update"

    def add(self, key: int, delta: int) -> int:
        """Read, compute, write in MULTI/EXEC."""
        new = self.read(key) + delta
        with self.valkey.pipeline(transaction=True) as pipeline:
            pipeline.set(f"counter:{key}", new)
            pipeline.execute()
        return new


class WatchMulti(_Keys):
    """B24: WATCH the key before reading it; EXEC answers nil if it changed, then read again."""

    expect = "safe"
    faults = ("none", "kill-client")

    def add(self, key: int, delta: int) -> int:
        """Watch, read, compute, write if unchanged."""
        name = f"counter:{key}"
        with self.valkey.pipeline(transaction=True) as pipeline:
            while True:
                try:
                    pipeline.watch(name)  # type: ignore[no-untyped-call]
                    new = int(pipeline.get(name) or 0) + delta
                    pipeline.multi()
                    pipeline.set(name, new)
                    pipeline.execute()
                except WatchError:
                    continue
                return new
