"""One etcd server of ours: its life, and what it says about itself through its JSON gateway."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..harness.errors import Broken
from ..harness.household import Household
from .local import Found, LocalServer, within
from .network import Site

MISSING = "install etcd-server (system package)"

HEARTBEAT_MS = 50
ELECTION_MS = 500


def found() -> list[Found]:
    """The etcd of this machine."""
    program = shutil.which("etcd")
    if program is None:
        return []
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    match = re.search(r"etcd Version: (\d[\w.]*)", said)
    if match is None:
        return []
    return [Found(name="etcd", version=match[1], where=Path(program), source="this machine")]


def member_id(peer: str, token: str) -> str:
    """The id that etcd gives to a member of a new cluster, as it writes it in its messages."""
    digest = hashlib.sha1(f"{peer}{token}".encode(), usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:8], 'big'):x}"


class EtcdServer(LocalServer):
    """A server in a private folder on private ports; the others reach it as `peer`."""

    def __init__(
        self, household: Household, found: Found, *, name: str, site: Site | None = None
    ) -> None:
        super().__init__(household, site=site)
        self.name = name
        self.version = found.version
        self._found = found
        self.peer_port = 0
        self._cluster: Mapping[str, str] = {}
        self._token = ""
        self._new = False
        """Whether it joins a cluster that is there already."""

    # --- its life --------------------------------------------------------------------------------

    def make(self) -> None:
        """A private folder and ports; it belongs to no cluster yet."""
        self._settle_in()
        self.peer_port = self.household.free_port()

    def join(self, cluster: Mapping[str, str], token: str) -> None:
        """Say which members the cluster has, this one too, and by which addresses."""
        self._cluster, self._token = cluster, token

    def launch(self) -> None:
        """Start it and wait until it answers; it serves once there is a leader."""
        self._launch()

    def stop(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""
        if self.folder is None:
            return
        # Asked to end, it would hand its leadership over first.
        self._end(signal.SIGKILL)
        self._move_out()

    def _argv(self) -> list[str]:
        options = {
            "name": self.name,
            "data-dir": str(self._place() / "data"),
            "listen-client-urls": f"http://{self.site.listen}:{self.port}",
            "advertise-client-urls": f"http://{self.site.host}:{self.port}",
            "listen-peer-urls": f"http://{self.site.listen}:{self.peer_port}",
            "initial-advertise-peer-urls": self.peer,
            "initial-cluster": ",".join(f"{n}={url}" for n, url in self._cluster.items()),
            "initial-cluster-token": self._token,
            "initial-cluster-state": "existing" if self._new else "new",
            "heartbeat-interval": str(HEARTBEAT_MS),
            "election-timeout": str(ELECTION_MS),
            "logger": "zap",
        }
        return [str(self._found.where), *(f"--{name}={value}" for name, value in options.items())]

    @property
    def peer(self) -> str:
        """By which address the others know it."""
        return self._cluster[self.name]

    # --- its files -------------------------------------------------------------------------------

    def logged(self) -> list[Path]:
        """The files of its log, the newest first."""
        return sorted((self._place() / "data" / "member" / "wal").glob("*.wal"), reverse=True)

    def forget(self) -> None:
        """Remove all that it wrote; it is down, and joins as a new member."""
        shutil.rmtree(self._place() / "data", ignore_errors=True)
        self._new = True

    # --- questions -------------------------------------------------------------------------------

    def ask(self, path: str, *, timeout_s: float = 2.0, **request: Any) -> Any:
        """What the gateway answers, on the server's own port; raises `Broken`."""
        line = http.client.HTTPConnection(self.site.host, self.port, timeout=timeout_s)
        try:
            line.request("POST", f"/v3/{path}", json.dumps(request))
            answer = json.loads(line.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Broken(f"{self.name} does not answer {path}: {error}") from error
        finally:
            line.close()
        if "error" in answer:
            raise Broken(f"{self.name}, {path}: {answer['error']}")
        return answer

    def answers(self) -> bool:
        """Whether the process answers its peers within half a second.

        It does not listen to clients before it has heard of a leader.
        """

        def version() -> None:
            line = http.client.HTTPConnection(self.site.host, self.peer_port, timeout=0.5)
            try:
                line.request("GET", "/version")
                line.getresponse().read()
            finally:
                line.close()

        return within(0.5, version)

    def status(self, *, timeout_s: float = 0.5) -> Mapping[str, Any]:
        """What it says of itself, by its own knowledge alone; raises `Broken`."""
        told: Mapping[str, Any] = self.ask("maintenance/status", timeout_s=timeout_s)
        return told

    def role(self) -> str:
        """`leader` or `follower`, as it says itself; `unknown` if it is mute or knows no leader."""
        try:
            told = self.status()
        except Broken:
            return "unknown"
        if not int(told.get("leader", 0)):
            return "unknown"
        return "leader" if told["leader"] == told["header"]["member_id"] else "follower"
