"""History files of every format, and ways to break them: bytes, lines, types."""

from __future__ import annotations

import gzip
import json
import random
import re

import zstandard
from histories import correct_register

from dokkaebi.harness.formats.edn_writer import edn_line
from dokkaebi.harness.formats.jsonl import encode_op
from dokkaebi.harness.history import History, Op

STRANGE = (
    "null", "nil", "-1", "1e400", "1e308", "-0.0", "99999999999999999999999999", "NaN", "[]", "{}",
    "[[[]]]", '""', '"\\ud800"', '"\\u0000"', "true", ":a", "#{}", "[" * 70 + "]" * 70, "5/3",
    "2147483648", "9223372036854775807", "9223372036854775808", '{"a":{"b":[1]}}', '"x y"', "1.5",
    "#inst \"2020\"", "\\a", "(1 2)", "##Inf",
)  # fmt: skip


def sources(rng: random.Random) -> dict[str, bytes]:
    """A small sound history of each format and of each workload, by the file's name."""
    found: dict[str, bytes] = {}
    for name, events in _events(rng).items():
        history = list(History(events))
        found[f"{name}.jsonl"] = b"".join(map(encode_op, history))
        found[f"{name}.edn"] = b"".join(map(edn_line, history))
        found[f"{name}-vector.edn"] = b"[" + b" ".join(map(edn_line, history)) + b"]"
        found[f"{name}.json"] = b"[" + b",\n".join(encode_op(op).strip() for op in history) + b"]"
    lines = found["register.jsonl"]
    found["register.jsonl.gz"] = gzip.compress(lines)
    found["register.jsonl.zst"] = zstandard.compress(lines)
    found["bare.jsonl"] = re.sub(rb'"process":\d+,', b"", found["bank.jsonl"])
    found["sessions.txt"] = _sessions(rng)
    return found


def _events(rng: random.Random) -> dict[str, list[Op]]:
    registers = list(correct_register(rng, clients=3, operations=8))
    return {
        "register": registers,
        "counter": _pairs([("add", ["x", 1], None), ("read", ["x", None], ["x", 1])] * 3),
        "bare-counter": _pairs([("add", 1, None), ("read", None, 1)]),
        "bank": _pairs(
            [
                ("read", None, {"0": 5, "1": 5}),
                ("transfer", {"from": 0, "to": 1, "amount": 2}, None),
                ("read", None, {"0": 3, "1": 7}),
            ]
        ),
        "lock": _pairs([("acquire", "l", None), ("release", "l", None)] * 3),
        "append": _pairs(
            [("txn", [["append", 1, 2], ["r", 1, None]], [["append", 1, 2], ["r", 1, [2]]])] * 1
        ),
        "wr": _pairs([("txn", [["w", 1, 2], ["r", 1, None]], [["w", 1, 2], ["r", 1, 2]])]),
        "set": _pairs([("add", 1, None), ("add", 2, None), ("read", None, [1, 2])]),
        "fork": _pairs([("write", [["w", 1, 1]], None), ("read", [["r", 1, None]], [["r", 1, 1]])]),
        "queue": _pairs([("enqueue", 1, None), ("dequeue", None, 1)]),
    }


def _pairs(operations: list[tuple]) -> list[Op]:
    events, time = [], 0
    for number, (f, asked, answer) in enumerate(operations):
        process = number % 2
        events.append(Op(time=time, process=process, type="invoke", f=f, value=asked))
        value = asked if answer is None else answer
        events.append(Op(time=time + 5, process=process, type="ok", f=f, value=value))
        time += 10
    return events


def _sessions(rng: random.Random) -> bytes:
    lines = []
    for value in range(12):
        lines.append(f"{rng.choice('wr')} {rng.randrange(3)} {value}")
        lines += rng.choice(([], ["-----"], ["-----"], ["====="]))
    return "\n".join(lines).encode()


def broken(rng: random.Random, data: bytes) -> bytes:
    """The file with one to three things changed."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(WAYS)(rng, data)
    return data


def _flip(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.randrange(1, 40) :]


def _truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _lines(rng: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            lines.insert(i, lines[j])
        case 1:
            lines[i], lines[j] = lines[j], lines[i]
        case 2:
            del lines[i]
        case _:
            rng.shuffle(lines)
    return b"\n".join(lines)


def _retype(rng: random.Random, data: bytes) -> bytes:
    """Put something strange where a number or a text stands."""
    places = [*re.finditer(rb'(?<=[\s:,\[{])(-?\d+|"[^"]*"|:[a-z]+|null|nil)(?=[\s,\]}])', data)]
    if not places:
        return data
    place = rng.choice(places)
    return data[: place.start()] + rng.choice(STRANGE).encode() + data[place.end() :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    more = rng.choice((b"\x00", b"\xff\xfe", b"[", b"}", b'"', b"\\", b"#", b"\n\n", b",", b"\xf0"))
    return data[:at] + more * rng.choice((1, 1, 3, 100)) + data[at:]


def _revalue(rng: random.Random, data: bytes) -> bytes:
    """Put something strange into the value of an event."""
    places = [*re.finditer(rb'(?<=value)"?[:\s](.*?)(?=\}|, :|,")', data)]
    if not places:
        return data
    place = rng.choice(places)
    part = data[place.start() : place.end()]
    return data[: place.start()] + _retype(rng, part + b" ").rstrip() + data[place.end() :]


WAYS = (_flip, _cut, _truncate, _lines, _lines, _retype, _insert, *[_revalue] * 6)


def deep_json(depth: int) -> bytes:
    """One event whose value is lists in one another."""
    op = {"process": 0, "type": "invoke", "f": "write", "value": 0}
    return json.dumps(op).replace(": 0}", ": " + "[" * depth + "]" * depth + "}").encode() + b"\n"
