"""Who is cut off at a door that several share, without any connection."""

from dokkaebi.backends.relay import ANYONE, CLIENTS, Relay


def relay(*cut):
    one = Relay()
    one.cut = frozenset(cut)
    return one


def test_who_is_known_is_cut_off_in_the_directions_asked_for():
    assert relay(("a", "b")).is_cut(("a", "b"))
    assert not relay(("a", "b")).is_cut(("b", "a"))
    assert not relay(("a", "b")).is_cut(("c", "b"))


def test_who_did_not_say_a_name_is_cut_off_with_whoever_is_cut_off_there():
    assert relay(("a", "b")).is_cut((ANYONE, "b"))
    assert not relay(("a", "b")).is_cut((ANYONE, "a"))
    assert relay(("a", "b")).is_cut(("a", ANYONE))
    assert not relay(("a", "b")).is_cut(("b", ANYONE))
    assert not relay().is_cut((ANYONE, "b"))


def test_a_cut_of_clients_is_none_of_the_nodes():
    assert not relay((CLIENTS, "b")).is_cut((ANYONE, "b"))
