"""etcd, started by us: a cluster of three, in which every link can be cut.

All members must know each other by the same addresses. On loopback each therefore has one door for
all its peers; they say who they are in everything they send (`X-Server-From`), and that is how the
door tells one from the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..harness.errors import Broken
from ..harness.protocols import Harm
from .cluster import READY_S
from .etcd_server import MISSING, EtcdServer, found, member_id
from .local import wait_until
from .network import LOOPBACK
from .quorum import Quorum
from .relay import ANYONE

TOKEN = "dokkaebi"


class Etcd(Quorum):
    """Three etcd servers of ours, emptied between runs."""

    name = "etcd"
    factory = "dokkaebi.backends.etcd_client:open_client"
    found = staticmethod(found)
    lacking = MISSING
    providers: ClassVar[tuple[str, ...]] = ("local", "netns", "docker")
    counted: ClassVar[bool] = True
    # Two followers say nothing to one another: what only cuts them apart would strike nothing.
    shapes = ("primary", "replica", "node", "one-way", "clients")

    def make_node(self, number: int) -> EtcdServer:
        """The member of this number."""
        name = f"n{number}"
        return EtcdServer(self.household, self.binary, name=name, site=self.links.site(name))

    def start(self) -> None:
        """Start all members, and see that they are who the doors take them for."""
        super().start()
        self._recognise()

    def connect(self) -> None:
        """Tell the members where they reach one another."""
        if self.links.each_pair:
            hosts = {node.name: self.address(ANYONE, node.name)[0] for node in self.nodes}
            peers = {node.name: (hosts[node.name], node.peer_port) for node in self.nodes}
        else:
            peers = {node.name: (LOOPBACK, self.household.free_port()) for node in self.nodes}
        cluster = {name: f"http://{host}:{port}" for name, (host, port) in peers.items()}
        self._ids = {name: member_id(peer, TOKEN) for name, peer in cluster.items()}
        if not self.links.each_pair:
            self._open_doors({name: port for name, (_, port) in peers.items()})
        for node in self.nodes:
            node.join(cluster, TOKEN)

    def _open_doors(self, ports: Mapping[str, int]) -> None:
        """A door to every member, at which it can be told who knocks."""
        for node in self.nodes:
            port = ports[node.name]
            self.doors.open(ANYONE, node.name, signs=self._signs(), to=node.peer_port, port=port)

    def _tell_doors(self) -> None:
        """By what the doors tell members apart has changed."""
        if not self.links.each_pair:
            self.doors.recognise(self._signs())

    def _signs(self) -> dict[str, str]:
        return {f"X-Server-From: {number}\r\n": name for name, number in self._ids.items()}

    def _recognise(self) -> None:
        """The ids by which the doors tell members apart are those that the members have."""
        for node in self.nodes:
            told = f"{int(node.status(timeout_s=5.0)['header']['member_id']):x}"
            if told != self._ids[node.name]:
                raise Broken(f"{node.name} calls itself {told}, not {self._ids[node.name]}")

    def primary(self) -> EtcdServer:
        """The leader: the last one known while there is none."""
        # One that was cut off may not know yet that there is another, of a later term.
        leaders = [node for node in self.nodes if node.role() == "leader"]
        leading = max(leaders, key=_term, default=None)
        if leading is not None:
            self.leader = leading
        return self.leader  # type: ignore[no-any-return]

    def ready(self) -> bool:
        """Whether all members follow the same leader and have what it has committed."""
        try:
            told = [node.status() for node in self.nodes]
        except Broken:
            return False
        leaders = {int(each.get("leader", 0)) for each in told}
        return (
            len(leaders) == 1
            and 0 not in leaders
            and len({each["raftTerm"] for each in told}) == 1
            and len({each.get("raftAppliedIndex") for each in told}) == 1
        )

    # --- damaged nodes ---------------------------------------------------------------------------

    def cannot_spoil(self) -> str | None:
        """Every record of the log has a checksum."""
        return None

    def vulnerable(self, node: EtcdServer, harm: Harm) -> Sequence[Path]:
        """The log."""
        return node.logged()

    def remake(self, node: EtcdServer) -> None:
        """Have the others take a new member for it, which has nothing, and start that.

        One that has forgotten what it acknowledged must not vote under its old name.
        """
        others = [each for each in self.nodes if each is not node]
        if not wait_until(lambda: self._replaced(node, others), READY_S, every_s=0.1):
            raise Broken(f"{self.name}: the others take no new member for {node.name}")
        node.forget()
        self._tell_doors()
        node.launch()

    def _replaced(self, node: EtcdServer, others: Sequence[EtcdServer]) -> bool:
        """Whether the others took a new member for this one."""
        asked = next((each for each in others if each.role() in ("leader", "follower")), None)
        if asked is None:
            return False
        try:
            for member in asked.ask("cluster/member/list")["members"]:
                if node.peer in member["peerURLs"]:
                    asked.ask("cluster/member/remove", ID=member["ID"])
            told = asked.ask("cluster/member/add", peerURLs=[node.peer])
        except Broken:
            return False
        self._ids[node.name] = f"{int(told['member']['ID']):x}"
        return True

    # --- a run's place ---------------------------------------------------------------------------

    def way(self, ports: Sequence[int]) -> tuple[str, dict[str, Any]]:
        """The first address, and all ports."""
        return f"http://127.0.0.1:{ports[0]}", {"ports": list(ports)}

    def empty(self) -> None:
        """Remove all keys and leases."""
        leader = self.primary()
        everything = "AA=="  # from the least key, to no end
        leader.ask("kv/deleterange", key=everything, range_end=everything)
        for lease in leader.ask("lease/leases").get("leases", ()):
            try:
                leader.ask("lease/revoke", ID=lease["ID"])
            except Broken:
                continue  # it has run out meanwhile

    def settings(self) -> dict[str, str]:
        """What decides about elections and durability."""
        return {
            name: value
            for name, _, value in (
                each.removeprefix("--").partition("=") for each in self.nodes[0]._argv()[1:]
            )
            if name in ("heartbeat-interval", "election-timeout")
        }


def _term(node: EtcdServer) -> int:
    try:
        return int(node.status()["raftTerm"])
    except Broken:
        return -1
