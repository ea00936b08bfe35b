"""Network namespaces without making any: who may, what is missing, and what is never touched."""

import json
from types import SimpleNamespace

import pytest

from dokkaebi.backends import docker_remains, netns
from dokkaebi.backends.cluster import Cluster
from dokkaebi.backends.links import Links
from dokkaebi.backends.namespaces import Namespaces
from dokkaebi.backends.network import Network, Site, both_ways
from dokkaebi.backends.packets import RANGE, PacketLinks, counted, replacing
from dokkaebi.compose import run
from dokkaebi.harness.choosing import Wish
from dokkaebi.harness.errors import Unavailable, UsageError

ALL = 0x1FFFFFFFFFF


@pytest.fixture
def machine(monkeypatch):
    """A machine with these programs, capabilities, and user namespaces or not."""

    def make(*, without=(), capabilities=ALL, user_namespaces=False):
        monkeypatch.setattr(netns.sys, "platform", "linux")
        monkeypatch.setattr(netns, "_found", lambda n: None if n in without else f"/sbin/{n}")
        monkeypatch.setattr(netns, "_effective", lambda: capabilities)
        monkeypatch.setattr(netns, "attainable", lambda: user_namespaces)

    return make


def test_nothing_is_missing_for_root(machine):
    machine()
    assert netns.missing() is None
    assert netns.capable()


@pytest.mark.parametrize(
    ("program", "package"), [("ip", "iproute2"), ("nft", "nftables"), ("setpriv", "util-linux")]
)
def test_a_missing_package_is_named(machine, program, package):
    machine(without=(program,))
    assert f"install {package} " in netns.missing()


def test_a_plain_user_needs_root_or_a_user_namespace(machine):
    machine(capabilities=0)
    assert "root" in netns.missing()
    assert "user namespaces" in netns.missing()
    machine(capabilities=0, user_namespaces=True)
    assert netns.missing() is None
    assert not netns.capable()


def test_one_of_the_capabilities_alone_does_not_do(machine):
    machine(capabilities=1 << 12)
    assert not netns.capable()


@pytest.mark.parametrize("label", ["docker", "", "dokkaebi", "dokkaebi-*", "dokkaebi-0123abcd"])
def test_what_does_not_carry_a_label_of_ours_is_not_touched(label, monkeypatch):
    monkeypatch.setattr(netns, "run", lambda *a, **k: pytest.fail("something was touched"))
    monkeypatch.setattr(docker_remains, "daemon", lambda: pytest.fail("something was touched"))
    for remove in (netns.remove_namespaces, docker_remains.remove_containers):
        with pytest.raises(ValueError, match="no label of ours"):
            remove(label=label)


def test_only_what_carries_the_label_is_removed(tmp_path, monkeypatch):
    names = ["dokkaebi-0123abcd-1-n1", "dokkaebi-0123abcd-1-switch"]
    others = ["dokkaebi-0123abcd-10-n1", "dokkaebi-4567abcd-1-n1", "docker"]
    for name in names + others:
        (tmp_path / name).touch()
    done = []
    monkeypatch.setattr(netns, "FOLDER", tmp_path)
    monkeypatch.setattr(netns, "run", lambda argv, told="": done.append(argv[-1]) or "")
    told = netns.remove_namespaces(label="dokkaebi-0123abcd-1")
    assert [name for name in done if name != netns.UPLINK] == names
    assert all(name in told for name in names)


def test_what_a_tool_says_is_in_the_error():
    with pytest.raises(OSError, match="ls"):
        netns.run(["ls", "/nowhere/at/all"])


def test_on_loopback_a_command_stays_what_it_is():
    assert Site().command(["server", "--port", "{1}"], (65534, 65534)) == [
        "server",
        "--port",
        "{1}",
    ]


def test_elsewhere_it_enters_and_then_becomes_the_user():
    site = Site(enter=("nsenter", "--net=x"), drop=("setpriv", "--reuid={user}", "--regid={group}"))
    assert site.command(["server", "{}"], (7, 8)) == [
        "nsenter",
        "--net=x",
        "setpriv",
        "--reuid=7",
        "--regid=8",
        "server",
        "{}",
    ]
    assert site.command(["server"], None) == ["nsenter", "--net=x", "server"]


def test_both_depths_can_be_asked_the_same():
    asked = {name for name in vars(Network) if not name.startswith("_")}
    for depth in (Links, PacketLinks):
        assert asked - {"site"} <= {name for each in depth.__mro__ for name in vars(each)}
    assert Links.cannot_slow is None
    assert "--provider local" in Namespaces.cannot_slow


def test_a_node_that_would_not_see_its_disk_gets_none():
    for provider, fits in (("local", True), ("netns", True), ("docker", False)):
        cluster = Cluster(None, size=1, provider=provider)
        if fits:
            cluster.own_disk()
        else:
            with pytest.raises(Unavailable, match="containers"):
                cluster.own_disk()
        assert cluster.disks == fits


def test_the_range_is_the_one_set_aside_for_tests():
    assert str(RANGE) == "198.18.0.0/15"
    assert both_ways(["a"], ["a", "b"]) == [("a", "b"), ("b", "a")]


def test_counters_are_read_as_nft_lists_them():
    counter = {"packets": 3, "bytes": 180}
    element = {"elem": {"val": {"concat": ["1.1.1.1", "2.2.2.2"]}, "counter": counter}}
    told = {"nftables": [{"metainfo": {}}, {"set": {"name": "cut", "elem": [element]}}]}
    assert list(counted(json.dumps(told))) == [("1.1.1.1", "2.2.2.2", 3, 180)]
    assert not list(counted('{"nftables": [{"set": {"name": "cut"}}]}'))


def test_a_cut_replaces_the_last_one_in_one_transaction():
    assert replacing("inet", []) == "flush set inet dokkaebi cut\n"
    assert replacing("inet", [("a", "b"), ("b", "a")]).splitlines() == [
        "flush set inet dokkaebi cut",
        "add element inet dokkaebi cut { a . b, b . a }",
    ]


def test_a_single_server_has_no_links_to_provide():
    started = SimpleNamespace(household=None, get=lambda *_: pytest.fail("a server was started"))
    wish = Wish(target="counter/for-update", provider="netns")
    with pytest.raises(UsageError, match="replicas, sync, delayed"):
        run(wish, servers=started, out=None, view=None)
