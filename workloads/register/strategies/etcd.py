"""Registers in etcd."""

from __future__ import annotations

from typing import Any

from ....harness.context import Context


class EtcdKey:
    """One key per register: linearizable reads, puts, and a transaction that compares the value."""

    workload = "register"
    needs = ("etcd",)
    expect = "safe"
    faults = ("none", "kill", "pause", "partition", "kill-client")
    etcd: Any

    def setup(self, ctx: Context) -> None:
        """One key per register."""
        for key, start in ctx.initial.items():
            ctx.etcd.put(f"register/{key}", start)

    def open(self, ctx: Context) -> None:
        """Keep the connection."""
        self.etcd = ctx.etcd

    def read(self, key: int) -> Any:
        """One linearizable read."""
        return self.etcd.get(f"register/{key}").value

    def write(self, key: int, value: int) -> None:
        """One put."""
        self.etcd.put(f"register/{key}", value)

    def cas(self, key: int, old: int, new: int) -> bool:
        """One transaction."""
        name = f"register/{key}"
        return bool(self.etcd.txn([("value", name, old)], [("put", name, new)]).succeeded)
