"""The report without a browser: its size, its escaping, its columns, and what it must say."""

import base64
import gzip
import html
import json
import re
import struct
from html.parser import HTMLParser

import numpy as np
import pytest

from dokkaebi.bench import sample_runs as samples
from dokkaebi.harness.history import History, Op
from dokkaebi.harness.result import Result, Stats
from dokkaebi.harness.verdict import Anomaly, Verdict
from dokkaebi.results import columns, names, store
from dokkaebi.results.report import render, weaknesses, write_report
from dokkaebi.results.shell import source


def page(tmp_path, name):
    folder = store.new_run(tmp_path, name)
    result, history = samples.SAMPLES[name](folder)
    return write_report(result, history, folder, remedy=samples.remedy).read_text()


def unpacked(text):
    packed = re.search(r'id="data">([^<]*)<', text)[1]
    raw = gzip.decompress(base64.b64decode(packed))
    (size,) = struct.unpack("<I", raw[:4])
    head = json.loads(raw[4 : 4 + size])
    at, blocks = 4 + size, {}
    for name, length in head["blocks"]:
        blocks[name] = raw[at : at + length]
        at += length
    return head, blocks


def numbers(block, n):
    planes = np.frombuffer(block, dtype=np.uint8).reshape(5, n).astype(np.int64)
    folded = sum(planes[i] << (8 * i) for i in range(5))
    return (folded >> 1) ^ -(folded & 1)


class Tags(HTMLParser):
    """Collects elements and attributes as a browser would see them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


@pytest.mark.parametrize("name", sorted(samples.SAMPLES))
def test_every_sample_becomes_a_page_with_all_sections(tmp_path, name):
    text = page(tmp_path, name)
    for section in ("timeline", "speed", "checkers", "again", "raw"):
        assert f'<section id="{section}"' in text
    assert 'class="warning">Warning' not in text or name == "hostile"


def test_keys_have_figures_and_lead_to_their_anomalies(tmp_path):
    text = page(tmp_path, "counter")
    section = text[text.index('<section id="keys"') : text.index('<section id="checkers"')]
    first = section[section.index("<tbody>") : section.index("</tr>", section.index("<tbody>"))]
    assert ">c0<" in first
    assert 'href="#anomaly-1">lost update' in first
    assert section.count("<tr") == 1 + 6  # the head and six counters


def test_three_commands_can_be_copied(tmp_path):
    text = html.unescape(page(tmp_path, "counter"))
    folder = tmp_path / "0001-counter"
    for number, line in enumerate(("check", "run counter", f"replay {folder}"), start=1):
        assert re.search(rf'id="copy-{number}"[^>]*>dokkaebi {re.escape(line)}', text)
        assert f'data-copy="copy-{number}"' in text


def test_shell_style_and_script_are_small():
    sizes = [len(source(f"report.{kind}").encode()) for kind in ("html", "css", "js")]
    assert sum(sizes) <= 60_000


def test_a_page_tells_what_happened_and_what_to_change(tmp_path):
    text = html.unescape(page(tmp_path, "counter"))
    for part in ("VIOLATED", "17 lost updates", "both read 41 of c0 and both stored 42",
                 names.consequence("lost-update"), names.definition("lost-update"),
                 "Let the database do the arithmetic", "overwrites process 0's change",
                 "dokkaebi check", "dokkaebi run counter", "seed"):  # fmt: skip
        assert part in text


def test_a_pass_lists_what_weakens_it_before_the_verdict(tmp_path):
    text = page(tmp_path, "passing")
    assert text.index("Before you trust this pass") < text.index('class="sign">✔')
    assert "ended unknown" in text


def test_a_pass_without_faults_says_so(tmp_path):
    folder = store.new_run(tmp_path, "x")
    result, _ = samples.unproved(folder)
    assert any("No faults" in text for text in weaknesses(result))


def test_hostile_values_become_no_markup(tmp_path):
    text = page(tmp_path, "hostile")
    plain = page(tmp_path, "counter")
    assert set(Tags(text).tags) <= set(Tags(plain).tags) | {"path", "title", "em", "tr", "td"}
    assert not [name for name in Tags(text).attributes if name.startswith("on")]
    assert text.count("<script") == 2
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200f]", text)
    assert len(text) < 400_000


def test_the_policy_allows_no_network_and_only_this_script(tmp_path):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page(tmp_path, "counter"))[1]
    assert html.unescape(policy).startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_nothing_is_loaded_from_anywhere(tmp_path):
    text = page(tmp_path, "lock")
    links = re.findall(r'(?:src|href|action)="([^"]*)"', text)
    assert all(link.startswith(("#", "data:")) for link in links)


def test_shapes_carry_their_colours_as_attributes(tmp_path):
    text = page(tmp_path, "lock")
    shapes = re.findall(r"<(?:rect|text|circle)\b[^>]*>", text)
    assert all(' fill="' in shape for shape in shapes)
    assert all(' font-size="' in shape for shape in shapes if shape.startswith("<text"))


def test_the_columns_come_back_as_they_went_in(tmp_path):
    folder = store.new_run(tmp_path, "counter")
    result, history = samples.passing(folder, 500)
    head, blocks = unpacked(render(result, history))
    n = head["n"]
    index = np.cumsum(numbers(blocks["index"], n))
    assert index.tolist() == history.invocations().tolist()
    assert (np.cumsum(numbers(blocks["call"], n)) == history.time[index] // 1000).all()
    took = numbers(blocks["took"], n) - 1
    assert (took == -1).sum() == sum(op.type == "info" for op in history.operations())
    asked = blocks["asked"].decode().split("\n")
    assert asked[0] == " ".join(
        map(str, (v for v in history[int(index[0])].value if v is not None))
    )
    assert len(asked) == len(blocks["answered"].decode().split("\n")) == n


def long_history(n, unknown_every=1000):
    events = []
    for i in range(n):
        kind = "info" if i % unknown_every == 0 else "ok"
        process = i if kind == "info" else 0
        events.append(Op(time=2 * i, process=process + 1, type="invoke", f="add", value=i))
        events.append(Op(time=2 * i + 1, process=process + 1, type=kind, f="add", value=i))
    return History(events)


def test_a_long_history_is_thinned_out_but_keeps_what_matters():
    history = long_history(5000)
    witness = int(history.invocations()[2500])
    shown = columns.table(history, witnesses=[witness], most=1000)
    assert shown.left_out == 5000 - len(shown.index) > 3000
    assert (shown.took < 0).sum() == 5
    near = history.invocations()[2500 - columns.NEAR : 2500 + columns.NEAR]
    assert set(near.tolist()) <= set(shown.index.tolist())


def test_many_processes_share_rows_by_worker():
    history = long_history(60_000, unknown_every=1001)
    rows = columns.rows(history, 8)
    assert len(rows.labels) == 8
    assert rows.per_worker
    assert rows.labels[rows.of[1]] == "worker 1"


def test_a_history_without_times_is_drawn_by_its_order():
    events = [Op(process=0, type=kind, f="read", value=1) for kind in ("invoke", "ok") * 20]
    history = History(events)
    verdict = Verdict(verdict="violated", judged=20, anomalies=(
        Anomaly(type="stale-read", sentence="too old", ops=(4,)),))  # fmt: skip
    result = Result(verdict=verdict, checkers={}, stats=Stats(ok=20), faults=(), spec=None, folder=None)  # fmt: skip
    text = render(result, history)
    assert "places in it stand for them" in text
    assert unpacked(text)[0]["timed"] is False


def test_an_empty_history_still_becomes_a_page():
    result = Result(verdict=Verdict(verdict="unknown", reason="nothing ran"), checkers={},
                    stats=Stats(), faults=(), spec=None, folder=None)  # fmt: skip
    assert "nothing ran" in render(result, History([])).lower()
