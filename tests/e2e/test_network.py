"""All depths of links: what a partition cuts and what not, how fast, and that nothing is left."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
from wires import Wires

import dokkaebi
from dokkaebi import Broken, Unavailable
from dokkaebi.backends import containers, netns
from dokkaebi.backends.cluster import NETWORKS
from dokkaebi.backends.docker_remains import daemon
from dokkaebi.backends.etcd import Etcd
from dokkaebi.backends.network import Site, both_ways
from dokkaebi.backends.packets import RANGE
from dokkaebi.backends.zookeeper import ZooKeeper
from dokkaebi.compose import Servers, run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.heal import heal
from dokkaebi.harness.household import Household, passable
from dokkaebi.harness.protocols import CLIENTS, Shape
from dokkaebi.harness.spec import SECOND
from dokkaebi.nemesis.partitions import grudge
from dokkaebi.results.live import Silent

NODES = ("n1", "n2", "n3", "n4", "n5")
SOON_S = 0.3


@pytest.fixture(scope="module", params=NETWORKS)
def wires(request, household, demand):
    demand(request.param)
    network = NETWORKS[request.param](household)
    network.start()
    made = Wires(network, NODES, lambda _: household.free_port())
    yield made
    made.close()
    network.stop()


@pytest.fixture(scope="module", params=["netns", "docker"])
def packets(request, household, demand):
    """Three nodes between which packets can be lost, connected."""
    demand(request.param)
    network = NETWORKS[request.param](household)
    network.start()
    made = Wires(network, NODES[:3], lambda _: household.free_port())
    yield made
    made.close()
    network.stop()


def until(true, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


# --- who reaches whom ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", get_args(Shape))
def test_a_shape_cuts_exactly_what_it_says(wires, shape):
    nodes = [SimpleNamespace(name=name) for name in NODES]
    cluster = SimpleNamespace(nodes=nodes, primary=lambda: nodes[1], shapes=get_args(Shape))
    pairs = set(grudge(cluster, shape, random.Random(shape))[0])
    assert pairs
    assert pairs < wires.pairs
    wires.network.cut(pairs)
    try:
        wires.say(b"<cut>")
        assert wires.listen(SOON_S, b"<cut>") == wires.pairs - pairs
        assert wires.network.held().bytes > 0
    finally:
        wires.network.cut(())
    # What was said meanwhile arrives after the healing: connections hung, they did not end.
    assert pairs <= wires.listen(3.0, b"<cut>", until=pairs)
    wires.say(b"<healed>")
    assert wires.listen(3.0, b"<healed>", until=wires.pairs) == wires.pairs


def test_one_direction_alone(wires):
    wires.network.cut([("n1", "n2"), (CLIENTS, "n3")])
    try:
        wires.say(b"<one>")
        heard = wires.listen(SOON_S, b"<one>")
    finally:
        wires.network.cut(())
    assert wires.pairs - heard == {("n1", "n2"), (CLIENTS, "n3")}
    assert wires.listen(3.0, b"<one>", until={("n1", "n2"), (CLIENTS, "n3")})


def test_a_new_cut_replaces_the_last_one(wires):
    wires.network.cut([("n1", "n2")])
    wires.network.cut([("n3", "n4")])
    try:
        wires.say(b"<last>")
        assert wires.pairs - wires.listen(SOON_S, b"<last>") == {("n3", "n4")}
    finally:
        wires.network.cut(())
    assert ("n3", "n4") in wires.listen(3.0, b"<last>", until={("n3", "n4")})


# --- packets that are lost -----------------------------------------------------------------------


def test_what_was_dropped_is_counted_in_each_direction(packets):
    network = packets.network
    network.cut([("n1", "n2"), ("n3", "n1")])
    try:
        assert network.held().bytes == 0
        packets.say(b"<counted>")
        time.sleep(SOON_S)
        dropped = network.dropped()
        held = network.held()
    finally:
        network.cut(())
    assert set(dropped) == {("n1", "n2"), ("n3", "n1")}
    assert all(packets > 0 and size > packets * 40 for packets, size in dropped.values())
    assert held.packets >= sum(packets for packets, _ in dropped.values())
    assert network.dropped() == {}
    assert set(dropped) <= packets.listen(3.0, b"<counted>", until=packets.pairs)


def test_rules_are_there_and_gone_within_100_ms(packets):
    pairs = both_ways(["n1"], ["n2", "n3", CLIENTS])
    took = []
    for cut in (pairs, (), pairs, (), pairs, ()):
        began = time.monotonic()
        packets.network.cut(cut)
        took.append(time.monotonic() - began)
    # On a machine that is busy with other things one may be late, but not most of them.
    assert sorted(took)[3] < 0.1, took


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_a_healed_link_carries_again_after_no_longer_than_it_was_cut(packets, seconds):
    pairs = set(both_ways(["n1"], ["n2", "n3", CLIENTS]))
    packets.network.cut(pairs)
    word = f"<{seconds}>".encode()
    packets.say(word)
    heard = packets.listen(seconds, word)
    packets.network.cut(())
    assert heard == packets.pairs - pairs
    limit = max(1.0, seconds) + 0.2
    assert pairs <= packets.listen(limit, word, until=pairs)


def test_the_harness_itself_is_never_cut_off(packets):
    network = packets.network
    _, port = network.address(CLIENTS, "n1")
    network.cut(both_ways(["n1"], ["n2", "n3", CLIENTS]))
    try:
        with socket.create_connection((network.site("n1").host, port), timeout=1.0):
            packets.listeners["n1"].accept()[0].close()
        with pytest.raises(TimeoutError):
            socket.create_connection(network.address(CLIENTS, "n1"), timeout=0.3)
    finally:
        network.cut(())


def test_slow_links_are_refused_with_what_would_do(packets):
    with pytest.raises(Broken, match="--provider local"):
        packets.network.slow([("n1", "n2")], delay_s=0.1)
    packets.network.slow(())


def test_no_server_waits_for_a_server_of_names(packets):
    asked = packets.network.site("n1").command(["getent", "hosts", "198.51.100.1"], None)
    started = time.monotonic()
    said = subprocess.run([*map(str, asked)], capture_output=True, timeout=60, check=False)
    assert (said.returncode, said.stdout) == (2, b"")
    assert time.monotonic() - started < 1.0


def test_two_networks_have_ranges_of_their_own(packets, household):
    other = type(packets.network)(household)
    other.start()
    try:
        host, site = other.site("n1").host, packets.network.site("n1").host
        assert host.rpartition(".")[0] != site.rpartition(".")[0]
        assert other.site("n1").trusted == str(RANGE)
    finally:
        other.stop()
        other.stop()


# --- nothing is left -----------------------------------------------------------------------------

HARNESS = """
import sys, time
from dokkaebi.backends.valkey_cluster import ValkeyCluster
from dokkaebi.backends.network import Site, both_ways
from dokkaebi.harness.household import Household, passable
household = Household()
cluster = ValkeyCluster(household, topology="replicas", provider=sys.argv[1])
cluster.start()
cluster.cut(both_ways(["n1"], ["n2", "n3"]))
print(household.base.name, household._reaper.pid, flush=True)
time.sleep(60)
"""


def left_of(label):
    """Namespaces, links, containers and networks that carry a household's label."""
    number = label.removeprefix("dokkaebi-")
    links = netns.run(["ip", "-o", "link"])
    found = [path.name for path in netns.FOLDER.glob(f"*{label}*")]
    found += [name for name in re.findall(r"^\d+: ([^:@]+)", links, re.M) if number in name]
    if containers.missing() is None:
        client = daemon()
        things = [client.containers.list(all=True), client.networks.list(), client.images.list()]
        client.close()
        ours = [one for some in things for one in some if label in str(one.attrs)]
        found += [str(one) for one in ours]
    return found


def processes_in(label):
    found = subprocess.run(["pgrep", "-f", label], capture_output=True, text=True).stdout
    return [int(pid) for pid in found.split()]


@pytest.mark.parametrize(("provider", "things"), [("netns", 3), ("docker", 4)])
def test_nothing_is_left_after_a_stop(demand, provider, things):
    demand(provider)
    with Household() as own:
        network = NETWORKS[provider](own)
        network.start()
        network.site("n1")
        assert len(left_of(own.base.name)) == things
        network.cut(both_ways(["n1"], [CLIENTS]))
        network.stop()
        assert not left_of(own.base.name)
        network = NETWORKS[provider](own)
        network.start()
        network.site("n1")
    # Closed without having been stopped.
    assert not left_of(own.base.name)


@pytest.mark.parametrize("reaper_too", [False, True], ids=["harness", "harness and reaper"])
@pytest.mark.parametrize(("provider", "things"), [("netns", 5), ("docker", 6)])
def test_nothing_is_left_after_kill_9(demand, provider, things, reaper_too):
    demand(provider)
    stranger = "dokkaebi-stranger"
    with subprocess.Popen(
        [sys.executable, "-c", HARNESS, provider], stdout=subprocess.PIPE, text=True
    ) as harness:
        label, reaper = harness.stdout.readline().split()
        assert len(left_of(label)) == things
        netns.run(["ip", "netns", "add", stranger])
        try:
            if reaper_too:
                os.kill(int(reaper), signal.SIGKILL)
            harness.kill()
            harness.wait()
            if reaper_too:
                told = []
                assert until(lambda: told.extend(heal()) or told)
                assert any("removed the " in one and label in one for one in told), told
            assert until(lambda: not left_of(label)), left_of(label)
            assert until(lambda: not processes_in(label))
            assert (netns.FOLDER / stranger).exists()
        finally:
            netns.run(["ip", "netns", "del", stranger])


@pytest.mark.skipif(os.geteuid() != 0, reason="it is root who can be somebody else")
def test_a_plain_user_gets_there_by_a_user_namespace(demand):
    demand("netns")
    python = Path(sys.executable).resolve()
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="dokkaebi-plain-"))
    nobody = Site(drop=netns.dropping()).command([], (65534, 65534))
    try:
        os.chown(folder, 65534, 65534)
        if not passable(python.parent) or not passable(Path(dokkaebi.__file__).resolve().parent):
            pytest.skip("a plain user cannot reach this Python, or this package")
        environment = {
            "HOME": str(folder),
            "PATH": "/usr/bin:/bin",
            "DOKKAEBI_STATE_DIR": f"{folder}/s",
        }

        def ask(*arguments):
            return subprocess.run(
                [*nobody, sys.executable, "-m", "dokkaebi", *arguments],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
            )

        (power,) = [
            one for one in json.loads(ask("doctor", "--json").stdout) if one["what"] == "netns"
        ]
        if not power["found"]:
            pytest.skip(power["detail"])
        assert "user namespace" in power["detail"]
        said = ask("run", "set/async-failover", "--provider", "netns", "--time", "6s", "--json")
        assert said.returncode == 1, said.stderr
        assert json.loads(said.stdout)["anomalies"][0]["type"] == "lost-element"
    finally:
        shutil.rmtree(folder)


# --- the same verdict at every depth -------------------------------------------------------------

BROKERS = {
    "queue/nats-at-least-once": ("partition-primary",),
    "queue/rabbitmq-quorum": ("partition-primary",),
}
"""Strategies that declare more faults than one, and the one that counts here."""


@pytest.fixture(scope="module")
def servers(household):
    with Servers(household) as shared:
        yield shared


def judged(wish, servers, folder):
    """The result of a run as `--json` prints it, and the proofs that something did not arrive."""
    finished = run(wish, servers=servers, out=folder, view=Silent())
    lines = (finished.result.folder / "history.jsonl").read_text().splitlines()
    proofs = [op.get("ext", {}).get("evidence", "") for op in map(json.loads, lines)]
    lost = [proof for proof in proofs if "did not arrive" in proof]
    return json.loads(finished.result.to_json()), lost


@pytest.mark.parametrize("provider", NETWORKS)
@pytest.mark.parametrize(
    ("strategy", "verdict", "anomaly"),
    [
        ("set/async-failover", "violated", "lost-element"),
        ("set/sync-failover", "holds", None),
        ("lock/failover-loses-the-lock", "violated", "double-hold"),
        ("set/async-failover-mariadb", "violated", "lost-element"),
        ("set/semisync-failover", "holds", None),
        ("queue/nats-at-least-once", "holds", None),
        ("queue/rabbitmq-quorum", "holds", None),
    ],
)
def test_the_same_strategy_and_fault_get_the_same_verdict(
    tmp_path, servers, demand, provider, strategy, verdict, anomaly
):
    demand(provider)
    faults = BROKERS.get(strategy)
    wish = Wish(
        target=strategy,
        provider=provider,
        faults=faults,
        time=(12 if faults else 6) * SECOND,
        seed=1,
    )
    said, lost = judged(wish, servers, tmp_path)
    assert (said["verdict"], said["reason"]) == (verdict, "")
    assert anomaly is None or anomaly in {found["type"] for found in said["anomalies"]}
    assert all(fault["took_effect"] == fault["count"] > 0 for fault in said["faults"])
    assert lost
    assert all(("packets" in proof) == (provider != "local") for proof in lost)


@pytest.mark.parametrize("provider", NETWORKS)
@pytest.mark.parametrize(("strategy", "backend"), [("etcd-key", Etcd), ("znode", ZooKeeper)])
def test_registers_hold_at_every_depth_when_the_leader_is_cut_off_and_killed(
    tmp_path, servers, demand, provider, strategy, backend
):
    demand(provider)
    if not backend.available() and not os.environ.get("CI"):
        pytest.skip(backend.missing())
    faults = ("partition-primary", "kill-primary")
    wish = Wish(
        target=f"register/{strategy}", faults=faults, provider=provider, time=20 * SECOND, seed=1
    )
    said, lost = judged(wish, servers, tmp_path)
    assert (said["verdict"], said["reason"]) == ("holds", "")
    assert all(fault["took_effect"] == fault["count"] > 0 for fault in said["faults"])
    assert lost
    assert all(("packets" in proof) == (provider != "local") for proof in lost)


@pytest.mark.parametrize("fault", ["clock", "power-loss"])
def test_a_node_elsewhere_keeps_its_own_clock_and_disk(tmp_path, servers, demand, fault):
    demand("netns")
    wish = Wish(target="set/wait-here", faults=[fault], provider="netns", time=6 * SECOND, seed=1)
    try:
        finished = run(wish, servers=servers, out=tmp_path, view=Silent())
    except Unavailable as missing:
        pytest.skip(str(missing))
    said = json.loads(finished.result.to_json())
    assert (said["verdict"], said["reason"]) == ("holds", "")
    assert all(each["took_effect"] == each["count"] > 0 for each in said["faults"])
