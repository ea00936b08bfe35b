"""Three sentinels that watch a Valkey primary and make a replica the next one when it is gone.

Each lives beside one of the servers. Everybody but clients reaches a server at one announced
address, which is all that sentinels and replicas can be told: where that is a door of the relay, a
server is cut off from all its peers at once, and no sentinel is. What the sentinels agree on is where new clients of the primary are led, as a load balancer
that asks them would do.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

from ..harness.errors import Broken
from .local import Found, LocalServer, readable, wait_until, within
from .network import Address, Site
from .valkey_server import connection

NAME = "dokkaebi"
"""What the sentinels call the primary they watch."""

PEERS = "peers"
"""Who reaches a server through its announced address."""

QUORUM = 2
DOWN_AFTER_MS = 1500
"""Less makes them change their minds while the machine is busy."""

AGREE_S = 20.0
WATCH_S = 0.05


class Sentinel(LocalServer):
    """One sentinel."""

    def __init__(
        self, household: Any, found: Found, *, name: str, watched: Address, site: Site
    ) -> None:
        super().__init__(household, site=site)
        self.name = name
        self.version = found.version
        self._found = found
        self._watched = watched

    def make(self) -> None:
        """Write its configuration, which it rewrites itself, and start it."""
        folder = self._settle_in()
        host, port = self._watched
        file = folder / "sentinel.conf"
        file.write_text(
            f"port {self.port}\nbind {self.site.listen}\ndir {folder}\nprotected-mode no\n"
            f"sentinel monitor {NAME} {host} {port} {QUORUM}\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {NAME} 4000\n"
            f"sentinel parallel-syncs {NAME} 2\n"
        )
        if self.household.user:
            os.chown(file, self.household.user[0], -1)
        self._launch()

    def _argv(self) -> list[str]:
        program = readable(self._found.where.parent) / self._found.where.name
        return [str(program), str(self._conf()), "--sentinel"]

    def _conf(self) -> Path:
        return self._place() / "sentinel.conf"

    def _dsn(self) -> str:
        return f"redis://{self.site.host}:{self.port}/0"

    def answers(self) -> bool:
        """Whether it answers PING within half a second."""
        return within(0.5, lambda: self.ask("PING"))

    def ask(self, *command: str) -> Any:
        """One command's answer; raises `Broken`."""
        with connection(self._dsn(), self.name, timeout_s=0.5) as server:
            return server.execute_command(*command)

    def says(self) -> Address | None:
        """The announced address of the server that it takes for the primary; None if it is mute."""
        try:
            host, port = self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        except (Broken, TypeError):
            return None
        return str(host), int(port)

    def stop(self) -> None:
        """Stop it and remove its folder; safe to call twice."""
        if self.folder is None:
            return
        self._end(signal.SIGTERM)
        self._move_out()


class Sentinels:
    """Three of them, and the watch over what they say."""

    def __init__(self, cluster: Any, found: Found) -> None:
        self._cluster = cluster
        self._found = found
        self._all: list[Sentinel] = []
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._follow, daemon=True, name="sentinels")

    def start(self) -> None:
        """Announce the servers' doors, start the sentinels, and wait until they know them all."""
        cluster = self._cluster
        for node in cluster.nodes:
            with node.admin() as server:
                host, port = self._announced(node)
                server.config_set("replica-announce-ip", host)
                server.config_set("replica-announce-port", port)
        for node in cluster.nodes:
            if node is not cluster.leader:
                node.follow(None)
                node.follow(self._announced(cluster.leader))
        watched = self._announced(cluster.leader)
        for number, node in enumerate(cluster.nodes, start=1):
            sentinel = Sentinel(
                cluster.household,
                self._found,
                name=f"s{number}",
                watched=watched,
                site=node.site,
            )
            self._all.append(sentinel)
            sentinel.make()
        if not wait_until(self.agree, AGREE_S, every_s=0.05):
            raise Broken(f"the sentinels did not agree within {AGREE_S:g} s")
        self._watch.start()

    def stop(self) -> None:
        """Stop them."""
        self._over.set()
        if self._watch.is_alive():
            self._watch.join()
        for sentinel in self._all:
            sentinel.stop()

    def agree(self) -> bool:
        """Whether all name the same primary, clients are led there, and every replica is known."""
        said = {sentinel.says() for sentinel in self._all}
        if said != {self._announced(self._cluster.leader)}:
            return False
        others = len(self._cluster.nodes) - 1
        return all(self._knows(sentinel, others) for sentinel in self._all)

    def _knows(self, sentinel: Sentinel, others: int) -> bool:
        try:
            told = sentinel.ask("SENTINEL", "MASTER", NAME)
        except Broken:
            return False
        state = dict(told.items()) if isinstance(told, dict) else {}
        return (
            int(state.get("num-slaves", 0)) >= others
            and int(state.get("num-other-sentinels", 0)) >= len(self._all) - 1
            and "down" not in str(state.get("flags", "down"))
        )

    def _announced(self, node: Any) -> Address:
        address: Address = self._cluster.address(PEERS, node.name)
        return address

    def _follow(self) -> None:
        """Lead new clients of the primary where most sentinels say that it is."""
        while not self._over.wait(WATCH_S):
            said = [sentinel.says() for sentinel in self._all]
            for node in self._cluster.nodes:
                most = said.count(self._announced(node)) >= QUORUM
                if most and node is not self._cluster.leader:
                    self._cluster.lead_to(node)
