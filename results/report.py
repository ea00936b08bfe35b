"""The report: one HTML file that explains a run to somebody who does not know the tool.

Self-contained, without any network, readable without scripts. Every text goes through jinja2's
escaping; the policy in the page's head lets only the page's own script run, by its hash.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from markupsafe import Markup

from ..harness.faults import FaultRecord
from ..harness.formats.jsonl import encode_op
from ..harness.history import FOREVER, History
from ..harness.result import Result
from ..harness.verdict import Anomaly
from . import charts, columns, names, repro, store, terminal, words
from .page import anomaly_view, labels_of, window_of
from .shell import environment, hashed, source, stylesheet
from .terminal import Remedy

MOST_DRAWN: Final = 8
"""Anomalies that get a picture; further ones stand in a table."""
RAW_EVENTS: Final = 2_000
RAW_BYTES: Final = 300_000

_PLAIN: Final = {
    "violated": "The promise was broken. What was broken, by whom and in what order stands below.",
    "holds": "Nothing that was observed contradicts the promise. That is not a proof: another "
    "timing may show what this one did not.",
    "unknown": "Nothing was proved, neither that the promise holds nor that it is broken.",
}


def write_report(result: Result, history: History, folder: Path, *, remedy: Remedy = None) -> Path:
    """Write `report.html` into the run's folder and return its path.

    `remedy` says what to change: a text, or a function from an anomaly's name to one.
    """
    target = folder / store.REPORT
    partial = folder / f".{store.REPORT}.{os.getpid()}"
    partial.write_text(render(result, history, remedy=remedy), encoding="utf-8")
    return partial.replace(target)


def render(result: Result, history: History, *, remedy: Remedy = None) -> str:
    """The page as a text."""
    style, script = stylesheet(), source("report.js")
    page: dict[str, Any] = {
        "style": Markup(style),
        "script": Markup(script),
        "style_hash": hashed(style),
        "script_hash": hashed(script),
        **_banner(result),
        **_anomalies(result, history, remedy),
        **_timeline(result, history),
        **_speed(result, history),
        **_by_key(result),
        **_checkers(result),
        **_again(result),
        **_raw(history),
    }
    return environment().get_template("report.html").render(page)


# --- the sections --------------------------------------------------------------------------------


def _banner(result: Result) -> dict[str, Any]:
    verdict = result.verdict.verdict
    subject = _subject(result)
    statement = terminal.statement(result)
    return {
        "title": f"{terminal.SIGNS[verdict]} {verdict.upper()} {subject}",
        "verdict": verdict,
        "sign": terminal.SIGNS[verdict],
        "statement": statement[:1].upper() + statement[1:],
        "plain": _PLAIN[verdict],
        "subject": subject,
        "facts": [fact for fact in terminal.facts(result) if fact[0] != "look"],
        "weaknesses": weaknesses(result) if verdict == "holds" else [],
    }


def _subject(result: Result) -> str:
    spec = result.spec
    if spec is None:
        return "a recorded history"
    on = spec.backend or " and ".join(spec.needs)
    isolation = f" at {spec.isolation}" if spec.isolation else ""
    return words.clean(f"{spec.label}{f' on {on}' if on else ''}{isolation}, seed {spec.seed}", 200)


def weaknesses(result: Result) -> list[str]:
    """Whatever makes a pass say less than it seems to."""
    stats, found = result.stats, []
    if not result.faults:
        found.append("No faults were injected: this says nothing about crashes, pauses or cuts.")
    missed = [f for f in result.faults if not f.took_effect]
    if missed:
        found.append(f"{words.count(len(missed), 'fault')} did not take effect.")
    if stats.info:
        found.append(
            f"{words.count(stats.info, 'operation')} ended unknown; whatever they did was accepted."
        )
    for f, times in stats.left_open.items():
        name = words.clean(f, 40)
        found.append(f"{name} answered ok {times:,} times and left a transaction open.")
    for what, times in stats.suspicious.items():
        found.append(f"{words.count(times, 'answer')} looked doubtful: {words.clean(what, 100)}.")
    if result.spec is None:
        found.append("The history was recorded elsewhere; how it was made is not known.")
    return found


def _anomalies(result: Result, history: History, remedy: Remedy) -> dict[str, Any]:
    every = result.verdict.anomalies
    views = [
        anomaly_view(anomaly, number, result, history)
        for number, anomaly in enumerate(every[:MOST_DRAWN], start=1)
    ]
    return {
        "anomalies": views,
        "further": [
            {"number": number, "noun": names.noun(a.type), "count": a.count,
             "sentence": words.clean(a.sentence, 600)}
            for number, a in enumerate(every[MOST_DRAWN:], start=MOST_DRAWN + 1)
        ],
        "happened": _happened(every[0], remedy) if every else None,
    }  # fmt: skip


def _happened(anomaly: Anomaly, remedy: Remedy) -> dict[str, str]:
    sentence = words.clean(anomaly.sentence, 2000)
    return {
        "noun": names.noun(anomaly.type)[:1].upper() + names.noun(anomaly.type)[1:],
        "sentence": _as_sentence(sentence),
        "consequence": names.consequence(anomaly.type),
        "definition": names.definition(anomaly.type),
        "remedy": terminal.advise(remedy, anomaly.type),
    }


def _as_sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "!", "?")) else text + "."


def _timeline(result: Result, history: History) -> dict[str, Any]:
    anomalies = result.verdict.anomalies
    witnesses = [index for anomaly in anomalies for index in anomaly.ops]
    shown = columns.table(history, witnesses=witnesses)
    lanes = columns.rows(history, result.spec.workers if result.spec else None)
    whole = (0.0, float(max(shown.end, 1)))
    window = window_of(anomalies[0], history, shown) if anomalies else whole
    labels = labels_of(anomalies[0], history) if anomalies else {}
    described = [
        {
            "name": names.noun(anomaly.type),
            "window": window_of(anomaly, history, shown),
            "ops": list(labels_of(anomaly, history).items()),
        }
        for anomaly in anomalies
    ]
    return {
        "timeline": charts.timeline(
            shown, lanes, result.faults, window=window, labels=labels, name="static"
        ),
        "timeline_note": _timeline_note(shown, lanes, result.faults, bool(anomalies)),
        "legend": Markup("").join(
            Markup("<li>{}{}</li>").format(sign, text) for sign, text in charts.legend()
        ),
        "data": columns.pack(
            shown, history, lanes=lanes, faults=result.faults, anomalies=described
        ),
    }


def _timeline_note(
    shown: columns.Table, lanes: columns.Rows, faults: Sequence[FaultRecord], anomaly: bool
) -> str:
    row = "worker (its processes one after the other)" if lanes.per_worker else "process"
    said = [f"One row for each {row}, one bar for each operation, as long as it took."]
    if anomaly:
        said.append("It opens around the anomaly, whose operations are numbered.")
    if faults:
        said.append("Hatched bands are the times when the nemesis had broken something.")
    if shown.left_out:
        said.append(
            f"{shown.left_out:,} of {shown.left_out + len(shown.index):,} operations are left out "
            "here; everything near an anomaly, every unknown operation and every fault is shown."
        )
    if not shown.timed:
        said.append("The history has no times, so places in it stand for them.")
    return " ".join(said)


def _speed(result: Result, history: History) -> dict[str, Any]:
    shown = columns.table(history)
    return {
        "latency": charts.latency(shown, result.faults, name="latency"),
        "throughput": charts.throughput(shown, result.faults, name="throughput"),
        "faults": [
            {
                "name": words.clean(fault.name, 60),
                "target": words.clean(fault.target, 80),
                "start": words.moment(fault.injected),
                "end": words.moment(fault.healed) if fault.healed < FOREVER else "never healed",
                "evidence": ("" if fault.took_effect else "no effect: ")
                + words.clean(fault.evidence, 200),
            }
            for fault in result.faults[:100]
        ],
    }


def _by_key(result: Result) -> dict[str, Any]:
    stats = result.stats
    timed = any(one.latency_ms.max for one in stats.by_key)
    first = {anomaly.type: n for n, anomaly in reversed([*enumerate(result.verdict.anomalies, 1)])}
    return {
        "keys": [
            {
                "name": words.clean(one.key, 80),
                "counts": [f"{n:,}" for n in (one.ok, one.fail, one.info, one.conflicts)],
                "latency": [f"{ms:.2f}" for ms in (one.latency_ms.p50, one.latency_ms.p99)]
                if timed
                else [],
                "anomalies": [
                    {"number": first[name], "noun": names.noun(name)}
                    for name in one.anomalies
                    if name in first
                ],
            }
            for one in stats.by_key
        ],
        "keys_timed": timed,
        "keys_note": _keys_note(len(stats.by_key), stats.keys),
    }


def _keys_note(shown: int, keys: int) -> str:
    said = (
        "A conflict is a pair of operations at the same time of which at least one writes; an "
        "operation on several keys counts with the first one that it writes."
    )
    if keys <= shown:
        return f"All {shown} keys, those of anomalies first. {said}"
    return f"{shown} of {keys:,} keys: those of anomalies, then those where most operations met. {said}"


def _checkers(result: Result) -> dict[str, Any]:
    return {
        "checkers": [
            {
                "name": words.clean(name, 60),
                "verdict": f"{terminal.SIGNS[one.verdict.verdict]} {one.verdict.verdict}",
                "judged": f"{one.verdict.judged:,}",
                "seconds": f"{one.seconds:.2f}",
                "reason": words.clean(one.verdict.reason, 300),
            }
            for name, one in result.checkers.items()
        ],
        "levels": _levels(result),
    }


def _levels(result: Result) -> list[dict[str, Any]]:
    """The levels that were ruled out, the one reached, and the weaker ones below it."""
    verdict = result.verdict
    out = [*verdict.also_not, *verdict.not_]
    rows = [_level(level, "✖ ruled out", out=True) for level in out]
    if verdict.strongest is None:
        return rows
    rows.append(_level(verdict.strongest, "✔ the strongest that nothing here contradicts"))
    if verdict.strongest in names.LADDER:
        weaker = names.LADDER[: names.LADDER.index(verdict.strongest)]
        rows += [_level(name, "✔ not contradicted") for name in reversed(weaker) if name not in out]
    return rows


def _level(name: str, text: str, *, out: bool = False) -> dict[str, Any]:
    return {"name": words.clean(name, 60), "text": text, "out": out, "means": names.promise(name)}


def _again(result: Result) -> dict[str, Any]:
    repeat = [{"label": label, "text": line} for label, line in terminal.repeat_lines(result)]
    if result.spec is not None and result.folder is not None:
        line = repro.replay_line(result.folder)
        repeat.append({"label": "run ten times (how often is it found?)", "text": line})
    if result.spec is not None:
        spec = msgspec.json.format(msgspec.json.encode(result.spec), indent=2).decode()
        text = "\n".join(words.clean(line, 2000) for line in spec.splitlines())
        repeat.append({"label": "the whole spec (spec.json)", "text": text})
    environment = dict(result.environment)
    settings = environment.pop("settings", {})
    environment |= environment.pop("versions", {})
    return {
        "repeat": [{**line, "label": line["label"].capitalize()} for line in repeat],
        "caveat": repro.CAVEAT if result.spec else "",
        "environment": _pairs({**_versions(result), **environment}),
        "settings": _pairs(settings),
        "footer": "Made by Dokkaebi, a consistency test harness. This page needs no network and "
        "sends nothing.",
    }


def _versions(result: Result) -> Mapping[str, Any]:
    spec = result.spec
    return {"seed": spec.seed, **spec.versions} if spec else {}


def _pairs(values: Any, head: str = "") -> list[tuple[str, str]]:
    """A nested mapping as labels and texts."""
    if not isinstance(values, Mapping):
        return []
    pairs: list[tuple[str, str]] = []
    for key, value in values.items():
        name = words.clean(f"{head}{key}", 80)
        if isinstance(value, Mapping):
            pairs += _pairs(value, f"{name}.")
        else:
            pairs.append((name, words.show(value, 300)))
    return pairs


def _raw(history: History) -> dict[str, Any]:
    where = "It stands in history.jsonl beside this page, one event a line."
    if len(history) > RAW_EVENTS:
        return {"raw": [], "raw_note": f"{len(history):,} events, too many to embed. {where}"}
    lines = [words.clean(encode_op(op).decode().strip(), 20_000) for op in history]
    if sum(map(len, lines)) > RAW_BYTES:
        return {"raw": [], "raw_note": f"{len(history):,} events, too long to embed. {where}"}
    return {"raw": lines, "raw_note": f"All {len(history):,} events, one a line."}
