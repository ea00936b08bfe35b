"""What containers of ours leave behind, and its removal by label.

A light module: the reaper imports it on its way out. What does not carry the label is not looked at.
"""

from __future__ import annotations

import re
from typing import Any

LABEL = "dokkaebi"
"""The key under which containers, networks and images say whose they are."""

_OF_OURS = re.compile(r"dokkaebi-[0-9a-f]{8}-\d+")


def daemon() -> Any:
    """A client of the Docker daemon that the environment names; the SDK's errors pass."""
    import docker

    return docker.from_env(timeout=20)


def remove_containers(*, label: str) -> str:
    """Remove the containers, networks and image that carry this label."""
    if _OF_OURS.fullmatch(label) is None:
        raise ValueError(f"{label!r} is no label of ours: no container of that name is touched")
    client = daemon()
    try:
        return _remove(client, {"label": f"{LABEL}={label}"})
    finally:
        client.close()


def _remove(client: Any, ours: dict[str, str]) -> str:
    containers = client.containers.list(all=True, filters=ours)
    for container in containers:
        container.remove(force=True, v=True)
    networks = client.networks.list(filters=ours)
    for network in networks:
        network.remove()
    for image in client.images.list(filters=ours):
        client.images.remove(image.id, force=True)
    names = [one.name for one in (*containers, *networks)]
    return f"removed the containers and networks {', '.join(names)}" if names else ""
