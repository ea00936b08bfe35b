"""Network namespaces by the machine's own tools: whether we may, and how they are made and removed.

A light module: the reaper imports it on its way out. Nothing is ever touched that does not carry
the label of one of our households.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path("/run/netns")
"""Where `ip netns` keeps them."""

UPLINK = "dk-up"
"""In a switch: the port that leads to the harness."""

PACKAGES = {
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
"""The programs that are needed, and the system packages that have them."""

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_LABEL = re.compile(r"dokkaebi-[0-9a-f]{8}-\d+")
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
_LONGEST_S = 20.0

_UNSHARE = ("unshare", "--map-current-user", "--keep-caps", "--net", "--mount")
_SETTLE = 'mount -t tmpfs tmpfs /run && "$0" link set lo up && exec "$@"'


def missing() -> str | None:
    """What is missing for namespaces of ours, and how to get it; None if all is there."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    packages = {package for name, package in PACKAGES.items() if _found(name) is None}
    if packages:
        return f"install {' and '.join(sorted(packages))} (system packages)"
    if not powerful():
        return (
            f"needs root ({' and '.join(_CAPABILITIES)}), or a kernel that lets a plain user make "
            "user namespaces, which this one does not"
        )
    return None


def powerful() -> bool:
    """Whether we may make network namespaces, or become somebody who may."""
    return capable() or attainable()


def capable() -> bool:
    """Whether we ourselves may make network namespaces."""
    held = _effective()
    return all(held >> bit & 1 for bit in _CAPABILITIES.values())


def attainable() -> bool:
    """Whether the kernel lets us into a user namespace in which we may."""
    try:
        run([*_UNSHARE, program("sh"), "-c", _SETTLE, program("ip"), program("true")])
    except OSError:
        return False
    return True


def as_somebody_capable(argv: Sequence[str]) -> list[str]:
    """The command line that starts another one where we may make network namespaces.

    It has our user's name and files, and no network but its own. The namespaces that it makes are
    seen by nobody else, and end with it.
    """
    return [program(_UNSHARE[0]), *_UNSHARE[1:], program("sh"), "-c", _SETTLE, program("ip"), *argv]


def _effective() -> int:
    """The capabilities that we have."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.M)
    return int(found[1], 16) if found else 0


def _found(name: str) -> str | None:
    return shutil.which(name, path=_PATH)


def program(name: str) -> str:
    """Where a program lies; its bare name where it is not there."""
    return _found(name) or name


def run(argv: Sequence[str], *, told: str = "") -> str:
    """Run one of the tools with `told` on its stdin; its output. Raises `OSError` with its words."""
    command = [program(argv[0]), *argv[1:]]
    try:
        done = subprocess.run(
            command, input=told, capture_output=True, text=True, timeout=_LONGEST_S
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(str(error)) from error
    if done.returncode != 0:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def entering(namespace: str) -> tuple[str, ...]:
    """The command that starts another one in a namespace.

    Not `ip netns exec`, which mounts another /sys and so hides the control groups.
    """
    return (program("nsenter"), f"--net={FOLDER / namespace}")


def dropping() -> tuple[str, ...]:
    """The command that starts another one as `{user}` and `{group}`, and as nobody else."""
    return (program("setpriv"), "--reuid={user}", "--regid={group}", "--clear-groups", "--")


def nft(namespace: Path, told: str, *arguments: str) -> str:
    """Have nft do what it is told on its stdin, or what the arguments say, in a namespace."""
    words = arguments or ("-f", "-")
    return run(["nsenter", f"--net={namespace}", program("nft"), *words], told=told)


def configure(namespace: str | None, lines: Sequence[str]) -> None:
    """Carry out `ip` commands, in a namespace or in our own."""
    where = ["-n", namespace] if namespace else []
    run(["ip", *where, "-batch", "-"], told="\n".join(lines) + "\n")


def labelled(label: str) -> list[str]:
    """The namespaces that carry a label; `ValueError` where that is none of ours."""
    if _LABEL.fullmatch(label) is None:
        raise ValueError(f"{label!r} is no label of ours: no namespace of that name is touched")
    return sorted(path.name for path in FOLDER.glob(f"{label}-*"))


def remove_namespaces(*, label: str) -> str:
    """Remove the namespaces that carry this label, and with them all that is in them.

    Called when no process lives in them any more.
    """
    names = labelled(label)
    for name in names:
        try:
            # Both ends go at once, and not when the kernel finds the time.
            run(["ip", "-n", name, "link", "del", UPLINK])
        except OSError:
            pass  # only a switch has one
    for name in names:
        run(["ip", "netns", "del", name])
    return f"removed the network namespaces {', '.join(names)}" if names else ""
