"""Histories mean the same in every format: fast and slow EDN, JSONL and back, packed or not."""

import gzip
import random

import edn_format
import msgspec
import pytest
import zstandard
from fuzzing import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from dokkaebi.harness.errors import MalformedHistory
from dokkaebi.harness.formats import edn, edn_plain
from dokkaebi.harness.formats.edn_writer import edn_line
from dokkaebi.harness.formats.jsonl import encode_op
from dokkaebi.harness.formats.reading import read
from dokkaebi.harness.history import History, Op
from dokkaebi.harness.pairing import pairs

# --- EDN, against edn_format ----------------------------------------------------------------------

words = st.from_regex(r"[a-z][a-z0-9*+!_?<>=.-]{0,6}", fullmatch=True).filter(
    lambda word: word not in ("nil", "true", "false")
)
texts = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\\"), max_size=8
)
spaces = st.sampled_from([" ", ", ", "\n", "  ", ",", "\t"])
atoms = st.one_of(
    st.integers(-(10**17), 10**17).map(str),
    st.floats(-1e6, 1e6).map(lambda number: f"{number:.3f}"),
    st.sampled_from(["nil", "true", "false", "0", "-0"]),
    words.map(lambda word: f":{word}"),
    st.builds(lambda one, two: f":{one}/{two}", words, words),
    texts.map(lambda text: '"' + text.replace('"', "'") + '"'),
    st.sampled_from([r'"a\"b"', r'"\\"', r'"a\nb\t"', '"[, ]{}"', '":a ;"']),
)


@st.composite
def between(draw, items, start, end):
    return (
        start
        + "".join(draw(spaces) + item for item in items)
        + draw(st.sampled_from(["", " "]))
        + end
    )


@st.composite
def maps(draw, values):
    keys = draw(
        st.lists(
            st.one_of(words.map(lambda w: f":{w}"), st.integers(0, 99).map(str)),
            unique=True,
            max_size=4,
        )
    )
    items = [part for key in keys for part in (key, draw(values))]
    return draw(between(items, "{", "}"))


@st.composite
def vectors(draw, values):
    return draw(between(draw(st.lists(values, max_size=4)), "[", "]"))


values = st.recursive(atoms, lambda inner: st.one_of(vectors(inner), maps(inner)), max_leaves=12)
texts_of_maps = st.lists(maps(values), min_size=1, max_size=3).map("\n".join)


def as_ours(value):
    """What edn_format read, as our readers tell it."""
    if isinstance(value, edn_format.Keyword):
        return value.name
    if isinstance(value, edn_format.ImmutableDict | dict):
        return {edn.key_of(as_ours(key)): as_ours(item) for key, item in value.items()}
    if isinstance(value, edn_format.ImmutableList | list | tuple):
        return [as_ours(item) for item in value]
    return value


@given(texts_of_maps)
@settings(max_examples=cases(70), deadline=None)
def test_the_fast_way_and_the_slow_way_read_what_edn_format_reads(text):
    expected = [as_ours(value) for value in edn_format.loads_all(text)]
    assert [value for value, _ in edn.parse(text)] == expected
    assert edn_plain.forms(text) == expected


@given(st.text(st.sampled_from(list("{}[]()#;:_\"\\ ,\nab1.-/^'N@")), max_size=12))
@settings(max_examples=cases(200), deadline=None)
def test_what_the_fast_way_reads_the_slow_way_reads_alike(text):
    """Of any text at all: the fast way may give up, but never reads something else."""
    try:
        found = edn_plain.forms("{:k " + text + "}")
    except edn_plain.NotPlain:
        return
    assert found == [value for value, _ in edn.parse("{:k " + text + "}")]


def tried(function, *args, **options):
    """What a function answers, or how it refuses."""
    try:
        return function(*args, **options)
    except (MalformedHistory, edn_plain.NotPlain) as error:
        return error


@given(texts_of_maps, st.integers(0, 10**6), st.sampled_from(list('{}[]"\\:;# a1')))
@settings(max_examples=cases(80), deadline=None)
def test_a_damaged_text_is_read_alike_or_refused_by_both(text, at, sign):
    at %= len(text)
    text = text[:at] + sign + text[at + 1 :]
    fast, slow = tried(edn_plain.forms, text), tried(edn.parse, text)
    if isinstance(slow, MalformedHistory):
        assert slow.line is not None
        assert isinstance(fast, edn_plain.NotPlain)
    elif not isinstance(fast, edn_plain.NotPlain):
        assert fast == [value for value, _ in slow]


# --- there and back -------------------------------------------------------------------------------

names = st.one_of(words, st.sampled_from(["read", "guard-read", "a b", "", "nil", "1", ":x"]))
any_text = st.text(st.characters(blacklist_categories=["Cs"]), max_size=6)
plain_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        any_text,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(any_text | st.integers(-9, 99).map(str), inner, max_size=3),
        st.tuples(st.sampled_from(["append", "r", "w", "cas"]), inner, inner).map(
            lambda mop: [list(mop)]
        ),
    ),
    max_leaves=6,
)


@st.composite
def histories(draw):
    events, time, opened = [], 0, {}
    for _ in range(draw(st.integers(1, 8))):
        time += draw(st.integers(1, 5))
        process = draw(st.integers(0, 2))
        more = {
            "value": draw(plain_values),
            "phase": draw(st.sampled_from([None, "dry", "main", "final"])),
            "ext": draw(st.none() | st.dictionaries(any_text, plain_values, max_size=2)),
        }
        if draw(st.booleans()) and not opened:
            events.append(Op(time=time, process="nemesis", type="info", f="kill", **more))
        elif process in opened:
            kind = draw(st.sampled_from(["ok", "fail", "info"]))
            more |= {
                "error": draw(st.none() | any_text),
                "result": draw(plain_values),
                "attempts": draw(st.none() | st.integers(1, 3)),
                "conn": draw(st.none() | any_text | st.integers(0, 9)),
            }
            events.append(Op(time=time, process=process, type=kind, f=opened.pop(process), **more))
        else:
            opened[process] = draw(names)
            events.append(Op(time=time, process=process, type="invoke", f=opened[process], **more))
    return History(events)


def seen(history):
    """What a checker sees."""
    return list(history.operations()), list(history.nemesis())


@given(histories())
@settings(max_examples=cases(70), deadline=None)
def test_jsonl_to_edn_and_back_is_the_identity_on_what_checkers_see(history):
    lines = b"".join(map(encode_op, history))
    there = read(lines, source="x.jsonl").history
    assert seen(there) == seen(history)
    text = b"".join(map(edn_line, there))
    recorded = read(text, source="x.edn")
    assert recorded.format == "edn"
    assert seen(recorded.history) == seen(history)
    assert b"".join(map(encode_op, recorded.history)) == lines


@given(histories())
@settings(max_examples=cases(30), deadline=None)
def test_edn_that_we_write_is_edn(history):
    for op in history:
        form = edn_format.loads(edn_line(op).decode())
        assert form[edn_format.Keyword("type")] == edn_format.Keyword(op.type)
        if op.process == "nemesis":
            assert form[edn_format.Keyword("process")] == edn_format.Keyword("nemesis")


@given(histories(), st.sampled_from([gzip.compress, zstandard.compress]))
@settings(max_examples=cases(30), deadline=None)
def test_packed_histories_are_the_same(history, pack):
    lines = b"".join(map(encode_op, history))
    half = lines[: len(lines) // 2], lines[len(lines) // 2 :]
    packed = b"".join(map(pack, half))
    assert seen(read(packed, source="h").history) == seen(read(lines, source="h").history)


# --- pairing, against the loop that anyone can read -----------------------------------------------


def naive_pairs(events):
    """Pairs, or None where something does not fit."""
    pair, opened, last = [-1] * len(events), {}, {}
    for i, (process, kind, f, time) in enumerate(events):
        if process == -1:
            continue
        if process < 0 or time < last.get(process, -1):
            return None
        last[process] = time
        if kind == 0:
            if process in opened:
                return None
            opened[process] = i
            continue
        start = opened.pop(process, None)
        if start is None or events[start][2] != f:
            return None
        pair[start], pair[i] = i, start
    return pair


@pytest.mark.parametrize("seed", range(cases(20)))
def test_pairing_is_what_the_plain_loop_finds(seed):
    import numpy as np

    rng = random.Random(f"pairing {seed}")
    whole = 0
    for _ in range(100):
        events, opened = [], {}
        for time in range(rng.randrange(12)):
            process = rng.randrange(-1, 3)
            fits = process in opened
            kind = rng.choice((1, 2, 3)) if fits else 0
            f = opened.pop(process) if fits else rng.randrange(2)
            if kind == 0 and process >= 0:
                opened[process] = f
            events.append([process, kind, f, time])
        if events and rng.random() < 0.5:
            event = rng.choice(events)
            event[rng.randrange(4)] = rng.randrange(-2, 3)
            event[1] %= 4
            event[2] %= 3
        columns = list(zip(*events, strict=True)) or [(), (), (), ()]
        kinds = (np.int32, np.int8, np.int16, np.int64)
        arrays = [np.array(c, dtype=kind) for c, kind in zip(columns, kinds, strict=True)]
        expected = naive_pairs(events)
        found = tried(pairs, *arrays, functions=("a", "b", "c"), source="x")
        if isinstance(found, MalformedHistory):
            assert expected is None
            assert naive_pairs(events[: found.line - 1]) is not None
            assert naive_pairs(events[: found.line]) is None
        else:
            whole += 1
            assert found.tolist() == expected
    assert whole > 20


def test_a_value_comes_back_as_it_was_whatever_encodes_it():
    op = Op(time=1, process=0, type="invoke", f="write", value={"0": 1, "a/b": [None, -0.5, "é😀"]})
    again = read(edn_line(op), source="x.edn").history[0]
    assert again.value == op.value
    assert msgspec.json.encode(again.value) == msgspec.json.encode(op.value)
