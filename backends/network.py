"""How the nodes of a cluster, and its clients, reach one another: what every depth of links can do.

`links.Links` leads everybody through doors of the relay, on loopback, and needs no power at all;
`namespaces.Namespaces` gives every node a network stack of its own, and needs root. Both cut single
directions, and what is cut hangs: nothing is reset.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol

import msgspec

from ..harness.protocols import Held, Pair

LOOPBACK = "127.0.0.1"

Address = tuple[str, int]
"""Host and port."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where on the network the processes of one node live; by default on loopback, like ours."""

    listen: str = LOOPBACK
    """The address at which its servers listen."""
    host: str = LOOPBACK
    """Where the harness itself reaches them, whatever is cut."""
    trusted: str | None = None
    """The range from which the other nodes and the clients come, where that is not loopback."""
    enter: tuple[str, ...] = ()
    """The command that starts another one there."""
    drop: tuple[str, ...] = ()
    """The command that starts another one as `{user}` and `{group}`; needed where we enter first."""

    def command(self, argv: Sequence[str], user: tuple[int, int] | None) -> list[str]:
        """The command line that runs `argv` there, as the given user."""
        drop = self.drop if user is not None else ()
        uid, gid = user or (0, 0)
        return [*self.enter, *(word.format(user=uid, group=gid) for word in drop), *argv]


class Network(Protocol):
    """The links of one cluster."""

    each_pair: ClassVar[bool]
    """Whether two nodes can be cut off from each other that reach a third at the same address."""
    sees_mounts: ClassVar[bool]
    """Whether a node sees what is mounted on this machine after its site was made."""
    cannot_slow: ClassVar[str | None]
    """Why links between nodes cannot be made slow; None where they can."""

    def start(self) -> None:
        """Make what all links need; raise `Unavailable` where the power is not there."""

    def stop(self) -> None:
        """Remove all of it; safe to call twice."""

    def site(self, name: str) -> Site:
        """Where the processes of this node are to be started."""

    def node(self, name: str, port: int) -> None:
        """Say at which port a node listens."""

    def address(self, source: str, target: str) -> Address:
        """At which address `source` reaches the node `target`."""

    def open(self, source: str, target: str) -> int:
        """A new port on loopback through which `source` reaches `target`, and can be led elsewhere."""

    def callers(self, source: str, *, end: bool = False) -> int:
        """How many connections this source has open through such ports; `end` ends them."""

    def lead(self, port: int, target: str) -> None:
        """Lead such a port to another node; connections that stand stay where they are."""

    def cut(self, pairs: Iterable[Pair]) -> None:
        """From now on exactly these directions are cut; none undoes all."""

    def slow(self, pairs: Iterable[Pair], *, delay_s: float = 0.0, rate: float = 0.0) -> None:
        """From now on exactly these directions are late, and carry `rate` bytes a second (0: any)."""

    def held(self) -> Held:
        """What the cuts keep back, or have dropped."""


def both_ways(one: Iterable[str], other: Iterable[str]) -> list[Pair]:
    """Both directions between each of one group and each of another."""
    others = list(other)
    return [pair for a in one for b in others for pair in ((a, b), (b, a)) if a != b]
