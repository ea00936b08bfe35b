"""The journal: one segment per OS process, followed as it grows, merged by time."""

import random

from dokkaebi import Op
from dokkaebi.harness.formats.jsonl import encode_op
from dokkaebi.harness.journal import Follower, Segment, merge, read_segments


def op(time, process, kind, f="read"):
    return Op(time=time, process=process, type=kind, f=f)


def test_a_merge_keeps_the_order_within_each_process_whatever_the_order_of_lines():
    rng = random.Random(7)
    segments = []
    for slot in range(3):
        lines = []
        for process in (slot, slot + 3):
            time = rng.randrange(5)
            for _ in range(20):
                lines += [op(time, process, "invoke"), op(time + 1, process, "ok")]
                time += rng.randint(2, 4)
        rng.shuffle(lines)
        segments.append(lines)
    history = merge(segments)
    times = history.time.tolist()
    assert times == sorted(times)
    assert all(o.type == "ok" for o in history.operations())


def test_at_equal_times_invocations_come_first():
    history = merge([[op(1, 0, "invoke"), op(5, 0, "ok")], [op(5, 1, "invoke"), op(6, 1, "ok")]])
    assert [(o.type, o.process) for o in history] == [
        ("invoke", 0),
        ("invoke", 1),
        ("ok", 0),
        ("ok", 1),
    ]


def test_every_segment_may_end_torn(tmp_path):
    for name in ("0-0", "1-0"):
        segment = Segment(tmp_path / f"{name}.jsonl")
        segment.append(op(1, int(name[0]), "invoke"), op(2, int(name[0]), "ok"))
        segment.append(op(3, int(name[0]), "invoke"))
        segment.close()
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(path.read_bytes()[:-7])
    assert [len(ops) for ops in read_segments(tmp_path)] == [2, 2]


def test_a_follower_sees_each_event_once_and_no_torn_one(tmp_path):
    path = tmp_path / "0-0.jsonl"
    path.write_bytes(encode_op(op(1, 0, "invoke")))
    follower = Follower(tmp_path)
    assert [o.time for o in follower.poll()] == [1]
    with path.open("ab") as file:
        file.write(b'{"time":2,"process":0,')
    assert follower.poll() == []
    with path.open("ab") as file:
        file.write(b'"type":"ok","f":"read"}\n')
    assert [o.type for o in follower.poll()] == ["ok"]
    assert follower.poll() == []


def test_what_is_appended_is_the_kernels_at_once_and_the_room_left_is_no_event(tmp_path):
    segment = Segment(tmp_path / "0-0.jsonl")
    follower = Follower(tmp_path)
    for time in range(10_000):  # several chunks, with lines across their edges
        segment.append(op(time, 0, "invoke" if time % 2 == 0 else "ok"))
        if time % 1999 == 0:
            follower.poll()
    assert len(read_segments(tmp_path)[0]) == 10_000  # not closed: as if the writer was killed
    segment.close()
    data = (tmp_path / "0-0.jsonl").read_bytes()
    assert b"\0" not in data
    assert data.count(b"\n") == 10_000
