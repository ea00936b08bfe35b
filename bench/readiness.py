"""How soon things stand, break, heal and are gone, at each depth of links: `make bench-readiness`.

Two tables. Links alone: five nodes joined, the order to cut one off from all and to undo it, and
how long after the healing of a cut of half a second and of two the last connection carries again.
Topologies: from nothing to ready; after the healing of two seconds without the primary to whole
again; and from the order to stop until no process, folder or interface is left. Medians of
`--times`; only figures of a machine that does nothing else say anything.
"""

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests" / "lib"))

from dockers import lacking, private_daemon
from wires import Wires

from dokkaebi.backends import containers, netns
from dokkaebi.backends.cluster import NETWORKS
from dokkaebi.backends.network import both_ways
from dokkaebi.compose import LOCAL, Servers
from dokkaebi.harness.errors import Unavailable
from dokkaebi.harness.household import Household
from dokkaebi.harness.loading import load_object
from dokkaebi.harness.plugins import find, registered
from dokkaebi.harness.protocols import CLIENTS, Cluster

NAMES = ("n1", "n2", "n3", "n4", "n5")
CUTS_S = (0.5, 2.0)
WITHOUT_S = 2.0
PATIENCE_S = 60.0


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", default="", help="topologies whose name contains this")
    parser.add_argument("--provider", choices=NETWORKS, action="append")
    options = parser.parse_args()
    with Household() as household, daemon(household, options.provider):
        providers = [name for name in options.provider or NETWORKS if possible(name)]
        print("| links of | made | cut | undone | carries after 0.5 s | after 2 s | removed |")
        print("|---|---|---|---|---|---|---|")
        for provider in providers:
            row([provider, *repeated(options.times, lambda p=provider: links(household, p))])
        print("\n| topology | provider | ready | whole after healing | stopped |")
        print("|---|---|---|---|---|")
        for name, topology, provider in topologies(options.only, providers):
            told = f"{name}:{topology}" if topology else name
            try:
                once = repeated(
                    options.times, lambda of=(name, topology, provider): life(household, *of)
                )
            except Unavailable as missing:
                row([told, provider, str(missing)])
            else:
                row([told, provider, *once])


@contextlib.contextmanager
def daemon(household: Household, providers: list[str] | None) -> Iterator[None]:
    """Docker's, of our own where that can be."""
    wanted = providers is None or "docker" in providers
    with private_daemon(household) if wanted and not lacking() else contextlib.nullcontext():
        yield


def possible(provider: str) -> bool:
    """Whether this machine can do it; what is missing is printed."""
    missing = {"netns": netns.missing, "docker": containers.missing}.get(provider, lambda: None)()
    if missing:
        print(f"{provider}: {missing}", file=sys.stderr)
    return missing is None


def topologies(only: str, providers: list[str]) -> Iterator[tuple[str, str | None, str]]:
    """Every topology of every server that is here, on every network on which it can live."""
    for name in registered("backends"):
        backend = find("backends", name)
        if not backend.available():
            continue
        clusters = getattr(backend, "clusters", {})
        for topology in (None, *clusters):
            if only in f"{name}:{topology or ''}":
                maker = load_object(clusters[topology]) if topology else backend
                can = getattr(maker, "providers", (LOCAL,))
                yield from ((name, topology, each) for each in providers if each in can)


def links(household: Household, provider: str) -> list[float]:
    """Seconds for each column of the first table."""
    network = NETWORKS[provider](household)
    made = timed(lambda: [network.start(), *map(network.site, NAMES)])
    wires = Wires(network, NAMES, lambda _: household.free_port())
    others = [*NAMES[1:], CLIENTS]
    pairs = set(both_ways(NAMES[:1], others))
    took, healed = [], []
    for seconds in CUTS_S:
        word = f"<{seconds}>".encode()
        cut = timed(lambda: network.cut(pairs))
        wires.say(word)
        time.sleep(seconds)
        took.append((cut, timed(lambda: network.cut(()))))
        healed.append(timed(lambda w=word: wires.listen(PATIENCE_S, w, until=pairs)))
    wires.close()
    cut, undone = map(statistics.median, zip(*took, strict=True))
    return [made, cut, undone, *healed, timed(network.stop)]


def life(household: Household, name: str, topology: str | None, provider: str) -> list[float]:
    """Seconds for each column of the second table."""
    servers = Servers(household)
    began = time.monotonic()
    try:
        server: Any = servers.get(name, None, topology, provider)
        ready = time.monotonic() - began
        whole = healing(server) if isinstance(server, Cluster) else float("nan")
    finally:
        stopped = timed(servers.stop)
    return [ready, whole, stopped]


def healing(cluster: Any) -> float:
    """How long after the healing of a cut of the primary from all others all is well."""
    one = cluster.primary().name
    cluster.cut(both_ways([one], [node.name for node in cluster.nodes if node.name != one]))
    time.sleep(WITHOUT_S)
    cluster.reconnect()
    began = time.monotonic()
    while not cluster.answers() and time.monotonic() - began < PATIENCE_S:
        time.sleep(0.02)
    return time.monotonic() - began


def timed(do: Callable[[], Any]) -> float:
    """Seconds that it takes."""
    began = time.monotonic()
    do()
    return time.monotonic() - began


def repeated(times: int, once: Callable[[], list[float]]) -> list[str]:
    """The median of each column, in words."""
    columns = zip(*(once() for _ in range(times)), strict=True)
    return [told(statistics.median(column)) for column in columns]


def told(seconds: float) -> str:
    """Seconds as a table shows them."""
    if seconds != seconds:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def row(cells: list[str]) -> None:
    """A line of a table."""
    print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
