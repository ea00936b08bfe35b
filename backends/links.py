"""The links of a cluster as the harness sees them: the relay's doors, what is cut, what is held."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from ..harness.errors import Broken
from ..harness.household import Household, Spawned
from ..harness.protocols import Held, Pair
from .network import LOOPBACK, Address, Site


class Links:
    """Proxies between everybody who talks to a node and the node; every method waits for them.

    Whoever talks to a node does so through a door of his own (`open`), so that each direction
    between any two can be cut for itself. Clients share their doors.
    """

    each_pair: ClassVar[bool] = False
    sees_mounts: ClassVar[bool] = True
    cannot_slow: ClassVar[str | None] = None

    def __init__(self, household: Household) -> None:
        self._household = household
        self._lock = threading.Lock()
        self._relay: Spawned | None = None
        self._orders = self._answers = -1
        self._lines: Any = None
        self._doors: dict[Pair, int] = {}

    def start(self) -> None:
        """Start the relay."""
        orders_in, self._orders = os.pipe()
        self._answers, answers_out = os.pipe()
        try:
            self._relay = self._household.spawn(
                [sys.executable, "-P", "-m", "dokkaebi.backends.relay"],
                log=self._household.folder("relay") / "log",
                env=self._household.python_environment(),
                stdin=orders_in,
                stdout=answers_out,
            )
        finally:
            os.close(orders_in)
            os.close(answers_out)
        self._lines = os.fdopen(self._answers, "rb")

    def stop(self) -> None:
        """End the relay and all connections; safe to call twice."""
        if self._relay is None:
            return
        os.close(self._orders)
        self._relay.wait(5.0)
        self._lines.close()
        self._relay = None
        self._doors.clear()

    def site(self, name: str) -> Site:
        """On loopback, like everything else."""
        return Site()

    def node(self, name: str, port: int, *, host: str = LOOPBACK) -> None:
        """Say where a node listens."""
        self._order(do="node", name=name, host=host, port=port)

    def address(self, source: str, target: str) -> Address:
        """A door of his own through which `source` reaches the node `target`."""
        if (source, target) not in self._doors:
            self._doors[source, target] = self.open(source, target)
        return LOOPBACK, self._doors[source, target]

    def open(
        self,
        source: str,
        target: str,
        *,
        signs: Mapping[str, str] | None = None,
        swap: tuple[str, str] | None = None,
        to: int = 0,
        patience_s: float = 0.0,
        port: int = 0,
    ) -> int:
        """A new door through which `source` reaches the node `target`; its port.

        At a door that several share (`relay.ANYONE`), `signs` tell by what a caller says first
        which of them it is. `swap` is an address said first, and what is passed on instead. `to`
        is another port of the node than the one it is known by; `patience_s` is how long a caller
        waits while nobody listens there.
        """
        port = port or self._household.free_port()
        door = {"source": source, "target": target, "signs": signs, "swap": swap, "to": to}
        self._order(do="open", port=port, patience=patience_s, **door)
        return port

    def recognise(self, signs: Mapping[str, str]) -> None:
        """From now on these are the signs by which callers at shared doors are told apart."""
        self._order(do="signs", signs=dict(signs))

    def callers(self, source: str, *, end: bool = False) -> int:
        """How many connections this source has open through all doors; `end` ends them."""
        return int(self._order(do="callers", source=source, end=end)["callers"])

    def lead(self, port: int, target: str) -> None:
        """Lead a door to another node; connections that stand stay where they are."""
        self._order(do="lead", port=port, target=target)

    def cut(self, pairs: Iterable[Pair]) -> None:
        """From now on exactly these directions are cut; none undoes all."""
        self._order(do="cut", pairs=sorted(set(pairs)))

    def slow(self, pairs: Iterable[Pair], *, delay_s: float = 0.0, rate: float = 0.0) -> None:
        """From now on exactly these directions are late, and carry `rate` bytes a second (0: any)."""
        self._order(do="slow", pairs=sorted(set(pairs)), delay=delay_s, rate=rate)

    def held(self) -> Held:
        """What the cuts keep back."""
        return msgspec.convert(self._order(do="held"), Held)

    def _order(self, **order: Any) -> Any:
        with self._lock:
            if self._relay is None:
                raise Broken("the relay was not started")
            try:
                os.write(self._orders, msgspec.json.encode(order) + b"\n")
                answer = msgspec.json.decode(self._lines.readline() or b'{"error": "it is gone"}')
            except OSError as error:
                answer = {"error": str(error)}
        if "error" in answer:
            raise Broken(f"the relay could not {order['do']}: {answer['error']}")
        return answer
