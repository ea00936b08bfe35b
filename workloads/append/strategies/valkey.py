"""Lists in Valkey or Redis."""

from __future__ import annotations

import json
from typing import Any

from redis import Redis, WatchError

from ....harness.context import Context

_TXN = """
local done = {}
for i, key in ipairs(KEYS) do
    if ARGV[i] == '' then
        done[i] = redis.call('LRANGE', key, 0, -1)
    else
        redis.call('RPUSH', key, ARGV[i])
        done[i] = {}
    end
end
return done
"""


class Script:
    """The whole transaction is one script: the server does nothing else meanwhile."""

    workload = "append"
    needs = ("valkey",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "kill-client")
    valkey: Redis

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def txn(self, mops: list[Any]) -> list[Any]:
        """One script."""
        keys = [f"list:{key}" for _, key, _ in mops]
        elements = ["" if element is None else element for _, _, element in mops]
        done: Any = self.valkey.eval(_TXN, len(keys), *keys, *elements)
        for mop, found in zip(mops, done, strict=True):
            if mop[0] == "r":
                mop[2] = found
        return mops


class WatchMulti:
    """B24: WATCH all keys, read them, then append in MULTI/EXEC; again if one of them changed."""

    workload = "append"
    needs = ("valkey",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill-client")
    valkey: Redis

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def txn(self, mops: list[Any]) -> list[Any]:
        """Watch, read, queue the appends, execute."""
        names = sorted({f"list:{key}" for _, key, _ in mops})
        with self.valkey.pipeline(transaction=True) as pipeline:
            while True:
                try:
                    pipeline.watch(*names)  # type: ignore[no-untyped-call]
                    lists: dict[str, Any] = {n: pipeline.lrange(n, 0, -1) for n in names}
                    pipeline.multi()
                    done = []
                    for f, key, element in mops:
                        mine = lists[f"list:{key}"]
                        if f == "append":
                            pipeline.rpush(f"list:{key}", element)
                            mine.append(element)
                        done.append([f, key, list(mine) if f == "r" else element])
                    # A transaction that only reads is executed too: EXEC says whether it holds.
                    pipeline.exists(names[0])
                    pipeline.execute()
                except WatchError:
                    continue
                return done


class GetThenSet:
    """The lists are fetched with MGET, extended in Python and written back with MSET.

    Nothing ties the two commands together: what others appended in between is wiped out. Mend it
    with WATCH (`watch-multi`) or a script.
    """

    workload = "append"
    needs = ("valkey",)
    expect = "unsafe"
    anomaly = "lost-update"
    valkey: Redis

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.valkey = ctx.valkey

    def txn(self, mops: list[Any]) -> list[Any]:
        """Read, compute, write."""
        names = sorted({f"list:{key}" for _, key, _ in mops})
        found: Any = self.valkey.mget(names)
        lists = {n: json.loads(text) if text else [] for n, text in zip(names, found, strict=True)}
        changed = {}
        for mop in mops:
            name = f"list:{mop[1]}"
            if mop[0] == "r":
                mop[2] = lists[name]
            else:
                lists[name] = [*lists[name], mop[2]]
                changed[name] = json.dumps(lists[name])
        if changed:
            self.valkey.mset(changed)
        return mops
