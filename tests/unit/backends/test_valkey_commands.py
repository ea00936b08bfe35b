"""What Valkey's commands do, and what their replies say."""

import pytest

from dokkaebi.backends.valkey_commands import Kind, did_nothing, kind_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("GET", Kind.READ),
        ("get", Kind.READ),
        (b"GET", Kind.READ),
        ("SCRIPT LOAD", Kind.READ),
        ("CLIENT ID", Kind.READ),
        ("WAIT", Kind.READ),
        ("EVAL_RO", Kind.READ),
        ("SET", Kind.WRITE),
        ("GETDEL", Kind.WRITE),
        ("XREADGROUP", Kind.WRITE),
        ("CONFIG SET", Kind.WRITE),
        ("SCRIPT FLUSH", Kind.WRITE),
        ("NEWCOMMAND", Kind.WRITE),
        ("EVAL", Kind.SCRIPT),
        ("EVALSHA", Kind.SCRIPT),
        ("FCALL", Kind.SCRIPT),
        ("MULTI", Kind.MULTI),
        ("EXEC", Kind.EXEC),
        ("WATCH", Kind.WATCH),
        ("SUBSCRIBE", Kind.SUBSCRIBE),
    ],
)
def test_kinds(name, kind):
    assert kind_of(name) is kind


@pytest.mark.parametrize(
    ("args", "reply", "nothing"),
    [
        (("SET", "k", "v", "NX"), None, True),
        (("SET", "k", "v", "NX", "GET"), None, False),
        (("SET", "k", "v"), b"OK", False),
        (("DEL", "k"), 0, True),
        (("DEL", "k"), 1, False),
        (("INCRBY", "k", 1), 0, False),
        (("BLPOP", "k", 1), None, True),
        (("SETNX", "k", "v"), 0, True),
        (("UNKNOWN", "k"), None, False),
    ],
)
def test_replies_that_say_nothing_was_changed(args, reply, nothing):
    assert did_nothing(args, reply) is nothing
