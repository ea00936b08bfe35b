"""`ctx`: what a strategy is given when it is opened."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from .errors import UsageError


class Context:
    """The clients, keys and parameters of one worker's client.

    `ctx.postgres`, `ctx.valkey`, `ctx.sqlite` are the real drivers' connections (their hidden
    retries switched off). `keys` and `initial` say what `setup` must create, `rng` is seeded.
    """

    def __init__(
        self,
        *,
        worker: int,
        rng: random.Random,
        initial: Mapping[Any, Any],
        params: Mapping[str, Any],
        isolation: str | None = None,
        clients: Mapping[str, Any] | None = None,
        dsns: Mapping[str, str] | None = None,
        resource: tuple[str, int] | None = None,
        point: Callable[[str], None] | None = None,
        node: Callable[[str, str, int], Any] | None = None,
    ) -> None:
        self.worker = worker
        self.rng = rng
        self.initial = initial
        self.keys = tuple(initial)
        self.params = params
        self.isolation = isolation
        self.resource = resource
        self.untraced = False
        """Whether `dsn` was asked for: then only `Failed` is definite (see `single_transaction`)."""
        self._clients = dict(clients or {})
        self._dsns = dict(dsns or {})
        self._point = point
        self._node = node

    def __getattr__(self, name: str) -> Any:
        clients = self.__dict__.get("_clients", {})
        # Redis is the same protocol and the same driver under its older name.
        chosen = name if name in clients else {"redis": "valkey", "valkey": "redis"}.get(name, name)
        if chosen in clients:
            return clients[chosen]
        raise AttributeError(
            f"ctx has no {name!r}: the strategy's needs give it {', '.join(clients) or 'no clients'}"
        )

    def dsn(self, backend: str) -> str:
        """The address for a connection of one's own; what it sends is not traced."""
        if backend not in self._dsns:
            raise UsageError(
                f"ctx.dsn({backend!r}): the strategy's needs give it "
                f"{', '.join(self._dsns) or 'no backends'}"
            )
        self.untraced = True
        return self._dsns[backend]

    def node(self, backend: str, role: str, index: int = 0) -> Any:
        """A connection to one node of a cluster: a role at the start of the run, or a name.

        `ctx.node("postgres", "replica", 0)`, `ctx.node("valkey", "n2")`. The first call opens it;
        it is closed with the client. Raises `UsageError` where there is no such node.
        """
        if self._node is None:
            raise UsageError(f"ctx.node({backend!r}, {role!r}): there are no clusters here")
        return self._node(backend, role, index)

    def point(self, name: str) -> None:
        """Name a place where a fault may be aimed; returns at once unless the nemesis armed it."""
        if self._point is not None:
            self._point(name)
