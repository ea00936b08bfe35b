"""The relay: TCP proxies between the nodes of a cluster and its clients, in a process of their own.

Run as `python -m dokkaebi.backends.relay`; orders are JSON lines on stdin, each answered by one on
stdout; it ends with its stdin. A cut direction is not read any more, so that connections hang as
they do when packets are lost: nothing is reset, new ones are taken and get no answer, and what was
sent meanwhile arrives after the healing, as TCP would send it again.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import json
import sys
import termios
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

HIGH_WATER = 1 << 20
"""Bytes that one side may be ahead of the other before it is read no more."""

AGAIN_S = 0.02
"""Until it is tried again to reach a node that does not listen."""

CLIENTS = "clients"
"""How orders call those who are no nodes."""

ANYONE = "anyone"
"""A caller at a shared door that did not say who it is: cut off with whoever is cut off there."""


class Door:
    """A port that leads to a node; where it leads can change, and only new connections notice.

    `signs` are for a door that several nodes share: what a caller says first tells which one it
    is. `swap` is an address that callers say first, and what is passed on in its place. `to` is
    another port of the node than the one it is known by. For `patience` seconds a caller is kept
    waiting while nobody listens there: taken and then hung up on is not what a refusal looks like,
    and not everybody tries again after that.
    """

    def __init__(
        self,
        relay: Relay,
        source: str,
        target: str,
        *,
        signs: Mapping[str, str] | None = None,
        swap: tuple[str, str] | None = None,
        to: int = 0,
        patience: float = 0.0,
    ) -> None:
        self.relay = relay
        self.source = source
        self.target = target
        self.signs = signs
        self.swap = swap
        self.to = to
        self.patience = patience

    def connection_made(self) -> Caller:
        """Somebody knocks."""
        if self.signs or self.swap:
            return Greeter(self)
        return Caller(self)


class Side(asyncio.Protocol):
    """One end of a connection; what it receives goes to the other end."""

    def __init__(self, relay: Relay, sender: str, receiver: str) -> None:
        self.relay = relay
        self.pair = (sender, receiver)
        self.other: Side | None = None
        self.transport: Any = None
        self.full = False
        """Whether the other end cannot take more at the moment."""
        self.ended = False
        self.silent = False
        """Whether it said all that it had to say."""
        self.late: deque[tuple[float, bytes]] = deque()
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER)  # type: ignore[attr-defined]
        self.relay.sides.add(self)
        self.settle()

    def settle(self) -> None:
        """Read, or do not, as cuts and the other end allow."""
        if self.transport is None or self.transport.is_closing():
            return
        if self.relay.is_cut(self.pair) or self.full or self.other is None:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        wait = self.relay.wait(self.pair, len(data))
        now = asyncio.get_running_loop().time()
        # What is delayed must not be overtaken, by what comes after the delays ended either.
        if not wait and not self.late:
            self._pass(data)
            return
        self._due = max(self._due, now + wait)
        self.late.append((self._due, data))
        if len(self.late) == 1:
            asyncio.get_running_loop().call_at(self._due, self._pass_late)

    def _pass_late(self) -> None:
        """Pass on what is due, in the order in which it came."""
        loop = asyncio.get_running_loop()
        while self.late and self.late[0][0] <= loop.time():
            self._pass(self.late.popleft()[1])
        if self.late:
            loop.call_at(self.late[0][0], self._pass_late)

    def _pass(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """One side said all it had to say; the other may go on."""
        if self.late:
            asyncio.get_running_loop().call_at(self._due, self.eof_received)
        else:
            self._pass_end()
        return True

    def _pass_end(self) -> None:
        self.silent = True
        if self.other is not None and self.other.silent:
            self.transport.close()
            self.hang_up()
            return
        transport = self.other.transport if self.other is not None else None
        if transport is not None and not transport.is_closing() and transport.can_write_eof():
            transport.write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        self.relay.sides.discard(self)
        other = self.other
        # Who is cut off does not hear that the other end is gone.
        if other is not None and not other.ended and not self.relay.is_cut(self.pair):
            self.hang_up()
        elif other is not None and not other.ended:
            self.relay.unheard.append(self)

    def hang_up(self) -> None:
        """End the other end, as this one ended."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        self._mark_full(full=True)

    def resume_writing(self) -> None:
        self._mark_full(full=False)

    def _mark_full(self, *, full: bool) -> None:
        if self.other is not None:
            self.other.full = full
            self.other.settle()

    def waiting(self) -> int:
        """Bytes that the kernel holds for us and we do not read."""
        socket = self.transport.get_extra_info("socket")
        size = array.array("i", [0])
        try:
            fcntl.ioctl(socket.fileno(), termios.FIONREAD, size)
        except OSError:
            return 0
        return size[0]


class Caller(Side):
    """The end that knocked; it is led on as soon as nothing is cut."""

    def __init__(self, door: Door) -> None:
        super().__init__(door.relay, door.source, door.target)
        self._door = door
        self._leading: asyncio.Task[None] | None = None

    def settle(self) -> None:
        """As any end; but as long as it is cut off it is not led on at all."""
        super().settle()
        if self.other is None and self._leading is None and not self._is_cut():
            self._leading = asyncio.get_running_loop().create_task(self._lead_on())

    def _is_cut(self) -> bool:
        sender, receiver = self.pair
        return self.relay.is_cut(self.pair) or self.relay.is_cut((receiver, sender))

    async def _lead_on(self) -> None:
        loop = asyncio.get_running_loop()
        sender, receiver = self.pair
        other = Side(self.relay, receiver, sender)
        other.other = self
        host, port = self.relay.nodes[receiver]
        port = self._door.to or port
        deadline = loop.time() + self._door.patience
        try:
            while not await _reached(loop, lambda: other, host, port) and not self.ended:
                if loop.time() > deadline:
                    raise ConnectionRefusedError
                await asyncio.sleep(AGAIN_S)
        except OSError:
            if self.transport is not None:
                self.transport.abort()  # nobody listens there: refused, and that is said at once
            return
        if self.ended:
            if other.transport is not None:
                other.transport.abort()
            return
        self.other = other
        self.settle()


async def _reached(
    loop: asyncio.AbstractEventLoop, other: Callable[[], Side], host: str, port: int
) -> bool:
    """Whether somebody listens there; then the other end is connected."""
    try:
        await loop.create_connection(other, host, port)
    except ConnectionRefusedError:
        return False
    return True


class Greeter(Caller):
    """A caller that is listened to before it is led on, or not."""

    def __init__(self, door: Door) -> None:
        super().__init__(door)
        self._greeting: bytes | None = None

    def settle(self) -> None:
        """As any caller, once it has said something."""
        if self._greeting is not None:
            super().settle()

    def data_received(self, data: bytes) -> None:
        if self._greeting is not None:
            super().data_received(data)
            return
        for sign, source in (self._door.signs or {}).items():
            if sign.encode() in data:
                self.pair = (source, self._door.target)
        if self._door.swap is not None:
            said, instead = self._door.swap
            data = data.replace(said.encode(), instead.encode(), 1)
        self._greeting = data
        self.settle()

    def eof_received(self) -> bool:
        """Who leaves without a word is not led anywhere."""
        return self._greeting is not None and super().eof_received()

    async def _lead_on(self) -> None:
        await super()._lead_on()
        if self.other is not None and self._greeting:
            greeting, self._greeting = self._greeting, b""
            super().data_received(greeting)

    def waiting(self) -> int:
        """What it said, and nobody heard, counts too."""
        return super().waiting() + len(self._greeting or b"")


class Relay:
    """All doors and connections, and what is cut."""

    def __init__(self) -> None:
        self.nodes: dict[str, tuple[str, int]] = {}
        """Where they listen."""
        self.doors: dict[int, Door] = {}
        self.sides: set[Side] = set()
        self.unheard: list[Side] = []
        """Ends that went while cut off; their others hear of it at the healing."""
        self.cut: frozenset[tuple[str, str]] = frozenset()
        self.slow: dict[tuple[str, str], tuple[float, float]] = {}
        self.slowed = 0
        """Bytes that were made late since the last order to be slow."""

    def is_cut(self, pair: tuple[str, str]) -> bool:
        """Whether nothing passes in this direction."""
        if ANYONE not in pair:
            return pair in self.cut
        sender, receiver = pair
        return any(
            s == sender if receiver == ANYONE else r == receiver
            for s, r in self.cut
            if CLIENTS not in (s, r)
        )

    def wait(self, pair: tuple[str, str], size: int) -> float:
        """Seconds until this many bytes arrive in this direction."""
        if not self.slow or pair not in self.slow:
            return 0.0
        self.slowed += size
        delay, rate = self.slow[pair]
        return delay + (size / rate if rate else 0.0)

    # --- orders ----------------------------------------------------------------------------------

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry one order out; its answer."""
        do: Callable[[dict[str, Any]], dict[str, Any]] | None
        if order["do"] == "open":
            return await self._open(order)
        do = {
            "node": self._node,
            "lead": self._lead,
            "cut": self._cut,
            "slow": self._slow,
            "held": self._held,
            "callers": self._callers,
            "signs": self._signs,
        }[order["do"]]
        return do(order)

    async def _open(self, order: dict[str, Any]) -> dict[str, Any]:
        """A door of `source` at `port` that leads to the node `target`."""
        door = Door(
            self,
            order["source"],
            order["target"],
            signs=order.get("signs"),
            swap=order.get("swap"),
            to=order.get("to", 0),
            patience=order.get("patience", 0.0),
        )
        loop = asyncio.get_running_loop()
        await loop.create_server(door.connection_made, "127.0.0.1", order["port"])
        self.doors[order["port"]] = door
        return {}

    def _node(self, order: dict[str, Any]) -> dict[str, Any]:
        """Where a node listens."""
        self.nodes[order["name"]] = (order["host"], order["port"])
        return {}

    def _lead(self, order: dict[str, Any]) -> dict[str, Any]:
        """Lead the door at `port` to another node."""
        self.doors[order["port"]].target = order["target"]
        return {}

    def _signs(self, order: dict[str, Any]) -> dict[str, Any]:
        """By what callers say is it told who they are, at doors that several share."""
        for door in self.doors.values():
            if door.signs:
                door.signs = order["signs"]
        return {}

    def _cut(self, order: dict[str, Any]) -> dict[str, Any]:
        """From now on exactly these directions are cut."""
        self.cut = frozenset((sender, receiver) for sender, receiver in order["pairs"])
        for side in list(self.sides):
            side.settle()
        for gone in [side for side in self.unheard if not self.is_cut(side.pair)]:
            self.unheard.remove(gone)
            gone.hang_up()
        return {}

    def _slow(self, order: dict[str, Any]) -> dict[str, Any]:
        """From now on exactly these directions are slow: seconds, and bytes a second (0: any)."""
        self.slowed = 0
        how = (float(order["delay"]), float(order["rate"]))
        self.slow = {(sender, receiver): how for sender, receiver in order["pairs"]}  # noqa: C420
        return {}

    def _held(self, order: dict[str, Any]) -> dict[str, Any]:
        """What the cuts keep back, bytes and connections that hang; and what was made late."""
        behind = [side for side in self.sides if self.is_cut(side.pair)]
        hung = [side for side in self.sides if side.other is None]
        return {
            "bytes": sum(side.waiting() for side in {*behind, *hung}),
            "connections": len({id(side) for side in (*behind, *hung)}) + len(self.unheard),
            "slowed": self.slowed,
        }

    def _callers(self, order: dict[str, Any]) -> dict[str, Any]:
        """How many connections this source has open; ended if it is asked for."""
        callers = [
            side
            for side in self.sides
            if isinstance(side, Caller) and side.pair[0] == order["source"]
        ]
        if order["end"]:
            for side in callers:
                side.transport.abort()
        return {"callers": len(callers)}


async def serve() -> None:
    """Obey orders until stdin ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    relay = Relay()
    while line := await reader.readline():
        try:
            answer = await relay.obey(json.loads(line))
        except Exception as error:  # an order that fails is answered, and the relay goes on
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve())
