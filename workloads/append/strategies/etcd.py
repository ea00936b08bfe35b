"""Lists in etcd."""

from __future__ import annotations

import json
from typing import Any

from ....harness.context import Context


class Revisions:
    """All keys are read in one transaction, and written in another if none of them has changed.

    What was read is compared by its revision; a transaction that only reads is one etcd
    transaction, and needs no second.
    """

    workload = "append"
    needs = ("etcd",)
    expect = "safe"
    faults: tuple[str, ...] = ("none", "kill", "pause", "partition", "kill-client")
    etcd: Any

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.etcd = ctx.etcd

    def txn(self, mops: list[Any]) -> list[Any]:
        """Read, compute, compare and write; again if something came in between."""
        names = sorted({f"list/{key}" for _, key, _ in mops})
        while True:
            found = self.etcd.txn([], [("get", name) for name in names]).answers
            seen = dict(zip(names, found, strict=True))
            lists = {name: json.loads(one.value) if one else [] for name, one in seen.items()}
            done, written = [], set()
            for f, key, element in mops:
                mine = lists[f"list/{key}"]
                if f == "append":
                    mine.append(element)
                    written.add(f"list/{key}")
                done.append([f, key, list(mine) if f == "r" else element])
            if not written or self._write(seen, {name: lists[name] for name in written}):
                return done

    def _write(self, seen: dict[str, Any], lists: dict[str, Any]) -> bool:
        """Whether nothing that was seen has changed; then all is written."""
        unchanged = [("mod", name, one.modified if one else 0) for name, one in seen.items()]
        puts = [("put", name, json.dumps(elements)) for name, elements in lists.items()]
        return bool(self.etcd.txn(unchanged, puts).succeeded)
