"""What links share on which real packets are lost: addresses, doors, cuts by nftables, and counts.

Nodes have two addresses: one for each other and for clients, and one for the harness, which is
never cut off. Clients of the primary still go through a door of the relay, which can be led to
another node. Packets in a cut direction are dropped, and counted.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import random
import socket
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import msgspec

from ..harness.errors import Broken, Unavailable
from ..harness.household import Household
from ..harness.protocols import CLIENTS, Held, Pair
from . import netns
from .links import Links
from .network import Address

RANGE = ipaddress.IPv4Network("198.18.0.0/15")
"""Set aside for tests of networks (RFC 2544): nobody else's."""

ADMIN = 128
"""What the harness's own addresses have more than those that are cut."""

_FIRST_NODE = 10
_NUMBERS = itertools.count(1)


class PacketLinks:
    """One cluster's addresses, and what is cut. A subclass makes the places and the rules."""

    provider: ClassVar[str]
    each_pair: ClassVar[bool] = True
    sees_mounts: ClassVar[bool] = True
    cannot_slow: ClassVar[str | None] = (
        "links on which packets are lost can be cut, not slowed; slow ones need --provider local"
    )

    def __init__(self, household: Household) -> None:
        self._household = household
        self._doors = Links(household)
        self._label = ""
        self._range: ipaddress.IPv4Network | None = None
        self._claim: socket.socket | None = None
        self._undo: int | None = None
        self._numbers = itertools.count(_FIRST_NODE + 1)
        self._hosts: dict[str, int] = {CLIENTS: 1}
        self._ports: dict[str, int] = {}

    # --- for the subclass ------------------------------------------------------------------------

    def _lacking(self) -> str | None:
        """What is missing here, and how to get it."""
        raise NotImplementedError

    def _undoing(self) -> str:
        """The function that removes what carries a label, as `module:function`."""
        raise NotImplementedError

    def _make(self) -> None:
        """Make what joins the nodes."""
        raise NotImplementedError

    def _remove(self) -> None:
        """Remove all that carries our label."""
        raise NotImplementedError

    def _drop(self, pairs: Sequence[tuple[str, str]]) -> None:
        """From now on drop packets that go between exactly these addresses."""
        raise NotImplementedError

    def _counters(self) -> Iterator[tuple[str, str, int, int]]:
        """For each cut direction: from, to, packets and bytes that were dropped."""
        raise NotImplementedError

    # --- its life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Make what joins the nodes, and the way by which we reach them."""
        lacking = self._lacking()
        if lacking:
            raise Unavailable(f"--provider {self.provider} is not possible here: {lacking}")
        self._label = f"{self._household.base.name}-{next(_NUMBERS)}"
        with told_as_broken():
            self._range, self._claim = _claim_range()
        self._undo = self._household.undo_on_death(self._undoing(), {"label": self._label})
        with told_as_broken():
            self._make()
        self._doors.start()

    def stop(self) -> None:
        """Remove all of it; safe to call twice."""
        self._doors.stop()
        if self._undo is not None:
            with told_as_broken():
                self._remove()
            self._household.undone(self._undo)
            self._undo = None
        if self._claim is not None:
            self._claim.close()
            self._claim = None
        self._hosts, self._ports = {CLIENTS: 1}, {}

    def node(self, name: str, port: int) -> None:
        """Say at which port a node listens."""
        self._ports[name] = port
        self._doors.node(name, port, host=self._ip(self._hosts[name]))

    def address(self, source: str, target: str) -> Address:
        """The node's own address, whoever asks."""
        return self._ip(self._hosts[target]), self._ports[target]

    def open(self, source: str, target: str) -> int:
        """A door of the relay."""
        return self._doors.open(source, target)

    def callers(self, source: str, *, end: bool = False) -> int:
        """How many connections this source has open through doors of the relay."""
        return self._doors.callers(source, end=end)

    def lead(self, port: int, target: str) -> None:
        """Lead a door of the relay to another node."""
        self._doors.lead(port, target)

    # --- what is broken --------------------------------------------------------------------------

    def cut(self, pairs: Iterable[Pair]) -> None:
        """From now on packets in exactly these directions are dropped.

        The relay's connections to a node that its clients are cut off from are cut by that; it
        must only not make new ones, which the kernel would try again later and later.
        """
        pairs = sorted(set(pairs))
        with told_as_broken():
            self._drop([(self._of(sender), self._of(receiver)) for sender, receiver in pairs])
        self._doors.cut(pairs)

    def slow(self, pairs: Iterable[Pair], *, delay_s: float = 0.0, rate: float = 0.0) -> None:
        """Not possible here."""
        if list(pairs):
            raise Broken(str(self.cannot_slow))

    def held(self) -> Held:
        """What was dropped since the cut, packets sent again too, and what waits in the relay."""
        dropped = self.dropped()
        waiting = self._doors.held()
        return msgspec.structs.replace(
            waiting,
            bytes=waiting.bytes + sum(size for _, size in dropped.values()),
            packets=sum(count for count, _ in dropped.values()),
        )

    def dropped(self) -> dict[Pair, tuple[int, int]]:
        """Packets and bytes that were dropped in each cut direction."""
        names = {self._of(name): name for name in self._hosts}
        with told_as_broken():
            return {
                (names[sender], names[receiver]): (packets, size)
                for sender, receiver, packets, size in self._counters()
            }

    # --- small things ----------------------------------------------------------------------------

    def _of(self, name: str) -> str:
        if name not in self._hosts:
            raise Broken(f"no node of this network is called {name}")
        return self._ip(self._hosts[name])

    def _ip(self, number: int) -> str:
        if self._range is None:
            raise Broken("the network was not started")
        return str(self._range[number])


def replacing(family: str, pairs: Sequence[tuple[str, str]]) -> str:
    """What tells nft, in one transaction, to drop packets between exactly these addresses."""
    orders = [f"flush set {family} dokkaebi cut"]
    if pairs:
        elements = ", ".join(f"{sender} . {receiver}" for sender, receiver in pairs)
        orders.append(f"add element {family} dokkaebi cut {{ {elements} }}")
    return "\n".join(orders) + "\n"


def counted(listing: str) -> Iterator[tuple[str, str, int, int]]:
    """From, to, packets and bytes of each element of a set, as `nft -j` lists it."""
    told: Any = msgspec.json.decode(listing)
    for one in (part["set"] for part in told["nftables"] if "set" in part):
        for element in (each["elem"] for each in one.get("elem", ())):
            counter = element["counter"]
            sender, receiver = element["val"]["concat"]
            yield sender, receiver, counter["packets"], counter["bytes"]


@contextlib.contextmanager
def told_as_broken() -> Iterator[None]:
    """What the tools could not do becomes `Broken`, with their words."""
    try:
        yield
    except OSError as error:
        raise Broken(f"the network: {error}") from error


def _claim_range() -> tuple[ipaddress.IPv4Network, socket.socket]:
    """A range of addresses that is ours until the socket closes, and that nobody uses here.

    The claim is an abstract socket name, which the kernel frees when we die; what a dead harness
    left, or somebody else uses, shows among the routes.
    """
    routes = _routes()
    free = list(RANGE.subnets(new_prefix=24))
    random.SystemRandom().shuffle(free)
    for one in free:
        if any(one.overlaps(route) for route in routes):
            continue
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0dokkaebi-net-{one.network_address}")
        except OSError:
            claim.close()
        else:
            return one, claim
    raise Broken(f"no free range of addresses in {RANGE}")


def _routes() -> list[ipaddress.IPv4Network]:
    """Where this machine has ways to, other than by default."""
    told = netns.run(["ip", "-4", "-j", "route", "show", "table", "all"])
    places = [route.get("dst", "default") for route in msgspec.json.decode(told or "[]")]
    return [ipaddress.IPv4Network(place) for place in places if place != "default"]
