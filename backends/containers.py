"""Links of the third depth: every node in a container of its own, on networks of Docker's.

A container holds the node's place: its network stack, and its view of the files (the machine's own,
read-only, and our private folders). The server's process enters both, so that it is started, killed
and paused as at every other depth, and no image has to be downloaded. What is cut is dropped by
nftables in the containers' network stacks.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

from ..harness.errors import Broken
from ..harness.household import Household
from . import netns
from .docker_remains import LABEL, daemon, remove_containers
from .network import Site
from .packets import ADMIN, RANGE, PacketLinks, counted, replacing

_NOT_SHARED = frozenset({"/dev", "/proc", "/run", "/sys", "/tmp", "/lost+found"})

# Docker's own server of names asks the machine's, which need not answer: RabbitMQ, which looks up
# whoever connects, then let nobody in for eight seconds. Here each question is refused at once.
_NOBODY_TO_ASK = "nameserver 127.0.0.1\n"

# At its sender where that is a node, so that each lost packet is counted once.
_TABLE = """
table inet dokkaebi {
  set cut { type ipv4_addr . ipv4_addr; counter; }
  chain heard { type filter hook input priority 0; policy accept; ip saddr . ip daddr @cut drop; }
  chain said { type filter hook output priority 0; policy accept; ip saddr . ip daddr @cut drop; }
}
"""


def missing() -> str | None:
    """What is missing for containers of ours, and how to get it; None if all is there."""
    if netns.missing() is not None:
        return netns.missing()
    if not netns.capable():
        return "needs root: servers enter the containers' network stacks"
    try:
        daemon().close()
    except ImportError:
        return "install docker (Python package)"
    except Exception:  # whatever the SDK and what it is made of raise
        return "no Docker daemon answers: start one (docker.io, system package), or set DOCKER_HOST"
    return None


class Containers(PacketLinks):
    """One cluster's containers and networks, and what is cut between them."""

    provider: ClassVar[str] = "docker"
    sees_mounts: ClassVar[bool] = False

    def __init__(self, household: Household) -> None:
        super().__init__(household)
        self._client: Any = None
        self._pids: dict[str, int] = {}

    def _lacking(self) -> str | None:
        return missing()

    def _undoing(self) -> str:
        return f"{remove_containers.__module__}:{remove_containers.__name__}"

    # --- its life --------------------------------------------------------------------------------

    def _make(self) -> None:
        """An empty image, and two networks: one for nodes and clients, and one for the harness."""
        self._client = daemon()
        with _told_as_broken():
            self._client.api.import_image_from_data(
                _nothing(), repository=self._label, changes=[f'LABEL {LABEL}="{self._label}"']
            )
            for name, first in (("nodes", 0), ("harness", ADMIN)):
                self._make_network(name, first)

    def _make_network(self, name: str, first: int) -> None:
        from docker.types import IPAMConfig, IPAMPool

        pool = IPAMPool(subnet=f"{self._ip(first)}/25", gateway=self._ip(first + 1))
        self._client.networks.create(
            f"{self._label}-{name}",
            driver="bridge",
            ipam=IPAMConfig(pool_configs=[pool]),
            labels={LABEL: self._label},
        )

    def _remove(self) -> None:
        with _told_as_broken():
            remove_containers(label=self._label)
        if self._client is not None:
            self._client.close()
            self._client = None
        self._pids.clear()

    # --- who is where ----------------------------------------------------------------------------

    def site(self, name: str) -> Site:
        """A container for this node, the first time it is asked for."""
        if name not in self._pids:
            with _told_as_broken():
                self._settle(name)
        there = f"/proc/{self._pids[name]}/ns"
        return Site(
            listen="0.0.0.0",
            host=self._ip(self._hosts[name] + ADMIN),
            trusted=str(RANGE),
            enter=(netns.program("nsenter"), f"--mount={there}/mnt", f"--net={there}/net"),
            drop=netns.dropping(),
        )

    def _settle(self, name: str) -> None:
        number = next(self._numbers)
        api = self._client.api
        networks = {
            f"{self._label}-{kind}": api.create_endpoint_config(ipv4_address=self._ip(at))
            for kind, at in (("nodes", number), ("harness", number + ADMIN))
        }
        (first, config), (second, _) = networks.items()
        made = api.create_container(
            self._label,
            ["/usr/bin/sleep", "infinity"],
            name=f"{self._label}-{name}",
            labels={LABEL: self._label},
            stop_signal="SIGKILL",
            # Of the machine's processes, or servers that enter would not find their own in /proc.
            host_config=api.create_host_config(binds=self._shared(), pid_mode="host"),
            networking_config=api.create_networking_config({first: config}),
        )
        api.connect_container_to_network(made["Id"], second, ipv4_address=self._ip(number + ADMIN))
        api.start(made["Id"])
        self._pids[name] = api.inspect_container(made["Id"])["State"]["Pid"]
        self._hosts[name] = number
        self._nft(name, _TABLE)

    def _shared(self) -> list[str]:
        """The machine's folders, which servers only read, and our private ones."""
        base = str(self._household.base)
        tops = [str(top) for top in Path("/").iterdir() if top.is_dir()]
        programs = [sys.prefix] if sys.prefix.startswith("/tmp/") else []
        read = [place for place in (*sorted(tops), *programs) if place not in _NOT_SHARED]
        nobody = self._household.base / f"{self._label}.resolv.conf"
        nobody.write_text(_NOBODY_TO_ASK)
        return [
            *(f"{place}:{place}:ro" for place in read),
            f"{base}:{base}:rw",
            f"{nobody}:/etc/resolv.conf:ro",
        ]

    # --- what is cut -----------------------------------------------------------------------------

    def _drop(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Every container knows all pairs; those it is no part of never match there."""
        orders = replacing("inet", pairs)
        with ThreadPoolExecutor(max(1, len(self._pids))) as pool:
            list(pool.map(lambda name: self._nft(name, orders), self._pids))

    def _counters(self) -> Iterator[tuple[str, str, int, int]]:
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for name in self._pids:
            listing = self._nft(name, "", "-j", "list", "set", "inet", "dokkaebi", "cut")
            for sender, receiver, packets, size in counted(listing):
                before = found.get((sender, receiver), (0, 0))
                found[sender, receiver] = (before[0] + packets, before[1] + size)
        for (sender, receiver), (packets, size) in found.items():
            yield sender, receiver, packets, size

    def _nft(self, name: str, told: str, *arguments: str) -> str:
        return netns.nft(Path(f"/proc/{self._pids[name]}/ns/net"), told, *arguments)


@contextlib.contextmanager
def _told_as_broken() -> Iterator[None]:
    """What the daemon could not do becomes `Broken`, with its words."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        raise Broken(f"docker: {error}") from error


def _nothing() -> bytes:
    """An image with nothing in it: all that servers need is shared with them."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as image:
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        image.addfile(folder)
    return file.getvalue()
