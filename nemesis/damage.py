"""Faults of files: a node of a minority is killed, and finds a file other than it left it.

Only files in which the server claims to notice such a thing, and that hold what it acknowledged.
The node is started on what there is as soon as the others go on without it; what it does then is
the evidence. When the fault ends it is made anew from its peers.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..harness.engine import Arena
from ..harness.errors import Broken
from ..harness.protocols import Backend, Evidence, Harm, Promote, Spoil
from .targets import topologies_of

OTHERS_S = 5.0
"""How long the others may take until one of them leads."""

_LEADS = ("leader", "primary")
_WORRIED = re.compile(
    r"crc|checksum|corrupt|truncat|invalid|short read|unexpected|repair|unable to load"
    r"|internal error",
    re.IGNORECASE,
)
_WHEN = re.compile(
    r"^(?:[\d:.,TZ-]+ |\d+:[A-Z] |\d+ [A-Z][a-z]{2} \d{4} |UTC |\[[^]]*\] |# |panic: )+"
)
"""What lines of logs begin with: who says it, and when."""

_LONGEST = 120
_QUOTED = 2
"""Lines of a log that evidence quotes."""


class Truncate:
    """`truncate`: a file loses a part of what was written last."""

    name: ClassVar[str] = "truncate"
    harm: ClassVar[Harm] = "truncate"

    def missing(self, backend: Backend) -> str | None:
        """It needs a cluster that can do without a node, and make it anew."""
        if isinstance(backend, Spoil):
            return backend.cannot_spoil()
        return f"{backend.name} has no peers to be made anew from ({topologies_of(backend)})"

    def draw(
        self, arena: Arena, rng: random.Random, backend: Backend, *, aimed: bool
    ) -> _DamageStrike:
        """Whose file, and where in it."""
        nodes = _dispensable(backend)
        return _DamageStrike(backend, rng.choice(nodes), self.harm, random.Random(rng.random()))


class FlipBit(Truncate):
    """`bit-flip`: one bit of a file turns."""

    name = "bit-flip"
    harm = "bit-flip"


def _dispensable(cluster: Any) -> Sequence[Any]:
    """Nodes that the others can do without: never two of three."""
    spoilt = [node for node in cluster.nodes if node.spoilt]
    if spoilt:
        return spoilt
    if isinstance(cluster, Promote):
        return [node for node in cluster.nodes if node is not cluster.primary()]
    return list(cluster.nodes)


class _DamageStrike:
    def __init__(self, backend: Any, node: Any, harm: Harm, rng: random.Random) -> None:
        self.backend = backend
        self.node = node
        self._harm = harm
        self._rng = rng
        self.target = f"{node.name} of {backend.name}"
        self.processes: list[int] = []
        self._gone = False
        self._damage = ""
        self._did = "it was not started on it"
        self._logged = 0
        self.began = self._ended = 0.0

    def intent(self) -> dict[str, Any]:
        return {"node": self.node.name, "harm": self._harm}

    def inject(self) -> None:
        self.began = time.monotonic()
        files = self.backend.vulnerable(self.node, self._harm)
        self.node.kill()
        self._gone = not self.node.processes()
        do = cut_off if self._harm == "truncate" else flip
        for file in files:
            self._damage = do(file, self._rng)
            if self._damage:
                self.target = f"{file.name} of {self.node.name} of {self.backend.name}"
                break
        self._logged = len(self._log())
        if self._damage:
            self.node.spoilt = True
            self._await_others()
            self._start()

    def _await_others(self) -> None:
        """What was acknowledged must be known to enough others before this one may vote again."""
        others = [node for node in self.backend.nodes if node is not self.node]
        deadline = time.monotonic() + OTHERS_S
        while not any(node.role() in _LEADS for node in others) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _start(self) -> None:
        try:
            self._did = self.backend.start_spoilt(self.node)
        except Broken as refused:
            self._did = "it did not start" + ("" if self._worry() else f": {_short(str(refused))}")

    def heal(self) -> None:
        if self._damage and not self._did.startswith("it did not") and not self.node.processes():
            self._did += ", and was down again soon"
        worry = self._worry()
        self._did += f" ({worry})" if worry else ""
        self.backend.restart()
        self._ended = time.monotonic()

    def _log(self) -> bytes:
        try:
            return b"".join(log.read_bytes() for log in self.node.logs())
        except OSError:
            return b""

    def _worry(self) -> str:
        """The first things that the server's log says about what it found."""
        said = self._log()[self._logged :].decode("utf-8", "replace").splitlines()
        worried = [_short(line) for line in said if _WORRIED.search(line) and _meant(line)]
        return "; ".join(list(dict.fromkeys(worried))[:_QUOTED])

    def evidence(self) -> Evidence:
        return Evidence(
            self._gone and bool(self._damage),
            f"{self._damage or 'no file was damaged'}; {self.node.name} was started again: "
            f"{self._did}; all was well again after {self._ended - self.began:.2f} s",
        )


def cut_off(file: Path, rng: random.Random) -> str:
    """Cut off up to half of what is written in a file; what was done, in words, if there was any."""
    before = _written(file)
    size = rng.randrange(len(before) // 2, len(before)) if len(before) > 1 else 0
    if not size:
        return ""
    os.truncate(file, size)
    lost = len(before) - len(file.read_bytes())
    return f"{file.name} lost the last {lost:,} of {len(before):,} bytes" if lost > 0 else ""


def flip(file: Path, rng: random.Random) -> str:
    """Turn one bit of what is written in a file; what was done, in words, if there was any."""
    before = _written(file)
    if not before:
        return ""
    at, bit = rng.randrange(len(before)), rng.randrange(8)
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(bytes([before[at] ^ 1 << bit]))
    if file.read_bytes()[at] == before[at]:
        return ""
    return f"bit {bit} of byte {at:,} of {len(before):,} of {file.name} was turned"


def _written(file: Path) -> bytes:
    """What a file holds, without the zeros that a server put at its end beforehand."""
    try:
        return file.read_bytes().rstrip(b"\0")
    except OSError:
        return b""


def _meant(line: str) -> bool:
    """Whether a line tells what was found, and not what is always told at a start."""
    return '"level":"info"' not in line and " INFO " not in line and "HINT:" not in line


def _short(line: str) -> str:
    """A line of a log, without what would make a sentence of evidence endless."""
    if line.startswith("{"):
        line = ": ".join(re.findall(r'"(?:msg|error)":"([^"]*)"', line)) or line
    line = _WHEN.sub("", " ".join(line.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
