"""Links of the second depth: every node in a network namespace of its own, cut by nftables.

The bridge that joins the nodes lies in a namespace of its own too, because the machine's firewall
(dockerd's above all) rules over bridges in the machine's. What is cut is dropped there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from . import netns
from .network import Site
from .packets import ADMIN, RANGE, PacketLinks, counted, replacing, told_as_broken

_BRIDGE = "dk-br"

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


class Namespaces(PacketLinks):
    """One cluster's namespaces, the switch between them, and what is cut there."""

    provider: ClassVar[str] = "netns"

    def _lacking(self) -> str | None:
        return netns.missing() or (None if netns.capable() else "it needs root")

    def _undoing(self) -> str:
        return f"{netns.__name__}:{netns.remove_namespaces.__name__}"

    def _make(self) -> None:
        """The switch, and the veth by which we reach it."""
        switch = self._add("switch")
        netns.configure(
            switch, ["link set lo up", f"link add {_BRIDGE} type bridge", f"link set {_BRIDGE} up"]
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

    def _remove(self) -> None:
        netns.remove_namespaces(label=self._label)

    def _add(self, name: str) -> str:
        """A new namespace of ours."""
        namespace = f"{self._label}-{name}"
        netns.run(["ip", "netns", "add", namespace])
        return namespace

    def _our_link(self) -> str:
        """Our end of the link to the switch; names end after fifteen letters."""
        return self._label.replace("dokkaebi-", "dk")

    def site(self, name: str) -> Site:
        """A namespace for this node, the first time it is asked for."""
        if name not in self._hosts:
            self._settle(name)
        return Site(
            listen="0.0.0.0",
            host=self._ip(self._hosts[name] + ADMIN),
            trusted=str(RANGE),
            enter=netns.entering(f"{self._label}-{name}"),
            drop=netns.dropping(),
        )

    def _settle(self, name: str) -> None:
        number = next(self._numbers)
        with told_as_broken():
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
        ours, admin = self._ip(number), self._ip(number + ADMIN)
        return [
            f"addr add {ours}/25 dev {device} noprefixroute",
            f"addr add {admin}/25 dev {device}",
            f"link set {device} up",
            f"route add {self._ip(0)}/25 dev {device} src {ours} rto_min 50ms",
        ]

    def _drop(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._nft(replacing("bridge", pairs))

    def _counters(self) -> Iterator[tuple[str, str, int, int]]:
        yield from counted(self._nft("", "-j", "list", "set", "bridge", "dokkaebi", "cut"))

    def _nft(self, told: str, *arguments: str) -> str:
        return netns.nft(netns.FOLDER / f"{self._label}-switch", told, *arguments)
