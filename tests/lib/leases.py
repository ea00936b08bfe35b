"""A correct lock service with leases, simulated: clients stall and crash at any point, the server
grants a lock only when it is free or its lease has run out, and the resource may be fenced."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from itertools import count

from mini import in_order

from dokkaebi.harness.history import History, Op

TTL = 20
"""How long a lease lasts on the server's clock, in the history's nanoseconds."""


class World:
    """The lock server, the guarded resource, and everything that was recorded."""

    def __init__(self, *, fenced: bool) -> None:
        self.now = 0
        self.events: list[Op] = []
        self.holder, self.expires = 0, 0
        self.version, self.greatest = 0, 0
        self.fenced = fenced
        self.tokens = count(1)

    def take(self) -> int:
        """Grant the lock if it is free or its lease has run out; 0 when it is not."""
        if self.holder and self.now < self.expires:
            return 0
        self.holder, self.expires = next(self.tokens), self.now + TTL
        return self.holder

    def free(self, token: int) -> None:
        """Release by token: another holder's lock stays."""
        if self.holder == token:
            self.holder = 0

    def enter(self, token: int) -> int | None:
        """Read the resource; with fencing only a token greater than all before may."""
        if self.fenced and token <= self.greatest:
            return None
        self.greatest = max(self.greatest, token)
        return self.version

    def write(self, token: int, version: int) -> bool:
        """Write the resource blindly; with fencing only the greatest token may."""
        if self.fenced and token != self.greatest:
            return False
        self.version = version
        return True


class Client:
    """One worker; a crash retires its process id."""

    def __init__(
        self, world: World, rng: random.Random, number: int, *, clients: int, stalls: float
    ) -> None:
        self.world, self.rng, self.stalls = world, rng, stalls
        self.process, self.clients = number, clients
        self.writes = count(1)

    def life(self, rounds: int) -> Iterator[int]:
        """Section after section; yields how long to wait."""
        for _ in range(rounds):
            yield self.rng.randint(1, 6)
            token = yield from self.ask("acquire", "l", lambda: self.world.take() or None)
            if token is None:
                continue
            done = yield from self.section(token)
            if not done:
                self.process += self.clients

    def section(self, token: int) -> Iterator[int]:
        """guard-read, the hold, guard-write, release; whether nothing crashed."""
        world, write = self.world, 1000 * self.process + next(self.writes)
        version = yield from self.ask("guard-read", ["l", None], lambda: world.enter(token), token)
        if version is not None:
            yield self.wait(3)
            if self.rng.random() < 0.1:
                self.record("invoke", "guard-write", ["l", write])
                if self.rng.random() < 0.5:
                    yield self.wait(9)
                    world.write(token, write)
                return False
            yield from self.ask(
                "guard-write", ["l", write], lambda: world.write(token, write) or None, token
            )
        yield from self.ask("release", "l", lambda: (world.free(token), True)[1], token)
        return True

    def ask(self, f, value, effect, token=None):  # type: ignore[no-untyped-def]
        """One operation: on its way, carried out, on its way back, recorded; None when refused."""
        self.record("invoke", f, value, token)
        yield self.wait(2)
        answer = effect()
        yield self.wait(2)
        if answer is None:
            self.record("fail", f, value, error="refused")
            yield 1
            return None
        filled = [value[0], answer] if f == "guard-read" else value
        self.record("ok", f, filled, result=answer if f == "acquire" else None)
        yield 1
        return answer

    def wait(self, most: int) -> int:
        """A moment, or now and then a stall that may outlast the lease."""
        stalled = self.rng.random() < self.stalls
        return self.rng.randint(0, most) + (self.rng.randint(5, 3 * TTL) if stalled else 0)

    def record(self, kind, f, value, token=None, **more):  # type: ignore[no-untyped-def]
        ext = {"token": token} if token is not None else None
        self.world.events.append(
            Op(
                time=self.world.now,
                process=self.process,
                type=kind,
                f=f,
                value=value,
                ext=ext,
                **more,
            )
        )


def correct_lease(rng: random.Random, *, fenced: bool, stalls: float, clients: int = 4) -> History:
    """A history of clients that share one lock with leases."""
    world = World(fenced=fenced)
    lives = [
        Client(world, rng, number, clients=clients, stalls=stalls).life(rng.randint(1, 8))
        for number in range(clients)
    ]
    queue = [(0, number) for number in range(clients)]
    while queue:
        world.now, number = heapq.heappop(queue)
        wait = next(lives[number], None)
        if wait is not None:
            heapq.heappush(queue, (world.now + wait, number))
    return in_order(world.events)
