"""One ZooKeeper server of ours: its configuration, its life, and the four-letter words it answers."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import msgspec

from ..harness.errors import Broken
from ..harness.household import Household
from .local import Found, LocalServer, within
from .network import Site

JAR = Path("/usr/share/java/zookeeper.jar")
_LOGGING = (Path("/usr/share/java/slf4j-simple.jar"),)
"""Without it the server runs, and writes no log."""

MISSING = (
    "install zookeeper and default-jre-headless (system packages) and kazoo (Python package: "
    "pip install 'dokkaebi[zookeeper]')"
)

TICK_MS = 300
SESSION_S = 1.0
"""How long a session outlives its client: what clients ask for."""

_JAVA = (
    "-Xmx64m",
    "-Xms16m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-XX:-UsePerfData",
    # Who enters a container is in none of its control groups: Java would look for one, and give up.
    "-XX:-UseContainerSupport",
    # A SIGKILL loses nothing that was written, synced or not.
    "-Dzookeeper.forceSync=no",
    "-Djava.net.preferIPv4Stack=true",
    # Who looks for a leader says so again and again, not ever more seldom.
    "-Dzookeeper.fastleader.minNotificationInterval=100",
    "-Dzookeeper.fastleader.maxNotificationInterval=400",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    # Our own questions are not news.
    "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.server.NIOServerCnxn=warn",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)
_MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
_PROPERTIES = "META-INF/maven/org.apache.zookeeper/zookeeper/pom.properties"
_MODES = {"leader": "leader", "follower": "follower", "standalone": "leader"}


def found() -> list[Found]:
    """The ZooKeeper of this machine, if there is a Java to run it and kazoo to talk to it."""
    if not JAR.is_file() or shutil.which("java") is None or find_spec("kazoo") is None:
        return []
    with zipfile.ZipFile(JAR) as jar:
        match = re.search(rb"version=(\S+)", jar.read(_PROPERTIES))
    version = match[1].decode() if match else "unknown"
    return [Found(name="zookeeper", version=version, where=JAR, source="this machine")]


class Ports(msgspec.Struct, frozen=True):
    """Where a server listens for clients, for followers, and for votes."""

    client: int
    quorum: int
    election: int


class Reached(msgspec.Struct, frozen=True):
    """Where one server reaches another: the host, and the ports for followers and for votes."""

    host: str
    quorum: int
    election: int


class ZooKeeperServer(LocalServer):
    """A server in a private folder on private ports; `number` is its id in the ensemble."""

    def __init__(
        self, household: Household, found: Found, *, number: int, site: Site | None = None
    ) -> None:
        super().__init__(household, site=site)
        self.name = f"n{number}"
        self.number = number
        self.version = found.version
        self._found = found
        self.ports = Ports(0, 0, 0)

    # --- its life --------------------------------------------------------------------------------

    def make(self) -> None:
        """A private folder and ports; not configured yet."""
        self._settle_in()
        self.ports = Ports(self.port, self.household.free_port(), self.household.free_port())

    def configure(self, host: str, others: Mapping[int, Reached]) -> None:
        """Write its configuration: where it listens to the others, and where it reaches which."""
        folder = self._place()
        own = Reached(host, self.ports.quorum, self.ports.election)
        addresses = {**others, self.number: own}
        data = folder / "data"
        data.mkdir()
        (data / "myid").write_text(f"{self.number}\n")
        lines = [
            f"tickTime={TICK_MS}",
            "initLimit=20",
            "syncLimit=5",
            f"dataDir={data}",
            f"clientPort={self.port}",
            f"clientPortAddress={self.site.listen}",
            "admin.enableServer=false",
            "4lw.commands.whitelist=*",
            f"minSessionTimeout={2 * TICK_MS}",
            "maxSessionTimeout=20000",
            "maxClientCnxns=0",
            *(
                f"server.{number}={at.host}:{at.quorum}:{at.election}"
                for number, at in sorted(addresses.items())
            ),
        ]
        (folder / "zoo.cfg").write_text("\n".join(lines) + "\n")
        if self.household.user:
            for place in (folder / "zoo.cfg", data, data / "myid"):
                os.chown(place, self.household.user[0], -1)

    def launch(self) -> None:
        """Start it and wait until it answers; it serves once there is a quorum."""
        self._launch()

    def stop(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""
        if self.folder is None:
            return
        # It has nothing to say at its end that a SIGKILL would lose.
        self._end(signal.SIGKILL)
        self._move_out()

    def _argv(self) -> list[str]:
        java = shutil.which("java") or "java"
        config = self._place() / "zoo.cfg"
        jars = ":".join(str(jar) for jar in (self._found.where, *_LOGGING) if jar.is_file())
        return [java, *_JAVA, "-cp", jars, _MAIN, str(config)]

    # --- its files -------------------------------------------------------------------------------

    def logged(self) -> list[Path]:
        """The files of transactions, the newest first."""
        files = (self._place() / "data" / "version-2").glob("log.*")
        return sorted(files, key=lambda file: -file.stat().st_mtime)

    def forget(self) -> None:
        """Remove all that it wrote, but who it is; it is down."""
        shutil.rmtree(self._place() / "data" / "version-2", ignore_errors=True)

    # --- questions -------------------------------------------------------------------------------

    def ask(self, word: str, *, timeout_s: float = 5.0) -> str:
        """What it answers to a four-letter word; raises `Broken`.

        Who only wants to know whether it is there asks with less patience: a machine at its limit
        can keep a healthy Java waiting for longer than half a second.
        """
        try:
            with socket.create_connection((self.site.host, self.port), timeout=timeout_s) as line:
                line.sendall(word.encode())
                return b"".join(iter(lambda: line.recv(1 << 16), b"")).decode("utf-8", "replace")
        except OSError as error:
            raise Broken(f"{self.name} does not answer {word}: {error}") from error

    def answers(self) -> bool:
        """Whether the process answers `ruok` within half a second; it may lack a quorum."""

        def ruok() -> None:
            if self.ask("ruok", timeout_s=0.5) != "imok":
                raise Broken(f"{self.name} is not ok")

        return within(0.5, ruok)

    def role(self) -> str:
        """`leader` or `follower`, as it says itself; `unknown` if it is mute or lacks a quorum."""
        try:
            match = re.search(r"^Mode: (\w+)", self.ask("srvr", timeout_s=0.5), re.M)
        except Broken:
            return "unknown"
        return _MODES.get(match[1], "unknown") if match else "unknown"

    def followers(self) -> int:
        """How many followers it says, as the leader, are in step with it."""
        try:
            match = re.search(
                r"^zk_synced_followers\s+(\d+)", self.ask("mntr", timeout_s=0.5), re.M
            )
        except Broken:
            return 0
        return int(match[1]) if match else 0

    def sessions(self) -> int:
        """How many sessions it knows, as the leader: those too whose client is gone."""
        said = self.ask("dump").partition("ephemeral nodes dump")[0]
        return len(set(re.findall(r"^\s+(0x[0-9a-f]+)$", said, re.M)))
