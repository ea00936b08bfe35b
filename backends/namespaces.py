"""Links of the second depth: every node in a network namespace of its own, cut by nftables.

The bridge that joins the nodes lies in a namespace of its own too, because the machine's firewall
(dockerd's above all) rules over bridges in the machine's. Packets in a cut direction are dropped
there, and counted. Nodes have two addresses: one for each other and for clients, and one for the
harness, which is never cut off. Clients of the primary still go through a door of the relay, which
can be led to another node.
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
from .network import Address, Site

RANGE = ipaddress.IPv4Network("198.18.0.0/15")
"""Set aside for tests of networks (RFC 2544): nobody else's."""

_BRIDGE = "dk-br"
_FIRST_NODE = 10
_ADMIN = 128
"""What the harness's own addresses have more than those that are cut."""

# Packets are dropped, whatever they carry. ARP is let through, as it would be between machines
# that have a router in between: who gets no answer to it is told "no route" and does not hang.
_TABLE = """
table bridge dokkaebi {
  set cut { type ipv4_addr . ipv4_addr; counter; }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ether type != { ip, arp } drop
    ip saddr . ip daddr @cut drop
  }
}
"""


class Namespaces:
    """One cluster's namespaces, the switch between them, and what is cut there."""

    each_pair: ClassVar[bool] = True
    cannot_slow: ClassVar[str | None] = (
        "links of network namespaces can be cut, not slowed; slow ones need --provider local"
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

    # --- its life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Make the switch, and the veth by which we reach it."""
        lacking = netns.missing() or (None if netns.capable() else "it needs root")
        if lacking:
            raise Unavailable(f"--provider netns is not possible here: {lacking}")
        self._label = f"{self._household.base.name}-{next(_NUMBERS)}"
        self._range, self._claim = _claim_range()
        self._undo = self._household.undo_on_death(
            f"{netns.__name__}:{netns.remove_namespaces.__name__}", {"label": self._label}
        )
        self._make_switch()
        self._doors.start()

    def _make_switch(self) -> None:
        with _told_as_broken():
            switch = self._add("switch")
            netns.configure(
                switch,
                ["link set lo up", f"link add {_BRIDGE} type bridge", f"link set {_BRIDGE} up"],
            )
            ours = self._our_link()
            netns.configure(
                None,
                [
                    f"link add {ours} type veth peer name {netns.UPLINK} netns {switch}",
                    *self._settle_at(1, ours),
                ],
            )
            netns.configure(switch, [f"link set {netns.UPLINK} master {_BRIDGE} up"])
            self._nft(_TABLE)

    def stop(self) -> None:
        """Remove the namespaces and all that is in them; safe to call twice."""
        self._doors.stop()
        if self._undo is not None:
            with _told_as_broken():
                netns.remove_namespaces(label=self._label)
            self._household.undone(self._undo)
            self._undo = None
        if self._claim is not None:
            self._claim.close()
            self._claim = None
        self._hosts, self._ports = {CLIENTS: 1}, {}

    def _add(self, name: str) -> str:
        """A new namespace of ours."""
        namespace = f"{self._label}-{name}"
        netns.run(["ip", "netns", "add", namespace])
        return namespace

    def _our_link(self) -> str:
        """Our end of the link to the switch; names end after fifteen letters."""
        return self._label.replace("dokkaebi-", "dk")

    # --- who is where ----------------------------------------------------------------------------

    def site(self, name: str) -> Site:
        """A namespace for this node, the first time it is asked for."""
        if name not in self._hosts:
            self._settle(name)
        return Site(
            listen="0.0.0.0",
            host=self._ip(self._hosts[name] + _ADMIN),
            trusted=str(RANGE),
            enter=netns.entering(f"{self._label}-{name}"),
            drop=netns.dropping(),
        )

    def _settle(self, name: str) -> None:
        number = next(self._numbers)
        with _told_as_broken():
            namespace = self._add(name)
            port = f"dk-{number}"
            netns.configure(
                f"{self._label}-switch",
                [
                    f"link add {port} type veth peer name eth0 netns {namespace}",
                    f"link set {port} master {_BRIDGE} up",
                ],
            )
            netns.configure(
                namespace,
                ["link set lo up", *self._settle_at(number, "eth0")],
            )
        self._hosts[name] = number

    def _settle_at(self, number: int, device: str) -> list[str]:
        """The two addresses of one place, each with the way to its like.

        What is sent again is sent after 50 ms at first, not 200, and then after twice as long each
        time, as ever: so a healed link carries again after no longer than it was cut.
        """
        ours, admin = self._ip(number), self._ip(number + _ADMIN)
        return [
            f"addr add {ours}/25 dev {device} noprefixroute",
            f"addr add {admin}/25 dev {device}",
            f"link set {device} up",
            f"route add {self._ip(0)}/25 dev {device} src {ours} rto_min 50ms",
        ]

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
        orders = ["flush set bridge dokkaebi cut"]
        if pairs:
            elements = ", ".join(f"{self._of(a)} . {self._of(b)}" for a, b in pairs)
            orders.append(f"add element bridge dokkaebi cut {{ {elements} }}")
        with _told_as_broken():
            self._nft("\n".join(orders) + "\n")
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
        with _told_as_broken():
            told = msgspec.json.decode(self._nft("", "-j", "list", "set", "bridge", *_CUT))
        names = {self._of(name): name for name in self._hosts}
        found = {}
        for element in _elements(told):
            sender, receiver = element["val"]["concat"]
            counter = element["counter"]
            found[names[sender], names[receiver]] = (counter["packets"], counter["bytes"])
        return found

    # --- small things ----------------------------------------------------------------------------

    def _of(self, name: str) -> str:
        if name not in self._hosts:
            raise Broken(f"no node of this network is called {name}")
        return self._ip(self._hosts[name])

    def _ip(self, number: int) -> str:
        if self._range is None:
            raise Broken("the network was not started")
        return str(self._range[number])

    def _nft(self, told: str, *arguments: str) -> str:
        enter = netns.entering(f"{self._label}-switch")
        words: Sequence[str] = arguments or ("-f", "-")
        return netns.run(["nsenter", *enter[1:], netns.program("nft"), *words], told=told)


_NUMBERS = itertools.count(1)
_CUT = ("dokkaebi", "cut")


@contextlib.contextmanager
def _told_as_broken() -> Iterator[None]:
    """What the tools could not do becomes `Broken`, with their words."""
    try:
        yield
    except OSError as error:
        raise Broken(f"the network: {error}") from error


def _elements(told: Any) -> list[dict[str, Any]]:
    """The elements of a set as `nft -j` lists it."""
    found = [part["set"] for part in told["nftables"] if "set" in part]
    return [each["elem"] for one in found for each in one.get("elem", ())]


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
    with _told_as_broken():
        told = netns.run(["ip", "-4", "-j", "route", "show", "table", "all"])
    places = [route.get("dst", "default") for route in msgspec.json.decode(told or "[]")]
    return [ipaddress.IPv4Network(place) for place in places if place != "default"]
