"""One RabbitMQ server of ours: its configuration, its life, and what it says about itself.

Nodes of Erlang find one another through epmd. Here a small module of our own takes its place
(`dokkaebi_epmd.erl`): it knows this node's doors to the others, and nothing is left to end.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec

from ..harness.errors import Broken
from ..harness.household import Household
from .local import Found, LocalServer, within
from .network import LOOPBACK, Address, Site

MISSING = (
    "install rabbitmq-server and erlang-base (system packages) and pika (Python package: "
    "pip install 'dokkaebi[rabbitmq]')"
)
EPMD = Path(__file__).with_name("dokkaebi_epmd.erl")

USER = PASSWORD = "guest"
TICK_S = 4
"""How long a node may say nothing before others take it for gone: the default is a minute."""

MIRRORED = "mirrored"
"""Queues whose names begin so are mirrored on every node."""

_LIBRARY = Path("/usr/lib/rabbitmq/lib")


def found() -> list[Found]:
    """The RabbitMQ of this machine, if there are a compiler of Erlang and pika."""
    if shutil.which("erlc") is None or find_spec("pika") is None:
        return []
    servers = []
    for program in sorted(_LIBRARY.glob("rabbitmq_server-*/sbin/rabbitmq-server"), reverse=True):
        match = re.search(r"rabbitmq_server-(\d[\w.]*)", str(program))
        if match:
            servers.append(
                Found(name="rabbitmq", version=match[1], where=program, source="this machine")
            )
    return servers


class Ports(msgspec.Struct, frozen=True):
    """Where a server listens for other nodes, and for questions of ours."""

    nodes: int
    probe: int


class RabbitServer(LocalServer):
    """A server in a private folder on private ports; `n1` is the Erlang node `n1@localhost`."""

    start_s = 180.0

    def __init__(
        self, household: Household, found: Found, *, name: str, site: Site | None = None
    ) -> None:
        super().__init__(household, site=site)
        self.name = name
        self.version = found.version
        self._found = found
        self.ports = Ports(0, 0)
        self._reached: Mapping[str, Address] = {}
        """Where it reaches each node, itself too."""

    # --- its life --------------------------------------------------------------------------------

    def make(self) -> None:
        """A private folder and ports, and our own epmd in it; not configured yet."""
        folder = self._settle_in()
        self.ports = Ports(self.household.free_port(), self.household.free_port())
        source = folder / EPMD.name  # a container need not see where we are installed
        source.write_text(EPMD.read_text())
        self._run(["/usr/bin/env", "ERL_AFLAGS=-start_epmd false", "erlc", "-o", folder, source])

    def configure(
        self, others: Mapping[str, Address], *, cookie: str, join: str | None, partitions: str
    ) -> None:
        """Write its configuration: where it reaches the other nodes, and which of them it joins."""
        folder = self._place()
        self._reached = {self.name: (LOOPBACK, self.ports.nodes), **others}
        files = {
            "rabbitmq.conf": "\n".join(self._lines(join, partitions)) + "\n",
            "definitions.json": json.dumps(definitions()),
            "plugins": "[].\n",
            ".erlang.cookie": cookie,
        }
        for name, text in files.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o400)
            if self.household.user:
                os.chown(folder / name, *self.household.user)

    def _lines(self, join: str | None, partitions: str) -> list[str]:
        lines = [
            f"listeners.tcp.1 = {self.site.listen}:{self.port}",
            # In a namespace clients come from another host.
            "loopback_users = none",
            "log.console = true",
            "log.file = false",
            f"load_definitions = {self._place() / 'definitions.json'}",
            f"cluster_partition_handling = {partitions}",
            # What is free on the machine's disk is not what is tested.
            "disk_free_limit.absolute = 10MB",
        ]
        if join is not None:
            lines += [
                "cluster_formation.peer_discovery_backend = classic_config",
                f"cluster_formation.classic_config.nodes.1 = {join}@localhost",
                "cluster_formation.discovery_retry_limit = 200",
                "cluster_formation.discovery_retry_interval = 250",
            ]
        return lines

    def launch(self) -> None:
        """Start it and wait until it serves."""
        self._launch()

    def stop(self) -> None:
        """Stop the server and remove its folder; safe to call twice."""
        if self.folder is None:
            return
        self._end(signal.SIGKILL)
        self._move_out()

    def _argv(self) -> list[str]:
        folder = self._place()
        doors = ",".join(f"{name}={host}:{port}" for name, (host, port) in self._reached.items())
        listen = self.site.listen.replace(".", ",")
        environment = {
            "HOME": folder,
            # Without it the start script would stay, and be the one to be asked to end.
            "RABBITMQ_ALLOW_INPUT": 1,
            "RABBITMQ_NODENAME": f"{self.name}@localhost",
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq.conf",
            "RABBITMQ_MNESIA_BASE": self.storage / "mnesia",
            "RABBITMQ_LOG_BASE": folder / "log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            # An Erlang that checks the name before the start listens there too.
            "RABBITMQ_DIST_PORT": self.ports.nodes,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-noinput -kernel net_ticktime {TICK_S}",
            # The port is what it looks up as its own where it does not ask our module.
            "ERL_AFLAGS": f"-start_epmd false -epmd_module dokkaebi_epmd -pa {folder}"
            f" -erl_epmd_port {self.ports.nodes} -kernel inet_dist_use_interface {{{listen}}}",
            "ERL_CRASH_DUMP_BYTES": 0,
            "DOKKAEBI_NODE": self.name,
            "DOKKAEBI_PROBE": self.ports.probe,
            "DOKKAEBI_LISTEN": self.site.listen,
            "DOKKAEBI_DOORS": doors,
        }
        words = [f"{name}={value}" for name, value in environment.items()]
        return ["/usr/bin/env", *words, str(self._found.where)]

    # --- questions -------------------------------------------------------------------------------

    def ask(self, question: str, *, timeout_s: float = 0.5) -> Sequence[str]:
        """The words that it answers; raises `Broken`."""
        said = b""
        try:
            with socket.create_connection((self.site.host, self.ports.probe), timeout_s) as line:
                line.sendall(question.encode() + b"\n")
                while data := line.recv(4096):
                    said += data
        except OSError as error:
            raise Broken(f"{self.name} does not answer {question}: {error}") from error
        words = said.decode("utf-8", "replace").split()
        if not said.endswith(b"\n") or words[:1] == ["error"]:
            raise Broken(f"{self.name}, {question}: {' '.join(words) or 'no answer'}")
        return words

    def answers(self) -> bool:
        """Whether it serves, as it says itself, and takes connections."""

        def look() -> None:
            if self.ask("status")[0] != "true":
                raise Broken(f"{self.name} does not serve")
            with socket.create_connection((self.site.host, self.port), 0.5):
                pass

        return within(0.5, look)

    def sees(self) -> tuple[int, int]:
        """How many nodes it sees running (none if it does not serve), and how many partitions."""
        try:
            _, nodes, partitions = self.ask("status")
        except Broken:
            return 0, 0
        return int(nodes), int(partitions)

    def leads(self) -> int:
        """How many queues it leads, as it says itself."""
        return list(self.ask("leaders")).count(f"{self.name}@localhost")

    def role(self) -> str:
        """`leader` of a queue or `follower`, as it says itself; `unknown` if it is mute."""
        try:
            return "leader" if self.leads() else "follower"
        except Broken:
            return "unknown"

    def clear(self) -> bool:
        """Delete every queue; whether none is left."""
        try:
            return self.ask("clear", timeout_s=10.0) == ["0"]
        except Broken:
            return False


def definitions() -> dict[str, object]:
    """What a server has from the beginning: a user, and which queues are mirrored."""
    salt = b"ab12"
    digest = base64.b64encode(salt + hashlib.sha256(salt + PASSWORD.encode()).digest()).decode()
    policy = {"ha-mode": "all", "ha-sync-mode": "automatic"}
    return {
        "users": [{"name": USER, "password_hash": digest, "tags": "administrator"}],
        "vhosts": [{"name": "/"}],
        "permissions": [
            {"user": USER, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
        ],
        "policies": [
            {
                "vhost": "/",
                "name": MIRRORED,
                "pattern": f"^{MIRRORED}",
                "apply-to": "queues",
                "definition": policy,
                "priority": 0,
            }
        ],
    }
